"""Duetto: a conversational, explainable recommender. `open_graph(index)` is the front door."""

from typing import TYPE_CHECKING, Any

from duetto.version import VERSION as __version__

if TYPE_CHECKING:
    from duetto.jobs import build_index as build_index
    from duetto.wiring import open_graph as open_graph

__all__ = ["__version__", "build_index", "open_graph"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `duetto --help` and `import duetto.tools` do not pay for langgraph.
    if name == "open_graph":
        from duetto.wiring import open_graph

        return open_graph
    if name == "build_index":
        from duetto.jobs import build_index

        return build_index
    raise AttributeError(f"module 'duetto' has no attribute {name!r}")
