"""Joins the voices into one ranking with its parts and evidence. Writes `ranking` and streams it at once."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from langgraph.runtime import Runtime
from numpy.typing import NDArray

from duetto.errors import BadInput
from duetto.graph.state import Context, Outcome, Ranking, State, since
from duetto.tools.agent_tools import Toolbox
from duetto.tools.attention import attention, diversify
from duetto.tools.duet import join
from duetto.tools.embedding import Vectors, embed_queries
from duetto.tools.fusion import Evidence, Ranked, Weights, rank, voice_shares
from duetto.tools.language import SearchQuery
from duetto.tools.pick import Fit, Pick
from duetto.tools.single_thread import single_thread

HISTORY_CITED = 3


@dataclass(frozen=True)
class Rerank:
    box: Toolbox
    weights: Weights

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        with single_thread():
            return self._ranked(state, runtime)

    def _ranked(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        started = time.perf_counter()
        k = wanted_k(runtime.context, self.box.limits.top_k, self.box.limits.max_top_k)
        history = state.understood.history
        asked = bool(state.understood.meaning.wish or state.understood.meaning.alike)
        rows, evidence = join(self.box.voice, state.found.heard, state.gathered.chosen, len(history), asked)
        if not len(rows) and state.found.heard is not None and not evidence.parts:
            rows, ranked = self._popular(state, k)
        else:
            ranked = rank(evidence, self.weights, self.box.limits)
        top = self._top(rows, ranked, k)
        ranking = Ranking(self._picks(state, rows, ranked, top), Outcome(since(started)))
        shown = [
            {
                "rank": n,
                "item_id": self.box.catalogue.ids[p.row],
                "title": self.box.catalogue.titles[p.row],
                "score": round(p.score, 4),
            }
            for n, p in enumerate(ranking.picks, start=1)
        ]
        runtime.stream_writer({"event": "ranking", "recommendations": shown})
        return {"ranking": ranking}

    def _top(self, rows: NDArray[np.int64], ranked: Ranked, k: int) -> list[int]:
        limits = self.box.limits
        if not limits.diversity:
            return [int(place) for place in ranked.order[:k]]
        pool = ranked.order[: max(k, limits.candidates)]
        chosen = diversify(ranked.scores[pool], self.box.store.vectors_of(rows[pool]), k, limits.diversity)
        return [int(pool[place]) for place in chosen]

    def _popular(self, state: State, k: int) -> tuple[NDArray[np.int64], Ranked]:
        """What most people chose, for somebody of whom nothing is known and who said nothing."""
        counts = np.zeros(len(self.box.catalogue))
        liked = self.box.histories.popularity
        counts[: len(liked)] = liked
        rows = np.flatnonzero(self.box.eligible(state.understood.history, state.understood.where))
        standard = (counts[rows] - counts.mean()) / (counts.std() or 1.0)
        evidence = Evidence({"popularity": standard}, 0, asked=False)
        return rows, rank(evidence, self.weights, self.box.limits)

    def _picks(self, state: State, rows: NDArray[np.int64], ranked: Ranked, top: list[int]) -> tuple[Pick, ...]:
        if not top:
            return ()
        chosen = rows[top]
        vectors = self.box.store.vectors_of(chosen)
        history, resembles, fits = (
            self._spoken_for(state, chosen),
            self._resembles(state, vectors),
            self._fits(state, vectors),
        )
        picks = []
        for i, place in enumerate(top):
            parts = {part: round(float(values[place]), 5) for part, values in ranked.contributions.items()}
            picks.append(
                Pick(
                    row=int(chosen[i]),
                    score=float(ranked.scores[place]),
                    parts=parts,
                    weights=voice_shares(parts),
                    queries=self._found_by(state, vectors[i]),
                    history=history[i],
                    resembles=resembles[i],
                    fits=fits[i],
                )
            )
        return tuple(picks)

    def _found_by(self, state: State, vector: Vectors) -> tuple[tuple[SearchQuery, float], ...]:
        """The queries nearest to the item, with cosines."""
        heard = state.found.heard
        if heard is None or "queries" not in heard.vectors:
            return ()
        cosines = heard.vectors["queries"] @ vector
        order = np.argsort(-cosines, kind="stable")[:3]
        return tuple((state.written.queries[int(q)], round(float(cosines[q]), 4)) for q in order)

    def _spoken_for(self, state: State, chosen: NDArray[np.int64]) -> list[tuple[tuple[int, float], ...]]:
        """For each item the history rows that add most to the crowd's score, as shares of what adds to it."""
        if state.gathered.chosen is None or not len(state.gathered.chosen.scores):
            return [()] * len(chosen)
        taste = state.gathered.chosen.taste
        added = np.maximum(self.box.crowd.contributions(taste, chosen), 0)
        shares = added / np.maximum(added.sum(axis=1, keepdims=True), 1e-12)
        return [_largest(row, taste.rows) for row in shares]

    def _resembles(self, state: State, vectors: Vectors) -> list[tuple[tuple[int, float], ...]]:
        newest = np.array(state.understood.history.liked_rows(self.box.limits.taste_items), dtype=np.int64)
        if not len(newest):
            return [()] * len(vectors)
        near = vectors @ self.box.store.vectors_of(newest).T
        return [_largest(row, newest) for row in near]

    def _fits(self, state: State, vectors: Vectors) -> list[tuple[Fit, ...]]:
        """LANE's attention over the preferences, and each preference's fit as a share of the catalogue it beats."""
        preferences = state.understood.preferences
        if not preferences:
            return [()] * len(vectors)
        limits = self.box.limits
        wanted = embed_queries(self.box.embedder, [p.text for p in preferences])
        prior = np.array([p.weight for p in preferences])
        shares = attention(wanted, prior, vectors, limits.attention_heads, limits.attention_temperature)
        everywhere = self.box.voice.sample_cosines(wanted)
        here = vectors @ wanted.T
        beaten = (everywhere[None] < here[:, :, None]).mean(axis=2)
        fits = []
        for i in range(len(vectors)):
            order = np.argsort(-shares[i], kind="stable")
            fits.append(tuple(Fit(int(p), round(float(shares[i, p]), 4), round(float(beaten[i, p]), 4)) for p in order))
        return fits


def _largest(values: NDArray[np.floating], rows: NDArray[Any]) -> tuple[tuple[int, float], ...]:
    order = np.argsort(-values, kind="stable")[:HISTORY_CITED]
    return tuple((int(rows[place]), round(float(values[place]), 4)) for place in order if values[place] > 0)


def wanted_k(context: Context | None, default: int, most: int) -> int:
    k = default if context is None or context.k is None else context.k
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= most:
        raise BadInput(f"cannot recommend {k!r} items: k is a whole number from 1 to {most}")
    return k
