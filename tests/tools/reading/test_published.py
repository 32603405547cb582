import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from duetto.errors import BadInput
from duetto.tools.reading import published
from duetto.tools.reading.tables import read_interactions, read_items
from duetto.tools.reading.titles import split_title

FLAGS_OF_TOY_STORY = "0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0"
NO_FLAGS = "|".join("0" * 19)


def folder(tmp_path: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name.replace("__", ".")).write_bytes(data)
    return tmp_path


def jsonl(path: Path, *records: dict[str, Any]) -> Path:
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def ml_100k(tmp_path: Path) -> Path:
    films = (
        f"1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)|{FLAGS_OF_TOY_STORY}\n"
        f"2|Misérables, Les (1995)|01-Jan-1995||http://x|{NO_FLAGS}\n267|unknown||||1|{NO_FLAGS[2:]}\n"
    )
    return folder(tmp_path, u__item=films.encode("latin-1"), u__data="1\t1\t5\t881250949\n1\t2\t3\t881250940\n")


def ml_1m(tmp_path: Path) -> Path:
    films = "1::Toy Story (1995)::Animation|Comedy\n73::Misérables, Les (1995)::Drama|Musical\n"
    return folder(tmp_path, movies__dat=films.encode("latin-1"), ratings__dat="1::73::5::978300760\n1::1::3::978300700\n")


def ml_latest(tmp_path: Path) -> Path:
    return folder(
        tmp_path,
        movies__csv='movieId,title,genres\n1,Toy Story (1995),Animation\n11,"American President, The (1995)",Drama\n'
        "12,Cosmos,(no genres listed)\n",
        ratings__csv="userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,11,4.5,964982700\n",
        tags__csv="userId,movieId,tag,timestamp\n1,1,Pixar,1\n2,1,pixar,2\n2,1,fun,3\n2,1,a|b,4\n",
    )


def test_ml_100k_is_read_from_its_folder(tmp_path: Path) -> None:
    path = ml_100k(tmp_path)
    assert read_items(path).rows() == [
        (1, "Toy Story", 1995, "Animation|Children's|Comedy"),
        (2, "Les Misérables", 1995, None),
        (267, "unknown", None, None),
    ]
    assert read_interactions(path).table.rows() == [(1, 2, 3.0, 881250940, 0), (1, 1, 5.0, 881250949, 1)]


def test_ml_1m_is_read_from_its_folder(tmp_path: Path) -> None:
    path = ml_1m(tmp_path)
    assert read_items(path).rows() == [
        (1, "Toy Story", 1995, "Animation|Comedy"),
        (73, "Les Misérables", 1995, "Drama|Musical"),
    ]
    assert read_interactions(path).table.rows() == [(1, 1, 3.0, 978300700, 0), (1, 73, 5.0, 978300760, 1)]


def test_ml_latest_is_read_from_its_folder_with_the_most_frequent_tags(tmp_path: Path) -> None:
    path = ml_latest(tmp_path)
    assert read_items(path).rows() == [
        (1, "Toy Story", 1995, "Animation", "pixar|a b|fun"),
        (11, "The American President", 1995, "Drama", None),
        (12, "Cosmos", None, None, None),
    ]
    assert read_interactions(path).table.rows() == [(1, 11, 4.5, 964982700, 0), (1, 1, 4.0, 964982703, 1)]


@pytest.mark.parametrize(
    ("layout", "films", "ratings"),
    [(ml_100k, "u.item", "u.data"), (ml_1m, "movies.dat", "ratings.dat"), (ml_latest, "movies.csv", "ratings.csv")],
)
def test_a_single_file_reads_as_its_folder_does(tmp_path: Path, layout: Any, films: str, ratings: str) -> None:
    path = layout(tmp_path)
    assert read_items(path / films).equals(read_items(path))
    assert read_interactions(path / ratings).table.equals(read_interactions(path).table)


def test_films_in_utf8_are_read_too(tmp_path: Path) -> None:
    path = folder(tmp_path, movies__dat="1::Misérables, Les (1995)::Drama\n")
    assert read_items(path)["title"].item() == "Les Misérables"


def test_a_broken_line_is_refused_by_its_number(tmp_path: Path) -> None:
    path = folder(tmp_path, ratings__dat="1::1::5::978300760\n1::2::5\n")
    with pytest.raises(BadInput, match=r"ratings\.dat': line 2 has 3 fields where 4 are expected"):
        read_interactions(path)


def test_files_that_only_share_a_name_are_left_to_the_common_reader(tmp_path: Path) -> None:
    path = folder(tmp_path, movies__csv="item_id,title\n1,Alien\n", a__jsonl='{"item_id": 1, "asin": "B", "title": "x"}\n')
    for file in (path, path / "movies.csv", path / "a.jsonl", path / "none.jsonl"):
        assert published.items(file) is None
        assert published.interactions(file) is None
    assert read_items(path / "movies.csv").rows() == [(1, "Alien")]


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Miserables, Les (1995)", "Les Miserables", 1995),
        ("Enfer, L' (1994)", "L'Enfer", 1994),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Seven (a.k.a. Se7en) (1995)", "Seven (a.k.a. Se7en)", 1995),
        ("Hate (Haine, La) (1995)", "Hate (La Haine)", 1995),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly", 1966),
        ("Corrina, Corrina (1994)", "Corrina, Corrina", 1994),
        ("1984 (1984)", "1984", 1984),
        ("Death Note (2006–2007)", "Death Note", 2006),
        ("Land Before Time III (1995) (V)", "Land Before Time III", 1995),
        (' "Quoted, The"  (1990) ', "The Quoted", 1990),
        ('"Great" and "Good" (1990)', '"Great" and "Good"', 1990),
        ("Babylon 5", "Babylon 5", None),
        ("(1999)", "(1999)", 1999),
        ("", "", None),
    ],
)  # fmt: skip
def test_film_titles_lose_their_year_and_move_their_article(raw: str, title: str, year: int | None) -> None:
    assert split_title(raw) == (title, year)


def test_amazon_reviews_of_2014_and_2018(tmp_path: Path) -> None:
    review = {"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1400000000, "reviewText": "good"}
    path = jsonl(tmp_path / "reviews_Beauty_5.json.gz", review, review | {"asin": "B2", "unixReviewTime": 1300000000})
    assert read_interactions(path).table.rows() == [("A1", "B2", 5.0, 1300000000, 0), ("A1", "B1", 5.0, 1400000000, 1)]


def test_amazon_reviews_of_2023_have_milliseconds_and_parents(tmp_path: Path) -> None:
    review = {
        "user_id": "A",
        "asin": "B1",
        "parent_asin": "B0",
        "rating": 4.0,
        "timestamp": 1588615855070,
        "images": [],
    }
    path = jsonl(tmp_path / "All_Beauty.jsonl", review)
    assert read_interactions(path).table.rows() == [("A", "B0", 4.0, 1588615855, 0)]


def test_amazon_products_of_2014_are_python_literals(tmp_path: Path) -> None:
    path = tmp_path / "meta_Beauty.json.gz"
    path.write_bytes(
        gzip.compress(
            b"{'asin': 'B1', 'imUrl': 'http://i/1', 'categories': [['Beauty'], ['Beauty', 'Makeup']], 'price': 12.5}\n"
            b"{'asin': 'B2', 'title': \"Kid's \\/ best &amp; more\", 'brand': 'OPI', 'salesRank': {'Beauty': 3}}\n"
        )
    )
    assert read_items(path).select("item_id", "title", "brand", "categories", "price", "image").rows() == [
        ("B1", "B1", None, "Beauty > Makeup", 12.5, "http://i/1"),
        ("B2", "Kid's \\/ best & more", "OPI", None, None, None),
    ]


def test_a_literal_that_is_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    path.write_text("{'asin': 'B1', 'title': 'x'}\n{'asin': __import__('os').getcwd()}\n")
    with pytest.raises(BadInput, match="line 2"):
        read_items(path)


def test_amazon_products_of_2018_have_prices_as_text_and_repeat(tmp_path: Path) -> None:
    product = {
        "asin": "B1",
        "title": "Lamp",
        "brand": "Lux",
        "category": ["Home", "Lamps", "<span>"],
        "price": "$1,012.99",
        "description": ["A lamp.", "word " * 200],
        "image": ["https://i/1.jpg", "https://i/2.jpg"],
    }
    path = jsonl(tmp_path / "meta_Home.json", product, product | {"asin": "B2", "price": ".a-box{}"}, product)
    table = read_items(path)
    assert table.select("item_id", "title", "brand", "categories", "price", "image").rows() == [
        ("B1", "Lamp", "Lux", "Home > Lamps", 1012.99, "https://i/1.jpg"),
        ("B2", "Lamp", "Lux", "Home > Lamps", None, "https://i/1.jpg"),
    ]
    description = table["description"][0]
    assert description.startswith("A lamp. word")
    assert description.endswith("word…")
    assert len(description) <= 600


def test_amazon_products_of_2023(tmp_path: Path) -> None:
    product = {
        "main_category": "All Beauty",
        "title": "Soap",
        "store": "Howard",
        "categories": [],
        "price": None,
        "description": [],
        "images": [{"thumb": "https://i/t.jpg", "large": "https://i/l.jpg", "hi_res": None}],
        "parent_asin": "B0",
        "details": {"Brand": "Howard"},
    }
    assert read_items(jsonl(tmp_path / "meta_All_Beauty.jsonl.gz", product)).rows(named=True) == [
        {"item_id": "B0", "title": "Soap", "brand": "Howard", "image": "https://i/l.jpg"}
    ]
