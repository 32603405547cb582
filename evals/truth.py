"""`duetto eval reasons`: grounding, faithfulness and consistency of the reasons of many people's turns; no model is needed.

The reasons are those a turn shows, and beside them those the explainer would give without its own filter.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from langsmith import tracing_context

from duetto.errors import BadInput
from duetto.evals.counterfactual import Claim, faithfulness, falls
from duetto.evals.judge import judged as opinions
from duetto.evals.reasons import Checks, Told
from duetto.evals.subject import Subject
from duetto.graph.build import Node
from duetto.graph.state import Context, State
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.features import Features
from duetto.tools.plain.reasons import reason as plain_reason
from duetto.tools.progress import Progress

MakeGraph = Callable[[Node], Any]
EXAMPLES = 20


def evaluate_reasons(
    subject: Subject, features: Features, make: MakeGraph, users: int | None, message: str | None, dataset: str,
    progress: Progress, judge: LanguageModel | None = None, judged: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The report, JSON-able. `users` known people are drawn at random, None is all; `message` is what each of them says.

    `judge` gives its opinion of the first `judged` reasons. Raises BadInput when nobody has a history.
    """
    states = _turns(subject, make, users, message, progress)
    checks = Checks(subject.box, features)
    shown = [
        Told(person, state, pick, reason)
        for person, state in states
        for pick, reason in zip(state.ranking.picks, state.explained.reasons, strict=True)
        if reason is not None
    ]
    unfiltered = [Told(t.person, t.state, t.pick, _unfiltered(t, subject)) for t in shown]
    told = {
        "shown": _judged(subject, checks, shown, message is None, progress),
        "without its filter": _judged(subject, checks, unfiltered, message is None, progress),
    }
    report = {"schema": 1, "dataset": dataset, "message": message, "people": len(states), "reasons": told}
    if judge is not None:
        heard = shown[:judged]
        report["judge"] = opinions(judge, heard, subject.box.catalogue, progress.stage("judging reasons", len(heard)))
    return report


def _turns(
    subject: Subject, make: MakeGraph, users: int | None, message: str | None, progress: Progress
) -> list[tuple[int, State]]:
    histories = subject.box.histories
    people = np.flatnonzero(np.diff(histories.indptr) > 0)
    if not len(people):
        raise BadInput("cannot evaluate reasons: nobody in the index has a history")
    drawn = np.random.default_rng(0).permutation(people)[: len(people) if users is None else users]
    kept: list[State] = []

    def keep(state: State) -> dict[str, Any]:
        kept.append(state)
        return {}

    graph, advance = make(keep), progress.stage("turns", len(drawn))
    with tracing_context(enabled=False):
        for person in drawn.tolist():
            graph.invoke({"user": histories.users[person], "message": message}, context=Context(reasons="plain"))
            advance(1)
    return list(zip(drawn.tolist(), kept, strict=True))


def _unfiltered(told: Told, subject: Subject) -> Any:
    wish = told.state.understood.meaning.wish
    return plain_reason(told.pick, told.preferences, wish, subject.box.catalogue, filtered=False)


def _judged(subject: Subject, checks: Checks, reasons: list[Told], silent: bool, progress: Progress) -> dict[str, Any]:
    ungrounded = [(told, wrong) for told in reasons if (wrong := checks.grounding(told))]
    contradicting = [(told, wrong) for told in reasons if (wrong := checks.contradictions(told))]
    claims = [Claim(t.person, t.state.understood.history, t.pick.row, t.reason.cited) for t in reasons if t.reason.cited]
    found = falls(subject, claims, progress=progress) if silent else []
    return {
        "grounded": round(1 - len(ungrounded) / len(reasons), 4) if reasons else None,
        "contradictions": len(contradicting),
        "faithfulness": faithfulness(claims, found, len(reasons)) if silent else None,
        "kinds": dict(Counter(_kind(told) for told in reasons).most_common()),
        "wrong": [
            {"item": told.pick.row, "reason": told.reason.text, "wrong": wrong} for told, wrong in (*ungrounded, *contradicting)
        ][:EXAMPLES],
    }


def _kind(told: Told) -> str:
    text = told.reason.text
    kinds = {"links": "Other people's", "text": "Its text is close", "taste": "It fits your taste", "request": "You asked"}
    return " + ".join(kind for kind, phrase in kinds.items() if phrase in text) or "none"


def page(report: dict[str, Any]) -> dict[str, Any]:
    """The report as `duetto.evals.report` shows it."""
    rows = []
    for name, of in report["reasons"].items():
        rows.append([name, "grounded", of["grounded"], None, None])
        rows.append([name, "contradictions", of["contradictions"], None, None])
        for what, value in (of["faithfulness"] or {}).items():
            ends = [value["mean"], value["low"], value["high"]] if isinstance(value, dict) else [value, None, None]
            rows.append([name, what, *ends])
    text = (
        "Faithful: taking away what a reason cites makes its item fall further than taking away as many others of the "
        "history, drawn at random five times. Ranks are of all candidates; intervals are over people."
    )
    sections = [{"title": "Truth of reasons", "text": text, "columns": ["reasons", "what", "value", "low", "high"], "rows": rows}]
    kinds = [[name, kind, count] for name, of in report["reasons"].items() for kind, count in of["kinds"].items()]
    sections.append({"title": "What reasons rest on", "text": "", "columns": ["reasons", "kind", "count"], "rows": kinds})
    wrong = [[name, example["reason"], "; ".join(example["wrong"])] for name, of in report["reasons"].items()
             for example in of["wrong"]]  # fmt: skip
    if wrong:
        sections.append({"title": "What is not so", "text": "", "columns": ["reasons", "reason", "what"], "rows": wrong})
    if opinion := report.get("judge"):
        rows = [[name, score["mean"], score["low"], score["high"], score["n"]] for name, score in opinion["scores"].items()]
        text = (
            f"{opinion['model']} on {opinion['reasons']} reasons, 1 to 5; {opinion['unfounded_verdicts']} verdicts rested on "
            f"words that the reason does not hold, and {opinion['failed']} answers could not be used."
        )
        columns = ["dimension", "score", "low", "high", "verdicts"]
        sections.append({"title": "A language model's opinion", "text": text, "columns": columns, "rows": rows})
    asked = f"each says “{report['message']}”" if report["message"] else "nobody says anything"
    protocol = f"Reasons of {report['people']} people; {asked}."
    return {"dataset": report["dataset"], "protocol": protocol, "facts": {}, "sections": sections}
