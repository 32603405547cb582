"""`duetto eval reasons`: grounding, faithfulness and consistency of the reasons of many people's turns; no model is needed.

The reasons are those a turn shows, and beside them those the explainer would give without its own filter.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from langsmith import tracing_context

from duetto.errors import BadInput
from duetto.evals.counterfactual import Claim, Fall, faithfulness, falls
from duetto.evals.judge import judged as opinions
from duetto.evals.reasons import Checks, Told
from duetto.evals.subject import Subject
from duetto.graph.build import Node
from duetto.graph.state import Context, State
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.features import Features
from duetto.tools.plain.reasons import reason as plain_reason
from duetto.tools.progress import Progress
from duetto.tools.single_thread import single_thread

MakeGraph = Callable[[Node], Any]
EXAMPLES = 20


@dataclass(frozen=True)
class Verdict:
    """What was found of one reason; `fall` is None where nothing could be compared."""

    told: Told
    ungrounded: list[str]
    contradicting: list[str]
    claim: Claim | None
    fall: Fall | None


def evaluate_reasons(
    subject: Subject, features: Features, make: MakeGraph, users: int | None, message: str | None, dataset: str,
    progress: Progress, judge: LanguageModel | None = None, judged: int = 0,
) -> tuple[dict[str, Any], list[Verdict]]:  # fmt: skip
    """The report, JSON-able, and what was found of each reason that is shown.

    `users` known people are drawn at random, None is all; `message` is what each of them says.

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
    found = _judged(subject, checks, shown, message is None, progress)
    told = {
        "shown": _summary(found, message is None),
        "without its filter": _summary(_judged(subject, checks, unfiltered, message is None, progress), message is None),
    }
    report = {"schema": 1, "dataset": dataset, "message": message, "people": len(states), "reasons": told}
    if judge is not None:
        heard = shown[:judged]
        report["judge"] = opinions(judge, heard, subject.box.catalogue, progress.stage("judging reasons", len(heard)))
    return report, found


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


def _judged(subject: Subject, checks: Checks, reasons: list[Told], silent: bool, progress: Progress) -> list[Verdict]:
    claims = [
        Claim(t.person, t.state.understood.history, t.pick.row, t.reason.cited) if t.reason.cited else None for t in reasons
    ]
    fallen = iter(falls(subject, [claim for claim in claims if claim is not None], progress=progress) if silent else [])
    with single_thread():
        return [
            Verdict(told, checks.grounding(told), checks.contradictions(told), claim, next(fallen, None) if claim else None)
            for told, claim in zip(reasons, claims, strict=True)
        ]


def _summary(found: list[Verdict], silent: bool) -> dict[str, Any]:
    claimed = [(one.claim, one.fall) for one in found if one.claim is not None]
    wrong = [(one.told, one.ungrounded) for one in found if one.ungrounded]
    contradicting = [(one.told, one.contradicting) for one in found if one.contradicting]
    return {
        "grounded": round(1 - len(wrong) / len(found), 4) if found else None,
        "contradictions": len(contradicting),
        "faithfulness": faithfulness([c for c, _ in claimed], [f for _, f in claimed], len(found)) if silent else None,
        "kinds": dict(Counter(_kind(one.told) for one in found).most_common()),
        "wrong": [{"item": told.pick.row, "reason": told.reason.text, "wrong": what} for told, what in (*wrong, *contradicting)][
            :EXAMPLES
        ],
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
