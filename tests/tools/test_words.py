"""The words of items, for what an embedding blurs."""

from pathlib import Path

import numpy as np
import pytest

from duetto.tools.words import FILES, Words

TEXTS = (
    "A film of the sea and a ship", "A film of a ship in the harbour", "The film about Xylophonia", "Café by the sea", "2001",
)  # fmt: skip
WORDS = Words.fit(TEXTS)


def test_a_rare_word_finds_its_item_and_weighs_more_than_a_common_one() -> None:
    assert WORDS.score(["xylophonia"]).argmax() == 2
    found = WORDS.score(["film xylophonia"])[0]
    assert found.argmax() == 2
    assert (found[[0, 1]] > 0).all()
    assert WORDS.idf[WORDS.vocabulary["xylophonia"]] > WORDS.idf[WORDS.vocabulary["film"]]


def test_scores_are_cosines() -> None:
    assert WORDS.score(TEXTS).diagonal() == pytest.approx(np.ones(5), abs=1e-6)
    assert (np.linalg.norm(WORDS.weigh(["sea ship", "film"]).toarray(), axis=1)) == pytest.approx([1, 1], abs=1e-6)


def test_words_no_item_has_count_in_the_length_of_what_is_asked() -> None:
    plain, strange, stranger = WORDS.score(["sea", "sea zzyzx", "sea zzyzx quux zzyzx"])
    assert plain.argmax() == strange.argmax() == stranger.argmax()
    assert plain.max() > strange.max() > stranger.max() > 0
    assert WORDS.score(["the sea of a"])[0].tolist() == plain.tolist()  # what says nothing does not count
    weight, rarest = WORDS.idf[WORDS.vocabulary["sea"]], WORDS.idf.max()
    assert strange.max() / plain.max() == pytest.approx(weight / np.hypot(weight, rarest))


@pytest.mark.parametrize("query", ["CAFÉ", "cafe", "café!"])
def test_case_and_accents_do_not_matter(query: str) -> None:
    assert WORDS.score([query]).argmax() == 3


def test_numbers_are_words() -> None:
    assert WORDS.score(["2001"]).argmax() == 4


@pytest.mark.parametrize("query", ["zzyzx", "", "the of and", "!?"])
def test_what_no_item_says_scores_nothing(query: str) -> None:
    assert WORDS.score([query]).tolist() == [[0.0] * 5]


@pytest.mark.parametrize("texts", [["!!", "…"], ["the of", "and"], [""]])
def test_texts_without_a_word_have_an_empty_vocabulary_and_answer(texts: list[str], tmp_path: Path) -> None:
    words = Words.fit(texts)
    words.warm().save(tmp_path)
    for held in (words, Words.load(tmp_path)):
        assert held.vocabulary == {}
        assert held.score(["anything", "at all"]).tolist() == [[0.0] * len(texts)] * 2


def test_what_is_saved_is_what_was_there(tmp_path: Path) -> None:
    WORDS.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    read = Words.load(tmp_path)
    queries = ["a ship by the sea", "xylophonia 2001"]
    assert read.score(queries).tolist() == WORDS.score(queries).tolist()
    assert read.warm().vocabulary == WORDS.vocabulary


def test_warming_changes_no_score() -> None:
    assert Words.fit(TEXTS).warm().score(["sea"]).tolist() == Words.fit(TEXTS).score(["sea"]).tolist()
