"""Who computes, and in which order."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from duetto.limits import Limits
from duetto.tools.index import Index
from duetto.tools.turnstile import Turnstile, waiting
from tests.graph.parts import graph_over, scripted


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.001)


def queued(turnstile: Turnstile, pool: ThreadPoolExecutor, many: int, call: Callable[[], Any], first: bool) -> Future[Any]:
    """Asks to compute behind `many` - 1 others."""
    future = pool.submit(turnstile.guarding(call, first))
    until(lambda: len(turnstile._queue) == many)
    return future


def test_no_more_compute_than_may(pool: ThreadPoolExecutor) -> None:
    turnstile, inside, most, lock = Turnstile(2), [0], [0], threading.Lock()

    def compute() -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.002)
        with lock:
            inside[0] -= 1

    for done in [pool.submit(turnstile.guarding(compute)) for _ in range(50)]:
        done.result()
    assert most == [2]


def test_those_come_first_that_a_ranking_waits_for(pool: ThreadPoolExecutor) -> None:
    turnstile, order = Turnstile(1), list[str]()
    with turnstile.computing():
        for n, (name, first) in enumerate((("reason 1", False), ("ranking 1", True), ("reason 2", False), ("ranking 2", True))):
            queued(turnstile, pool, n + 1, lambda name=name: order.append(name), first)  # type: ignore[misc]
    pool.shutdown()
    assert order == ["ranking 1", "ranking 2", "reason 1", "reason 2"]


def test_who_waits_lets_others_pass_and_comes_back_in(pool: ThreadPoolExecutor) -> None:
    turnstile = Turnstile(1)
    with turnstile.computing():
        other = queued(turnstile, pool, 1, lambda: "passed", first=False)
        with waiting():
            assert other.result(10) == "passed"
        late = queued(turnstile, pool, 1, lambda: "passed", first=True)
        time.sleep(0.05)
        assert not late.done()
    assert late.result(10) == "passed"


def test_who_is_in_stays_in_and_who_is_out_need_not_wait() -> None:
    turnstile = Turnstile(1)
    with turnstile.computing(), turnstile.computing():
        pass
    with waiting(), turnstile.computing():
        pass


def test_what_fails_leaves_room_for_the_next() -> None:
    turnstile = Turnstile(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turnstile.computing(), waiting():
            raise ZeroDivisionError
    assert turnstile.guarding(lambda: "in")() == "in"


def test_while_one_turn_waits_for_its_model_another_is_played(sample_index: Index, pool: ThreadPoolExecutor) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(messages: list[Any], schema: str) -> str:
        if "giraffes" in str(messages):
            asked.set()
            assert go_on.wait(20)
        return "no JSON"

    model, _ = scripted(slow)
    graph = graph_over(sample_index, model=model, limits=Limits(computing_at_once=1))
    held = pool.submit(lambda: graph.invoke({"message": "a western about giraffes"}))
    assert asked.wait(20)
    assert graph.invoke({"message": "a western"})["answer"]["recommendations"]
    assert not held.done()
    go_on.set()
    assert held.result(20)["answer"]["recommendations"]
