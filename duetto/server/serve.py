"""Runs the application under uvicorn."""

import ipaddress
import logging
import os
import re
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import uvicorn

from duetto.errors import BadInput, NotReady
from duetto.server.app import Serving, create_app
from duetto.server.asgi import log_as_json
from duetto.server.connections import hurried
from duetto.server.doors import LOOPBACK, Doors, read_keys
from duetto.settings import Settings

log = logging.getLogger("duetto.server")
KEEP_ALIVE_SECONDS = 15
MOST_WORKERS = 4
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+")


def serve(settings: Settings, serving: Serving, host: str, port: int, keys: Path | None) -> None:
    """Until it is stopped. Raises BadInput for a door that would stand open to the network, NotReady when it cannot open."""
    if keys is None and not _is_here(host):
        raise BadInput(
            f"cannot serve on {host} without API keys: make one with `duetto key --file keys.json --person ...` and name the "
            "file with --keys, or serve on 127.0.0.1"
        )
    if wrong := [origin for origin in serving.origins if not _ORIGIN.fullmatch(origin)]:
        raise BadInput(f"cannot let in pages of {wrong[0]!r}: an origin is written https://a.example, without a path")
    doors = Doors(None if keys is None else read_keys(keys), settings.limits.requests_a_minute)
    hosts = (*LOOPBACK, host.lower()) if keys is None else None
    app = create_app(settings, replace(serving, doors=doors, hosts=hosts))
    log_as_json()
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_keep_alive=KEEP_ALIVE_SECONDS, loop="asyncio",
        http=hurried(settings.limits.body_seconds), ws="none", timeout_graceful_shutdown=round(settings.limits.drain_seconds) + 5,
        h11_max_incomplete_event_size=65_536,
    )  # fmt: skip
    with _bound(host, port) as door:
        try:
            _Server(config).run(sockets=[door])
        except SystemExit as error:
            raise getattr(app.state, "failure", NotReady("could not start: the log above says why")) from error
    if (failure := getattr(app.state, "failure", None)) is not None:
        raise failure


def cores() -> int:
    """As many workers as serve this machine: each holds an index of its own."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where it serves; what keeps it from that is told once, by who raised it."""
        uvicorns = logging.getLogger("uvicorn.error")
        uvicorns.setLevel(logging.CRITICAL)
        await super().startup(sockets)
        uvicorns.setLevel(logging.INFO)
        host, port = (sockets or [])[0].getsockname()[:2]
        log.info("serving", extra={"address": f"http://{f'[{host}]' if ':' in host else host}:{port}"})


def _bound(host: str, port: int) -> socket.socket:
    """Before anything is opened: a port in use is known at once. It is heard when the server is ready."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as closing:
            door = closing.enter_context(socket.socket(family, kind))
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(address)
            closing.pop_all()
    except OSError as error:
        raise NotReady(f"cannot serve on {host}:{port}: {error.strerror}; choose another --port or --host") from error
    return door


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
