"""Joins the voices into one ranking with its parts and evidence. Writes `ranking` and streams it at once."""

import logging
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
from duetto.tools.features import Features
from duetto.tools.fusion import Evidence, Ranked, Weights, rank, voice_shares
from duetto.tools.language import SearchQuery
from duetto.tools.language_voice import Heard
from duetto.tools.pick import Fit, Pick
from duetto.tools.single_thread import single_thread

log = logging.getLogger("duetto")
HISTORY_CITED = 3
Matches = tuple[tuple[SearchQuery, float], ...]
Shares = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Rerank:
    box: Toolbox
    weights: Weights
    features: Features

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        started = time.perf_counter()
        with single_thread():
            picks, degraded = self._ranked_by_who_answers(state)
        ranking = Ranking(picks, Outcome(since(started), degraded=degraded))
        shown = [
            {
                "rank": n,
                "item_id": self.box.catalogue.ids[p.row],
                "title": self.box.catalogue.titles[p.row],
                "score": round(p.score, 4),
            }
            for n, p in enumerate(picks, start=1)
        ]
        runtime.stream_writer({"event": "ranking", "recommendations": shown})
        return {"ranking": ranking}

    def _ranked_by_who_answers(self, state: State) -> tuple[tuple[Pick, ...], tuple[str, ...]]:
        try:
            return self._ranked(state, state.found.heard), ()
        except BadInput:
            raise
        except Exception as error:  # a store or an embedder that fails only now: the crowd needs neither
            log.info("ranking with the vectors failed", exc_info=True)
            note = f"the vectors failed in the ranking ({type(error).__name__}), so the crowd ranks alone"
            return self._ranked(state, None), (note,)

    def _ranked(self, state: State, heard: Heard | None) -> tuple[Pick, ...]:
        """Without `heard` neither the vectors nor the embedder are asked for anything."""
        k, history = state.understood.k, state.understood.history
        asked = any(query.asked for query in state.written.queries)
        rows, evidence = join(self.box.voice, heard, state.gathered.chosen, len(history), asked)
        if not len(rows) and state.found.heard is not None and not evidence.parts:
            rows, ranked = self._popular(state)
        else:
            ranked = rank(evidence, self.weights, self.box.limits)
        if heard is None or not len(rows) or not self.box.limits.diversity:
            top = ranked.order[:k].tolist()
        else:
            top = self._diverse(rows, ranked, k)
        return self._picks(state, heard, rows, ranked, top)

    def _diverse(self, rows: NDArray[np.int64], ranked: Ranked, k: int) -> list[int]:
        limits = self.box.limits
        pool = ranked.order[: max(k, limits.candidates)]
        chosen = diversify(ranked.scores[pool], self.box.store.vectors_of(rows[pool]), k, limits.diversity)
        return [int(pool[place]) for place in chosen]

    def _popular(self, state: State) -> tuple[NDArray[np.int64], Ranked]:
        """What most people chose, for somebody of whom nothing is known and who said nothing."""
        counts = np.zeros(len(self.box.catalogue))
        liked = self.box.histories.popularity
        counts[: len(liked)] = liked
        rows = np.flatnonzero(self.box.eligible(state.understood.history, state.understood.where))
        standard = (counts[rows] - counts.mean()) / (counts.std() or 1.0)
        evidence = Evidence({"popularity": standard}, 0, asked=False)
        return rows, rank(evidence, self.weights, self.box.limits)

    def _picks(
        self, state: State, heard: Heard | None, rows: NDArray[np.int64], ranked: Ranked, top: list[int]
    ) -> tuple[Pick, ...]:
        if not top:
            return ()
        chosen = rows[top]
        history = self._spoken_for(state, chosen)
        queries, resembles, fits = self._of_the_text(state, heard, chosen)
        picks = []
        for i, place in enumerate(top):
            parts = {part: round(float(values[place]), 5) for part, values in ranked.contributions.items()}
            picks.append(
                Pick(
                    row=int(chosen[i]),
                    score=float(ranked.scores[place]),
                    parts=parts,
                    weights=voice_shares(parts),
                    queries=queries[i],
                    history=history[i],
                    resembles=resembles[i],
                    fits=fits[i],
                )
            )
        return tuple(picks)

    def _of_the_text(
        self, state: State, heard: Heard | None, chosen: NDArray[np.int64]
    ) -> tuple[list[Matches], list[Shares], list[tuple[Fit, ...]]]:
        """For each item the queries nearest to it, the newest items it resembles, and how it fits each preference."""
        if heard is None:
            return [()] * len(chosen), [()] * len(chosen), [()] * len(chosen)
        vectors = self.box.store.vectors_of(chosen)
        found = [self._found_by(state, heard, vector) for vector in vectors]
        return found, self._resembles(state, vectors), self._fits(state, chosen, vectors)

    def _found_by(self, state: State, heard: Heard, vector: Vectors) -> Matches:
        if "queries" not in heard.vectors:
            return ()
        cosines = heard.vectors["queries"] @ vector
        order = np.argsort(-cosines, kind="stable")[:3]
        written = {query.text: query for query in state.written.queries}
        return tuple((written[heard.queries[q]], round(float(cosines[q]), 4)) for q in order.tolist())

    def _spoken_for(self, state: State, chosen: NDArray[np.int64]) -> list[Shares]:
        """For each item the history rows that add most to the crowd's score, as shares of what adds to it."""
        if state.gathered.chosen is None or not len(state.gathered.chosen.scores):
            return [()] * len(chosen)
        taste = state.gathered.chosen.taste
        added = np.maximum(self.box.crowd.contributions(taste, chosen), 0)
        shares = added / np.maximum(added.sum(axis=1, keepdims=True), 1e-12)
        return [_largest(row, taste.rows) for row in shares]

    def _resembles(self, state: State, vectors: Vectors) -> list[Shares]:
        newest = np.array(state.understood.history.liked_rows(self.box.limits.taste_items), dtype=np.int64)
        if not len(newest):
            return [()] * len(vectors)
        near = vectors @ self.box.store.vectors_of(newest).T
        return [_largest(row, newest) for row in near]

    def _fits(self, state: State, chosen: NDArray[np.int64], vectors: Vectors) -> list[tuple[Fit, ...]]:
        """LANE's attention over the preferences, and how well each of them fits (see `Fit`)."""
        preferences = state.understood.preferences
        if not preferences:
            return [()] * len(vectors)
        limits = self.box.limits
        wanted = embed_queries(self.box.embedder, [p.text for p in preferences])
        prior = np.array([p.weight for p in preferences])
        shares = attention(wanted, prior, vectors, limits.attention_heads, limits.attention_temperature)
        fitness = np.zeros((len(vectors), len(preferences)))
        has = self.features.matrix[chosen].toarray()
        for p, preference in enumerate(preferences):
            if preference.features:
                fitness[:, p] = has[:, list(preference.features)].mean(axis=1)
            else:
                everywhere = self.box.voice.sample_cosines(wanted[[p]])[0]
                fitness[:, p] = (everywhere < (vectors @ wanted[p])[:, None]).mean(axis=1)
        fits = []
        for i in range(len(vectors)):
            order = np.argsort(-shares[i], kind="stable")
            fits.append(tuple(Fit(int(p), round(float(shares[i, p]), 4), round(float(fitness[i, p]), 4)) for p in order))
        return fits


def _largest(values: NDArray[np.floating], rows: NDArray[Any]) -> Shares:
    order = np.argsort(-values, kind="stable")[:HISTORY_CITED]
    return tuple((int(rows[place]), round(float(values[place]), 4)) for place in order if values[place] > 0)
