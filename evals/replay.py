"""`duetto replay`: recorded turns played again, and what of their state moved. Wording is never compared.

Every turn starts from what its recording says was there before it, so a turn that drifts does not drag the next one along.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from duetto.errors import BadInput, DuettoError
from duetto.evals.overlap import overlap
from duetto.graph.record import Recorded, RecordedCall, Setup
from duetto.tools.chat.budget import Call, Usage
from duetto.tools.journal import lines
from duetto.tools.progress import Advance
from duetto.tools.single_thread import single_thread

SHOWN = 160  # letters of a value in the page
TOLERANCE = 0.005  # of a part of a score
NAMES = {"same": "as recorded", "other": "answered as recorded, though the prompt reads otherwise", "none": "never recorded"}


@dataclass(frozen=True)
class Turn:
    """A recorded turn and where it was found."""

    file: str
    line: int
    recorded: Recorded

    @property
    def key(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Files:
    """What was read: turns in order, and how many lines were half written or redacted."""

    turns: list[Turn]
    broken: int = 0
    redacted: int = 0


def read(paths: Sequence[Path]) -> Files:
    """Raises BadInput for a file that is no recording, or when no turn is left to replay."""
    turns, broken, redacted = [], 0, 0
    for path in paths:
        read = list(lines(path))
        half = sum(found is None for _, found in read)
        if half > 1 and half == len(read):
            raise BadInput(f"cannot replay {path}: none of its lines is a recorded turn; name files that --record wrote")
        broken += half
        for number, found in read:
            if found is not None:
                turn = Turn(f"{path.resolve().parent.name}/{path.name}", number, _parsed(found, f"line {number} of {path}"))
                redacted += turn.recorded.redacted
                turns += [] if turn.recorded.redacted else [turn]
    if not turns and redacted:
        why = "every turn is redacted, and what was not written down cannot be said again"
        raise BadInput(f"cannot replay {', '.join(map(str, paths))}: {why}; record without --redact")
    if not turns:
        raise BadInput(f"cannot replay {', '.join(map(str, paths))}: there is no whole turn; name files that --record wrote")
    return Files(turns, broken, redacted)


def _parsed(found: dict[str, Any], where: str) -> Recorded:
    if isinstance(version := found.get("schema"), int) and version > 1:
        raise BadInput(f"cannot replay {where}: it has schema {version}, and this duetto reads 1; update duetto")
    try:
        return Recorded.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the line"
        raise BadInput(f"cannot replay {where}: it is no recorded turn ({place}: {first['msg']})") from error


class Seen(BaseModel):
    """What of a turn is compared. `parts[i]` and `cited[i]` belong to the i-th item ranked."""

    intent: str
    request: str
    constraints: list[dict[str, Any]]
    liked: list[str | int]
    disliked: list[str | int]
    queries: list[str]
    candidates: dict[str, list[str | int]]
    ranked: list[str | int]
    scores: list[float]
    parts: list[dict[str, float]]
    cited: list[list[str | int]]
    calls: int

    @classmethod
    def of(cls, turn: Recorded) -> "Seen":
        answer = turn.answer
        shown = answer.recommendations
        return cls(
            intent=answer.intent,
            request=turn.request,
            constraints=[constraint.where for constraint in answer.constraints],
            liked=turn.liked,
            disliked=turn.disliked,
            queries=[query.query for query in answer.queries],
            candidates={str(voice): rows for voice, rows in turn.candidates.items()},
            ranked=[r.item_id for r in shown],
            scores=turn.scores,
            parts=[{part: value for voice in r.parts.values() for part, value in voice.items()} for r in shown],
            cited=[sorted((cited.item_id for cited in r.cites), key=str) for r in shown],
            calls=answer.usage.calls,
        )


EXACT = ("intent", "request", "constraints", "liked", "disliked", "queries", "calls")


@dataclass(frozen=True)
class Drift:
    """What moved between two runs of a turn; nothing where `moved` is empty.

    `overlap` is the rank-biased overlap of the rankings, `voices` of each voice's candidates; `parts` are the mean
    absolute differences of each part over the items that both rankings show.
    """

    moved: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    overlap: float = 1.0
    voices: dict[str, float] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def moved_by(self) -> str | None:
        """The part that moved most, if any did beyond the tolerance."""
        part = max(self.parts, key=lambda name: self.parts[name], default=None)
        return part if part is not None and self.parts[part] > TOLERANCE else None


def compare(was: Seen, now: Seen) -> Drift:
    moved: dict[str, tuple[Any, Any]] = {}
    for name in EXACT:
        if getattr(was, name) != getattr(now, name):
            moved[name] = getattr(was, name), getattr(now, name)
    if was.ranked != now.ranked:
        moved["ranking"] = was.ranked, now.ranked
    before, after = (dict(zip(seen.ranked, seen.parts, strict=True)) for seen in (was, now))
    both = [item for item in before if item in after]
    changes: dict[str, list[float]] = {}
    for item in both:
        for part in {*before[item], *after[item]}:
            changes.setdefault(part, []).append(abs(before[item].get(part, 0.0) - after[item].get(part, 0.0)))
    if any(max(values) > TOLERANCE for values in changes.values()):
        moved["parts"] = before, after
    cited_before, cited_after = (dict(zip(seen.ranked, seen.cited, strict=True)) for seen in (was, now))
    if any(cited_before[item] != cited_after[item] for item in both):
        moved["evidence"] = cited_before, cited_after
    return Drift(
        moved,
        round(overlap(was.ranked, now.ranked), 4),
        {voice: round(overlap(was.candidates.get(voice, []), now.candidates.get(voice, [])), 4) for voice in was.candidates},
        {part: round(float(np.mean(values)), 5) for part, values in sorted(changes.items())},
    )


@dataclass(frozen=True)
class Played:
    """A turn after its replay: `matches` are (prompt, about, match) of its model calls; `failed` when it could not be played."""

    turn: Turn
    now: Recorded | None
    drift: Drift
    matches: list[tuple[str, str, str]]
    failed: str = ""

    @property
    def unrecorded(self) -> list[str]:
        """Model calls whose prompt was not recorded as it reads now."""
        return [f"{prompt} {about}".strip() + f": {NAMES[match]}" for prompt, about, match in self.matches if match != "same"]


Play = Callable[[Recorded], tuple[Recorded, list[tuple[str, str, str]]]]


def replay(
    files: Files, plays: Sequence[Play], against: dict[str, Seen] | None = None, advance: Advance | None = None
) -> list[Played]:
    """Plays each turn and compares it with its recording, or with what `against` says of the same line.

    As many turns at a time as there are `plays`, each of which plays one at a time. Raises BadInput when `against` knows
    none of the turns.
    """
    if against is not None and not any(turn.key in against for turn in files.turns):
        raise BadInput("cannot compare with that report: it tells of none of these turns; give the report of the same files")
    free: SimpleQueue[Play] = SimpleQueue()
    for play in plays:
        free.put(play)

    def one(turn: Turn) -> Played:
        was = Seen.of(turn.recorded) if against is None or turn.key not in against else against[turn.key]
        play = free.get()
        try:
            now, matches = play(turn.recorded)
        except DuettoError as error:
            return Played(turn, None, Drift({"turn": (was.intent, None)}, 0.0), [], str(error))
        finally:
            free.put(play)
        return Played(turn, now, compare(was, Seen.of(now)), matches)

    played = []
    with single_thread(), ThreadPoolExecutor(len(plays)) as pool:
        for result in pool.map(one, files.turns):
            played.append(result)
            if advance is not None:
                advance(1)
    return played


def call_of(recorded: RecordedCall) -> Call:
    told = recorded.model_dump()
    usage = Usage(told.pop("calls"), told.pop("input_tokens"), told.pop("output_tokens"))
    del told["node"]
    return Call(**{**told, "messages": tuple(recorded.messages), "usage": usage})


def report_of(
    files: Files, played: list[Played], now: Setup, strict: bool, seconds: float, recorded: bool = True
) -> dict[str, Any]:
    """JSON-able. `recorded` says that the recorded model answered.

    `drifted` counts turns whose state moved, or, when `strict`, that asked what was not recorded.
    """
    turns, were = [_told(one, strict) for one in played], [one.turn.recorded.setup for one in played]
    return {
        "schema": 1,
        "strict": strict,
        "turns_played": len(played),
        "turns_per_second": round(len(played) / max(seconds, 1e-9), 1),
        "half_written_lines": files.broken,
        "redacted_turns": files.redacted,
        "drifted": sum(turn["drifted"] for turn in turns),
        "setup_changes": _setup_changes(were, now, ("model", "method") if recorded else ()),
        "moved": dict(Counter(what for turn in turns for what in turn["moved"]).most_common()),
        "prompts": dict(Counter(note for one in played for note in set(one.unrecorded)).most_common(20)),
        "overlap": round(float(np.mean([one.drift.overlap for one in played])), 4),
        "turns": turns,
    }


def _told(one: Played, strict: bool) -> dict[str, Any]:
    drift, recorded = one.drift, one.turn.recorded
    moved = {name: {"was": was, "now": value} for name, (was, value) in drift.moved.items() if name != "parts"}
    if "parts" in drift.moved:
        moved["parts"] = {part: change for part, change in drift.parts.items() if change}
    return {
        "file": one.turn.file,
        "line": one.turn.line,
        "thread": recorded.answer.thread,
        "turn": recorded.answer.turn,
        "message": recorded.message,
        "drifted": bool(drift.moved) or bool(strict and one.unrecorded),
        "failed": one.failed,
        "moved": moved,
        "overlap": drift.overlap,
        "moved_by": drift.moved_by,
        "voices": drift.voices,
        "prompts": one.unrecorded,
        "state": None if one.now is None else Seen.of(one.now).model_dump(mode="json"),
    }


def _setup_changes(were: list[Setup], now: Setup, alike: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What the recordings ran with and this replay does not; limits one by one."""
    changes: dict[str, dict[str, Any]] = {}
    current = _flat(now)
    for setup in were:
        for name, value in _flat(setup).items():
            if value != current.get(name) and name not in alike:
                changes.setdefault(name, {"was": value, "now": current.get(name)})
    return changes


def _flat(setup: Setup) -> dict[str, Any]:
    told = setup.model_dump(mode="json")
    nested = {f"{group}.{name}": value for group in ("limits", "prompts") for name, value in told.pop(group).items()}
    return told | nested


def page(report: dict[str, Any]) -> dict[str, Any]:
    """The report as `duetto.evals.report` shows it."""
    facts = {name.replace("_", " "): report[name] for name in ("turns_played", "drifted", "overlap", "turns_per_second")}
    facts |= {name.replace("_", " "): report[name] for name in ("half_written_lines", "redacted_turns") if report[name]}
    sections = []
    if report["setup_changes"]:
        rows = [[name, _short(change["was"]), _short(change["now"])] for name, change in report["setup_changes"].items()]
        text = "What the recordings ran with, and what the replay ran with."
        sections.append({"title": "Setup", "text": text, "columns": ["what", "recorded", "replayed"], "rows": rows})
    if report["prompts"]:
        rows = [[what, count] for what, count in report["prompts"].items()]
        text = "Model calls whose prompt was not recorded as it reads now."
        sections.append({"title": "Prompts", "text": text, "columns": ["call", "turns"], "rows": rows})
    if moved := [line for turn in report["turns"] if turn["drifted"] for line in _lines(turn)]:
        columns = ["turn", "message", "what", "was", "now", "overlap", "moved by"]
        text = "Overlap is the rank-biased overlap of the two rankings; moved by, the part of the score that moved most."
        sections.append({"title": "What moved", "text": text, "columns": columns, "rows": moved})
    verdict = f"{report['drifted']} of {report['turns_played']} turns moved" if report["drifted"] else "No turn moved"
    return {"dataset": "Replay", "protocol": f"{verdict}.", "facts": facts, "sections": sections}


def _lines(turn: dict[str, Any]) -> list[list[Any]]:
    where = f"{turn['thread'] or turn['file']}, {turn['turn']}"
    told: list[list[Any]] = []
    for what, change in turn["moved"].items():
        if what == "parts":
            was, now = "", ", ".join(f"{part} ±{value:.3f}" for part, value in change.items())
        else:
            was, now = _short(change["was"]), _short(change["now"])
        told.append([where, _short(turn["message"]), what, was, now, turn["overlap"], turn["moved_by"] or ""])
    if turn["failed"]:
        told.append([where, _short(turn["message"]), "failed", "", turn["failed"], turn["overlap"], ""])
    if not told:
        told.append([where, _short(turn["message"]), "prompts", "", "; ".join(turn["prompts"]), turn["overlap"], ""])
    return told


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def baseline(path: Path) -> dict[str, Seen]:
    """The states an earlier report.json tells of, by turn. Raises BadInput for what is no such report."""
    try:
        report = json.loads(path.read_bytes())
        return {f"{t['file']}:{t['line']}": Seen.model_validate(t["state"]) for t in report["turns"] if t["state"] is not None}
    except OSError as error:
        raise BadInput(f"cannot read the report {path}: {error.strerror or error}; name a file that is there") from error
    except (KeyError, TypeError, ValueError) as error:  # pydantic's and JSON's errors are ValueErrors
        raise BadInput(f"cannot compare with {path}: it is not a report.json that `duetto replay --out` wrote") from error
