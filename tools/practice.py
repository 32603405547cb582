"""Practice turns made of the log itself: each person's newest likes, predicted from what came before them.

Everything they are scored with is fitted without them. They teach the weights of the parts and the learned ranker.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from duetto.limits import Limits
from duetto.tools.agent_tools import Chosen, Toolbox, choose
from duetto.tools.catalogue import Catalogue, document
from duetto.tools.duet import join
from duetto.tools.embedding import Vectors, embed_queries
from duetto.tools.fit_weights import fit
from duetto.tools.fusion import DEFAULTS, Evidence, Weights, rank, with_learned
from duetto.tools.histories import Histories, History
from duetto.tools.language_voice import TEXTS
from duetto.tools.progress import Advance, Progress, Silence
from duetto.tools.ranker import Lesson, Ranker, available
from duetto.tools.signals import Signals
from duetto.tools.single_thread import single_thread
from duetto.tools.vector_store import FaissStore
from duetto.tools.words import Words

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]
Messages = dict[int, str]  # what somebody who looks for this row might say
Queries = tuple[str, ...]
CHUNK_FLOATS = 32_000_000  # of z-scores held at once


@dataclass(frozen=True)
class HeldOut:
    """One person before one of their newest likes, and the row of that like."""

    person: int
    history: History
    target: int


def newest_events(histories: Histories, limits: Limits) -> NDArray[np.int64]:
    """How many events of each person are held out, shape (people,): a tenth of their history, but at least one of three."""
    lengths = np.diff(histories.indptr)
    return np.where(lengths >= 3, np.clip(lengths // 10, 1, limits.held_out), 0)


def held_out(histories: Histories, newest: NDArray[np.int64]) -> list[HeldOut]:
    """A turn for each liked one of each person's `newest[i]` last events, unless the person had the item before."""
    found = []
    for person in np.flatnonzero(newest):
        whole = histories.at(int(person))
        for place in range(len(whole) - int(newest[person]), len(whole)):
            target, before = int(whole.rows[place]), History(whole.rows[:place], whole.disliked[:place], known=True)
            if not whole.disliked[place] and target not in before.rows and not before.disliked.all():
                found.append(HeldOut(int(person), before, target))
    return found


def turns(
    box: Toolbox, signals: Signals | None, histories: list[History], queries: list[Queries] | None = None, asked: bool = True,
    seen: list[History] | None = None,
) -> Iterator[tuple[Rows, Evidence]]:  # fmt: skip
    """The candidates and evidence of a turn for each history, as the graph's tools and `join` make them.

    The crowd hears many people in one product. `queries[i]`, when given, are searched for the i-th person, who asked for
    them or did not. Nobody is recommended what is in their history, or in that of `seen` where it is given.
    """
    size = max(1, CHUNK_FLOATS // ((len(box.crowd.sources) + len(TEXTS)) * len(box.catalogue)))
    for start in range(0, len(histories), size):
        part = slice(start, start + size)
        some, wanted = histories[part], None if queries is None else queries[part]
        had = None if seen is None else seen[part]
        yield from joined(box, signals, some, box.crowd.hear(some), box.voice.own_cosines(some), wanted, asked, had)


def joined(
    box: Toolbox, signals: Signals | None, histories: list[History], z: Floats, near: Floats | None,
    queries: list[Queries] | None, asked: bool, seen: list[History] | None = None,
) -> Iterator[tuple[Rows, Evidence]]:  # fmt: skip
    """`turns` of people whom the crowd (`hear`, `z`) and the language voice (`own_cosines`, `near`) have heard."""
    wanted = queries if queries is not None else [()] * len(histories)
    texts = [text for own in wanted for text in own]
    vectors = embed_queries(box.embedder, texts) if texts else np.zeros((0, 1), np.float32)
    ends = np.cumsum([0, *(len(own) for own in wanted)])
    for i, history in enumerate(histories):
        keep = box.eligible(history if seen is None else seen[i], None)
        chosen = Chosen() if history.disliked.all() else choose(z[:, i], box.crowd.by_part, keep, box.limits.candidates)
        searched = vectors[ends[i] : ends[i + 1]]
        heard = box.voice.listen(tuple(wanted[i]), searched, history, keep, None if near is None else near[i])
        yield join(box.voice, heard, chosen, history, asked and len(wanted[i]) > 0, signals)


@dataclass(frozen=True)
class Learned:
    """What practice taught. `validation` is NDCG@10 by strategy, on people the ranker has not seen; `note` says why there
    is no ranker."""

    weights: Weights
    ranker: Ranker | None
    validation: dict[str, float]
    note: str


def learn(
    box: Toolbox, signals: Signals, people: list[HeldOut], messages: Messages | None, progress: Progress | None = None
) -> Learned:
    """Fits the weights and the ranker. `box` and `signals` must know nothing of what `people` hold out.

    A sixth of the people, at most `limits.tuning_people`, are kept from the ranker: one half of them fits the weights and
    says when the ranker has learned enough, the other half tells which of the two ranks better. The weights are then
    fitted on both.

    `messages` are requests for rows whose text does not hold them; by default each is one of the item's queries, cut out
    of the item's text for the practice. Without queries the weights of a request stay the defaults: clauses cut out of a
    description are no requests, and weights fitted on them were worse than the defaults on real ones.
    """
    limits, progress = box.limits, progress or Silence()
    everyone = np.random.default_rng(0).permutation(np.unique([turn.person for turn in people]))
    if len(everyone) < limits.tuning_least:
        note = f"the log has {len(everyone)} people to learn from, and {limits.tuning_least} are needed"
        return Learned(Weights(), None, {}, note)
    back = everyone[: min(limits.tuning_people, max(limits.tuning_least // 2, len(everyone) // 6))]
    kept_back, judges = set(back.tolist()), set(back[::2].tolist())
    tuning = _some([turn for turn in people if turn.person in kept_back], limits.tuning_turns)
    lessons = _some([turn for turn in people if turn.person not in kept_back], limits.ranker_turns)
    advance = progress.stage("learning from held-out likes", len(tuning) + len(lessons))
    coefficients, fitted_on, variety = dict(DEFAULTS), {}, 0.0
    with single_thread():
        practised = list(_practised(box, signals, tuning, advance))
    least = limits.tuning_least // 4
    ours = [(evidence, place) for turn, evidence, place in practised if turn.person not in judges]
    theirs = [(evidence, place) for turn, evidence, place in practised if turn.person in judges]
    if min(len(ours), len(theirs)) < max(1, least):
        advance(len(lessons))
        return Learned(Weights(), None, {}, "too few held-out likes were among the candidates")
    ranker, note = _ranker(box, signals, lessons, ours, advance)
    weights, asked_of = Weights({**DEFAULTS, "silent": fit(ours, "silent")}), sum(turn.person in judges for turn in tuning)
    validation = {"adaptive": _ndcg(theirs, asked_of, weights, replace(limits, fusion="adaptive"), None)}
    if ranker is not None:
        validation["learned"] = _ndcg(theirs, asked_of, weights, replace(limits, fusion="learned"), ranker)
        varied = _ndcg(theirs, asked_of, replace(weights, variety=limits.variety), replace(limits, fusion="learned"), ranker)
        if limits.variety and varied >= (1 - limits.variety_cost) * validation["learned"]:
            variety, validation["learned"] = limits.variety, varied
        if validation["learned"] <= validation["adaptive"]:
            ranker, note = None, "the learned ranker was not better than the adaptive weights on people it had not seen"
    everybody = ours + theirs
    coefficients["silent"], fitted_on["silent"] = fit(everybody, "silent"), len(everybody)
    asking, asked_box = _asking(box, tuning, messages)
    spoken: list[Queries] = [(message,) for _, message in asking]
    advance = progress.stage("learning from requests", len(asking)) if asking else advance
    with single_thread():
        answered = list(_practised(asked_box, signals, [turn for turn, _ in asking], advance, spoken))
    if len(answered) >= max(1, least):
        asked = [(evidence, place) for _, evidence, place in answered]
        coefficients["asked"], fitted_on["asked"] = fit(asked, "asked"), len(asked)
        if ranker is not None:
            beside = [(with_learned(evidence, ranker), place) for evidence, place in asked]
            coefficients["asked_learned"], fitted_on["asked_learned"] = fit(beside, "asked_learned"), len(beside)
    return Learned(Weights(coefficients, fitted_on, variety), ranker, validation, note)


def _practised(
    box: Toolbox, signals: Signals, people: list[HeldOut], advance: Advance, queries: list[Queries] | None = None
) -> Iterator[tuple[HeldOut, Evidence, int]]:
    """Each turn's evidence, and the place of the held-out like among the candidates, where it is among them."""
    for turn, (rows, evidence) in zip(people, turns(box, signals, [p.history for p in people], queries), strict=True):
        place = int(np.searchsorted(rows, turn.target))
        if place < len(rows) and rows[place] == turn.target:
            yield turn, evidence, place
        advance(1)


def _some(people: list[HeldOut], most: int) -> list[HeldOut]:
    """At most so many, drawn at random, in their order."""
    return [people[i] for i in np.sort(np.random.default_rng(1).permutation(len(people))[:most])]


def _ranker(
    box: Toolbox, signals: Signals, people: list[HeldOut], examination: list[tuple[Evidence, int]], advance: Advance
) -> tuple[Ranker | None, str]:
    if (why := available()) is not None:
        advance(len(people))
        return None, why
    limits, rng = box.limits, np.random.default_rng(1)
    with single_thread():
        taught = [
            Lesson.of(evidence.signals, place, limits.ranker_negatives, rng)
            for _, evidence, place in _practised(box, signals, people, advance)
            if evidence.signals is not None
        ]
    exam = [Lesson(evidence.signals, place) for evidence, place in examination if evidence.signals is not None]
    if not taught or not exam:
        return None, "no held-out like was among the candidates"
    return Ranker.fit(taught, exam, signals.parts, limits), ""


def _ndcg(
    practised: list[tuple[Evidence, int]], turns_played: int, weights: Weights, limits: Limits, ranker: Ranker | None
) -> float:
    """NDCG@10 over all turns played; those whose like was no candidate count 0."""
    gained = 0.0
    for evidence, place in practised:
        ranked = rank(evidence, weights, limits, ranker)
        above = int(np.flatnonzero(ranked.order == place)[0])
        gained += 1 / np.log2(above + 2) if above < 10 else 0.0
    return round(gained / max(1, turns_played), 4)


def _asking(box: Toolbox, people: list[HeldOut], messages: Messages | None) -> tuple[list[tuple[HeldOut, str]], Toolbox]:
    """Who asks for what, and the tools over texts that do not hold what is asked."""
    if messages is not None:
        return [(turn, messages[turn.target]) for turn in people if turn.target in messages], box
    own = requests(box.catalogue, sorted({turn.target for turn in people}))
    if not own:
        return [], box
    texts = box.catalogue.documents()
    vectors: Vectors = box.store.vectors_of(np.arange(len(texts))).copy()
    for row, (_, text) in own.items():
        texts[row] = text
    vectors[list(own)] = embed_queries(box.embedder, [text for _, text in own.values()])
    store = FaissStore(box.catalogue, vectors, box.embedder, box.limits)
    asking = [(turn, own[turn.target][0]) for turn in people if turn.target in own]
    return asking, replace(box, store=store, words=Words.fit(texts))


def requests(catalogue: Catalogue, rows: list[int], seed: int = 0) -> dict[int, tuple[str, str]]:
    """For each row that has queries, one of them and the item's text without it."""
    rng = np.random.default_rng(seed)
    column = next(iter(catalogue.columns("queries")), None)
    found: dict[int, tuple[str, str]] = {}
    if column is None:
        return found
    for row in rows:
        values = catalogue.text_values(row)
        left = list(values[column] or [])
        if left:
            message = left.pop(int(rng.integers(len(left))))
            found[row] = message, document({**values, column: left}.values())
    return found
