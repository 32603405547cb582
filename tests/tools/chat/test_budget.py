"""What a turn may spend."""

import threading
import time

import pytest

from duetto.errors import BudgetSpent
from duetto.limits import Limits
from duetto.tools.chat.budget import Budget, Usage, cost, remaining


def budget(calls: int = 8, tokens: int = 1000, seconds: float = 60) -> Budget:
    return Budget(calls, tokens, time.monotonic() + seconds)


def test_usages_add_up() -> None:
    assert Usage(1, 2, 3) + Usage(10, 20, 30) == Usage(11, 22, 33)


def test_a_call_beyond_the_cap_is_refused_and_not_counted() -> None:
    spent = budget(calls=1)
    spent.take(10)
    with pytest.raises(BudgetSpent, match="no call to the chat model is left in this turn"):
        spent.take(10)
    assert spent.usage.calls == 1


def test_a_call_that_may_pass_the_token_cap_is_refused() -> None:
    with pytest.raises(BudgetSpent, match="may need 1001 tokens and 1000 are left"):
        budget(tokens=1000).take(1001)


def test_a_reservation_is_replaced_by_what_was_used() -> None:
    spent = budget(tokens=1000)
    spent.take(900)
    spent.settle(900, Usage(0, 60, 40))
    spent.take(900)
    assert spent.usage == Usage(2, 60, 40)


def test_an_open_reservation_counts_against_the_cap() -> None:
    spent = budget(tokens=1000)
    spent.take(600)
    with pytest.raises(BudgetSpent, match="may need 600 tokens and 400 are left"):
        spent.take(600)


def test_tokens_beyond_the_cap_leave_nothing_rather_than_a_negative_number() -> None:
    spent = budget(tokens=100)
    spent.take(50)
    spent.settle(50, Usage(0, 500, 0))
    with pytest.raises(BudgetSpent, match="may need 1 tokens and 0 are left"):
        spent.take(1)


def test_after_the_deadline_nothing_may_be_asked() -> None:
    late = budget(seconds=-1)
    assert late.seconds_left() == 0
    with pytest.raises(BudgetSpent, match="no time is left"):
        late.take(1)
    with pytest.raises(BudgetSpent, match="no time is left"):
        late.patience(5)


def test_patience_is_the_call_s_time_or_what_is_left_of_the_turn() -> None:
    assert budget(seconds=60).patience(5) == 5
    assert 0 < budget(seconds=2).patience(5) <= 2


def test_what_remains_is_the_turn_less_what_was_spent() -> None:
    limits = Limits(model_calls=3, model_tokens=1000)
    left = remaining(limits, Usage(2, 500, 100), time.monotonic() + 10)
    left.take(400)
    with pytest.raises(BudgetSpent, match="no call"):
        left.take(0)
    assert left.usage.calls == 1
    assert 9 < left.seconds_left() <= 10


def test_threads_cannot_pass_a_cap_together() -> None:
    spent = budget(calls=7)
    refused = []

    def take() -> None:
        try:
            spent.take(1)
        except BudgetSpent:
            refused.append(1)

    threads = [threading.Thread(target=take) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (spent.usage.calls, len(refused)) == (7, 13)


def test_a_cost_is_per_million_tokens_and_unknown_without_a_price() -> None:
    assert cost(Usage(1, 2_000_000, 500_000), (0.5, 2.0)) == 2.0
    assert cost(Usage(1, 10, 10), None) is None
