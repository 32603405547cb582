"""A language model's opinion of reasons, on LANE's seven dimensions: grounds first, then the verdict, each quotation checked.

What a judge says of words that the reason does not hold is not counted. No figure of Duetto's rests on a judge; it is for
comparing wordings, one beside the other.
"""

import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from langsmith import tracing_context
from pydantic import BaseModel, Field

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.evals.reasons import Told
from duetto.evals.statistics import interval
from duetto.tools.catalogue import Catalogue
from duetto.tools.chat.budget import Usage, remaining
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.progress import Advance

Dimension = Literal["clarity", "detail", "effectiveness", "relevance", "logic", "trust", "satisfaction"]
SHOWN = 20  # titles of the history


class Verdict(BaseModel):
    """The order of the fields is the order in which a model writes them."""

    dimension: Dimension
    why: str
    quote: str
    score: int = Field(ge=1, le=5)


class Verdicts(BaseModel):
    """What the model answers; see prompts/judge_reason.md."""

    verdicts: list[Verdict]


@dataclass(frozen=True)
class Judged:
    """One reason's verdicts that hold, how many did not (`unfounded`), and why there are none where the model failed."""

    person: int
    scores: dict[str, int]
    unfounded: int
    failed: str = ""
    usage: Usage = Usage()


def judge(model: LanguageModel, told: Told, catalogue: Catalogue) -> Judged:
    """One call. A quotation holds when its words, in their order, stand in the reason."""
    understood = told.state.understood
    turn = {
        "message": understood.message,
        "history": [catalogue.titles[row] for row in understood.history.liked_rows(SHOWN)],
        "item": {"title": catalogue.titles[told.pick.row], **{k: str(v) for k, v in catalogue.facts_of(told.pick.row).items()}},
        "reason": told.reason.text,
    }
    budget = remaining(model.limits, Usage(), time.monotonic() + model.limits.turn_seconds)
    prompt = prompts.render("judge_reason", turn=json.dumps(turn, ensure_ascii=False))
    try:
        with tracing_context(enabled=False):  # the turns it judges are not traced either
            answer = model.ask(prompt, Verdicts, budget)
    except ModelMisbehaved as error:
        return Judged(told.person, {}, 0, str(error), budget.usage)
    scores: dict[str, int] = {}
    unfounded = 0
    for verdict in answer.verdicts:
        if verdict.dimension in scores or not _holds(verdict.quote, told.reason.text):
            unfounded += 1
        else:
            scores[verdict.dimension] = verdict.score
    return Judged(told.person, scores, unfounded, usage=budget.usage)


def _holds(quote: str, text: str) -> bool:
    words = " ".join(quote.split()).strip("“”\"' ").lower()
    found = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", " ".join(text.split()).lower())
    return found is not None and re.search(r"\w", words) is not None


def judged(model: LanguageModel, reasons: list[Told], catalogue: Catalogue, advance: Advance | None = None) -> dict[str, Any]:
    """Mean scores by dimension with intervals over people, JSON-able."""
    found = []
    for told in reasons:
        found.append(judge(model, told, catalogue))
        if advance is not None:
            advance(1)
    by_dimension: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in found:
        for dimension, score in one.scores.items():
            by_dimension[dimension].append((one.person, score))
    spent = sum((one.usage for one in found), Usage())
    return {
        "model": model.name,
        "prompt": prompts.version("judge_reason"),
        "reasons": len(found),
        "failed": sum(bool(one.failed) for one in found),
        "unfounded_verdicts": sum(one.unfounded for one in found),
        "scores": {name: _mean(by_dimension[name]) for name in get_args(Dimension) if by_dimension[name]},
        "usage": {"calls": spent.calls, "input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens},
    }


def _mean(scores: list[tuple[int, int]]) -> dict[str, float]:
    people = np.unique([person for person, _ in scores], return_inverse=True)[1].astype(np.int64)
    found = interval(np.array([[score] for _, score in scores], dtype=np.float64), people=people)
    mean, low, high = (round(float(values[0]), 3) for values in found)
    return {"mean": mean, "low": low, "high": high, "n": len(scores)}
