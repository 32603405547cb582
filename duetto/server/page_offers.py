"""What the page offers while somebody types: a few titles, a few people."""

from itertools import islice
from typing import Annotated

import polars as pl
from fastapi import Query, Response

from duetto.server.api import Here, Who
from duetto.server.doors import NotThere
from duetto.server.page_doors import page_router
from duetto.server.rendering import html

TITLES = 8
PEOPLE = 12
router = page_router()


@router.get("/page/titles")
def titles(here: Here, who: Who, title: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Titles with these letters, those that begin with them first."""
    table = here.opened().index.catalogue.table.lazy().select("title").with_columns(low=pl.col("title").str.to_lowercase())
    wanted = title.strip().lower()
    found: list[str] = []
    if wanted:
        begins = pl.col("low").str.starts_with(wanted)
        found = table.filter(begins).head(TITLES).collect()["title"].to_list()
        if len(found) < TITLES:
            holds = pl.col("low").str.contains(wanted, literal=True) & ~begins
            found += table.filter(holds).head(TITLES - len(found)).collect()["title"].to_list()
    return html("options.html", options=list(dict.fromkeys(found)))


@router.get("/page/people")
def people_like(here: Here, who: Who, user: Annotated[str, Query(max_length=200)] = "") -> Response:
    """People of the log whose id begins so."""
    if who.person is not None:
        raise NotThere("there is nothing here")
    users = here.opened().index.histories.users
    return html("options.html", options=list(islice((str(u) for u in users if str(u).startswith(user.strip())), PEOPLE)))
