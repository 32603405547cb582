"""The application: its rooms, its doors, and what is open while it runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from duetto import wiring
from duetto.errors import DuettoError
from duetto.server import api, openai_api, page, page_offers, page_person, page_voices, page_who
from duetto.server.asgi import Bounded, Hall, refused, request_id
from duetto.server.doors import LOOPBACK, Doors, NotThere, TooOften
from duetto.server.following import Following
from duetto.server.house import House, failure_of, house, visitor
from duetto.server.metrics import Metrics
from duetto.server.playing import Busy, InThreads, Playing, Runner
from duetto.server.rendering import STATIC
from duetto.server.workers import Workers
from duetto.settings import Settings
from duetto.tools.chat.language_model import LanguageModel
from duetto.version import VERSION

log = logging.getLogger("duetto.server")


@dataclass(frozen=True)
class Serving:
    """How a server is to be run. `origins` are pages of other sites that may ask; `hosts` None: any name will do."""

    index: str = wiring.SAMPLE
    record: Path | None = None
    redact: bool = False
    doors: Doors | None = None
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = LOOPBACK
    model: LanguageModel | None = None
    workers: int = 0  # processes that play the turns; none: this one does


def create_app(settings: Settings, serving: Serving) -> FastAPI:
    """Nothing is opened before the server starts."""
    limits = settings.limits

    @asynccontextmanager
    async def open_house(app: FastAPI) -> AsyncIterator[None]:
        try:
            with closing(wiring.open_threads(settings)) as saver, closing(wiring.open_profiles(settings)) as store:
                following = await asyncio.to_thread(
                    Following.of, serving.index, settings, saver, store,
                    record=serving.record, redact=serving.redact, model=serving.model,
                )  # fmt: skip
                runner = await _runner(settings, serving, following)
                metrics = Metrics()
                playing = Playing(runner, limits, metrics)
                doors = serving.doors or Doors(None, limits.requests_a_minute)
                recordings = [] if serving.record is None else [serving.record]
                house = House(settings, following, playing, metrics, doors, store, saver, recordings)
                app.state.house = house
                log.info("open", extra={"index": following.now().index.version, "version": VERSION, "workers": serving.workers})
                yield
                await house.playing.drain(limits.drain_seconds)
        except DuettoError as error:
            app.state.failure = error
            raise

    cors = Middleware(
        CORSMiddleware, allow_origins=list(serving.origins), allow_methods=["*"], allow_headers=["*"],
        expose_headers=["X-Request-Id", "Retry-After"],
    )  # fmt: skip
    app = FastAPI(
        title="Duetto", version=VERSION, lifespan=open_house, redoc_url=None, docs_url=None,
        description="Recommendations in conversation, each with a reason that can be checked.",
        middleware=[
            Middleware(Hall),
            *([cors] if serving.origins else []),
            Middleware(Bounded, limits.body_bytes, limits.body_seconds, serving.hosts, serving.origins),
        ],
    )  # fmt: skip
    app.include_router(api.router)
    app.include_router(openai_api.router)
    for room in (page, page_person, page_who, page_offers, page_voices):
        app.include_router(room.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _watched(app)
    app.add_exception_handler(DuettoError, _failed)
    app.add_exception_handler(RequestValidationError, _unread)
    app.add_exception_handler(HTTPException, _no_such)
    return app


async def _runner(settings: Settings, serving: Serving, following: Following) -> Runner:
    limits, many = settings.limits, serving.workers
    by_model = following.now().model is not None
    at_once = limits.turns_at_once if by_model else limits.turns_at_once_plain * max(1, many)
    if not many:
        return InThreads(following, at_once)
    record = None if serving.record is None else str(serving.record)
    workers = Workers(many, at_once, {"index": serving.index, "record": record, "redact": serving.redact}, limits.retry_seconds)
    await workers.start()
    return workers


def _watched(app: FastAPI) -> None:
    """What watches over a server asks for."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok")

    @app.get("/readyz", include_in_schema=False)
    async def readyz(request: Request) -> Response:
        here: House | None = getattr(request.app.state, "house", None)
        if here is None or here.playing.draining:
            return refused(503, "not_ready", "this server takes no turns now")
        with suppress(Exception):
            await asyncio.wait_for(asyncio.to_thread(here.store.get, ("ready",), "ready"), 5)
            return PlainTextResponse("ready")
        return refused(503, "not_ready", "what is kept of conversations cannot be reached")

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        if visitor(request).person is not None:
            raise NotThere("there is nothing here")
        return Response(house(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _failed(request: Request, error: Exception) -> Response:
    status, told = failure_of(error)
    headers = {}
    if isinstance(error, TooOften):
        headers["Retry-After"] = str(max(1, ceil(error.wait)))
    elif isinstance(error, Busy):
        headers["Retry-After"] = str(house(request).settings.limits.retry_seconds)
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _told(request, status, told["type"], told["message"], headers)


async def _unread(request: Request, error: Exception) -> Response:
    """A body or a parameter that is not what it should be: the first thing that is wrong with it."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(place)[:80] for place in first["loc"] if place != "body") or "the body"
    whole = f"{where}: {first['msg']}".encode("utf-8", "replace").decode()  # a name may hold half a character
    return _told(request, 422, "bad_input", whole)


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {400: "bad_input", 404: "not_found", 405: "no_such_method"}.get(error.status_code, "failed")
    return _told(request, error.status_code, kind, str(error.detail), dict(error.headers or {}))


def _told(request: Request, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
    if not openai_api.is_for(request.url.path):
        return refused(status, kind, message, headers)
    status = 400 if status == 422 else status  # what OpenAI answers, and its clients know as a bad request
    return JSONResponse({"error": openai_api.failure(kind, message, request_id.get())}, status, headers)
