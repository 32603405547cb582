"""The composition root: the only place that chooses implementations."""

import asyncio
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from langchain_core.embeddings import Embeddings
from langchain_core.tools import BaseTool
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Checkpointer

from duetto.errors import BadInput, NotReady
from duetto.graph.branches import Collaborate, Retrieve
from duetto.graph.build import Node, build
from duetto.graph.explain import Explain
from duetto.graph.extract_preferences import ExtractPreferences
from duetto.graph.look_up import LookUp
from duetto.graph.record import Record, Setup, setup_of
from duetto.graph.repair import Repair
from duetto.graph.reply import Reply
from duetto.graph.rerank import Rerank
from duetto.graph.state import Context, State, TurnInput, TurnOutput
from duetto.graph.write_queries import WriteQueries
from duetto.settings import Settings
from duetto.tools import index as indexes
from duetto.tools import sample
from duetto.tools.agent_tools import Toolbox, catalogue_facts, recommend_from_history, search_catalogue
from duetto.tools.chat.language_model import LanguageModel, open_chat
from duetto.tools.either import EitherSaver, EitherStore
from duetto.tools.embedding import MiniLM, Remembered
from duetto.tools.index import Index
from duetto.tools.indexing import make_index
from duetto.tools.journal import Journal, Pseudonyms
from duetto.tools.opened import opened
from duetto.tools.plain.understand import PlainReader
from duetto.tools.progress import Progress
from duetto.tools.signals import Signals
from duetto.tools.threads import EitherSqliteSaver, EitherSqliteStore
from duetto.tools.tracing import bound_traces, is_traced

SAMPLE = "sample"
Graph = CompiledStateGraph[State, Context, TurnInput, TurnOutput]


def open_graph(
    index: str | Path,
    checkpointer: Checkpointer = None,
    *,
    store: BaseStore | None = None,
    model: LanguageModel | None = None,
    settings: Settings | None = None,
    record: str | Path | None = None,
    redact: bool = False,
) -> Graph:
    """The graph of one turn over an index ("sample" names the embedded one, built on first use).

    Stateless without a checkpointer; with a `store` a person's profile goes with them from thread to thread.
    `model` None takes the settings' model, and the plain twins when they name none.
    `record` is a folder that every turn is written to, for `duetto replay`; with `redact` without what was said and by whom.
    Raises NotReady when the index is missing, damaged, or made with another embedder than the settings ask for.
    """
    return open_turns(index, checkpointer, store=store, model=model, settings=settings, record=record, redact=redact).graph


@dataclass(frozen=True)
class Opened:
    """An index and what plays turns over it: `graph` as the settings say, `plain` never with a chat model, nor recorded."""

    index: Index
    box: Toolbox
    graph: Graph
    plain: Graph
    model: LanguageModel | None


def open_turns(
    index: str | Path,
    checkpointer: Checkpointer = None,
    *,
    store: BaseStore | None = None,
    model: LanguageModel | None = None,
    settings: Settings | None = None,
    record: str | Path | None = None,
    redact: bool = False,
) -> Opened:
    """`open_graph`, for a caller who needs more than the graph."""
    settings = settings or Settings.from_environment()
    if redact and record is None:
        raise BadInput("cannot redact what is not recorded: name a folder with --record")
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)
    model = model or chat_model(settings)
    pseudonyms = _traced(settings) or (pseudonyms_of(settings) if redact else None)
    recorder = None
    recordings = None if record is None else str(Path(record).resolve())
    if record is not None:
        recorder = Record(box, setup(loaded, box, model), Journal(Path(record)), pseudonyms if redact else None)
    graph = graph_of(loaded, box, signals, model, recorder, checkpointer, pseudonyms, store, recordings)
    plain = (
        graph if model is None and record is None else graph_of(loaded, box, signals, None, None, checkpointer, pseudonyms, store)
    )
    if checkpointer:  # one write a turn; LangGraph's own default writes after every superstep
        graph, plain = (each.with_config(configurable={"__pregel_durability": "exit"}) for each in (graph, plain))
    return Opened(loaded, box, graph, plain, model)


def setup(index: Index, box: Toolbox, model: LanguageModel | None) -> Setup:
    """What a recording says a turn ran with."""
    name, method = (model.name, model.method) if model is not None else (None, None)
    return setup_of(box, index.version, index.manifest.embedder, name, method)


def graph_of(
    index: Index, box: Toolbox, signals: Signals, model: LanguageModel | None, record: Node | None = None,
    checkpointer: Checkpointer = None, pseudonyms: Pseudonyms | None = None, store: BaseStore | None = None,
    recordings: str | None = None,
) -> Graph:  # fmt: skip
    """The graph with these parts; `model` None means the plain twins."""
    reader = PlainReader(index.catalogue).warm()
    write_queries = WriteQueries(box, reader.columns, model)
    now = box.turnstile.guarding
    return build(
        extract_preferences=now(ExtractPreferences(box, index.features.warm(), reader, model, recordings)),
        write_queries=now(write_queries),
        retrieve=now(Retrieve(search_catalogue(box))),
        collaborate=now(Collaborate(recommend_from_history(box))),
        rerank=now(Rerank(box, index.weights, signals, index.ranker, index.no_ranker)),
        repair=now(Repair(write_queries)),
        explain=now(Explain(box, model), first=False),
        look_up=now(LookUp(box, catalogue_facts(box), model)),
        answer=now(Reply(box, index.version, model, pseudonyms)),
        record=record,
        checkpointer=checkpointer,
        store=store,
    )


def pseudonyms_of(settings: Settings) -> Pseudonyms:
    """What people are called outside of this machine. Raises NotReady."""
    return Pseudonyms(settings.data / "pseudonyms.key")


def _traced(settings: Settings) -> Pseudonyms | None:
    """Bounds what is traced from now on, if anything is; then people are told by these pseudonyms."""
    if not is_traced():
        return None
    pseudonyms = pseudonyms_of(settings)
    bound_traces(settings.trace_text, pseudonyms)
    return pseudonyms


def open_tools(index: str | Path, settings: Settings | None = None) -> list[BaseTool]:
    """search_catalogue, recommend_from_history and catalogue_facts, for any agent to bind."""
    settings = settings or Settings.from_environment()
    _traced(settings)
    box, _ = parts(open_index(index, settings), settings)
    return [search_catalogue(box), recommend_from_history(box), catalogue_facts(box)]


async def studio_graph() -> Graph:
    """What `langgraph dev` serves (it brings its own checkpointer): the index DUETTO_INDEX names, else the sample.

    The server calls this on its event loop, for every run: so it opens the index once, in a thread.
    """
    return await asyncio.to_thread(_studio_graph)


@cache
def _studio_graph() -> Graph:
    settings = Settings.from_environment()
    return open_graph(settings.index, settings=settings)


def open_threads(settings: Settings) -> EitherSaver:
    """Conversations, in PostgreSQL where the settings name a database, else in their SQLite file. Raises NotReady."""
    if settings.database_url is None:
        return EitherSqliteSaver.open(settings.threads)
    url = settings.database_url.get_secret_value()
    saver: EitherSaver = _postgres().EitherPostgresSaver.open(url, settings.limits)
    return saver


def open_profiles(settings: Settings) -> EitherStore:
    """What is known of people across conversations, in the same place."""
    if settings.database_url is None:
        return EitherSqliteStore.open(settings.threads)
    url = settings.database_url.get_secret_value()
    store: EitherStore = _postgres().EitherPostgresStore.open(url, settings.limits)
    return store


def _postgres() -> ModuleType:
    try:
        from duetto.tools import postgres
    except ImportError as error:
        raise NotReady(
            'DUETTO_DATABASE_URL needs the PostgreSQL client: run `pip install "duetto[postgres]"`, or unset it for SQLite'
        ) from error
    return postgres


def open_index(index: str | Path, settings: Settings, progress: Progress | None = None) -> Index:
    root = index_root(index, settings)
    found = _sample_index(settings, progress) if str(index) == SAMPLE else indexes.load(root)
    built_with = found.manifest.embedder
    if settings.embedder and built_with != settings.embedder:
        raise NotReady(
            f"the index {root} was built with the embedder {built_with}, not {settings.embedder} as "
            f"DUETTO_EMBEDDER says: unset it, or run `duetto build --index {root} --embedder {settings.embedder} ...`"
        )
    return found


def _sample_index(settings: Settings, progress: Progress | None) -> Index:
    """The sample is ours and lies in a cache: one that is missing, damaged or of another time is simply built again."""
    try:
        return indexes.load(settings.sample)
    except NotReady:
        return indexes.load(build_sample(settings, progress))


def build_sample(settings: Settings, progress: Progress | None = None) -> Path:
    """The embedded sample: real films, synthetic people."""
    made = make_index(
        sample.films(), sample.interactions(), None, embedder_name="lsa", embedder=None, previous=None,
        limits=settings.limits, progress=progress,
    )  # fmt: skip
    indexes.write(settings.sample, made)
    return settings.sample


def index_root(index: str | Path, settings: Settings) -> Path:
    return settings.sample if str(index) == SAMPLE else Path(index)


def parts(index: Index, settings: Settings) -> tuple[Toolbox, Signals]:
    """The tools over an index, and what its ranker reads."""
    limits = settings.limits
    given = index.lsa if index.lsa is not None else embedder_named(index.manifest.embedder, settings)
    elsewhere = index.manifest.embedder.startswith("openai:")
    embedder = Remembered(given, limits.texts_remembered, elsewhere) if given is not None else None
    if embedder is None:
        raise NotReady(f"the index names the embedder {index.manifest.embedder!r}, which this duetto does not know")
    return opened(index, embedder, limits)


def embedder_named(name: str, settings: Settings) -> Embeddings | None:
    """None for lsa, which is fitted to the catalogue. Raises BadInput for a name that is no embedder."""
    if name == "lsa":
        return None
    if name == "minilm":
        return MiniLM()
    if name.startswith("openai:") and len(name) > len("openai:"):
        if settings.api_key is None and settings.base_url is None:
            raise NotReady(f"the embedder {name} needs OPENAI_API_KEY, or OPENAI_BASE_URL of a compatible server")
        from langchain_openai import OpenAIEmbeddings

        return OpenAIEmbeddings(
            model=name.removeprefix("openai:"),
            base_url=settings.base_url,
            api_key=settings.api_key or (lambda: "not-needed"),
            check_embedding_ctx_length=False,  # token ids in place of text: compatible servers do not take them
            timeout=settings.limits.embed_seconds,
        )
    raise BadInput(f"there is no embedder {name!r}: choose lsa, minilm or openai:MODEL")


def chat_model(settings: Settings) -> LanguageModel | None:
    if settings.model is None:
        return None
    return open_chat(
        settings.model,
        base_url=settings.base_url,
        api_key=settings.api_key,
        method=settings.method,
        cache=settings.answers,
        limits=settings.limits,
        price=settings.price,
    )
