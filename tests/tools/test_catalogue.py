"""Items: what their columns are, what a reference means, and what text stands for them."""

from datetime import date, datetime

import polars as pl
import pytest

from duetto.errors import BadInput
from duetto.tools.catalogue import Catalogue, document, kind_of
from duetto.tools.predicate import Compare
from tests.tools.films import catalogue, films

ODD = Catalogue.of(
    pl.DataFrame(
        {
            "item_id": ["12", "B07", "x y", "4", "5", "6", "7"],
            "title": ["Alien", "(500) Days of Summer", "E.T.", "Toy Story (1995)", "Twin", "twin", "Airplane!"],
        }
    )
)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("item_id", [1, 2], "id"),
        ("title", ["a", "b"], "title"),
        ("url", ["http://a", "http://b"], "link"),
        ("image", ["a.png", "b.png"], "link"),
        ("queries", [["a"], []], "queries"),
        ("flag", [True, None], "flag"),
        ("added", [date(2020, 1, 1), None], "date"),
        ("added", [datetime(2020, 1, 1), None], "date"),
        ("year", [1979, 2024], "year"),
        ("year", [1979, None], "year"),
        ("stock", [5, 2024], "number"),
        ("price", [1979.0, 1980.0], "number"),
        ("votes", [1000, 3000], "number"),
        ("genres", ["A|B", "B", "A"], "category"),
        ("shelf", ["Beauty > Hair", "Beauty"], "category"),
        ("brand", ["Kent", "Kent", None], "category"),
        ("sku", ["a-1", "a-2", "a-3"], "key"),
        (
            "about",
            ["A long story of a man and his dog, told slowly.", "Another story, longer still, of a cat and a mouse."],
            "text",
        ),
    ],
)
def test_a_column_s_kind(name: str, values: list[object], kind: str) -> None:
    assert kind_of(pl.Series(name, values)) == kind


def test_columns_are_found_by_kind_and_availability_is_none_of_them() -> None:
    items = Catalogue.of(films().with_columns(available=True))
    assert items.columns("year", "number") == ["year", "minutes"]
    assert items.columns("category") == ["genres", "director"]
    assert items.columns("flag") == []


@pytest.mark.parametrize(
    ("reference", "row"),
    [
        ("12", 0), (12, 0), ("[12]", 0), ("item 12", 0), ("Item_ID: 12", 0), ("id: '12'", 0), ("<12>", 0), ('"12".', 0),
        ("#12", 0), ("(id=12)", 0), ("`B07`", 1), ("b07", None), ("[x y]", 2), ("1", None), (4.0, None),
        ("alien", 0), ("“ALIEN”", None), ("'Alien'", 0), ("Aliens", None),
        ("(500) Days of Summer", 1), ("[(500) Days of Summer]", 1), ("E.T.", 2), ("'E.T.'", 2), ("e.t", None),
        ("Toy Story (1995)", 3), ("Airplane!", 6), ("twin", None), ("Twin", None), ("", None), (None, None), ("item", None),
    ],
)  # fmt: skip
def test_a_reference_means_an_id_or_an_exact_unique_title(reference: object, row: int | None) -> None:
    assert ODD.resolve(reference) == row


def test_an_id_wins_over_a_title() -> None:
    items = Catalogue.of(pl.DataFrame({"item_id": ["300", "x"], "title": ["x", "300"]}))
    assert (items.resolve("300"), items.resolve("x")) == (0, 1)


def test_ids_are_looked_up_as_text_and_shown_as_they_are() -> None:
    numbers = catalogue()
    assert (numbers.row("7"), numbers.row(7), numbers.row("99")) == (6, 6, None)
    assert numbers.ids[6] == 7
    assert numbers.rows(["3", 99, 1, None]) == [2, 0]


@pytest.mark.parametrize("ids", [["1", "1"], [7, 7]])
def test_ids_equal_as_text_are_bad_input(ids: list[object]) -> None:
    with pytest.raises(BadInput, match="equal as text"):
        Catalogue.of(pl.DataFrame({"item_id": ids, "title": ["a", "b"]}))


def test_unavailable_items_are_never_kept() -> None:
    items = Catalogue.of(films().head(3).with_columns(available=pl.Series([True, False, None])))
    assert items.mask(None).tolist() == [True, False, True]
    assert items.mask(Compare("year", "lt", 1990)).tolist() == [True, False, False]


def test_without_such_a_column_everything_is_available() -> None:
    assert catalogue().mask(None).all()


def test_a_mask_does_not_spoil_the_next_one() -> None:
    items = catalogue()
    items.mask(Compare("year", "lt", 1990))[:] = False
    assert items.mask(Compare("year", "lt", 1990)).sum() == 6


def test_the_document_joins_title_year_categories_and_text() -> None:
    assert catalogue().document(0) == (
        "Alien. 1979. Horror, Science Fiction. Ridley Scott. A crew answers a signal and lets a creature aboard."
    )
    assert catalogue().documents()[0] == catalogue().document(0)
    assert len(catalogue().documents()) == 12


def test_documents_leave_out_ids_numbers_links_and_nulls() -> None:
    table = films().with_columns(url=pl.lit("http://x"), director=pl.lit(None, pl.String))
    text = Catalogue.of(table).document(0)
    assert "117" not in text
    assert "http" not in text
    assert "None" not in text


def test_a_list_becomes_sentences_and_paths_become_commas() -> None:
    assert (
        document(["Comb", None, "", ["for curls", "steel"], "Beauty > Hair|Men"]) == "Comb. for curls. steel. Beauty, Hair, Men"
    )


def test_facts_are_what_a_person_may_be_shown() -> None:
    table = films().with_columns(
        available=True, url=pl.lit("http://x"), price=pl.lit(None, pl.Float64), queries=pl.concat_list("title")
    )
    assert set(Catalogue.of(table).facts_of(0)) == {"year", "genres", "director", "minutes", "description", "url"}


def test_one_item_is_a_catalogue() -> None:
    one = Catalogue.of(films().head(1))
    assert len(one) == 1
    assert one.mask(Compare("title", "eq", "alien")).tolist() == [True]
