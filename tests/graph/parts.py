"""A graph put together by hand, so that a test can put a part of its own into it."""

from langchain_core.embeddings import Embeddings
from langgraph.types import Checkpointer

from duetto.graph.answer import Reply
from duetto.graph.branches import Collaborate, Retrieve
from duetto.graph.build import build
from duetto.graph.explain import Explain
from duetto.graph.extract_preferences import ExtractPreferences
from duetto.graph.rerank import Rerank
from duetto.graph.write_queries import WriteQueries
from duetto.limits import Limits
from duetto.tools.agent_tools import Toolbox, recommend_from_history, search_catalogue
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.chat.scripted import Script, ScriptedChat
from duetto.tools.crowd_voice import CrowdVoice
from duetto.tools.index import Index
from duetto.tools.language_voice import TEXTS
from duetto.tools.plain.understand import PlainReader
from duetto.tools.signals import Signals
from duetto.tools.vector_store import FaissStore
from duetto.wiring import Graph


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
    signals = Signals(index.catalogue, index.features, crowd, tuple(TEXTS))
    return build(
        extract_preferences=ExtractPreferences(box, index.features, PlainReader(index.catalogue), model),
        write_queries=WriteQueries(box, model),
        retrieve=Retrieve(search_catalogue(box)),
        collaborate=Collaborate(recommend_from_history(box)),
        rerank=Rerank(box, index.weights, signals, index.ranker, index.no_ranker),
        explain=Explain(box, model),
        answer=Reply(index.catalogue, index.version, model.price if model else None),
        checkpointer=checkpointer,
    )


def scripted(script: Script) -> tuple[LanguageModel, ScriptedChat]:
    chat = ScriptedChat(script=script)
    return LanguageModel(chat, "scripted"), chat
