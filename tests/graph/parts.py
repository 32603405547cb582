"""A graph put together by hand, so that a test can put a part of its own into it."""

from langchain_core.embeddings import Embeddings
from langgraph.types import Checkpointer

from duetto.limits import Limits
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.chat.scripted import Script, ScriptedChat
from duetto.tools.crowd_voice import CrowdVoice
from duetto.tools.index import Index
from duetto.tools.signals import Signals
from duetto.tools.vector_store import FaissStore
from duetto.wiring import Graph, graph_of


def graph_over(
    index: Index,
    *,
    embedder: Embeddings | None = None,
    store: type[FaissStore] = FaissStore,
    crowd: CrowdVoice | None = None,
    model: LanguageModel | None = None,
    limits: Limits | None = None,
    checkpointer: Checkpointer = None,
) -> Graph:
    """`embedder` None is the index's own lsa."""
    limits = limits or Limits()
    embedder = embedder or index.lsa
    assert embedder is not None
    crowd = crowd or index.crowd
    vectors = store(index.catalogue, index.vectors, embedder, limits)
    box = Toolbox(index.catalogue, index.histories, vectors, embedder, index.words, crowd, limits)
    return graph_of(index, box, Signals(index.catalogue, index.features, crowd), model, checkpointer=checkpointer)


def scripted(script: Script) -> tuple[LanguageModel, ScriptedChat]:
    chat = ScriptedChat(script=script)
    return LanguageModel(chat, "scripted"), chat
