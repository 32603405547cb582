"""Load on a running server: `make bench-serve`, or `python -m duetto.bench_serve --out bench-serve.json`.

The server, the chat model and who asks are processes of this machine, on loopback. The model takes a second a call, as a
hosted one may, and answers alike to everybody; what is measured is what Duetto adds to it.
"""

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from duetto.errors import NotReady
from duetto.evals.timing import percentiles

CALL_SECONDS = 1.0
MESSAGES = ("a dark thriller about a heist", "more like the second one", "something funnier, nothing before 1980")
Result = TypeVar("Result")
PEOPLE, ARRIVE_SECONDS, CROWD = 100, 5.0, 300
PLAIN_AT_ONCE, PLAIN_SECONDS = 10, 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures Duetto's server under load and writes JSON.")
    parser.add_argument("--out", type=Path, default=Path("bench-serve.json"))
    parser.add_argument("--model-on", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--soak", type=int, default=0, help="Instead: so many turns, and what they add to the memory.")
    given = parser.parse_args()
    if given.model_on is not None:
        uvicorn.run(model_app(), port=given.model_on, log_level="error")
        return
    report = asyncio.run(_soak(given.soak) if given.soak else _load())
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


async def _load() -> dict[str, Any]:
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.machine()}
    with tempfile.TemporaryDirectory() as folder:
        with _model() as url, _server(Path(folder), DUETTO_MODEL="slow", OPENAI_BASE_URL=url) as (server, _):
            by_model = await _conversations(server)
            crowd = await _crowd(server)
        with _server(Path(folder)) as (server, _):
            plain = await _plain(server)
    return {"machine": machine, "call_seconds": CALL_SECONDS, "with_a_model": by_model, "at_one_instant": crowd, "without": plain}


# who asks


@dataclass(frozen=True)
class Seen:
    """A turn as a caller saw it: seconds to its ranking and to its answer, and what the answer was."""

    status: int
    ranking: float = 0.0
    answer: float = 0.0
    told: dict[str, Any] | None = None

    @property
    def ideal(self) -> float:
        """The calls before the ranking, one after another, and nothing else."""
        prompts = self.told["prompts"] if self.told else {}
        return CALL_SECONDS * sum(name in prompts for name in ("extract_preferences", "write_queries"))


async def _turn(client: aiohttp.ClientSession, **asked: Any) -> Seen:
    started, ranking, name = time.perf_counter(), 0.0, b""
    async with client.post("/v1/turns", json={**asked, "stream": True}) as response:
        if response.status != 200:
            return Seen(response.status)
        async for line in response.content:
            if line.startswith(b"event: "):
                name = line[7:-1]
                ranking = time.perf_counter() - started if name == b"ranking" else ranking
            elif line.startswith(b"data: ") and name in (b"answer", b"error"):
                ended = time.perf_counter() - started
                return Seen(200 if name == b"answer" else 500, ranking, ended, json.loads(line[6:]))
    return Seen(0)


async def _conversations(server: str) -> dict[str, Any]:
    """People who arrive one after another, each with a conversation of three turns."""
    async with _client(server) as client:

        async def person(n: int) -> list[Seen]:
            await asyncio.sleep(n * ARRIVE_SECONDS / PEOPLE)
            return [await _turn(client, user=_user(n), thread=f"load-{n}", message=message) for message in MESSAGES]

        seen = [turn for turns in await _all(person, PEOPLE) for turn in turns]
    good = [turn for turn in seen if turn.status == 200]
    return {
        "people": PEOPLE,
        "turns": len(seen),
        "failed": len(seen) - len(good),
        "degraded": sum(bool(turn.told and turn.told["degraded"]) for turn in good),
        "seconds_to_ranking": percentiles([turn.ranking for turn in good]),
        "seconds_to_answer": percentiles([turn.answer for turn in good]),
        "ranking_over_ideal": percentiles([turn.ranking / turn.ideal for turn in good if turn.ideal]),
    }


async def _crowd(server: str) -> dict[str, Any]:
    """Everybody at once: each is served, or told to come again."""
    async with _client(server) as client:
        seen = await _all(lambda n: _turn(client, user=_user(n), message=MESSAGES[0]), CROWD)
    told = Counter(str(turn.status) for turn in seen)
    return {"people": CROWD, "statuses": dict(told), "lost": sum(turn.status not in (200, 429) for turn in seen)}


async def _plain(server: str) -> dict[str, Any]:
    """Without a model: a few people who ask again as soon as they are answered."""
    seen: list[Seen] = []
    async with _client(server) as client:
        await _turn(client, user=_user(0), message=MESSAGES[0])
        began = time.perf_counter()

        async def person(n: int) -> None:
            turn = 0
            while time.perf_counter() - began < PLAIN_SECONDS:
                seen.append(await _turn(client, user=_user(n), thread=f"plain-{n}-{turn // 3}", message=MESSAGES[turn % 3]))
                turn += 1

        await _all(person, PLAIN_AT_ONCE)
        seconds = time.perf_counter() - began
    return {
        "at_once": PLAIN_AT_ONCE,
        "turns": len(seen),
        "failed": sum(turn.status != 200 for turn in seen),
        "turns_a_second": round(len(seen) / seconds, 1),
        "ms_to_answer": percentiles([turn.answer * 1000 for turn in seen]),
    }


async def _soak(turns: int) -> dict[str, Any]:
    """What so many turns add to the server's memory, after a warm-up of a tenth."""
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as (server, process):
        async with _client(server) as client:
            sizes = []
            for share in range(11):
                sizes.append(_resident(process))

                async def person(n: int, share: int = share) -> None:
                    for turn in range(turns // 10 // PLAIN_AT_ONCE):
                        thread = f"soak-{share}-{n}-{turn // 5}"
                        await _turn(client, user=_user(n + turn), thread=thread, message=MESSAGES[turn % 3])

                await _all(person, PLAIN_AT_ONCE)
    return {
        "turns": turns,
        "resident_mb": [round(size / 2**20, 1) for size in sizes],
        "grown": round(sizes[-1] / sizes[1] - 1, 4),
    }


def _resident(process: int) -> int:
    """Bytes, of a process and those it started."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    children = {
        int(child) for task in Path(f"/proc/{process}/task").iterdir() for child in (task / "children").read_text().split()
    }
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(child) for child in children)


async def _all(ask: Callable[[int], Awaitable[Result]], many: int) -> list[Result]:
    return list(await asyncio.gather(*(ask(n) for n in range(many))))


def _user(n: int) -> str:
    return f"p{n % 600:03d}"


@asynccontextmanager
async def _client(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Not httpx, which would take a tenth of the machine from what it measures."""
    room, patience = aiohttp.TCPConnector(limit=CROWD), aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(server, connector=room, timeout=patience, read_bufsize=2**22) as client:
        yield client


# what is asked


@contextmanager
def _server(folder: Path, **environment: str) -> Iterator[tuple[str, int]]:
    """Its address, and its process."""
    with _process(
        lambda port: ["-m", "duetto.cli", "serve", "--index", "sample", "--port", str(port)],
        "/readyz", DUETTO_CACHE=str(folder / "cache"), DUETTO_DATA=str(folder / "data"), **environment,
    ) as found:  # fmt: skip
        yield found


@contextmanager
def _model() -> Iterator[str]:
    with _process(lambda port: ["-m", "duetto.bench_serve", "--model-on", str(port)], "/") as (url, _):
        yield f"{url}/v1"


@contextmanager
def _process(command: Callable[[int], list[str]], ready: str, **environment: str) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    words = [sys.executable, *command(port)]
    running = subprocess.Popen(words, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)  # noqa: S603  # our own
    try:
        _wait(f"{url}{ready}", running)
        yield url, running.pid
    finally:
        running.terminate()
        running.wait(60)


def _wait(url: str, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and running.poll() is None:
        try:
            if httpx2.get(url).status_code < 500:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise NotReady(f"{url} did not answer: run the same command by hand to see why")


# the chat model


def model_app() -> Starlette:
    """An OpenAI-compatible server whose every answer takes CALL_SECONDS and is good enough."""

    async def complete(request: Request) -> JSONResponse:
        asked = await request.json()
        await asyncio.sleep(CALL_SECONDS)
        said = json.dumps(_said(asked))
        message = {"role": "assistant", "content": said}
        return JSONResponse(
            {
                "id": "chatcmpl-bench", "object": "chat.completion", "created": 0, "model": asked["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 800, "completion_tokens": 80, "total_tokens": 880},
            }
        )  # fmt: skip

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"]), Route("/", lambda r: JSONResponse({}))])


def _said(asked: dict[str, Any]) -> dict[str, Any]:
    schema = asked["response_format"]["json_schema"]["name"]
    queries = [{"query": "a clever robbery in a big city", "serves": 0}, {"query": "a tense chase at night", "serves": 1}]
    if schema == "QueriesAnswer":
        return {"queries": queries}
    if schema == "ExplainAnswer":
        return {"reason": "It is as tense as what you asked for.", "steps": [], "evidence": []}
    turn = json.loads(asked["messages"][-1]["content"])
    known = bool(turn.get("known_preferences"))
    tastes: list[dict[str, Any]] = [
        {"preference": taste, "weight": 0.5, "evidence": []} for taste in ("tense thrillers", "clever plots", "wit")
    ]
    return {
        "intent": "recommend", "request": str(turn.get("message", "")), "preferences": [] if known else tastes,
        "queries": queries if known else [],
    }  # fmt: skip


if __name__ == "__main__":
    main()
