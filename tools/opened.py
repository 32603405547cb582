"""An index as it is served: the tools over it, and what its ranker reads."""

from langchain_core.embeddings import Embeddings

from duetto.limits import Limits
from duetto.tools.agent_tools import Toolbox
from duetto.tools.index import Index
from duetto.tools.signals import Signals
from duetto.tools.vector_store import FaissStore


def opened(index: Index, embedder: Embeddings, limits: Limits) -> tuple[Toolbox, Signals]:
    """`embedder` is the one that made the index's vectors."""
    store = FaissStore(index.catalogue, index.vectors, embedder, limits, index.graph)
    box = Toolbox(index.catalogue, index.histories, store, embedder, index.words.warm(), index.crowd.warm(), limits)
    return box, Signals(index.catalogue, index.features, index.crowd).warm()
