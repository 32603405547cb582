"""Benchmarks: `make bench`, or `python -m duetto.bench --out bench.json [--items F --interactions F --descriptions F]`."""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from duetto import wiring
from duetto.evals.timing import percentiles
from duetto.graph.build import build
from duetto.graph.state import Context, Explained, Found, Gathered, Looked, Ranking, Written
from duetto.settings import Settings

MESSAGES = ("a dark thriller about a heist", "something funny and warm", "war stories, nothing before 1980", None)
WARM_UP, TURNS, BRANCH_SECONDS = 20, 300, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures Duetto and writes JSON.")
    parser.add_argument("--out", type=Path, default=Path("bench.json"))
    parser.add_argument("--items", type=Path)
    parser.add_argument("--interactions", type=Path)
    parser.add_argument("--descriptions", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(Settings(), cache=Path(folder), data=Path(folder))
        report: dict[str, Any] = {
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.machine()}
        }
        report |= _build(given, settings)
        report |= _turns(report["index"], settings)
        report["parallel_step"] = _parallel()
        report.pop("index")
    given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def _build(given: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Builds in a process of its own, so that the peak of memory is the build's."""
    if given.items is None:
        wiring.build_sample(settings)
        return {"dataset": "sample", "index": "sample"}
    index = settings.cache / "index"
    command = [sys.executable, "-m", "duetto.cli", "build", "--items", str(given.items)]
    command += ["--interactions", str(given.interactions), "--index", str(index)]
    command += ["--descriptions", str(given.descriptions)] if given.descriptions else []
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # our own command
    seconds = time.perf_counter() - started
    manifest = wiring.open_index(index, settings).manifest
    return {
        "dataset": str(given.items.parent.name),
        "index": str(index),
        "counts": manifest.counts,
        "build": {
            "seconds": round(seconds, 2),
            "seconds_without_embedding": round(seconds - manifest.seconds["embed"], 2),
            "stages": manifest.seconds,
            "peak_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
        },
    }


def _turns(index: str, settings: Settings) -> dict[str, Any]:
    """Whole turns without a model, plain reasons, each on a thread of its own in SQLite."""
    started = time.perf_counter()
    loaded = wiring.open_index(index, settings)
    load = time.perf_counter() - started
    threads, profiles = wiring.open_threads(settings), wiring.open_profiles(settings)
    graph = wiring.open_graph(index, threads, store=profiles, settings=settings)
    users = loaded.histories.users
    nodes: dict[str, list[float]] = {}

    def turn(n: int) -> None:
        given: Any = {"user": users[n * 7 % len(users)], "message": MESSAGES[n % len(MESSAGES)]}
        answer = graph.invoke(given, _thread(n), context=Context(reasons="plain"))["answer"]
        for node, ms in answer["timings_ms"].items():
            nodes.setdefault(node, []).append(ms)

    turns = _measured(turn)
    empty = _empty(threads)
    bare = _measured(lambda n: empty.invoke({"user": "1"}, _thread(-n - 1)))
    threads.close()
    profiles.close()
    medians = {node: statistics.median(values) for node, values in nodes.items() if node != "total"}
    whole = statistics.median(turns)
    shares = {node: round(ms / whole, 3) for node, ms in medians.items()}
    shares["answer, langgraph and sqlite"] = round(1 - sum(shares.values()), 3)
    return {
        "load_seconds": round(load, 3),
        "turn_ms": percentiles(turns),
        "node_ms": {node: round(ms, 2) for node, ms in medians.items()},
        "share_of_turn": shares,
        "empty_graph_ms": percentiles(bare),
        "turn_over_empty_graph": round(whole / statistics.median(bare), 2),
    }


def _thread(n: int) -> Any:
    return {"configurable": {"thread_id": f"bench-{n}"}}


def _measured(run: Callable[[int], object]) -> list[float]:
    """Milliseconds of each of TURNS runs after a warm-up."""
    times = []
    for n in range(WARM_UP + TURNS):
        started = time.perf_counter()
        run(n)
        times.append((time.perf_counter() - started) * 1000)
    return times[WARM_UP:]


def _empty(threads: Any) -> Any:
    """The same picture with nodes that do nothing: what langgraph and SQLite take by themselves."""
    graph = build(**_idle(), checkpointer=threads)
    return graph.with_config(configurable={"__pregel_durability": "exit"})


def _idle() -> dict[str, Any]:
    return {
        "extract_preferences": lambda state: {"turn": state.turn + 1},
        "write_queries": lambda state: {"written": Written()},
        "retrieve": lambda state: {"found": Found()},
        "collaborate": lambda state: {"gathered": Gathered()},
        "rerank": lambda state: {"ranking": Ranking()},
        "repair": lambda state: {"repaired": Written()},
        "explain": lambda state: {"explained": Explained()},
        "look_up": lambda state: {"looked": Looked()},
        "answer": lambda state: {"answer": {}},
    }


def _parallel() -> dict[str, float]:
    """Two branches that take BRANCH_SECONDS each: the time of both together over their sum."""
    spans: list[tuple[float, float]] = []

    def slow(update: dict[str, Any]) -> Callable[[Any], dict[str, Any]]:
        def node(state: Any) -> dict[str, Any]:
            started = time.perf_counter()
            time.sleep(BRANCH_SECONDS)
            spans.append((started, time.perf_counter()))
            return update

        return node

    graph = build(**_idle() | {"write_queries": slow({"written": Written()}), "collaborate": slow({"gathered": Gathered()})})
    graph.invoke({"user": "1"})
    together = max(end for _, end in spans) - min(start for start, _ in spans)
    return {"seconds": round(together, 4), "share_of_sum": round(together / sum(end - start for start, end in spans), 3)}


if __name__ == "__main__":
    main()
