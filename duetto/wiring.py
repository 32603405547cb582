"""The composition root: the only place that chooses implementations."""

import asyncio
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl
from langchain_core.embeddings import Embeddings
from langchain_core.tools import BaseTool
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer
from openai import OpenAIError

from duetto.errors import BadInput, NotReady
from duetto.evals import accuracy, case_files, datasets, replay, truth
from duetto.evals.player import Player
from duetto.evals.report import require, write_report
from duetto.evals.subject import subject_over
from duetto.evals.systems import DEFAULT
from duetto.graph.answer import Reply
from duetto.graph.branches import Collaborate, Retrieve
from duetto.graph.build import Node, build
from duetto.graph.explain import Explain
from duetto.graph.extract_preferences import ExtractPreferences
from duetto.graph.record import Keeper, Record, Setup, setup_of
from duetto.graph.rerank import Rerank
from duetto.graph.state import Context, State, TurnInput, TurnOutput
from duetto.graph.write_queries import WriteQueries
from duetto.settings import Settings
from duetto.tools import index as indexes
from duetto.tools import sample
from duetto.tools.agent_tools import Toolbox, catalogue_facts, recommend_from_history, search_catalogue
from duetto.tools.chat.language_model import LanguageModel, open_chat
from duetto.tools.embedding import MiniLM, Remembered
from duetto.tools.index import Index
from duetto.tools.indexing import make_index
from duetto.tools.journal import Journal, Pseudonyms
from duetto.tools.opened import opened
from duetto.tools.plain.understand import PlainReader
from duetto.tools.progress import Progress, Silence
from duetto.tools.reading import tables
from duetto.tools.signals import Signals
from duetto.tools.threads import EitherSqliteSaver
from duetto.tools.tracing import bound_traces, has_key, is_traced

SAMPLE = "sample"
REPLAYED_AT_ONCE = 2
Graph = CompiledStateGraph[State, Context, TurnInput, TurnOutput]


def open_graph(
    index: str | Path,
    checkpointer: Checkpointer = None,
    *,
    model: LanguageModel | None = None,
    settings: Settings | None = None,
    record: str | Path | None = None,
    redact: bool = False,
) -> Graph:
    """The graph of one turn over an index ("sample" names the embedded one, built on first use).

    Stateless without a checkpointer. `model` None takes the settings' model, and the plain twins when they name none.
    `record` is a folder that every turn is written to, for `duetto replay`; with `redact` without what was said and by whom.
    Raises NotReady when the index is missing, damaged, or made with another embedder than the settings ask for.
    """
    settings = settings or Settings.from_environment()
    if redact and record is None:
        raise BadInput("cannot redact what is not recorded: name a folder with --record")
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)
    model = model or chat_model(settings)
    pseudonyms = _traced(settings) or (_pseudonyms(settings) if redact else None)
    recorder = None
    if record is not None:
        recorder = Record(box, setup(loaded, box, model), Journal(Path(record)), pseudonyms if redact else None)
    graph = graph_of(loaded, box, signals, model, recorder, checkpointer, pseudonyms)
    # One write a turn; LangGraph's own default writes after every superstep.
    return graph.with_config(configurable={"__pregel_durability": "exit"}) if checkpointer else graph


def setup(index: Index, box: Toolbox, model: LanguageModel | None) -> Setup:
    """What a recording says a turn ran with."""
    name, method = (model.name, model.method) if model is not None else (None, None)
    return setup_of(box, index.version, index.manifest.embedder, name, method)


def graph_of(
    index: Index, box: Toolbox, signals: Signals, model: LanguageModel | None, record: Node | None = None,
    checkpointer: Checkpointer = None, pseudonyms: Pseudonyms | None = None,
) -> Graph:  # fmt: skip
    """The graph with these parts; `model` None means the plain twins."""
    return build(
        extract_preferences=ExtractPreferences(box, index.features.warm(), PlainReader(index.catalogue).warm(), model),
        write_queries=WriteQueries(box, model),
        retrieve=Retrieve(search_catalogue(box)),
        collaborate=Collaborate(recommend_from_history(box)),
        rerank=Rerank(box, index.weights, signals, index.ranker, index.no_ranker),
        explain=Explain(box, model),
        answer=Reply(index.catalogue, index.version, model.price if model else None, pseudonyms),
        record=record,
        checkpointer=checkpointer,
    )


def _pseudonyms(settings: Settings) -> Pseudonyms:
    return Pseudonyms(settings.data / "pseudonyms.key")


def _traced(settings: Settings) -> Pseudonyms | None:
    """Bounds what is traced from now on, if anything is; then people are told by these pseudonyms."""
    if not is_traced():
        return None
    pseudonyms = _pseudonyms(settings)
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


def open_threads(settings: Settings) -> EitherSqliteSaver:
    """Conversations in the settings' SQLite file."""
    return EitherSqliteSaver.open(settings.threads)


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


def index_root(index: str | Path, settings: Settings) -> Path:
    return settings.sample if str(index) == SAMPLE else Path(index)


def parts(index: Index, settings: Settings) -> tuple[Toolbox, Signals]:
    """The tools over an index, and what its ranker reads."""
    limits = settings.limits
    given = index.lsa if index.lsa is not None else embedder_named(index.manifest.embedder, settings)
    embedder = Remembered(given, limits.texts_remembered) if given is not None else None
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
        cache=settings.cache / "answers.sqlite",
        limits=settings.limits,
        price=settings.price,
    )


def build_index(
    items: str | Path,
    interactions: str | Path,
    index: str | Path,
    *,
    embedder: str = "lsa",
    descriptions: str | Path | None = None,
    strict: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Index:
    """Reads the files, makes the index and puts it in place; the index in use stays until the new one is whole.

    Raises BadInput for input that cannot be used, NotReady when an embedder or the disk is not there.
    """
    settings = settings or Settings.from_environment()
    root = Path(index)
    if root.exists() and not root.is_dir():
        raise BadInput(f"cannot write an index to {root}: it is a file; name a folder")
    chosen = embedder_named(embedder, settings)
    catalogue = tables.read_items(Path(items))
    log = tables.read_interactions(Path(interactions))
    enrichment = None if descriptions is None else tables.read_descriptions(Path(descriptions))
    try:
        made = _made(catalogue, log.table, enrichment, embedder, chosen, root, settings, strict, log.repeated, progress)
    except OpenAIError as error:
        raise _unanswered(embedder, error) from error
    return indexes.write(root, made)


def _unanswered(embedder: str, error: OpenAIError) -> NotReady:
    what = type(error).__name__  # the text may quote the key
    return NotReady(f"the embedder {embedder} did not answer ({what}): check its server and key, and try again")


def evaluate_ranking(
    items: Path, interactions: Path, output: Path, *, embedder: str, descriptions: Path | None, protocol: str, refit: bool,
    users: int | None, systems: tuple[str, ...], recordings: Path | None, requests: Path | None, ignore: tuple[str, ...],
    settings: Settings, brief: bool = False, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Reads the files and evaluates (see `duetto.evals.accuracy`). Raises BadInput or NotReady."""
    catalogue = tables.read_items(items)
    if strange := [name for name in ignore if name not in catalogue.columns or name in ("item_id", "title")]:
        raise BadInput(f"cannot ignore {strange[0]!r}: the items' other columns are {', '.join(catalogue.columns[2:])}")
    task = accuracy.Task(
        dataset=f"{items.resolve().parent.name}/{items.name}",
        items=catalogue.drop(ignore),
        log=tables.read_interactions(interactions).table,
        descriptions=None if descriptions is None else tables.read_descriptions(descriptions),
        embedder_name=embedder,
        embedder=embedder_named(embedder, settings),
        limits=settings.limits,
        protocol=protocol,
        refit=refit,
        users=users,
        systems=systems or DEFAULT,
        brief=brief,
        requests=None if requests is None else tables.read_descriptions(requests),
        recordings=() if recordings is None else tables.read_recordings(recordings),
    )
    try:
        return accuracy.evaluate(task, output, progress)
    except OpenAIError as error:
        raise _unanswered(embedder, error) from error


def replay_recordings(
    files: list[Path], index: str | Path, *, model: str = "recorded", strict: bool = False, output: Path | None = None,
    against: Path | None = None, settings: Settings | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Plays recorded turns again over an index and tells what moved (see `duetto.evals.replay`).

    `model` is recorded (the recorded answers), live (the settings' model) or none (plain twins). `against` is the
    report.json of an earlier replay. Raises BadInput or NotReady.
    """
    settings = settings or Settings.from_environment()
    if model not in ("recorded", "live", "none"):
        raise BadInput(f"cannot replay with the model {model!r}: choose recorded, live or none")
    if model == "live" and settings.model is None:
        raise BadInput("cannot replay with a live model: name it in DUETTO_MODEL")
    if output is not None:
        require()
    found = replay.read(files)
    earlier = None if against is None else replay.baseline(against)
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)

    def graph(speaker: LanguageModel | None, keeper: Keeper, threads: Checkpointer) -> Graph:
        return graph_of(loaded, box, signals, speaker, Record(box, setup(loaded, box, speaker), keeper), threads)

    live = chat_model(settings) if model == "live" else None
    players = [Player(graph, live, box.limits, recorded=model == "recorded") for _ in range(REPLAYED_AT_ONCE)]
    advance = (progress or Silence()).stage("replaying turns", len(found.turns))
    started = time.perf_counter()
    played = replay.replay(found, [player.play for player in players], earlier, advance)
    seconds = time.perf_counter() - started
    report = replay.report_of(found, played, setup(loaded, box, live), strict, seconds, model == "recorded")
    if output is not None:
        _write_report(output, report, replay.page(report))
    return report


def evaluate_reasons(
    index: str | Path, *, users: int | None = 500, message: str | None = None, judged: int = 0, output: Path | None = None,
    settings: Settings | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Whether the reasons of an index's turns are true (see `duetto.evals.truth`). Raises BadInput or NotReady."""
    settings, progress = settings or Settings.from_environment(), progress or Silence()
    judge = chat_model(settings) if judged else None
    if judged and judge is None:
        raise BadInput("cannot have reasons judged: name the language model that judges in DUETTO_MODEL")
    if output is not None:
        require()
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)
    report = truth.evaluate_reasons(
        subject_over(loaded, box, signals), loaded.features, partial(graph_of, loaded, box, signals, None),
        users, message, str(index), progress, judge, judged,
    )  # fmt: skip
    if output is not None:
        _write_report(output, report, truth.page(report))
    return report


def run_cases(
    files: list[Path], index: str | Path, *, dataset: str | None = None, langsmith: bool = False,
    settings: Settings | None = None, progress: Progress | None = None,
) -> list[case_files.Outcome]:  # fmt: skip
    """Plays the conversations of case files over an index (see `duetto.evals.case_files`). Raises BadInput or NotReady.

    `dataset` is a LangSmith dataset to take cases from instead. `langsmith` runs them as an experiment, which is uploaded
    where LangSmith has a key.
    """
    settings = settings or Settings.from_environment()
    cases = case_files.read(files or [case_files.OURS]) if dataset is None else datasets.pull(dataset)
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)
    runner = case_files.Runner(box, loaded.features, partial(graph_of, loaded, box, signals, chat_model(settings)))
    if langsmith:
        return datasets.experiment(runner, cases, upload=has_key())
    return runner.run(cases, (progress or Silence()).stage("cases", len(cases)))


def push_cases(files: list[Path], dataset: str) -> int:
    """Puts cases into a LangSmith dataset, and says how many. Raises BadInput or NotReady."""
    cases = case_files.read(files or [case_files.OURS])
    datasets.push(cases, dataset)
    return len(cases)


def _write_report(output: Path, report: dict[str, Any], page: dict[str, Any]) -> None:
    try:
        write_report(output, report, page)
    except OSError as error:
        raise NotReady(f"could not write to {output}: {error.strerror or error}; name another folder") from error


def build_sample(settings: Settings, progress: Progress | None = None) -> Path:
    """The embedded sample: real films, synthetic people."""
    root = settings.sample
    made = _made(sample.films(), sample.interactions(), None, "lsa", None, root, settings, False, 0, progress)
    indexes.write(root, made)
    return root


def _made(
    catalogue: pl.DataFrame, log: pl.DataFrame, enrichment: pl.DataFrame | None, name: str, embedder: Embeddings | None,
    root: Path, settings: Settings, strict: bool, repeated: int, progress: Progress | None,
) -> Index:  # fmt: skip
    return make_index(
        catalogue, log, enrichment, embedder_name=name, embedder=embedder, previous=_previous(root),
        limits=settings.limits, strict=strict, repeated=repeated, progress=progress,
    )  # fmt: skip


def _previous(root: Path) -> Index | None:
    """The index in use, whose vectors may be reused; a damaged one is simply built anew."""
    try:
        return indexes.load(root)
    except NotReady:
        return None
