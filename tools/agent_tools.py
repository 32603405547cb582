"""The two voices and the catalogue's facts as LangChain tools; the graph's nodes call these same objects.

Each returns readable JSON for an agent, and beside it (LangChain's `artifact`) the arrays the graph goes on with.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.tools import BaseTool, StructuredTool
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd_voice import CrowdVoice
from duetto.tools.embedding import embed_queries
from duetto.tools.fusion import Array
from duetto.tools.histories import Histories, History
from duetto.tools.language_voice import Heard, LanguageVoice
from duetto.tools.predicate import Predicate, from_json
from duetto.tools.single_thread import single_thread
from duetto.tools.tracing import retrieving
from duetto.tools.turnstile import Turnstile
from duetto.tools.vector_store import Mask, Searchable
from duetto.tools.words import Words

Id = str | int
Where = dict[str, Any] | None
DOCUMENTS = 10  # of each query that a trace tells of
_WHERE = Field(
    None,
    description='a filter: {"column","operator","value"} with operator eq, ne, in, not_in, lt, le, gt, ge or contains; '
    'or {"and": [...]}, {"or": [...]}, {"not": ...}',
)


class PersonArgs(BaseModel):
    """Whose history counts, and what they said of items just now."""

    user: Id | None = Field(None, description="the person's id in the log; None for a stranger")
    liked: list[Id] = Field(default_factory=list, description="ids of items the person just said they like")
    disliked: list[Id] = Field(default_factory=list, description="ids of items the person rejects")
    hidden: list[Id] = Field(default_factory=list, description="ids of items not to be recommended, for no matter of taste")
    where: Where = _WHERE
    k: int = Field(10, ge=1, le=1000)


class SearchArgs(PersonArgs):
    queries: list[str] = Field(default_factory=list, description="what to look for, one taste or wish a query")


class FactsArgs(BaseModel):
    where: Where = _WHERE
    column: str | None = Field(None, description="the column whose range and extremes are wanted")
    order: str = Field("highest", pattern="^(highest|lowest)$")
    k: int = Field(3, ge=1, le=100)


@dataclass(frozen=True)
class Chosen:
    """What the crowd says of a person: `rows` are candidates; `z` (sources, items) covers the catalogue.

    `by_part` says which sources each part averages, `spread` (sources,) what a z-score of 1 is in a source's own scores. A
    person who likes nothing known has no candidates.
    """

    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    z: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    by_part: dict[str, list[int]] = field(default_factory=dict)
    spread: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def score(self, rows: NDArray[np.int64]) -> dict[str, Array]:
        """The mean z-score of these rows by part, each shape (rows,)."""
        z = self.z[:, rows].astype(np.float64)
        return {part: z[sources].mean(axis=0) for part, sources in self.by_part.items()}


def choose(z: NDArray[np.float32], by_part: dict[str, list[int]], keep: Mask, most: int) -> Chosen:
    """The kept rows that stand highest in a part, or in all sources together: at most `most` of each."""
    n = min(most, int(keep.sum()))
    if not n:
        return Chosen(z=z, by_part=by_part)
    means = np.stack([z.mean(axis=0), *(z[sources].mean(axis=0) for sources in by_part.values())])
    means[:, ~keep] = -np.inf
    return Chosen(np.unique(np.argpartition(-means, n - 1, axis=1)[:, :n]), z, by_part)


@dataclass(frozen=True)
class Toolbox:
    """What the tools reach for."""

    catalogue: Catalogue
    histories: Histories
    store: Searchable
    embedder: Embeddings
    words: Words
    crowd: CrowdVoice
    limits: Limits

    def history(self, user: Id | None, liked: list[Id], disliked: list[Id]) -> History:
        history = self.histories.of_user(user)
        return history.with_feedback(self.catalogue.rows(liked), self.catalogue.rows(disliked))

    def eligible(self, history: History, where: Where, hidden: Sequence[Id] = ()) -> Mask:
        """Which items may be recommended: available, within the filter, neither in the history nor hidden."""
        keep = self.catalogue.mask(_predicate(where)).copy()
        keep[history.rows] = False
        keep[self.catalogue.rows(hidden)] = False
        return keep

    @cached_property
    def turnstile(self) -> Turnstile:
        return Turnstile(self.limits.computing_at_once)

    @cached_property
    def voice(self) -> LanguageVoice:
        return LanguageVoice(self.store, self.words, self.limits)

    def shown(self, row: int, score: float) -> dict[str, Any]:
        return {
            "item_id": self.catalogue.ids[row],
            "title": self.catalogue.titles[row],
            "score": round(float(score), 4),
            **self.catalogue.facts_of(row),
        }


def _predicate(where: Where) -> Predicate | None:
    return None if where is None else from_json(where)


def search_catalogue(box: Toolbox) -> BaseTool:
    """Vector search over the whole catalogue; the language voice."""

    def search(
        queries: list[str], user: Id | None, liked: list[Id], disliked: list[Id], hidden: list[Id], where: Where, k: int
    ) -> tuple[str, Heard]:
        history = box.history(user, liked, disliked)
        keep = box.eligible(history, where, hidden)
        vectors = embed_queries(box.embedder, queries) if queries else np.zeros((0, 1), np.float32)
        with retrieving("; ".join(queries)) as documents:
            heard = box.voice.listen(tuple(queries), vectors, history, keep)
            if documents is not None:
                documents += _documents(box, heard)
        best: dict[int, float] = {}
        for found in heard.found:
            for row, cosine in found:
                best[row] = max(cosine, best.get(row, -1.0))
        top = sorted(best.items(), key=lambda pair: -pair[1])[:k]
        return _content([box.shown(row, cosine) for row, cosine in top]), heard

    return StructuredTool.from_function(
        search,
        name="search_catalogue",
        description="Find items of the catalogue by what their text says; filters are exact.",
        args_schema=SearchArgs,
        response_format="content_and_artifact",
    )


def _documents(box: Toolbox, heard: Heard) -> list[Document]:
    """What each query found, best first."""
    return [
        Document(box.catalogue.document(row), metadata={**box.shown(row, cosine), "query": query})
        for query, found in zip(heard.queries, heard.found, strict=True)
        for row, cosine in found[:DOCUMENTS]
    ]


def recommend_from_history(box: Toolbox) -> BaseTool:
    """Collaborative filtering over the whole catalogue; the crowd."""

    def recommend(
        user: Id | None, liked: list[Id], disliked: list[Id], hidden: list[Id], where: Where, k: int
    ) -> tuple[str, Chosen]:
        history = box.history(user, liked, disliked)
        keep = box.eligible(history, where, hidden)
        if history.disliked.all():
            return "[]", Chosen()
        z, spread = (heard[:, 0] for heard in box.crowd.hear_closely([history]))
        chosen = replace(choose(z, box.crowd.by_part, keep, max(k, box.limits.candidates)), spread=spread)
        together = chosen.z[:, chosen.rows].mean(axis=0)
        best = np.argsort(-together, kind="stable")[:k].tolist()
        return _content([box.shown(int(chosen.rows[i]), together[i]) for i in best]), chosen

    return StructuredTool.from_function(
        recommend,
        name="recommend_from_history",
        description="Items that people with a history like this person's went on to; empty for a person without one.",
        args_schema=PersonArgs,
        response_format="content_and_artifact",
    )


def catalogue_facts(box: Toolbox) -> BaseTool:
    """Counts, ranges and extremes over the whole catalogue, never over a retrieved slice."""

    def facts(where: Where, column: str | None, order: str, k: int) -> tuple[str, dict[str, Any]]:
        catalogue = box.catalogue
        kept = catalogue.table.filter(catalogue.mask(_predicate(where)))
        answer: dict[str, Any] = {"count": kept.height, "of": len(catalogue)}
        if column is not None:
            ordered = [name for name, kind in catalogue.kinds.items() if kind != "queries"]
            if column not in ordered:
                raise BadInput(f"cannot tell facts of {column!r}: the columns are {', '.join(ordered)}")
            values = kept.drop_nulls(column)
            answer["range"] = {"lowest": values[column].min(), "highest": values[column].max()}
            extreme = values.sort(column, descending=order == "highest", maintain_order=True).head(k)
            answer[order] = extreme.select(list(dict.fromkeys(("item_id", "title", column)))).to_dicts()
        return _content(answer), answer

    return StructuredTool.from_function(
        facts,
        name="catalogue_facts",
        description="How many items satisfy a filter; the range and the extremes of a column over the whole catalogue.",
        args_schema=FactsArgs,
        response_format="content_and_artifact",
    )


def _content(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def artifact(tool: BaseTool, call_id: str, **arguments: Any) -> Any:
    """Runs a tool as an agent would and returns the arrays beside its text."""
    call = {"type": "tool_call", "id": call_id, "name": tool.name, "args": arguments}
    with single_thread():
        return tool.invoke(call).artifact
