"""What the server's rooms share: the index in use, the turns that run, what is kept, and the doors."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import Request
from langgraph.store.base import BaseStore

from duetto.errors import BadInput, DuettoError, NotReady
from duetto.graph.state import ItemId
from duetto.server.asgi import UNFORESEEN, request_id
from duetto.server.doors import Doors, NotThere, TooOften, Unknown, Visitor
from duetto.server.following import Following
from duetto.server.live import Live
from duetto.server.metrics import Metrics
from duetto.server.playing import Busy, Playing, TooLong
from duetto.server.talks import Talks
from duetto.server.turn import Stopped
from duetto.settings import Settings
from duetto.wiring import Opened

log = logging.getLogger("duetto.server")
COOKIE = "duetto_key"
# What a failure is called, and its HTTP status; the first that fits.
KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (Unknown, 401, "no_key"),
    (NotThere, 404, "not_found"),
    (TooOften, 429, "too_often"),
    (Busy, 429, "busy"),
    (TooLong, 504, "too_long"),
    (Stopped, 499, "stopped"),
    (BadInput, 422, "bad_input"),
    (NotReady, 503, "not_ready"),
    (DuettoError, 500, "failed"),
)


@dataclass(frozen=True)
class House:
    settings: Settings
    following: Following
    playing: Playing
    metrics: Metrics
    doors: Doors
    store: BaseStore
    saver: Any
    recordings: list[Path]
    live: Live = field(default_factory=Live)

    def opened(self) -> Opened:
        return self.following.now()

    def talks(self) -> Talks:
        return Talks(self.opened().graph, self.store)

    def title(self, item_id: ItemId) -> str:
        """By its id where the catalogue has it no more."""
        catalogue = self.opened().index.catalogue
        row = catalogue.row(item_id)
        return f"item {item_id}" if row is None else catalogue.titles[row]

    def own_id(self, user: ItemId) -> ItemId:
        """The person's id in the log's own type."""
        own = self.opened().index.histories.own_id(user)
        return user if own is None else own

    def told(self, error: BaseException) -> dict[str, Any]:
        """A failure as callers are told of it: one sentence, and nothing from within."""
        return failure_of(error)[1]


def failure_of(error: BaseException) -> tuple[int, dict[str, Any]]:
    """Status, and what is told."""
    for kind, status, name in KINDS:
        if isinstance(error, kind):
            return status, {"type": name, "message": str(error), "request_id": request_id.get()}
    log.error("a turn failed", exc_info=error)
    return 500, {"type": "failed", "message": UNFORESEEN, "request_id": request_id.get()}


def house(request: Request) -> House:
    found: House = request.app.state.house
    return found


def visitor(request: Request) -> Visitor:
    """Who asks, by the key of `Authorization: Bearer`, or the page's cookie."""
    return house(request).doors.let_in(secret_of(request.headers, request.cookies))


async def at_home(request: Request) -> House:
    """`house` for routes: no thread is spent on what is async."""
    return house(request)


async def who_asks(request: Request) -> Visitor:
    return visitor(request)


def secret_of(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str | None:
    kind, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" and secret.strip() else cookies.get(COOKIE)
