"""The learned ranker: what it learns, that it is kept as text, and that it can be missing."""

import builtins
import sys
from typing import Any

import numpy as np
import pytest

from duetto.errors import NotReady
from duetto.limits import Limits
from duetto.tools.ranker import Floats, Lesson, Ranker, available

LIMITS = Limits(ranker_trees=20, ranker_leaves=7, ranker_rate=0.2)
PARTS = {"als_5": "als", "rank_als_5": "als", "text_1": "taste", "liked": "popularity"}
SIGNALS = np.random.default_rng(9).normal(size=(40, 4)).astype(np.float32)


def lessons(telling: int | None = 2, count: int = 80, seed: int = 0) -> list[Lesson]:
    """The held-out item stands out in one signal, or in none."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        signals = rng.normal(size=(30, 4)).astype(np.float32)
        target = int(rng.integers(30))
        if telling is not None:
            signals[target, telling] += 2
        made.append(Lesson(signals, target))
    return made


def without(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """From now on importing LightGBM fails like this."""
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "lightgbm":
            raise error
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", importing)


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return Ranker.fit(lessons(), lessons(), PARTS, LIMITS)


def mean_place(ranker: Ranker, telling: int) -> float:
    places = [int((s > s[x.target]).sum()) for x in lessons(telling, seed=1) for s in [ranker.score(x.signals)]]
    return float(np.mean(places))


# learning


@pytest.mark.parametrize("telling", range(4))
def test_it_finds_the_signal_that_tells(telling: int) -> None:
    assert (
        mean_place(Ranker.fit(lessons(telling), lessons(telling), PARTS, LIMITS), telling) < 5
    )  # 14.5 by chance; 2.3 by the signal itself


def test_the_part_that_tells_carries_the_score(ranker: Ranker) -> None:
    size = {part: np.abs(values).mean() for part, values in ranker.contributions(SIGNALS).items()}
    assert size["taste"] > 1.5 * max(size["als"], size["popularity"])


def test_contributions_sum_to_the_score(ranker: Ranker) -> None:
    added = ranker.contributions(SIGNALS)
    assert list(added) == ["als", "taste", "popularity"]
    assert np.sum(list(added.values()), axis=0) == pytest.approx(ranker.score(SIGNALS), abs=1e-9)


def test_what_is_missing_is_ranked_too(ranker: Ranker) -> None:
    holes = SIGNALS.copy()
    holes[::2, 2] = np.nan
    assert np.isfinite(ranker.score(holes)).all()
    assert np.sum(list(ranker.contributions(holes).values()), axis=0) == pytest.approx(ranker.score(holes), abs=1e-9)


def test_a_candidate_is_scored_as_if_alone(ranker: Ranker) -> None:
    together = ranker.score(SIGNALS)
    assert [float(ranker.score(SIGNALS[[n]])[0]) for n in range(40)] == together.tolist()


def test_no_candidate_has_no_score(ranker: Ranker) -> None:
    assert ranker.score(SIGNALS[:0]).shape == (0,)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_lessons_teach_nothing_and_are_no_error(count: int) -> None:
    taught = Ranker.fit(lessons(count=count), lessons(count=count), PARTS, LIMITS)
    assert taught.score(SIGNALS).tolist() == [0.0] * 40
    assert np.sum(list(taught.contributions(SIGNALS).values()), axis=0).tolist() == [0.0] * 40


# kept as text


def test_the_same_lessons_and_seed_give_the_same_text(ranker: Ranker) -> None:
    assert Ranker.fit(lessons(), lessons(), PARTS, LIMITS).text == ranker.text
    assert Ranker.fit(lessons(), lessons(), PARTS, LIMITS, seed=1).text != ranker.text


def test_a_ranker_read_from_its_text_scores_alike(ranker: Ranker) -> None:
    again = Ranker(ranker.text, ranker.parts)
    assert again.score(SIGNALS).tolist() == ranker.score(SIGNALS).tolist()
    for part, values in ranker.contributions(SIGNALS).items():
        assert again.contributions(SIGNALS)[part].tolist() == values.tolist()


# lessons


def sampled(count: int, target: int, negatives: int) -> Lesson:
    """The first signal of a candidate is its place among all of them."""
    signals = np.repeat(np.arange(count, dtype=np.float32)[:, None], 4, axis=1)
    return Lesson.of(signals, target, negatives, np.random.default_rng(0))


@pytest.mark.parametrize("target", [0, 50, 99])
def test_a_lesson_keeps_the_held_out_item_among_a_few_others(target: int) -> None:
    lesson = sampled(100, target, 10)
    places: Floats = lesson.signals[:, 0]
    assert places[lesson.target] == target
    assert 10 <= len(set(places.tolist())) == len(places) <= 11


def test_a_short_lesson_is_kept_whole() -> None:
    lesson = sampled(11, 7, 10)
    assert (len(lesson.signals), lesson.target) == (11, 7)


# where it cannot run


def test_here_it_can_run() -> None:
    assert available() is None


MISSING = [
    (ImportError("No module named 'lightgbm'"), "the learned ranker needs LightGBM, which is not installed here"),
    (
        OSError("libgomp.so.1: cannot open shared object file: No such file or directory"),
        "the learned ranker needs the system library libgomp.so.1, which is not installed here",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), MISSING, ids=["package", "library"])
def test_where_it_cannot_run_one_sentence_says_why(
    monkeypatch: pytest.MonkeyPatch, ranker: Ranker, error: Exception, sentence: str
) -> None:
    without(monkeypatch, error)
    assert available() == sentence
    with pytest.raises(NotReady) as refused:
        Ranker(ranker.text, ranker.parts)
    assert str(refused.value) == sentence
    with pytest.raises(NotReady) as refused:
        Ranker.fit(lessons(), lessons(), PARTS, LIMITS)
    assert str(refused.value) == sentence


def test_a_package_that_is_not_there_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert available() == MISSING[0][1]
