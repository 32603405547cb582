"""The benchmark's own parts run over the graph as it is."""

from duetto import bench


def test_two_branches_that_wait_run_at_the_same_time() -> None:
    assert bench._parallel()["share_of_sum"] < 0.6


def test_the_empty_graph_has_every_node() -> None:
    assert bench._empty(None).invoke({"user": "1"})["answer"] == {}
