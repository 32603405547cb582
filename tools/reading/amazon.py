"""Amazon reviews and product metadata as published in 2014, 2018 and 2023, one record a line.

Layouts: https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html, https://nijianmo.github.io/amazon/ and
https://amazon-reviews-2023.github.io/.
"""

import ast
import html
import json
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from duetto.errors import BadInput
from duetto.tools.reading.files import Source, lines
from duetto.tools.reading.formats import UNPARSABLE, records
from duetto.tools.reading.values import column_of

DESCRIPTION_CHARS = 600
_SUFFIXES = tuple(suffix + packed for suffix in (".json", ".jsonl", ".ndjson") for packed in ("", ".gz"))
_IMAGE_KEYS = ("image", "imUrl", "imURL", "imageURL", "images")
_PRODUCT_KEYS = {"title", "description", "categories", "category", "price", "brand", "store", *_IMAGE_KEYS}
_PRICE = re.compile(r"\$?\s*(\d[\d,]*(?:\.\d+)?)")

Record = dict[str, Any]
Parse = Callable[[str], Any]


def items(path: Path) -> pl.DataFrame | None:
    """One product a row, the first record of each id; None when `path` is not product metadata."""
    keys, parse = _first_record(path)
    if not (keys & {"asin", "parent_asin"} and keys & _PRODUCT_KEYS) or keys & {"item_id", "reviewerID", "user_id"}:
        return None
    products = [_product(record) for record in records(Source(path, "items"), parse)]
    return _table(products).unique("item_id", keep="first", maintain_order=True)


def interactions(path: Path) -> pl.DataFrame | None:
    """user_id, item_id, rating, timestamp; None when `path` is not reviews."""
    keys, parse = _first_record(path)
    if {"reviewerID", "asin"} <= keys:
        review = _review_2014
    elif {"user_id", "rating", "timestamp"} <= keys and keys & {"asin", "parent_asin"} and "item_id" not in keys:
        review = _review_2023
    else:
        return None
    return _table([review(record) for record in records(Source(path, "interactions"), parse)])


def _review_2014(record: Record) -> Record:
    return {
        "user_id": record.get("reviewerID"),
        "item_id": record.get("asin"),
        "rating": record.get("overall"),
        "timestamp": record.get("unixReviewTime"),
    }


def _review_2023(record: Record) -> Record:
    milliseconds = record.get("timestamp")
    return {
        "user_id": record.get("user_id"),
        "item_id": record.get("parent_asin") or record.get("asin"),
        "rating": record.get("rating"),
        "timestamp": milliseconds // 1000 if isinstance(milliseconds, int) else milliseconds,
    }


def _product(record: Record) -> Record:
    return {
        "item_id": _text(record.get("parent_asin")) or _text(record.get("asin")),
        "title": _text(record.get("title")),
        "brand": _text(record.get("brand")) or _text(record.get("store")),
        "categories": _longest_path(record.get("categories") or record.get("category")),
        "price": _price(record.get("price")),
        "description": _text(record.get("description"), DESCRIPTION_CHARS),
        "image": _first_url(next((record[key] for key in _IMAGE_KEYS if record.get(key)), None)),
    }


def _table(rows: list[Record]) -> pl.DataFrame:
    found = {name: column_of([row[name] for row in rows]) for name in rows[0]}
    return pl.DataFrame({name: column for name, column in found.items() if column is not None})


def _text(value: Any, length: int | None = None) -> str | None:
    """Text without entities or runs of spaces, a list of texts as one; cut at the last whole word within `length`."""
    whole = " ".join(part for part in value if isinstance(part, str)) if isinstance(value, list) else value
    if not isinstance(whole, str):
        return None
    text = " ".join(html.unescape(whole).split())
    if length and len(text) > length:
        text = text[: length - 1].rsplit(" ", 1)[0] + "…"
    return text or None


def _longest_path(value: Any) -> str | None:
    """`[["Beauty"], ["Beauty", "Makeup"]]` and `["Beauty", "Makeup"]` are both `Beauty > Makeup`."""
    if not isinstance(value, list) or not value:
        return _text(value)
    paths = [path for path in value if isinstance(path, list)] or [value]
    steps = [_text(step) for step in max(paths, key=len)]
    return " > ".join(step for step in steps if step and "<" not in step) or None


def _price(value: Any) -> float | None:
    """The number of `$12.99`, the lower of a range; None for the style sheets that stand there in 2018."""
    if isinstance(value, (int, float)):
        with suppress(OverflowError):
            return float(value)
    found = _PRICE.match(value.strip()) if isinstance(value, str) else None
    return float(found[1].replace(",", "")) if found else None


def _first_url(value: Any) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):  # 2023 has several sizes of each
        return _first_url(value.get("large") or value.get("hi_res") or value.get("thumb"))
    return value if isinstance(value, str) and value.startswith("http") else None


def _first_record(path: Path) -> tuple[set[str], Parse]:
    """The keys on the first line, and what parses it; no keys when it holds no record."""
    if path.name.lower().endswith(_SUFFIXES) and path.is_file():
        try:
            line = next((line for line in lines(Source(path, "records")) if not line.isspace()), "")
        except BadInput:
            return set(), json.loads
        for parse in (json.loads, _python_literal):
            with suppress(*UNPARSABLE):
                record = parse(line)
                return set(record) if isinstance(record, dict) else set(), parse
    return set(), json.loads


def _python_literal(line: str) -> Any:
    """The metadata of 2014 is not JSON: its lines are Python's own notation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes such as \/ in the text
        return ast.literal_eval(line)
