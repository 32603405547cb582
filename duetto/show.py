"""What a terminal shows of a turn and of an index."""

import json
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from duetto.tools.catalogue import Catalogue
from duetto.tools.profiles import Profile
from duetto.tools.progress import Advance

LANGUAGE, CROWD = "cyan", "magenta"
BAR = 10


class Bars:
    """Progress bars with counts and time left; usable as `duetto.tools.progress.Progress`."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), console=console,
        )  # fmt: skip

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int) -> Advance:
        task = self._progress.add_task(name, total=total)
        return lambda done: self._progress.advance(task, done)


def turn(answer: dict[str, Any], steps: bool = False) -> RenderableType:
    """The whole answer: what was understood, the ranking with reasons and voices, timings and what degraded."""
    listed = [recommendation(r, steps) for r in answer["recommendations"]]
    asked = answer["question"] if listed else None
    return Group(heading(answer), *listed, *([Text(asked["text"], "bold")] if asked else []), *footer(answer))


def opening(answer: dict[str, Any]) -> list[str]:
    """What is said before the list; all that is said where there is none."""
    said: list[str] = answer["reply"].splitlines()
    end = next((n for n, line in enumerate(said) if answer["recommendations"] and line.startswith("1. ")), len(said))
    return said[:end]


def heading(answer: dict[str, Any]) -> RenderableType:
    lines = [escape(line) for line in opening(answer)]
    if answer["preferences"]:
        tastes = ", ".join(f"{p['preference']} ({p['weight']:.2f})" for p in answer["preferences"])
        lines.append(f"[dim]your taste, as I see it: {escape(tastes)}[/dim]")
    if answer["queries"]:
        queries = "; ".join(f"“{q['query']}”" if len(q["query"]) <= 80 else q["serves"] for q in answer["queries"])
        lines.append(f"[dim]searched for: {escape(queries)}[/dim]")
    return Text.from_markup("\n".join(lines))


def recommendation(item: dict[str, Any], steps: bool = False) -> RenderableType:
    year = item["attributes"].get("year")
    title = f"{item['rank']:>2}. [bold]{escape(item['title'])}[/bold]" + (f" ({year})" if year else "")
    lines: list[RenderableType] = [Text.assemble(bar(item["weights"]), "  ", Text.from_markup(title))]
    if item["reason"]:
        lines.append(Padding(Text(item["reason"]), (0, 0, 0, BAR + 6)))
    for step in item["steps"] if steps else []:
        likely = f"fitness {step['fitness']:.2f}, so the likelihood is {step['likelihood']}"
        lines.append(Padding(Text(f"{step['preference']}: {step['why']}; {likely}", "dim"), (0, 0, 0, BAR + 6)))
    return Group(*lines)


def bar(weights: dict[str, float]) -> Text:
    """Each voice's share of an item's score, as one bar."""
    language = round(BAR * weights["language"])
    return Text.assemble(("█" * language, LANGUAGE), ("░" * (BAR - language), CROWD))


def legend() -> Text:
    return Text.assemble(("█ language voice", LANGUAGE), "   ", ("░ crowd", CROWD))


def footer(answer: dict[str, Any]) -> list[RenderableType]:
    spent = answer["usage"]
    times = ", ".join(f"{node} {ms:.0f}" for node, ms in answer["timings_ms"].items())
    calls = f"{spent['calls']} model calls, {spent['input_tokens'] + spent['output_tokens']} tokens"
    price = "" if spent["cost"] is None else f", cost {spent['cost']:.5f}"
    lines: list[RenderableType] = [legend()] if answer["recommendations"] else []
    lines += [Text(f"ms: {times} | {calls}{price}", style="dim")]
    lines += [Text(f"degraded: {note}", style="yellow") for note in answer["degraded"]]
    return lines


def replayed(report: dict[str, Any]) -> RenderableType:
    """What a replay found, a line for each thing that moved."""
    lines: list[RenderableType] = []
    for name, change in report["setup_changes"].items():
        lines.append(Text(f"setup: {name} was {change['was']}, is {change['now']}", style="dim"))
    lines += [Text(f"prompt: {what} ({count} turns)", style="yellow") for what, count in report["prompts"].items()]
    for turn in report["turns"]:
        if turn["drifted"]:
            what = ", ".join(turn["moved"]) or "a prompt that was not recorded"
            by = f", most by {turn['moved_by']}" if turn["moved_by"] else ""
            why = f": {turn['failed']}" if turn["failed"] else f" (overlap {turn['overlap']:.3f}{by})"
            lines.append(Text(f"{turn['thread'] or turn['file']}, turn {turn['turn']} moved: {what}{why}"))
    for name, form in (("half_written_lines", "{} half-written lines skipped"), ("redacted_turns", "{} redacted turns skipped")):
        lines += [Text(form.format(report[name]), style="dim")] if report[name] else []
    count, speed = report["turns_played"], report["turns_per_second"]
    verdict = f"{report['drifted']} of {count} turns moved" if report["drifted"] else f"no drift, turns: {count}"
    lines.append(Text(f"{verdict}, {speed} turns a second", style="bold"))
    return Group(*lines)


def truth(report: dict[str, Any]) -> RenderableType:
    """How many reasons are so, as shown and without the explainer's filter."""
    table = Table("", *report["reasons"], box=None, padding=(0, 2, 0, 0), pad_edge=False)
    of = list(report["reasons"].values())
    table.add_row("grounded", *("–" if one["grounded"] is None else f"{one['grounded']:.2%}" for one in of))
    table.add_row("contradictions", *(str(one["contradictions"]) for one in of))
    for what in of[0]["faithfulness"] or {}:
        table.add_row(what, *(_estimate(one["faithfulness"].get(what)) for one in of))
    lines: list[RenderableType] = [Text(f"{report['people']} people of {report['dataset']}", style="bold"), table]
    if opinion := report.get("judge"):
        scores = ", ".join(f"{name} {_estimate(score)}" for name, score in opinion["scores"].items())
        lines.append(Text(f"{opinion['model']} says, 1 to 5: {scores or 'nothing that could be used'}"))
    wrong = [example for one in of for example in one["wrong"][:5]]
    lines += [Text(f"not so: {example['reason']} ({'; '.join(example['wrong'])})", style="yellow") for example in wrong]
    return Group(*lines)


def found(report: dict[str, Any]) -> RenderableType:
    """What was found of the films that people recommended, by system and against ours."""
    systems = report["systems"]
    table = Table("", *next(iter(systems.values())), box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, of in systems.items():
        table.add_row(name, *(f"{value['mean']:.4f}" for value in of.values()))
    lines: list[RenderableType] = [Text(f"{name}: {value}", style="dim") for name, value in report["facts"].items()]
    lines += [table]
    for row in report["comparisons"]:
        ours = f"{row['system']} less {row['against']}, {row['metric']}"
        lines.append(Text(f"{ours}: {row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"))
    return Group(*lines)


def _estimate(value: Any) -> str:
    return f"{value['mean']:.4f} ({value['low']:.4f} to {value['high']:.4f})" if isinstance(value, dict) else str(value)


def cases(outcomes: list[dict[str, Any]]) -> RenderableType:
    """Each case, and the state after a turn that failed."""
    lines: list[RenderableType] = []
    for outcome in outcomes:
        passed = not outcome["wrong"]
        lines.append(Text(f"{'passed' if passed else 'FAILED'}  {outcome['case']}", style="green" if passed else "bold red"))
        lines += [Padding(Text(what), (0, 0, 0, 8)) for what in outcome["wrong"]]
        if outcome["state"]:
            lines.append(Padding(Text(json.dumps(outcome["state"], ensure_ascii=False, indent=1), style="dim"), (0, 0, 0, 8)))
    failed = sum(bool(outcome["wrong"]) for outcome in outcomes)
    lines.append(Text(f"{len(outcomes) - failed} passed, {failed} failed", style="bold"))
    return Group(*lines)


def profile(known: Profile, catalogue: Catalogue | None) -> RenderableType:
    """What is kept of a person, with when it was learned."""

    def named(item: object) -> str:
        row = None if catalogue is None else catalogue.row(item)
        return str(item) if row is None or catalogue is None else f"{catalogue.titles[row]} ({item})"

    table = Table("", "what", "since", "conversation", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for opinion in known.opinions:
        table.add_row(opinion.kind, escape(named(opinion.item_id)), opinion.at, escape(opinion.thread or "–"))
    for limit in known.constraints:
        table.add_row("always", escape(limit.said), limit.at, escape(limit.thread or "–"))
    for taste in known.tastes.get("preferences", []):
        evidence = ", ".join(named(item) for item in taste["evidence"])
        table.add_row("taste", escape(f"{taste['text']} ({taste['weight']:.2f})"), known.tastes.get("at", ""), escape(evidence))
    for own in known.corrected:
        weight = f" ({own.weight:.2f})" if own.weight else ""
        table.add_row("own taste" if own.weight else "no taste", escape(own.preference + weight), own.at, "–")
    return Group(Text(f"{known.user}", style="bold"), table if table.row_count else Text("nothing but the name"))


def said(user: object, message: str) -> RenderableType:
    return Panel(Text(message), title=f"{user} says", title_align="left", border_style="green", expand=False)


def manifest(manifest: dict[str, Any], version: str) -> RenderableType:
    """An index's manifest, readably."""
    table = Table.grid(padding=(0, 2))
    table.add_row("version", version)
    table.add_row("built", f"{manifest['created']} by duetto {manifest['duetto']} (format {manifest['format']})")
    for name, count in manifest["counts"].items():
        table.add_row(name.replace("_", " "), f"{count:,}")
    table.add_row("embedder", f"{manifest['embedder']}, {manifest['dimensions']} dimensions")
    table.add_row("columns", ", ".join(f"{name} ({kind})" for name, kind in manifest["columns"].items()))
    table.add_row("crowd", ", ".join(f"{name} {value}" for name, value in manifest["crowd"].items()))
    if manifest["validation"]:
        measured = ", ".join(f"{strategy} {ndcg}" for strategy, ndcg in manifest["validation"].items())
        table.add_row("fusion", f"NDCG@10 on held-out likes: {measured}")
    if why := manifest["fusion"]["no_ranker"]:
        table.add_row("no learned ranker", why)
    fitted = manifest["fusion"]["fitted_on"]
    people = ", ".join(f"{situation}: {n:,} held-out items" for situation, n in fitted.items())
    table.add_row("weights of the voices", f"fitted on {people}" if people else "defaults (too small a log to fit them)")
    table.add_row("seconds", ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in manifest["seconds"].items()))
    table.add_row("files", ", ".join(manifest["files"]))
    return table
