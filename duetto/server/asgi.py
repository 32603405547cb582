"""What every request passes: an id, a log line, limits of size and time, and headers that browsers heed."""

import asyncio
import json
import logging
import re
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("duetto.server")
request_id: ContextVar[str] = ContextVar("request_id", default="")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNFORESEEN = "something went wrong here, and it was written down: ask again, or tell the operator the request's id"
SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEARD_OUT = 8  # times the most: closed on in the middle of its body, a client would never see why
CLOSED = {"Connection": "close"}  # what is left of the request is not read
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Hall:
    """Gives each request an id (its own `X-Request-Id`, if it is one), logs how it ended, and adds the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        token = request_id.set(given if _ID.fullmatch(given) else uuid4().hex)
        started, status = time.perf_counter(), 499  # the client was gone before there was an answer

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id.get()
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            log.error("a request failed", exc_info=error)
            if status == 499:
                await refused(500, "failed", UNFORESEEN)(scope, receive, sending)
        finally:
            route = scope.get("route")
            log.info(
                "request",
                extra={
                    "method": scope["method"],
                    "route": getattr(route, "path", None),  # as it is declared: a path may hold who and what
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                },
            )
            request_id.reset(token)


class Bounded:
    """Bodies no larger and no slower than the limits; requests from another site's page change nothing here."""

    def __init__(
        self, app: ASGIApp, body_bytes: int, body_seconds: float, hosts: tuple[str, ...] | None, origins: tuple[str, ...]
    ) -> None:
        self.app, self.most, self.seconds, self.hosts, self.origins = app, body_bytes, body_seconds, hosts, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self.hosts is not None and _name(headers.get("host", "")) not in self.hosts:
            # A name that a stranger's page made point at this machine would get past the browser's rules.
            await refused(421, "wrong_host", "this server answers to its own name only")(scope, receive, send)
            return
        if scope["method"] not in SAFE and _foreign(headers, self.origins):
            await refused(403, "foreign_origin", "a page of another site may not ask for this")(scope, receive, send)
            return
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > HEARD_OUT * self.most:
            await self._too_large()(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._read(receive), self.seconds)
        except TimeoutError:
            late = f"the request was not there within {self.seconds:g} seconds"
            await refused(408, "too_slow", late, CLOSED)(scope, receive, send)
            return
        if body is None:
            await self._too_large()(scope, receive, send)
            return
        await self.app(scope, _again(body, receive), send)

    def _too_large(self) -> JSONResponse:
        return refused(413, "too_large", f"the request is too large: the most is {self.most:,} bytes", CLOSED)

    async def _read(self, receive: Receive) -> list[Message] | None:
        """The request's messages; None when there is too much."""
        found: list[Message] = []
        size = 0
        while size <= HEARD_OUT * self.most:
            message = await receive()
            size += len(message.get("body", b""))
            if size <= self.most:
                found.append(message)
            if message["type"] != "http.request" or not message.get("more_body"):
                return found if size <= self.most else None
        return None


def _again(messages: list[Message], receive: Receive) -> Receive:
    left = iter(messages)

    async def receiving() -> Message:
        return next(left, None) or await receive()

    return receiving


def _foreign(headers: Headers, origins: tuple[str, ...]) -> bool:
    """Whether a browser says that a page of another site sends this, and none of these."""
    if headers.get("origin") in origins:
        return False
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.split("://")[-1] != headers.get("host")


def _name(host: str) -> str:
    """Without the port."""
    name = host if host.endswith("]") or ":" not in host else host.rsplit(":", 1)[0]
    return name.strip("[]").lower()


def refused(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """What goes wrong is told alike everywhere."""
    told = {"error": {"type": kind, "message": message, "request_id": request_id.get()}}
    return JSONResponse(told, status, headers)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, what happened, the request's id, and what was told besides."""

    _own = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "request_id": request_id.get() or None,
        }
        told |= {key: value for key, value in vars(record).items() if key not in self._own}
        if record.exc_info and record.exc_info[1] is not None:
            told["failure"] = type(record.exc_info[1]).__name__  # its text may hold what somebody said
            told["where"] = _places(record.exc_info[1])
        return json.dumps({key: value for key, value in told.items() if value is not None}, ensure_ascii=False, default=str)


def _places(error: BaseException) -> list[str]:
    """The innermost lines of code it came through."""
    found, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found[-5:]


def log_as_json() -> None:
    """All that this process logs, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    log.setLevel(logging.INFO)
