"""What items have in common, as a sparse items x features matrix: category values, decades, and telling words."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from duetto.tools.catalogue import Catalogue
from duetto.tools.predicate import SEPARATOR

WORDS = "words"
DECADE = "decade"


@dataclass(frozen=True)
class Features:
    """`matrix` (items, features) holds 0 and 1; feature f is `values[f]` of column `columns[f]`."""

    matrix: sp.csr_matrix
    columns: list[str]
    values: list[str]

    @classmethod
    def of(cls, catalogue: Catalogue, max_words: int = 20_000) -> "Features":
        frames = [_categories(catalogue, column) for column in catalogue.columns("category")]
        frames += [_decades(catalogue, column) for column in catalogue.columns("year")]
        pairs = pl.concat([_EMPTY, *frames]).unique(maintain_order=True)
        names = pairs.select("column", "value").unique(maintain_order=True).with_row_index("feature")
        placed = pairs.join(names, on=["column", "value"], maintain_order="left")
        ones = np.ones(placed.height, dtype=np.float32)
        shape = (len(catalogue), names.height)
        values = sp.csr_matrix((ones, (placed["row"].to_numpy(), placed["feature"].to_numpy())), shape=shape)
        words, terms = _words(catalogue, max_words)
        columns = names["column"].to_list() + [WORDS] * len(terms)
        return cls(sp.hstack([values, words]).tocsr(), columns, names["value"].to_list() + terms)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """The share of items that have each feature, shape (features,)."""
        return np.asarray(self.matrix.mean(axis=0), dtype=np.float64).ravel()

    @cached_property
    def column_codes(self) -> NDArray[np.int64]:
        """Each feature's column as a number (see `code`), shape (features,)."""
        return np.array([self.code(column) for column in self.columns], dtype=np.int64)

    def code(self, column: str) -> int:
        return self._codes.get(column, -1)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {column: code for code, column in enumerate(dict.fromkeys(self.columns))}

    def warm(self) -> "Features":
        """Computes what the first turn would otherwise wait for."""
        _ = self.shares, self.column_codes
        return self

    def label(self, feature: int) -> str:
        column, value = self.columns[feature], self.values[feature]
        return f"'{value}'" if column == WORDS else value


_EMPTY = pl.DataFrame(schema={"row": pl.UInt32, "column": pl.String, "value": pl.String})


def _categories(catalogue: Catalogue, column: str) -> pl.DataFrame:
    parts = pl.col(column).str.replace_all(SEPARATOR, "|", literal=True).str.split("|")
    exploded = catalogue.table.select(value=parts).with_row_index("row").explode("value")
    kept = exploded.with_columns(pl.col("value").str.strip_chars()).filter(pl.col("value").str.len_chars() > 0)
    return kept.select("row", pl.lit(column).alias("column"), "value")


def _decades(catalogue: Catalogue, column: str) -> pl.DataFrame:
    years = catalogue.table.select(year=pl.col(column).cast(pl.Int64)).with_row_index("row").drop_nulls()
    return years.select("row", pl.lit(DECADE).alias("column"), value=(pl.col("year") // 10 * 10).cast(pl.String) + "s")


def _words(catalogue: Catalogue, limit: int) -> tuple[sp.csr_matrix, list[str]]:
    """Words of titles and texts found in at least 3 items and at most a tenth of them."""
    nothing = sp.csr_matrix((len(catalogue), 0), dtype=np.float32)
    columns = catalogue.columns("title", "text", "queries")
    texts = [" ".join(_flat(values)) for values in catalogue.table.select(columns).iter_rows()]
    counter = CountVectorizer(
        binary=True, min_df=3, max_df=0.1, max_features=limit, stop_words="english", dtype=np.float32,
        token_pattern=r"(?u)\b[^\W\d_]{4,}\b",
    )  # fmt: skip
    try:
        words = counter.fit_transform(texts)
    except ValueError:  # a catalogue whose titles share no word: no words, then
        return nothing, []
    return words.tocsr(), counter.get_feature_names_out().tolist()


def _flat(values: tuple[object, ...]) -> list[str]:
    return [str(v) for value in values if value is not None for v in (value if isinstance(value, list) else [value])]
