from datetime import UTC, datetime
from importlib import resources

import polars as pl
import pytest

from duetto.tools.sample import films, interactions


@pytest.fixture(scope="module")
def histories() -> pl.DataFrame:
    return interactions()


def test_every_film_and_every_id_appears_once() -> None:
    catalogue = films()
    assert catalogue["item_id"].is_unique().all()
    assert catalogue.select("title", "year").is_unique().all()


def test_every_field_of_every_film_is_filled_and_no_film_is_from_the_future() -> None:
    catalogue = films()
    assert catalogue.null_count().sum_horizontal().item() == 0
    assert all((catalogue[column].str.strip_chars() != "").all() for column in ("title", "genres", "director"))
    assert catalogue["description"].str.len_chars().min() >= 80  # type: ignore[operator]
    assert catalogue["minutes"].is_between(40, 300).all()
    assert catalogue["year"].is_between(1895, datetime.now(UTC).year).all()


def test_the_file_stays_small() -> None:
    assert len(resources.files("duetto.tools.sample").joinpath("films.csv").read_bytes()) < 250_000


def test_the_same_seed_gives_the_same_people_and_another_seed_gives_others(histories: pl.DataFrame) -> None:
    assert interactions().equals(histories)
    assert not interactions(seed=8).equals(histories)


def test_people_watch_only_films_of_the_sample_and_rate_them_in_halves(histories: pl.DataFrame) -> None:
    columns = {"user_id": pl.String, "item_id": pl.Int64, "rating": pl.Float64, "timestamp": pl.Int64, "position": pl.Int64}
    assert histories.schema == columns
    assert set(histories["item_id"]) <= set(films()["item_id"])
    assert histories["rating"].is_between(1, 5).all()
    assert (histories["rating"] * 2 % 1 == 0).all()
    assert 0.03 < (histories["rating"] <= 2).sum() / histories.height < 0.25


def test_everybody_has_five_to_sixty_films_and_none_twice(histories: pl.DataFrame) -> None:
    assert histories["user_id"].n_unique() == 600
    assert histories.group_by("user_id").len()["len"].is_between(5, 60).all()
    assert histories.select("user_id", "item_id").is_unique().all()


def test_time_only_moves_forward_for_a_person(histories: pl.DataFrame) -> None:
    steps = histories.select(pl.col("timestamp").diff().over("user_id")).to_series().drop_nulls()
    assert (steps > 0).all()
