"""Twelve films and seven people, small enough that every answer can be worked out by hand."""

from functools import cache

import polars as pl
from langchain_core.embeddings import Embeddings

from duetto.limits import Limits
from duetto.tools.agent_tools import Toolbox
from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.crowd_voice import CrowdVoice
from duetto.tools.index import Index
from duetto.tools.indexing import make_index
from duetto.tools.vector_store import FaissStore

ROWS = [
    (1, "Alien", 1979, "Horror|Science Fiction", "Ridley Scott", 117, "A crew answers a signal and lets a creature aboard."),
    (2, "Aliens", 1986, "Action|Science Fiction", "James Cameron", 137, "Marines fly back to the colony of the creature."),
    (3, "Heat", 1995, "Crime|Thriller", "Michael Mann", 170, "A detective hunts a careful crew of bank robbers."),
    (4, "The Thing", 1982, "Horror|Science Fiction", "John Carpenter", 109, "A creature in the ice takes the shape of men."),
    (5, "Toy Story", 1995, "Animation|Comedy", "John Lasseter", 81, "A cowboy doll fears the new astronaut toy in the room."),
    (6, "Up", 2009, "Animation|Adventure", "Pete Docter", 96, "An old man flies his house to South America by balloon."),
    (7, "Casablanca", 1942, "Drama|Romance", "Michael Curtiz", 102, "A bar owner meets the woman he loved before the war."),
    (8, "Airplane!", 1980, "Comedy", "Jim Abrahams", 88, "A pilot with fear of flying must land a plane of the sick."),
    (9, "The Good, the Bad and the Ugly", 1966, "Western", "Sergio Leone", 161, "Three gunmen race for buried gold."),
    (10, "Se7en", 1995, "Crime|Thriller", "David Fincher", 127, "Two detectives follow a killer of seven sins."),
    (11, "Paddington 2", 2017, "Comedy|Family", "Paul King", 103, "A bear in London is sent to prison for theft."),
    (12, "Amélie", 2001, "Comedy|Romance", "Jean-Pierre Jeunet", 122, "A waitress in Paris mends the lives of others."),
]  # fmt: skip
COLUMNS = ("item_id", "title", "year", "genres", "director", "minutes", "description")
TASTES = {
    "ann": [1, 2, 4], "bob": [2, 4, 1], "cleo": [4, 1, 2, 3], "dan": [5, 6, 11],
    "eve": [6, 11, 5, 12], "finn": [3, 10], "gil": [10, 3, 9],
}  # fmt: skip


def films() -> pl.DataFrame:
    return pl.DataFrame(ROWS, schema=list(COLUMNS), orient="row")


def log(*events: tuple[str, int | str], rating: list[float | None] | None = None) -> pl.DataFrame:
    """Interactions in the order given, as `duetto.tools.reading` would hand them over."""
    table = pl.DataFrame(events, schema=["user_id", "item_id"], orient="row")
    table = table.with_columns(position=pl.int_range(pl.len(), dtype=pl.Int64).over("user_id"))
    return table if rating is None else table.with_columns(rating=pl.Series(rating, dtype=pl.Float64))


def people() -> pl.DataFrame:
    return log(*((user, item) for user, items in TASTES.items() for item in items))


def catalogue() -> Catalogue:
    return Catalogue.of(films())


def indexed(
    items: pl.DataFrame, interactions: pl.DataFrame, embedder: Embeddings | None = None, previous: Index | None = None,
    descriptions: pl.DataFrame | None = None, limits: Limits | None = None, strict: bool = False,
) -> Index:  # fmt: skip
    """An index of these tables; by lsa unless another embedder is given."""
    return make_index(
        items, interactions, descriptions, embedder_name="lsa" if embedder is None else "words", embedder=embedder,
        previous=previous, limits=limits or Limits(), strict=strict,
    )  # fmt: skip


@cache
def film_index() -> Index:
    return indexed(films(), people())


def toolbox(index: Index | None = None, limits: Limits | None = None) -> Toolbox:
    index = index or film_index()
    assert index.lsa is not None
    limits = limits or Limits()
    store = FaissStore(index.catalogue, index.vectors, index.lsa, limits)
    return Toolbox(index.catalogue, index.histories, store, index.lsa, index.words, crowd(index), limits)


def crowd(index: Index) -> CrowdVoice:
    """Seven people are few: the default regularisation would leave nothing of them."""
    settings = CrowdSettings(factors=6, regularization=0.1, decay=1.0)
    als = Crowd.fit(index.histories.positives(len(index.catalogue)), settings)
    return CrowdVoice(als, index.crowd.relations, index.crowd.standing)
