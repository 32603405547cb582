"""An index on disk: whole or refused, never half read, and never code."""

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from duetto.errors import NotReady
from duetto.limits import Limits
from duetto.tools import index as indexes
from duetto.tools.index import FORMAT, KEPT_VERSIONS, Index, text_hashes
from tests.tools.eras import era_index
from tests.tools.films import film_index, films, indexed, people
from tests.tools.words import Words

FILES = (
    "items.parquet", "users.parquet", "histories.npz", "features.npz", "features.parquet", "vectors.npy", "texts.npy",
    "item_factors.npy", "standing.npz", "words.json", "words.npz", "words_idf.npy", "lsa.json", "lsa.npz", "manifest.json",
    *(f"relation_{name}.npz" for name in film_index().crowd.relations),
)  # fmt: skip
MEND = "run `duetto build --index"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    indexes.write(tmp_path / "index", film_index())
    return tmp_path / "index"


def version(root: Path) -> Path:
    return root / "versions" / (root / "CURRENT").read_text().strip()


def flip(path: Path, place: float = 0.5) -> None:
    """Inverts one byte of a file, at this share of its length."""
    raw = bytearray(path.read_bytes())
    raw[int(place * (len(raw) - 1))] ^= 0xFF
    path.write_bytes(raw)


def refusal(root: Path) -> str:
    """The one sentence with which an index is refused."""
    with pytest.raises(NotReady) as refused:
        indexes.load(root)
    sentence = str(refused.value)
    assert sentence
    assert "\n" not in sentence
    return sentence


def assert_same(read: Index, made: Index) -> None:
    assert read.catalogue.table.equals(made.catalogue.table)
    assert read.catalogue.kinds == made.catalogue.kinds
    assert read.histories.users == made.histories.users
    for name in ("indptr", "rows", "disliked"):
        assert np.array_equal(getattr(read.histories, name), getattr(made.histories, name))
    assert (read.features.matrix != made.features.matrix).nnz == 0
    assert (read.features.columns, read.features.values) == (made.features.columns, made.features.values)
    assert np.array_equal(read.vectors, made.vectors)
    assert np.array_equal(read.texts, made.texts)
    assert np.array_equal(read.crowd.als.item_factors, made.crowd.als.item_factors)
    assert (read.crowd.als.settings, read.weights) == (made.crowd.als.settings, made.weights)
    assert set(read.crowd.relations) == set(made.crowd.relations)
    assert all((relation != made.crowd.relations[name]).nnz == 0 for name, relation in read.crowd.relations.items())
    assert all(np.array_equal(told, vars(made.crowd.standing)[name]) for name, told in vars(read.crowd.standing).items())
    assert read.words.score(["creature of the sea"]).tolist() == made.words.score(["creature of the sea"]).tolist()
    assert (read.ranker is None) == (made.ranker is None)


def test_what_is_read_is_what_was_written(root: Path) -> None:
    read = indexes.load(root)
    assert_same(read, film_index())
    assert read.lsa is not None
    assert read.lsa.embed_query("a creature") == pytest.approx(film_index().lsa.embed_query("a creature"))  # type: ignore[union-attr]


def test_the_files_are_these_and_no_others(root: Path) -> None:
    assert {path.name for path in version(root).iterdir()} == set(FILES)
    assert {path.name for path in root.iterdir()} == {"CURRENT", "versions"}


def test_an_index_of_another_embedder_holds_no_lsa(tmp_path: Path) -> None:
    made = indexed(films(), people(), Words())
    indexes.write(tmp_path, made)
    assert not {path.name for path in version(tmp_path).iterdir()} & {"lsa.json", "lsa.npz"}
    assert_same(indexes.load(tmp_path), made)


def test_a_large_index_keeps_its_graph(tmp_path: Path) -> None:
    indexes.write(tmp_path, indexed(films(), people(), limits=Limits(hnsw_above=5)))
    assert indexes.load(tmp_path).graph.ntotal == 12
    flip(version(tmp_path) / "hnsw.faiss")
    assert "hnsw.faiss" in refusal(tmp_path)


def test_an_index_keeps_its_ranker_as_text(tmp_path: Path) -> None:
    made = era_index()
    indexes.write(tmp_path, made)
    read = indexes.load(tmp_path)
    assert_same(read, made)
    assert made.ranker is not None
    assert read.ranker is not None
    assert (version(tmp_path) / "ranker.txt").read_text() == made.ranker.text
    assert read.ranker.parts == made.ranker.parts == read.manifest.fusion["signals"]
    assert read.no_ranker == ""
    signals = np.random.default_rng(0).normal(size=(9, len(made.ranker.parts))).astype(np.float32)
    assert read.ranker.score(signals).tolist() == made.ranker.score(signals).tolist()
    assert read.manifest.validation["learned"] > read.manifest.validation["adaptive"]
    flip(version(tmp_path) / "ranker.txt")
    assert "ranker.txt" in refusal(tmp_path)


def test_an_index_that_learned_nothing_says_why_and_holds_no_ranker(root: Path) -> None:
    read = indexes.load(root)
    assert not (version(root) / "ranker.txt").exists()
    assert (read.ranker, read.no_ranker, read.manifest.validation, read.manifest.fusion["signals"]) == (None, "", {}, {})
    assert read.manifest.fusion["no_ranker"] == "the log has 6 people to learn from, and 100 are needed"


def test_where_lightgbm_is_missing_an_index_loads_without_its_ranker_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes.write(tmp_path, era_index())
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    read = indexes.load(tmp_path)
    assert read.ranker is None
    assert read.no_ranker == ("the learned ranker needs LightGBM, which is not installed here; the adaptive weights rank instead")


def test_relations_a_large_catalogue_goes_without_are_not_missed(tmp_path: Path) -> None:
    made = indexed(films(), people(), limits=Limits(linear_items=5))
    indexes.write(tmp_path, made)
    assert not [path.name for path in version(tmp_path).iterdir() if "linear" in path.name]
    assert_same(indexes.load(tmp_path), made)


def test_a_version_is_named_after_its_manifest_and_says_so(root: Path) -> None:
    written = indexes.write(root, film_index())
    assert written.version == version(root).name == indexes.load(root).version


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_is_noticed_and_the_file_is_named(root: Path, name: str, place: float) -> None:
    flip(version(root) / name, place)
    sentence = refusal(root)
    assert name in sentence
    assert f"{MEND} {root}" in sentence


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_one_flipped_byte_of_current_is_noticed(root: Path, place: float) -> None:
    flip(root / "CURRENT", place)
    sentence = refusal(root)
    assert "CURRENT" in sentence
    assert f"{MEND} {root}" in sentence


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(root: Path, name: str) -> None:
    (version(root) / name).unlink()
    sentence = refusal(root)
    assert name in sentence
    assert f"{MEND} {root}" in sentence


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_named(root: Path, name: str) -> None:
    path = version(root) / name
    path.write_bytes(path.read_bytes()[:-7])
    assert name in refusal(root)


@pytest.mark.parametrize("content", ["", "../..", "no such version", "0123456789abcdef\n", "../../elsewhere"])
def test_current_can_only_name_a_version_that_is_there(root: Path, content: str) -> None:
    (root / "CURRENT").write_text(content)
    assert "CURRENT names a version that is not there" in refusal(root)


def test_where_nothing_was_built_the_sentence_says_how_to_build(tmp_path: Path) -> None:
    assert f"there is no index at {tmp_path / 'none'}: {MEND}" in refusal(tmp_path / "none")


def test_a_folder_that_is_no_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "is not an index, for it has no readable CURRENT file" in refusal(tmp_path)


def test_a_newer_format_asks_for_a_newer_duetto(root: Path) -> None:
    path = version(root) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": FORMAT + 1, "colour": "red"}))
    sentence = refusal(root)
    assert f"has format {FORMAT + 1}, newer than this duetto reads ({FORMAT})" in sentence
    assert "upgrade duetto" in sentence


@pytest.mark.parametrize("text", ["[]", "{}", "null", "3", '{"format": "one"}', "{", f'{{"format": {FORMAT}}}'])
def test_a_manifest_that_says_something_else_is_refused(root: Path, text: str) -> None:
    (version(root) / "manifest.json").write_text(text)
    assert "manifest.json cannot be read" in refusal(root)


def test_a_manifest_changed_by_hand_is_refused_even_if_it_still_reads(root: Path) -> None:
    path = version(root) / "manifest.json"
    path.write_text(path.read_text().replace('"duetto": "', '"duetto": "9'))
    assert "manifest.json is not what was written" in refusal(root)


def test_an_index_whose_fusion_knew_other_features_is_refused(root: Path) -> None:
    fusion = film_index().manifest.fusion | {"features": ["bias", "weather"]}
    indexes.write(root, replace(film_index(), manifest=film_index().manifest.model_copy(update={"fusion": fusion})))
    sentence = refusal(root)
    assert "another duetto's fusion" in sentence
    assert f"{MEND} {root}" in sentence


def test_no_file_is_a_pickle(root: Path) -> None:
    for path in version(root).iterdir():
        assert not path.read_bytes().startswith(b"\x80")
        if path.suffix in (".npy", ".npz"):
            loaded = np.load(path, allow_pickle=False)
            arrays = [loaded] if path.suffix == ".npy" else [loaded[name] for name in loaded.files]
            assert all(array.dtype != object for array in arrays)


def test_numbers_and_texts_stay_what_they_were_as_user_ids(tmp_path: Path) -> None:
    log = people().with_columns(user_id=pl.col("user_id").rank("dense").cast(pl.Int64) * 10)
    indexes.write(tmp_path, indexed(films(), log))
    assert indexes.load(tmp_path).histories.users == [10, 20, 30, 40, 50, 60, 70]


def made_at(when: str) -> Index:
    return replace(film_index(), manifest=film_index().manifest.model_copy(update={"created": when}))


def test_a_new_version_takes_over_and_the_one_before_it_stays(root: Path) -> None:
    old = version(root)
    indexes.write(root, made_at("2030-01-01"))
    assert version(root) != old
    assert {path.name for path in (root / "versions").iterdir()} == {old.name, version(root).name}


def test_at_most_two_versions_are_kept(root: Path) -> None:
    names = [indexes.write(root, made_at(f"2030-01-0{day}")).version for day in range(1, 6)]
    assert {path.name for path in (root / "versions").iterdir()} == set(names[-KEPT_VERSIONS:])
    assert_same(indexes.load(root), film_index())


def test_writing_the_same_index_twice_leaves_one_version(root: Path) -> None:
    again = indexes.write(root, film_index())
    assert [path.name for path in (root / "versions").iterdir()] == [again.version]
    assert_same(indexes.load(root), film_index())


def test_writing_again_mends_a_damaged_version(root: Path) -> None:
    flip(version(root) / "vectors.npy")
    indexes.write(root, film_index())
    assert_same(indexes.load(root), film_index())


def test_what_a_dead_writer_left_is_swept_and_a_living_one_s_is_not(root: Path) -> None:
    dead, alive = root / "versions" / ".writing-999999999", root / "versions" / f".writing-{os.getppid()}"
    dead.mkdir()
    alive.mkdir()
    indexes.write(root, made_at("2030-01-01"))
    assert not dead.exists()
    assert alive.exists()


def test_a_disk_that_refuses_leaves_the_index_in_use(root: Path) -> None:
    before = (root / "CURRENT").read_text()
    (root / f".CURRENT-{os.getpid()}").mkdir()
    with pytest.raises(NotReady, match=re.escape(f"could not write the index {root}")):
        indexes.write(root, made_at("2030-01-01"))
    assert (root / "CURRENT").read_text() == before
    assert_same(indexes.load(root), film_index())


def test_hashes_of_texts_tell_texts_apart_and_nothing_else() -> None:
    hashes = text_hashes(["tea", "wine", "tea", ""])
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 3
    assert hashes.dtype == np.uint64
