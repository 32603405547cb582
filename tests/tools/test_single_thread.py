"""One turn, one core; and what a turn limits, it gives back."""

from threading import Barrier, Thread

from threadpoolctl import ThreadpoolController

from duetto.tools.single_thread import single_thread


def pools() -> set[int]:
    return {pool["num_threads"] for pool in ThreadpoolController().select(user_api="blas").info()}


def test_turns_that_overlap_give_back_what_the_first_of_them_found() -> None:
    inside, left = Barrier(2), Barrier(2)
    seen: list[set[int]] = []

    def first() -> None:
        with single_thread():
            inside.wait()
        left.wait()

    def second() -> None:
        with single_thread():
            inside.wait()
            left.wait()  # the first has left, and still one core
            seen.append(pools())

    found = pools()
    turns = [Thread(target=turn) for turn in (first, second)]
    for turn in turns:
        turn.start()
    for turn in turns:
        turn.join()
    assert seen == [{1}]
    assert pools() == found
