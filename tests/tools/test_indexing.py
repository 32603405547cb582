"""From tables to an index: what is counted, what is refused, what is embedded again, and how small it may be."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools import index as indexes
from duetto.tools.crowd import CrowdSettings
from duetto.tools.fusion import DEFAULTS
from duetto.tools.indexing import make_index
from duetto.tools.progress import Advance
from duetto.tools.relations import fit_relations
from tests.tools.eras import SMALL, era_index
from tests.tools.films import films, indexed, log, people
from tests.tools.words import Words

STRANGE = log(("zoe", 1), ("zoe", 999))


def changed(item: int) -> pl.DataFrame:
    """The films with one description rewritten."""
    text = pl.when(pl.col("item_id") == item).then(pl.lit("Something else altogether.")).otherwise("description")
    return films().with_columns(description=text)


def described(*rows: tuple[int | str, str]) -> pl.DataFrame:
    queries = pl.lit([], dtype=pl.List(pl.String))
    return pl.DataFrame(rows, schema=["item_id", "description"], orient="row").with_columns(queries=queries)


# what is embedded again


@pytest.mark.parametrize("embedder", [None, Words()], ids=["lsa", "words"])
def test_new_interactions_alone_embed_nothing(embedder: Words | None) -> None:
    first = indexed(films(), people(), embedder)
    second = indexed(films(), pl.concat([people(), log(("new", 7))]), embedder, previous=first)
    assert (first.manifest.counts["items_embedded"], second.manifest.counts["items_embedded"]) == (12, 0)
    assert np.array_equal(first.vectors, second.vectors)
    assert second.lsa is first.lsa


def test_one_changed_text_embeds_one_item() -> None:
    words = Words()
    first = indexed(films(), people(), words)
    words.asked.clear()
    second = indexed(changed(5), people(), words, previous=first)
    assert len(words.asked) == second.manifest.counts["items_embedded"] == 1
    assert np.flatnonzero((first.vectors != second.vectors).any(axis=1)).tolist() == [4]


def test_reused_vectors_follow_their_items_when_the_order_changes() -> None:
    words = Words()
    first = indexed(films(), people(), words)
    turned = indexed(films().reverse(), people(), words, previous=first)
    assert turned.manifest.counts["items_embedded"] == 0
    assert np.array_equal(turned.vectors, first.vectors[::-1])


def test_new_items_are_embedded_and_old_ones_are_not() -> None:
    words = Words()
    first = indexed(films().head(8), people().filter(pl.col("item_id") <= 8), words)
    words.asked.clear()
    second = indexed(films(), people(), words, previous=first)
    assert second.manifest.counts["items_embedded"] == len(words.asked) == 4
    assert np.array_equal(second.vectors, indexed(films(), people(), Words()).vectors)


def test_lsa_is_fitted_anew_when_any_text_changes() -> None:
    first = indexed(films(), people())
    second = indexed(changed(5), people(), previous=first)
    assert second.manifest.counts["items_embedded"] == 12
    assert second.lsa is not first.lsa


def test_vectors_of_another_embedder_are_not_reused() -> None:
    words = Words()
    second = indexed(films(), people(), words, previous=indexed(films(), people()))
    assert second.manifest.counts["items_embedded"] == len(words.asked) == 12


# unknown ids


def test_a_few_unknown_ids_are_dropped_and_counted() -> None:
    made = indexed(films(), pl.concat([people(), STRANGE]))
    assert made.manifest.counts["dropped_unknown_interactions"] == 1
    assert made.manifest.counts["interactions"] == people().height + 1


def test_more_than_a_fifth_of_unknown_ids_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"1 of 2 interactions name items that are not in the catalogue.*at most 20%"):
        indexed(films(), STRANGE)


def test_a_strict_build_allows_no_unknown_id() -> None:
    with pytest.raises(BadInput, match="--strict allows none"):
        indexed(films(), pl.concat([people(), STRANGE]), strict=True)


def test_descriptions_of_unknown_items_count_the_same_way() -> None:
    table = described(*((n, "A fine film.") for n in range(1, 10)), (77, "Which one is this?"))
    assert indexed(films(), people(), descriptions=table).manifest.counts["dropped_unknown_descriptions"] == 1
    with pytest.raises(BadInput, match="1 of 10 descriptions"):
        indexed(films(), people(), descriptions=table, strict=True)


def test_ids_are_the_same_whether_written_as_text_or_as_numbers() -> None:
    text_ids = films().with_columns(pl.col("item_id").cast(pl.String))
    made = indexed(text_ids, people(), descriptions=described((3, "Bank robbers in the city.")))
    assert made.manifest.counts["dropped_unknown_interactions"] == 0
    assert made.catalogue.ids[2] == "3"
    assert made.catalogue.table["description"][2] == "Bank robbers in the city."


def test_a_log_without_a_single_interaction_is_bad_input() -> None:
    with pytest.raises(BadInput, match="there is no interaction with an item of the catalogue"):
        indexed(films(), people().clear())


def test_ids_equal_as_text_are_bad_input() -> None:
    twice = pl.DataFrame({"item_id": ["1", "1"], "title": ["Alien", "Aliens"]})
    with pytest.raises(BadInput, match="equal as text"):
        indexed(twice, log(("ann", "1")))


# descriptions


def test_descriptions_replace_the_catalogue_s_own() -> None:
    made = indexed(films(), people(), descriptions=described(*((n, f"Film {n}.") for n in range(1, 13))))
    assert made.catalogue.table["description"].to_list() == [f"Film {n}." for n in range(1, 13)]
    assert made.catalogue.ids == films()["item_id"].to_list()


def test_an_item_described_twice_is_bad_input() -> None:
    with pytest.raises(BadInput, match="described twice"):
        indexed(films(), people(), descriptions=described((1, "One."), (1, "Two.")))


def test_no_descriptions_at_all_leave_the_catalogue_alone() -> None:
    made = indexed(films(), people(), descriptions=described().cast({"item_id": pl.Int64, "description": pl.String}))
    assert made.catalogue.table.equals(films())


def test_queries_join_the_text_that_is_embedded() -> None:
    table = pl.DataFrame({"item_id": [1], "description": ["Horror."], "queries": [["xenomorph on a ship"]]})
    made = indexed(films(), people(), descriptions=table)
    assert "xenomorph on a ship" in made.catalogue.document(0)


# how small it may be


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("words", ["tea", "the same tea", "quite different tea{n}"])
def test_a_few_items_and_one_interaction_build_and_load(tmp_path: Path, count: int, words: str) -> None:
    items = pl.DataFrame({"item_id": range(count), "title": [words.format(n=n) for n in range(count)]})
    indexes.write(tmp_path, indexed(items, log(("ann", 0))))
    read = indexes.load(tmp_path)
    assert (len(read.catalogue), len(read.histories), len(read.vectors)) == (count, 1, count)
    assert np.isfinite(read.crowd.hear([read.histories.at(0)])).all()
    assert np.isfinite(read.vectors).all()


def test_titles_without_a_word_are_bad_input_for_lsa() -> None:
    with pytest.raises(BadInput, match="contain no words"):
        indexed(pl.DataFrame({"item_id": [1, 2], "title": ["!!", "…"]}), log(("ann", 1)))


def test_a_log_of_dislikes_alone_builds() -> None:
    made = indexed(films(), log(("ann", 1), ("bob", 2), rating=[1.0, 5.0]))
    assert made.histories.disliked.tolist() == [True, False]


def test_ratings_that_are_all_missing_are_no_dislikes() -> None:
    made = indexed(films(), log(("ann", 1), ("ann", 2), rating=[None, None]))
    assert not made.histories.disliked.any()


def test_a_log_too_small_to_learn_from_keeps_the_defaults() -> None:
    made = indexed(films(), people())
    assert made.weights.coefficients == DEFAULTS
    assert made.weights.fitted_on == {}
    assert made.crowd.als.settings == CrowdSettings.of(12)
    assert made.manifest.validation == {}
    assert made.manifest.fusion["no_ranker"] == "the log has 6 people to learn from, and 100 are needed"


def test_a_build_learns_from_a_log_that_is_large_enough() -> None:
    made = era_index()
    assert made.ranker is not None
    assert set(made.manifest.validation) == {"adaptive", "learned"}
    assert made.manifest.fusion["fitted_on"] == made.weights.fitted_on
    assert set(made.weights.fitted_on) == {"silent"}
    assert made.manifest.fusion["signals"] == made.ranker.parts
    assert made.manifest.fusion["no_ranker"] == ""


def test_the_served_crowd_knows_what_practice_held_out() -> None:
    made = era_index()
    assert made.crowd.standing.liked.sum() == len(made.histories.rows)
    assert (made.crowd.relations["together"] != fit_relations(made.histories, len(made.catalogue), SMALL)["together"]).nnz == 0


# what is reported


def test_the_manifest_counts_what_went_in() -> None:
    counts = indexed(films(), people()).manifest.counts
    assert (counts["items"], counts["users"], counts["interactions"]) == (12, 7, people().height)


def test_repeated_interactions_are_passed_on_as_counted() -> None:
    made = make_index(films(), people(), None, embedder_name="lsa", embedder=None, previous=None, limits=Limits(), repeated=5)
    assert made.manifest.counts["dropped_repeated_interactions"] == 5


def test_progress_hears_of_every_long_step() -> None:
    class Heard:
        def __init__(self) -> None:
            self.stages: dict[str, list[int]] = {}

        def stage(self, name: str, total: int) -> Advance:
            self.stages[name] = [total, 0]

            def advance(done: int) -> None:
                self.stages[name][1] += done

            return advance

    heard = Heard()
    make_index(
        films(), people(), None, embedder_name="lsa", embedder=None, previous=None,
        limits=Limits(tuning_least=2, ranker_trees=2), progress=heard,
    )  # fmt: skip
    assert all(total == done for total, done in heard.stages.values()), heard.stages
    assert len(heard.stages) == 3
