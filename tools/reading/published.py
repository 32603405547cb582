"""Data sets in the layouts they are published in, recognised by their files' names or first line."""

from pathlib import Path

import polars as pl

from duetto.tools.reading import amazon, movielens


def items(path: Path) -> pl.DataFrame | None:
    """A published set's items with columns item_id, title, ...; None when `path` is something else."""
    table = movielens.items(path)
    return amazon.items(path) if table is None else table


def interactions(path: Path) -> pl.DataFrame | None:
    """A published set's user_id, item_id, rating, timestamp; None when `path` is something else."""
    table = movielens.interactions(path)
    return amazon.interactions(path) if table is None else table
