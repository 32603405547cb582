"""A process that plays turns for a server: each line of stdin asks for one, each line of stdout tells what happened in one.

One process computes on one core; a server has as many of these as it has cores. What they keep is kept where all of them
find it, and the server sees to it that a conversation's turns come one after another.
"""

import json
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields
from typing import Any, TextIO

from duetto import errors, wiring
from duetto.errors import DuettoError
from duetto.server import turn
from duetto.server.asgi import UNFORESEEN, log_as_json
from duetto.server.following import Following
from duetto.server.turn import Asked, happening
from duetto.settings import Settings
from duetto.tools.tracing import finish

log = logging.getLogger("duetto.server")


class Worker:
    def __init__(self, following: Following, at_once: int, out: TextIO) -> None:
        self._following, self._out = following, out
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="turn")
        self._stops: dict[str, threading.Event] = {}
        self._writing = threading.Lock()

    def read(self, lines: TextIO) -> None:
        """Until the server closes the line, or is gone."""
        for line in lines:
            told = json.loads(line)
            if "asked" in told:
                stop = self._stops[told["play"]] = threading.Event()
                asked = Asked(**{**told["asked"], "unseen": tuple(told["asked"]["unseen"])})
                self._pool.submit(self._play, told["play"], asked, stop)
            elif running := self._stops.get(told["play"]):
                running.set()
        for stop in self._stops.values():
            stop.set()
        self._pool.shutdown(cancel_futures=True)

    def _play(self, play: str, asked: Asked, stop: threading.Event) -> None:
        ended: dict[str, str] = {}
        try:
            for event in happening(self._following.now(), asked, play, stop.is_set):
                self.tell(play=play, event=event.name, data=event.data)
        except DuettoError as error:
            ended = {"failure": kind_of(error), "why": str(error)}
        except Exception as error:  # told to whoever asked, and the operator
            log.error("a turn failed", exc_info=error)
            ended = {"failure": "", "why": UNFORESEEN}
        del self._stops[play]
        self.tell(play=play, ended=True, **ended)

    def tell(self, **what: Any) -> None:
        line = json.dumps(what)
        with self._writing:
            self._out.write(line + "\n")
            self._out.flush()


def kind_of(error: DuettoError) -> str:
    """The nearest class that the server knows by its name."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ in (errors.__name__, turn.__name__))


def asked_for(asked: Asked) -> dict[str, Any]:
    """A turn as it is told to a worker: whose the conversation is, the server has seen to."""
    return {one.name: getattr(asked, one.name) for one in fields(asked) if one.name != "check"}


def main() -> None:
    """`python -m duetto.server.worker`: the first line says what is to be opened."""
    log_as_json()
    out, sys.stdout = sys.stdout, sys.stderr  # a library that prints would break the line
    given = json.loads(sys.stdin.readline())
    settings = Settings.from_environment()
    try:
        with closing(wiring.open_threads(settings)) as saver, closing(wiring.open_profiles(settings)) as store:
            following = Following.of(given["index"], settings, saver, store, record=given["record"], redact=given["redact"])
            worker = Worker(following, given["at_once"], out)
            worker.tell(ready=True)
            worker.read(sys.stdin)
    except DuettoError as error:
        print(json.dumps({"failure": kind_of(error), "why": str(error)}), file=out, flush=True)
    except BrokenPipeError:
        pass  # the server is gone
    finally:
        finish()


if __name__ == "__main__":
    main()
