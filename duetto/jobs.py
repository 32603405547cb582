"""The jobs of the command line: making an index, and finding out how good it is."""

import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from langgraph.types import Checkpointer
from openai import OpenAIError

from duetto.errors import BadInput, NotReady
from duetto.evals import accuracy, case_files, case_runner, datasets, dialogue, experiments, found, moments, redial, replay, truth
from duetto.evals.accuracy import WORK
from duetto.evals.player import Player
from duetto.evals.replay import call_of
from duetto.evals.report import require, write_report
from duetto.evals.resumed import pieces
from duetto.evals.rivals import Rivals
from duetto.evals.scripted_reader import scripted_model
from duetto.evals.subject import subject_over
from duetto.evals.systems import DEFAULT
from duetto.evals.timing import Stages
from duetto.graph.record import Keeper, Record
from duetto.settings import Settings
from duetto.tools import index as indexes
from duetto.tools.chat.language_model import LanguageModel, Method
from duetto.tools.chat.recorded import recorded_model
from duetto.tools.index import Index
from duetto.tools.indexing import make_index
from duetto.tools.journal import Journal
from duetto.tools.progress import Progress, Silence
from duetto.tools.reading import tables
from duetto.version import VERSION
from duetto.wiring import Graph, chat_model, embedder_named, graph_of, open_index, parts, pseudonyms_of, setup

REPLAYED_AT_ONCE = 2
PLAYED_AT_ONCE = 2


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
        made = make_index(
            catalogue, log.table, enrichment, embedder_name=embedder, embedder=chosen, previous=_previous(root),
            limits=settings.limits, strict=strict, repeated=log.repeated, progress=progress,
        )  # fmt: skip
    except OpenAIError as error:
        raise _unanswered(embedder, error) from error
    return indexes.write(root, made)


def _previous(root: Path) -> Index | None:
    """The index in use, whose vectors may be reused; a damaged one is simply built anew."""
    try:
        return indexes.load(root)
    except NotReady:
        return None


def _unanswered(embedder: str, error: OpenAIError) -> NotReady:
    what = type(error).__name__  # the text may quote the key
    return NotReady(f"the embedder {embedder} did not answer ({what}): check its server and key, and try again")


def evaluate_ranking(
    items: Path, interactions: Path, output: Path, *, embedder: str, descriptions: Path | None, protocol: str, refit: bool,
    users: int | None, systems: tuple[str, ...], recordings: Path | None, requests: Path | None, ignore: tuple[str, ...],
    settings: Settings, brief: bool = False, langsmith: bool = False, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Reads the files and evaluates (see `duetto.evals.accuracy`). Raises BadInput or NotReady.

    `langsmith` makes the figures of each system an experiment, which is uploaded where LangSmith has a key.
    """
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
    upload = langsmith and experiments.reachable()
    try:
        report = accuracy.evaluate(task, output, progress)
    except OpenAIError as error:
        raise _unanswered(embedder, error) from error
    if langsmith:
        experiments.experiment("duetto-rank", experiments.of_systems(report), report["facts"], upload=upload)
    return report


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
    langsmith: bool = False, settings: Settings | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Whether the reasons of an index's turns are true (see `duetto.evals.truth`). Raises BadInput or NotReady.

    `langsmith` makes what was found of each person's reasons an experiment, which is uploaded where LangSmith has a key.
    """
    settings, progress = settings or Settings.from_environment(), progress or Silence()
    judge = chat_model(settings) if judged else None
    if judged and judge is None:
        raise BadInput("cannot have reasons judged: name the language model that judges in DUETTO_MODEL")
    if output is not None:
        require()
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)
    upload = langsmith and experiments.reachable()
    report, found = truth.evaluate_reasons(
        subject_over(loaded, box, signals), loaded.features, partial(graph_of, loaded, box, signals, None),
        users, message, str(index), progress, judge, judged,
    )  # fmt: skip
    if output is not None:
        _write_report(output, report, truth.page(report))
    if langsmith:
        people = experiments.of_people(found, box.histories.users, message, settings.trace_text, pseudonyms_of(settings))
        facts = {"index": loaded.version, "embedder": loaded.manifest.embedder, "duetto": VERSION}
        experiments.experiment("duetto-reasons", people, facts, upload=upload)
    return report


def evaluate_dialogues(
    dialogues: Path, index: str | Path, *, most: int | None = None, output: Path | None = None, record: Path | None = None,
    recordings: list[Path] | None = None, settings: Settings | None = None, progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """People's conversations played over an index (see `duetto.evals.dialogue`). Raises BadInput or NotReady.

    `most` conversations are drawn at random, None is all. With `output` a run that was killed goes on. `recordings` are files
    that an earlier run wrote into its folder `record`; without them the settings' model answers, if there is one.
    """
    settings, progress, stages = settings or Settings.from_environment(), progress or Silence(), Stages()
    if output is not None:
        require()
    told = replay.read(recordings).turns if recordings else []
    setups = {(turn.recorded.setup.model, turn.recorded.setup.method) for turn in told}
    if told and (len(setups) > 1 or None in next(iter(setups))):
        raise BadInput("cannot say these recordings again: they must all be of one chat model; name the files of one run")
    calls = {(str(t.recorded.answer.thread), t.recorded.answer.turn): list(map(call_of, t.recorded.calls)) for t in told}
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)
    box = replace(box, limits=replace(box.limits, evidence_tried=1))  # no reasons are given, and evidence is half of a turn
    talks, counts = moments.heard(moments.sampled(redial.read(dialogues), most), redial.Links(box.catalogue))
    moments.require(talks, counts)
    live = None if told else chat_model(settings)
    journal = None if record is None else Journal(record)

    def player() -> dialogue.Player:
        taped = None
        if told:
            name, method = next(iter(setups))
            taped = recorded_model(str(name), cast(Method, method), box.limits)
        speaker = taped or live
        recorder = None if journal is None else Record(box, setup(loaded, box, speaker), journal)
        return dialogue.Player(partial(graph_of, loaded, box, signals, speaker, recorder), box, taped, calls)

    try:
        task = dialogue.fingerprint(loaded.version, talks, live and live.name, repr(calls), asdict(box.limits))
        kept = pieces(task, output / WORK) if output is not None else None
        with stages.stage("playing"):
            advance = progress.stage("conversations", len(talks))
            players = [player() for _ in range(PLAYED_AT_ONCE)]
            table = dialogue.play(talks, players, Rivals(box), kept, advance)
        report = {"schema": 1, "dataset": f"{dialogues.resolve().parent.name}/{dialogues.name}", "index": str(index)}
        report |= found.report_of(table, counts) | {"stages": stages.told}
        if output is not None:
            write_report(output, report, found.page(report))
    except OSError as error:
        raise NotReady(f"could not write to {output or record}: {error.strerror or error}; name another folder") from error
    return report


def run_cases(
    files: list[Path], index: str | Path, *, model: str = "none", dataset: str | None = None, langsmith: bool = False,
    settings: Settings | None = None, progress: Progress | None = None,
) -> list[case_runner.Outcome]:  # fmt: skip
    """Plays the conversations of case files over an index (see `duetto.evals.case_files`). Raises BadInput or NotReady.

    `model` is none (plain twins), scripted (a model that answers without a network) or live (the settings' model).
    `dataset` is a LangSmith dataset to take cases from instead. `langsmith` runs them as an experiment, which is uploaded
    where LangSmith has a key.
    """
    settings = settings or Settings.from_environment()
    if model not in ("none", "scripted", "live"):
        raise BadInput(f"cannot run cases with the model {model!r}: choose none, scripted or live")
    if model == "live" and settings.model is None:
        raise BadInput("cannot run cases with a live model: name it in DUETTO_MODEL")
    cases = case_files.read(files or [case_files.OURS]) if dataset is None else datasets.pull(dataset)
    loaded = open_index(index, settings)
    box, signals = parts(loaded, settings)
    speaker = chat_model(settings) if model == "live" else None
    if model == "scripted":
        speaker = scripted_model(loaded.catalogue, settings.limits)
    runner = case_runner.Runner(box, loaded.features, partial(graph_of, loaded, box, signals, speaker))
    advance = (progress or Silence()).stage("cases", len(cases))
    if not langsmith:
        return runner.run(cases, advance)
    outcomes: list[case_runner.Outcome] = []

    def run(case: case_files.Case) -> case_runner.Outcome:
        outcomes.extend(runner.run([case], advance))
        return outcomes[-1]

    pseudonyms = pseudonyms_of(settings)
    trials = [experiments.of_case(case, run, settings.trace_text, pseudonyms, dataset is not None) for case in cases]
    facts = {"index": loaded.version, "model": speaker.name if speaker else None, "duetto": VERSION}
    upload = experiments.reachable()
    experiments.experiment(dataset or "duetto-cases", trials, facts, upload=upload, at_once=0)
    return outcomes


def push_cases(files: list[Path], dataset: str, settings: Settings | None = None) -> int:
    """Puts cases into a LangSmith dataset as they are, and says how many. Raises BadInput or NotReady."""
    settings = settings or Settings.from_environment()
    if not settings.trace_text:
        raise BadInput("cannot push cases: they are what people say, and DUETTO_TRACE_TEXT=off keeps that on this machine")
    cases = case_files.read(files or [case_files.OURS])
    datasets.push(cases, dataset)
    return len(cases)


def _write_report(output: Path, report: dict[str, Any], page: dict[str, Any]) -> None:
    try:
        write_report(output, report, page)
    except OSError as error:
        raise NotReady(f"could not write to {output}: {error.strerror or error}; name another folder") from error
