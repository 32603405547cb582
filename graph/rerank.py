"""Joins the voices into one ranking with its parts and evidence. Writes `ranking` and streams it at once."""

import logging
import re
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from langgraph.runtime import Runtime
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from duetto.errors import BadInput
from duetto.graph.state import Context, Outcome, Ranking, State, Understood, since
from duetto.tools.agent_tools import Chosen, Toolbox
from duetto.tools.attention import attention, diversify
from duetto.tools.cold_start import POOL, question, spread
from duetto.tools.constraints import columns
from duetto.tools.crowd_voice import Floats
from duetto.tools.duet import join, popular
from duetto.tools.embedding import Vectors, embed_queries
from duetto.tools.fusion import ASKED, Array, Evidence, Ranked, Weights, carried, leaned, rank, voice_shares
from duetto.tools.histories import History
from duetto.tools.language import Preference, Question, SearchQuery, Understanding
from duetto.tools.language_voice import WORDS_UNIT, Heard
from duetto.tools.leaning import along
from duetto.tools.pick import Fit, Pick
from duetto.tools.plain.queries import VAGUE
from duetto.tools.plain.reasons import FITS
from duetto.tools.plain.repair import other_queries
from duetto.tools.predicate import from_json
from duetto.tools.ranker import Ranker
from duetto.tools.signals import Signals
from duetto.tools.single_thread import single_thread
from duetto.tools.support import support
from duetto.tools.vector_store import Mask

log = logging.getLogger("duetto")
HISTORY_CITED = 4
HISTORY_TRIED = 6
CLOSE = 1.0  # deviations above the catalogue's mean likeness from which a text is called close
Matches = tuple[tuple[SearchQuery, float], ...]
Shares = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Listed:
    """The candidates (rows), what is known of them, their ranking, and the places among them that are shown, best first."""

    rows: NDArray[np.int64]
    evidence: Evidence
    ranked: Ranked
    top: list[int]


@dataclass(frozen=True)
class Rerank:
    box: Toolbox
    weights: Weights
    signals: Signals
    ranker: Ranker | None = None
    no_ranker: str = ""  # why a ranker that the index holds cannot run here

    def __call__(self, state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        started = time.perf_counter()
        degraded = [self.no_ranker] if self.no_ranker else []
        heard = state.found.heard
        with single_thread():
            try:
                listed = self._ranked(state, heard)
            except BadInput:
                raise
            except Exception as error:  # a store that fails only now: the crowd needs none
                degraded.append(f"the vectors failed in the ranking ({_failure(error)}), so the crowd ranks alone")
                heard, listed = None, self._ranked(state, None)
            if unfit := self._unfit(state, heard, listed):
                return {"ranking": Ranking(outcome=Outcome(since(started)), unfit=unfit)}
            if state.understood.meaning.intent == "why_not":
                return {"ranking": self._placed(state, heard, listed, degraded, started)}
            self._send(listed, runtime)
            picks = self._picks(state, heard, listed, degraded)
            asked = self._question(state)
        outcome = Outcome(since(started), degraded=tuple(degraded))
        return {"ranking": Ranking(picks, outcome, question=asked)}

    def _unfit(self, state: State, heard: Heard | None, listed: Listed) -> str:
        """Why a second look is worth it: once a turn, where something was asked for and nothing found is like it."""
        wish = state.understood.meaning.wish
        if not wish or heard is None or state.repaired.queries:
            return ""
        unheard = f"no word of “{wish}” occurs in the catalogue" if wish in heard.unheard else ""
        if unheard and other_queries(wish, self.box.words, 1)[0]:
            return unheard
        if not listed.top or 2 * len(listed.rows) >= len(self.box.catalogue):
            return ""
        if unheard:
            return unheard
        parts = listed.evidence.parts
        best = max(float(parts[part][listed.top].max()) if part in parts else 0.0 for part in ASKED)
        return f"nothing found was much like “{wish}”" if best < self.box.limits.fits_from else ""

    def _placed(self, state: State, heard: Heard | None, listed: Listed, degraded: list[str], started: float) -> Ranking:
        """Where the item stands that was missed, and the last one that stands before it among those that would be shown."""
        row = state.understood.meaning.items[0]
        order = listed.ranked.order
        place = int(np.flatnonzero(listed.rows == row)[0])
        last = int(order[min(state.understood.k, len(order)) - 1])
        picks = self._picks(state, heard, replace(listed, top=[place, last]), degraded)
        rank_of = int(np.flatnonzero(order == place)[0]) + 1
        outcome = Outcome(since(started), degraded=tuple(degraded))
        return Ranking(picks[1:], outcome, place=(rank_of, len(listed.rows)), asked_for=picks[0])

    def _question(self, state: State) -> Question | None:
        """For a stranger who says little; never two in a row."""
        understood = state.understood
        meaning = understood.meaning
        if understood.history.liked_rows() or understood.before["question"] is not None or meaning.alike:
            return None
        words = [word for word in re.findall(r"\w+", meaning.wish.lower()) if word not in ENGLISH_STOP_WORDS]
        if len(words) > VAGUE:
            return None
        limited = {column for c in state.constraints for column in columns(from_json(c["where"]))}
        keep = self._eligible(understood)
        return question(self.box.catalogue, keep, limited)

    def _send(self, listed: Listed, runtime: Runtime[Context]) -> None:
        catalogue = self.box.catalogue
        shown = [
            {
                "rank": n,
                "item_id": catalogue.ids[listed.rows[place]],
                "title": catalogue.titles[listed.rows[place]],
                "score": round(float(listed.ranked.scores[place]), 4),
            }
            for n, place in enumerate(listed.top, start=1)
        ]
        runtime.stream_writer({"event": "ranking", "recommendations": shown})

    def _ranked(self, state: State, heard: Heard | None) -> Listed:
        """Without `heard` neither the vectors nor the embedder are asked for anything."""
        understood = state.understood
        k, history, meaning = understood.k, understood.history, understood.meaning
        asked = any(query.asked for query in state.queries if heard is None or query.text in heard.queries)
        extra = np.array(meaning.items if meaning.intent == "why_not" else (), dtype=np.int64)
        if meaning.leanings:
            extra = np.concatenate([extra, self._extremes(understood)])
        signals = self.signals if self.ranker is not None else None
        rows, evidence = join(self.box.voice, heard, state.gathered.chosen, history, asked, signals, extra)
        if not evidence.parts and state.found.heard is not None and not asked:
            return self._spread(understood, heard)
        ranked = leaned(rank(evidence, self.weights, self.box.limits, self.ranker), self._soft(meaning, rows, heard))
        if heard is None or not len(rows) or not self.box.limits.diversity:
            return Listed(rows, evidence, ranked, ranked.order[:k].tolist())
        return Listed(rows, evidence, ranked, self._diverse(rows, ranked, k))

    def _spread(self, understood: Understood, heard: Heard | None) -> Listed:
        """For somebody of whom nothing is known and who asked for nothing: what is well liked, from every region."""
        keep = self._eligible(understood)
        rows, evidence = popular(self.box.crowd.standing, keep)
        ranked = leaned(rank(evidence, self.weights, self.box.limits, self.ranker), self._soft(understood.meaning, rows, heard))
        pool = ranked.order[: POOL * understood.k]
        if heard is None or not len(rows) or understood.meaning.leanings:
            return Listed(rows, evidence, ranked, ranked.order[: understood.k].tolist())
        places = spread(ranked.scores[pool], self.box.store.vectors_of(rows[pool]), understood.k)
        return Listed(rows, evidence, ranked, [int(pool[place]) for place in places])

    def _eligible(self, understood: Understood) -> Mask:
        return self.box.eligible(understood.history, understood.where, understood.hidden)

    def _extremes(self, understood: Understood) -> NDArray[np.int64]:
        """The rows at the wanted ends of the columns that are leaned along."""
        keep = self._eligible(understood)
        found = []
        for leaning in understood.meaning.leanings:
            places = np.where(keep, along(self.box.catalogue, leaning), -np.inf)
            most = min(self.box.limits.quota_per_query, int(keep.sum()))
            found.append(np.argpartition(-places, most - 1)[:most] if most else np.zeros(0, np.int64))
        return np.concatenate(found)

    def _soft(self, meaning: Understanding, rows: NDArray[np.int64], heard: Heard | None) -> dict[str, Array]:
        """What soft wishes add to these rows, and what the person said of their tastes, in deviations of their scores."""
        limits, soft = self.box.limits, {}
        if meaning.leanings:
            soft["leaning"] = limits.leaning * np.sum([along(self.box.catalogue, one)[rows] for one in meaning.leanings], axis=0)
        if meaning.avoid:
            there = self.box.words.score(meaning.avoid)[:, rows].max(axis=0).astype(np.float64)
            soft["avoid"] = -limits.avoidance * np.minimum(there / WORDS_UNIT, 1)
        moved = tuple(preference for preference in meaning.preferences if preference.moved)
        if moved and heard is not None:
            wanted = embed_queries(self.box.embedder, [p.text for p in moved])
            fitness = self._fitness(moved, wanted, rows, self.box.store.vectors_of(rows))
            met = np.maximum(fitness - FITS, 0) / (1 - FITS)
            soft["own"] = limits.own_tastes * met @ np.array([p.moved for p in moved])
        return soft

    def _diverse(self, rows: NDArray[np.int64], ranked: Ranked, k: int) -> list[int]:
        limits = self.box.limits
        pool = ranked.order[: max(k, limits.candidates)]
        chosen = diversify(ranked.scores[pool], self.box.store.vectors_of(rows[pool]), k, limits.diversity)
        return [int(pool[place]) for place in chosen]

    def _picks(self, state: State, heard: Heard | None, listed: Listed, degraded: list[str]) -> tuple[Pick, ...]:
        """The items shown, with what carried them and the evidence for it. What was sent stands, whatever fails here."""
        if not (top := listed.top):
            return ()
        ranked, chosen = listed.ranked, listed.rows[top]
        added = carried(ranked, listed.evidence, self.ranker, top)
        try:
            history, support = self._spoken_for(state, heard, listed, added)
        except Exception as error:
            history, support = [()] * len(chosen), [()] * len(chosen)
            degraded.append(f"the collaborative filter failed after the ranking ({_failure(error)}), so reasons rest on less")
        try:
            queries, resembles, fits = self._of_the_text(state, heard, chosen)
        except Exception as error:
            queries, resembles, fits = self._of_the_text(state, None, chosen)
            degraded.append(f"the vectors failed after the ranking ({_failure(error)}), so reasons rest on less")
        picks = []
        for i, place in enumerate(top):
            parts = {part: round(float(values[i]), 5) for part, values in added.items()}
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
                    support=support[i],
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
        written = {query.text: query for query in state.queries}
        return tuple((written[heard.queries[q]], round(float(cosines[q]), 4)) for q in order.tolist())

    def _spoken_for(
        self, state: State, heard: Heard | None, listed: Listed, added: dict[str, Array]
    ) -> tuple[list[Shares], list[Shares]]:
        """For each item the history rows that speak for it in the crowd's parts, each part as far as it speaks for it; and
        those that its place rests on."""
        chosen, rows = state.gathered.chosen, listed.rows[listed.top]
        if chosen is None or not len(chosen.z):
            return [()] * len(rows), [()] * len(rows)
        history, crowd = state.understood.history, self.box.crowd
        links = crowd.links(history, rows)
        said = np.zeros((len(rows), len(history)))
        for part, each in crowd.contributions(history, links).items():
            if part in added:
                said += np.maximum(added[part], 0)[:, None] * each / np.maximum(each.sum(axis=1, keepdims=True), 1e-12)
        shares = said / np.maximum(said.sum(axis=1, keepdims=True), 1e-12)
        speaking = [_largest(row, history.rows) for row in shares]
        return speaking, self._rests_on(history, chosen, heard, listed, links, speaking)

    def _rests_on(
        self, history: History, chosen: Chosen, heard: Heard | None, listed: Listed, links: Floats, speaking: list[Shares]
    ) -> list[Shares]:
        """For each item the newest history rows without which its score would lose most, with what it would lose."""
        tried = np.flatnonzero(~history.disliked)[-self.box.limits.evidence_tried :]
        try:
            lost = support(
                self.box.crowd, links, self.box.store, self.signals, self.ranker, self.weights, history, chosen, heard,
                listed.evidence, listed.ranked, listed.rows[listed.top], listed.top, tried,
            )  # fmt: skip
        except Exception:  # vectors that fail now are told of where texts are compared
            log.info("reasons rest on what speaks for an item", exc_info=True)
            return speaking
        beyond = np.where(lost > np.maximum(lost.mean(axis=1, keepdims=True), 0), lost, 0)
        return [_largest(row, history.rows[tried], HISTORY_TRIED) for row in beyond]

    def _resembles(self, state: State, vectors: Vectors) -> list[Shares]:
        """The newest history items whose texts are closer to an item's than most of the catalogue's are."""
        newest = np.array(state.understood.history.liked_rows(self.box.limits.taste_items), dtype=np.int64)
        if not len(newest):
            return [()] * len(vectors)
        own = self.box.store.vectors_of(newest)
        mean, deviation = self.box.voice.usual_cosines(own)
        near = vectors @ own.T
        close = near > mean + CLOSE * deviation
        return [_largest(row, newest) for row in np.where(close, near, 0)]

    def _fits(self, state: State, chosen: NDArray[np.int64], vectors: Vectors) -> list[tuple[Fit, ...]]:
        """LANE's attention over the preferences, and how well each of them fits (see `Fit`)."""
        preferences = state.understood.preferences
        if not preferences:
            return [()] * len(vectors)
        limits = self.box.limits
        wanted = embed_queries(self.box.embedder, [p.text for p in preferences])
        prior = np.array([p.weight for p in preferences])
        shares = attention(wanted, prior, vectors, limits.attention_heads, limits.attention_temperature)
        fitness = self._fitness(preferences, wanted, chosen, vectors)
        fits = []
        for i in range(len(vectors)):
            order = np.argsort(-shares[i], kind="stable")
            fits.append(tuple(Fit(int(p), round(float(shares[i, p]), 4), round(float(fitness[i, p]), 4)) for p in order))
        return fits

    def _fitness(
        self, preferences: tuple[Preference, ...], wanted: Vectors, rows: NDArray[np.int64], vectors: Vectors
    ) -> NDArray[np.float64]:
        """How well each of these rows fits each preference, 0 to 1 (see `Fit`): shape (rows, preferences)."""
        fitness = np.zeros((len(rows), len(preferences)))
        for p, preference in enumerate(preferences):
            if preference.features:
                has = self.signals.features.matrix[rows][:, list(preference.features)]
                fitness[:, p] = has.toarray().mean(axis=1)
            else:
                everywhere = np.sort(self.box.voice.sample_cosines(wanted[[p]])[0])
                fitness[:, p] = np.searchsorted(everywhere, vectors @ wanted[p]) / len(everywhere)
        return fitness


def _failure(error: Exception) -> str:
    log.info("the turn goes on without a part", exc_info=error)
    return type(error).__name__


def _largest(values: NDArray[np.floating], rows: NDArray[Any], most: int = HISTORY_CITED) -> Shares:
    order = np.argsort(-values, kind="stable")[:most]
    return tuple((int(rows[place]), round(float(values[place]), 4)) for place in order if values[place] > 0)
