"""The command line."""

import json
import os
import shutil
import sys
import uuid
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from duetto.errors import BadInput, DuettoError, NotReady

if TYPE_CHECKING:
    from duetto.settings import Settings
    from duetto.wiring import Graph

app = typer.Typer(
    help="A conversational, explainable recommender: a language model and the crowd, over the whole catalogue.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
evaluate = typer.Typer(help="Is it any good? Measure it on what was held out.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(evaluate, name="eval")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

IndexOption = Annotated[str, typer.Option("--index", help="The index's folder, or `sample`.")]
UserOption = Annotated[str | None, typer.Option("--user", help="Who speaks; an id of the log, or nobody.")]
KOption = Annotated[int | None, typer.Option("-k", help="How many items.")]
ReasonsOption = Annotated[str | None, typer.Option("--reasons", help="none, plain or model.")]
RecordOption = Annotated[Path | None, typer.Option("--record", help="A folder to write every turn to, for `replay`.")]
RedactOption = Annotated[bool, typer.Option("--redact", help="Record who spoke as a pseudonym, and not what was said.")]
Experiment = "A LangSmith experiment; without a key it is local."
ToldOfPeople = "the checks of each person's reasons, with a pseudonym"
ToldOfCases = "the cases with pseudonyms, and the state of a failed turn"
ModelHint = "The chat model is DUETTO_MODEL (with OPENAI_API_KEY or OPENAI_BASE_URL); without one, plain twins speak."


@app.command()
def demo() -> None:
    """Build the embedded sample on first use and play a session of four turns."""
    from duetto import show, wiring

    settings = _settings()
    if not (settings.sample / "CURRENT").exists():
        out.print("Building the sample index: 483 films, and 600 people who are [bold]synthetic[/bold].")
        with show.Bars(err) as bars:
            wiring.build_sample(settings, bars)
    graph = wiring.open_graph(wiring.SAMPLE, _memory(), settings=settings)
    user, thread = "p100", f"demo-{uuid.uuid4()}"
    for message in (
        "something dark and clever, but no horror",
        "I loved Blade Runner! Something newer than 1995, under 165 minutes",
        "more like the second one, but shorter",
        "why the first one?",
    ):
        out.print()
        out.print(show.said(user, message))
        answer = _turn(graph, user, message, thread, k=5)
        out.print(show.turn(answer))
    me = "duetto" if shutil.which("duetto") else os.path.relpath(sys.argv[0])
    out.print(
        "\nThe films are real, the people are synthetic. Next, try:\n"
        f'  {me} ask "a warm comedy about friendship" --index sample --user p042 --steps\n'
        f"  {me} chat --index sample --user p042\n"
        f"  {me} build --items items.csv --interactions log.csv --index my-index",
        soft_wrap=True,
    )


@app.command()
def build(
    items: Annotated[Path, typer.Option("--items", help="The catalogue: CSV, Parquet, JSONL; MovieLens; Amazon metadata.")],
    interactions: Annotated[Path, typer.Option("--interactions", help="The log: CSV, Parquet, JSONL; MovieLens; Amazon.")],
    index: Annotated[Path, typer.Option("--index", help="The folder to build into.")],
    embedder: Annotated[str, typer.Option("--embedder", help="lsa, minilm or openai:MODEL.")] = "lsa",
    descriptions: Annotated[Path | None, typer.Option("--descriptions", help="item_id, description, queries.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Any unknown item id is an error.")] = False,
) -> None:
    """Make an index from a catalogue and an interaction log."""
    from duetto import jobs, show

    settings = _settings()
    with show.Bars(err) as bars:
        made = jobs.build_index(
            items, interactions, index, embedder=embedder, descriptions=descriptions, strict=strict,
            settings=settings, progress=bars,
        )  # fmt: skip
    out.print(show.manifest(made.manifest.model_dump(), made.version))
    out.print(f'\nNext: duetto ask "..." --index {index} --user {made.histories.users[0]}', soft_wrap=True)


@app.command()
def inspect(index: IndexOption, as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False) -> None:
    """Show what an index is made of."""
    from duetto import show, wiring
    from duetto.tools.index import manifest_of

    manifest, folder = manifest_of(wiring.index_root(index, _settings()))
    if as_json:
        typer.echo(manifest.model_dump_json(indent=1))
    else:
        out.print(show.manifest(manifest.model_dump(), folder.name))


@app.command(epilog=ModelHint)
def ask(
    index: IndexOption,
    message: Annotated[str | None, typer.Argument(help="What you look for; none at all is a silent visit.")] = None,
    user: UserOption = None,
    thread: Annotated[str | None, typer.Option("--thread", help="Continue this conversation.")] = None,
    k: KOption = None,
    reasons: ReasonsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object; its schema is docs/turn.schema.json.")] = False,
    steps: Annotated[bool, typer.Option("--steps", help="The steps behind each reason.")] = False,
    record: RecordOption = None,
    redact: RedactOption = False,
) -> None:
    """One turn: a ranking with reasons."""
    from duetto import show, wiring

    settings = _settings()
    _check_thread(thread)
    with ExitStack() as opened:
        threads = opened.enter_context(closing(wiring.open_threads(settings))) if thread else None
        known = user is not None and (thread is not None or settings.keeps)
        profiles = opened.enter_context(closing(wiring.open_profiles(settings))) if known else None
        graph = wiring.open_graph(index, threads, store=profiles, settings=settings, record=record, redact=redact)
        answer = _turn(graph, user, message, thread, k=k, reasons=reasons)
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        out.print(show.turn(answer, steps))


@evaluate.command()
def rank(
    items: Annotated[Path, typer.Option("--items", help="The catalogue, as for `build`.")],
    interactions: Annotated[Path, typer.Option("--interactions", help="The log, as for `build`.")],
    output: Annotated[Path, typer.Option("--out", help="The folder for report.html, report.json and cases.parquet.")],
    embedder: Annotated[str, typer.Option("--embedder", help="lsa, minilm or openai:MODEL.")] = "lsa",
    descriptions: Annotated[Path | None, typer.Option("--descriptions", help="item_id, description, queries.")] = None,
    protocol: Annotated[str, typer.Option("--protocol", help="leave-one-out or temporal.")] = "leave-one-out",
    refit: Annotated[bool, typer.Option("--refit/--no-refit", help="Refit the crowd on all but the labels.")] = True,
    users: Annotated[str, typer.Option("--users", help="How many people, drawn at random; or all.")] = "all",
    systems: Annotated[str | None, typer.Option("--systems", help="Names, separated by commas; the last is compared.")] = None,
    recordings: Annotated[Path | None, typer.Option("--recordings", help="user_id, queries: a recorded language voice.")] = None,
    requests: Annotated[Path | None, typer.Option("--requests", help="item_id, queries: what people may ask for.")] = None,
    ignore: Annotated[str | None, typer.Option("--ignore", help="Item columns to leave out, separated by commas.")] = None,
    brief: Annotated[bool, typer.Option("--brief", help="The main table only: no cold start, noise, requests.")] = False,
    langsmith: Annotated[bool, typer.Option("--langsmith", help=f"{Experiment} Told: each system's figures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """How well the whole catalogue is ranked: every system, every person, on interactions held out of the log."""
    from duetto import jobs, show
    from duetto.evals.report import terminal_table

    settings = _settings()
    with show.Bars(err) as bars:
        report = jobs.evaluate_ranking(
            items, interactions, output, embedder=embedder, descriptions=descriptions, protocol=protocol, refit=refit,
            users=_people(users), systems=_names(systems), recordings=recordings, requests=requests, ignore=_names(ignore),
            settings=settings, brief=brief, langsmith=langsmith, progress=bars,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        out.print(terminal_table(report))
        out.print(f"\nThe whole report: {output / 'report.html'}", soft_wrap=True)


@evaluate.command()
def reasons(
    index: IndexOption,
    users: Annotated[str, typer.Option("--users", help="How many known people, drawn at random; or all.")] = "500",
    message: Annotated[str | None, typer.Option("--message", help="What each of them says; by default nothing.")] = None,
    judge: Annotated[int, typer.Option("--judge", min=0, help="How many reasons DUETTO_MODEL gives its opinion of.")] = 0,
    output: Annotated[Path | None, typer.Option("--out", help="A folder for report.html and report.json.")] = None,
    langsmith: Annotated[bool, typer.Option("--langsmith", help=f"{Experiment} Told: {ToldOfPeople}.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Whether reasons are true: grounded, faithful to the ranking, and without contradictions."""
    from duetto import jobs, show

    settings = _settings()
    with show.Bars(err) as bars:
        report = jobs.evaluate_reasons(
            index, users=_people(users), message=message, judged=judge, output=output, langsmith=langsmith,
            settings=settings, progress=bars,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        out.print(show.truth(report))


@evaluate.command(epilog=ModelHint)
def dialogue(
    dialogues: Annotated[Path, typer.Option("--dialogues", help="ReDial's conversations, JSON lines or Parquet.")],
    index: IndexOption,
    sample: Annotated[str, typer.Option("--sample", help="How many conversations, drawn at random; or all.")] = "all",
    output: Annotated[
        Path | None, typer.Option("--out", help="A folder for report.html and report.json; a killed run goes on there.")
    ] = None,
    record: RecordOption = None,
    recordings: Annotated[
        list[Path] | None, typer.Option("--recordings", help="Files that --record wrote: the model says again what it said.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Whether we find what people recommended to each other: their conversations, the graph in the recommender's place."""
    from duetto import jobs, show

    settings = _settings()
    with show.Bars(err) as bars:
        report = jobs.evaluate_dialogues(
            dialogues, index, most=_people(sample, "--sample"), output=output, recordings=recordings, record=record,
            settings=settings, progress=bars,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        out.print(show.found(report))
        if output is not None:
            out.print(f"\nThe whole report: {output / 'report.html'}", soft_wrap=True)


@evaluate.command()
def cases(
    files: Annotated[list[Path] | None, typer.Argument(help="YAML files or folders; by default the cases of Duetto.")] = None,
    index: IndexOption = "sample",
    model: Annotated[str, typer.Option("--model", help="none, scripted (answers without a network) or live.")] = "none",
    push: Annotated[
        str | None, typer.Option("--push", help="Put the cases, as they are, into this LangSmith dataset; run nothing.")
    ] = None,
    pull: Annotated[str | None, typer.Option("--pull", help="Take the cases from this LangSmith dataset.")] = None,
    langsmith: Annotated[bool, typer.Option("--langsmith", help=f"{Experiment} Told: {ToldOfCases}.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcomes as JSON.")] = False,
) -> None:
    """Play conversations with assertions on their state; exit code 1 when one fails, and its state is printed."""
    from dataclasses import asdict

    from duetto import jobs, show

    settings = _settings()
    if push is not None:
        out.print(f"{jobs.push_cases(files or [], push, settings)} cases are in the dataset {push}", soft_wrap=True)
        return
    with show.Bars(err) as bars:
        outcomes = jobs.run_cases(
            files or [], index, model=model, dataset=pull, langsmith=langsmith, settings=settings, progress=bars
        )
    if as_json:
        typer.echo(json.dumps([asdict(outcome) for outcome in outcomes], ensure_ascii=False, indent=1))
    else:
        out.print(show.cases([asdict(outcome) for outcome in outcomes]))
    sys.exit(1 if any(outcome.wrong for outcome in outcomes) else 0)


def _people(users: str, option: str = "--users") -> int | None:
    if users == "all":
        return None
    if not users.isascii() or not users.isdigit() or not int(users):
        what = "people" if option == "--users" else "conversations"
        raise BadInput(f"cannot evaluate {users!r} {what}: {option} takes a number from 1 on, or all")
    return int(users)


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",")) if given is not None else ()


@app.command(epilog=ModelHint)
def chat(
    index: IndexOption,
    user: UserOption = None,
    thread: Annotated[str | None, typer.Option("--thread", help="Which conversation; by default this person's last.")] = None,
    k: KOption = None,
    reasons: ReasonsOption = None,
    record: RecordOption = None,
    redact: RedactOption = False,
) -> None:
    """A conversation; it survives a restart. /new starts another one, /quit leaves."""
    from duetto import wiring

    settings = _settings()
    thread = thread or f"chat-{user or 'nobody'}"
    _check_thread(thread)
    with closing(wiring.open_threads(settings)) as threads, closing(wiring.open_profiles(settings)) as profiles:
        graph = wiring.open_graph(index, threads, store=profiles, settings=settings, record=record, redact=redact)
        turns = graph.get_state(_config(thread)).values.get("turn", 0)
        greeting = f"going on after {turns} turns" if turns else "a new conversation"
        out.print(f"[dim]{thread}: {greeting}; /new starts another, /quit leaves[/dim]")
        while (message := _heard()) is not None:
            if message == "/new":
                thread = f"chat-{user or 'nobody'}-{uuid.uuid4().hex[:8]}"
                out.print(f"[dim]{thread}: a new conversation[/dim]")
            elif message == "/quit":
                break
            elif message:
                try:
                    _stream(graph, user, message, thread, k, reasons)
                except BadInput as error:
                    err.print(f"duetto: {error}", markup=False)


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="Files that --record wrote.")],
    index: IndexOption,
    strict: Annotated[bool, typer.Option("--strict", help="A prompt that was not recorded as it reads now is drift.")] = False,
    model: Annotated[str, typer.Option("--model", help="recorded, live or none.")] = "recorded",
    output: Annotated[Path | None, typer.Option("--out", help="A folder for report.html and report.json.")] = None,
    against: Annotated[Path | None, typer.Option("--against", help="Compare with this replay's report.json instead.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Play recorded turns again and tell what moved; exit code 1 when something did."""
    from duetto import jobs, show

    settings = _settings()
    with show.Bars(err) as bars:
        report = jobs.replay_recordings(
            files, index, model=model, strict=strict, output=output, against=against, settings=settings, progress=bars
        )
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        out.print(show.replayed(report))
    sys.exit(1 if report["drifted"] else 0)


@app.command()
def profile(
    user: Annotated[str, typer.Argument(help="Whose; an id as --user takes it.")],
    index: Annotated[str | None, typer.Option("--index", help="Tells titles, and checks ids of items.")] = None,
    like: Annotated[list[str] | None, typer.Option("--like", help="Keep that they like this item.")] = None,
    dislike: Annotated[list[str] | None, typer.Option("--dislike", help="Keep that they dislike this item.")] = None,
    seen: Annotated[list[str] | None, typer.Option("--seen", help="Keep that they have this item.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="Forget what they said of this item.")] = None,
    lift: Annotated[list[str] | None, typer.Option("--lift", help="Forget the standing limit of these words.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Remove the person: profile, conversations, recordings.")] = False,
    recordings: Annotated[list[Path] | None, typer.Option("--recordings", help="With --forget: more folders to look in.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The profile as JSON.")] = False,
) -> None:
    """What is kept of a person across conversations: show it, change it, or forget the person."""
    from duetto import people, show, wiring

    settings = _settings()
    with closing(wiring.open_profiles(settings)) as store:
        if forget:
            with closing(wiring.open_threads(settings)) as threads:
                gone = people.forgotten(store, threads, user, recordings or [], settings)
            out.print(f"{user} is forgotten: " + ", ".join(f"{count} {what}" for what, count in gone.items()), soft_wrap=True)
            return
        catalogue = None if index is None else wiring.open_index(index, settings).catalogue
        said: Any = {"liked": like or [], "disliked": dislike or [], "seen": seen or []}
        if any(said.values()) or drop or lift:
            known = people.changed(store, user, said, list(drop or []), lift or [], catalogue)
        else:
            known = people.profile(store, user)
    if as_json:
        typer.echo(known.model_dump_json(indent=1))
    else:
        out.print(show.profile(known, catalogue))


@app.command()
def export(interactions: Annotated[Path, typer.Option("--interactions", help="The CSV file to write.")]) -> None:
    """Write what people said of items in conversations as an interaction log that `build` reads."""
    from duetto import people, wiring

    with closing(wiring.open_profiles(_settings())) as store:
        count = people.export(store, interactions)
    out.print(f"{count} interactions are in {interactions}", soft_wrap=True)


@app.command(epilog=ModelHint)
def serve(
    index: IndexOption,
    host: Annotated[str, typer.Option("--host", help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port to serve on.", min=0, max=65_535)] = 8000,
    keys: Annotated[Path | None, typer.Option("--keys", help="Who may ask: a file that `duetto key` writes.")] = None,
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="A site whose pages may ask, e.g. https://a.example")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that play turns; by default one a core, at most 4.", min=0)
    ] = None,
    record: RecordOption = None,
    redact: RedactOption = False,
) -> None:
    """Serve turns over HTTP: a page for people, JSON and events for programs, and what OpenAI's clients ask for."""
    server = _serving()
    many = server.cores() if workers is None else workers
    serving = server.Serving(index, record, redact, origins=tuple(origin or ()), workers=many)
    server.serve(_settings(), serving, host, port, keys)


@app.command()
def key(
    person: Annotated[str, typer.Option("--person", help="Whose key it is; * for a service that speaks for all.")],
    file: Annotated[Path, typer.Option("--file", help="The file of keys to add it to.")] = Path("keys.json"),
    per_minute: Annotated[int | None, typer.Option("--per-minute", help="Requests a minute.", min=1)] = None,
) -> None:
    """Make an API key for `duetto serve`: it is shown once, and only its hash is kept."""
    _serving()
    from duetto.server.doors import new_key

    typer.echo(new_key(file, person, per_minute))


def _serving() -> Any:
    """The server's front door. Raises NotReady without the extra it needs."""
    try:
        from duetto.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("duetto"):
            raise
        raise NotReady("cannot serve without the packages for it: run `pip install 'duetto[serve]'`") from error
    return serve


@app.command(epilog=ModelHint)
def mcp(
    index: IndexOption,
    user: Annotated[str | None, typer.Option("--user", help="The only person spoken for; by default whom a call names.")] = None,
    record: RecordOption = None,
    redact: RedactOption = False,
) -> None:
    """Serve recommend, why, search, facts and feedback to other agents: MCP over stdin and stdout."""
    try:
        from duetto import mcp_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise NotReady("cannot serve MCP without its SDK: run `pip install 'duetto[mcp]'`") from error
    mcp_server.serve(index, _settings(), user=user, record=record, redact=redact)


@app.command()
def feedback(
    run: Annotated[str, typer.Argument(metavar="RUN_ID", help="The run_id of an answer.")],
    verdict: Annotated[str, typer.Argument(metavar="up|down", help="Was it good?")],
    comment: Annotated[str | None, typer.Option("--comment", help="Why.")] = None,
) -> None:
    """Tell LangSmith what a person thought of a traced turn."""
    from duetto.tools.tracing import send_feedback

    if verdict not in ("up", "down"):
        raise BadInput(f"cannot take {verdict!r} for a verdict: it is up or down")
    try:
        run_id = uuid.UUID(run)
    except ValueError:
        raise BadInput(f"cannot take {run!r} for a run: give the run_id of an answer, as `duetto ask --json` prints it") from None
    send_feedback(run_id, verdict == "up", comment)
    out.print(f"{verdict}: kept with run {run_id}", soft_wrap=True)


def _heard() -> str | None:
    """The next line the person types, None at the end of input."""
    try:
        return out.input("[green]> [/green]").strip()
    except (EOFError, KeyboardInterrupt):
        return None


def _stream(graph: "Graph", user: str | None, message: str, thread: str, k: int | None, reasons: str | None) -> None:
    """Prints the ranking as soon as it exists, then each reason as it arrives."""
    from duetto import show

    given: Any = {"user": user, "message": message}
    ranked: dict[str, str] = {}
    answer: dict[str, Any] = {}
    modes: Any = ["updates", "custom"]
    stream: Any = graph.stream(given, _config(thread), context=_context(k, reasons), stream_mode=modes)
    for mode, event in stream:
        if mode == "custom" and event["event"] == "ranking":
            for item in event["recommendations"]:
                ranked[str(item["item_id"])] = item["title"]
                out.print(f"{item['rank']:>2}. {item['title']}", markup=False, style="bold")
        elif mode == "custom" and event["event"] == "reason":
            out.print(f"    {ranked[str(event['item_id'])]}: {event['reason']}", markup=False)
        elif mode == "updates" and "answer" in event:
            answer = event["answer"]["answer"]
    if not ranked:
        out.print(answer["reply"], markup=False)
    else:
        limits = [f"In force: {'; '.join(c['said'] for c in answer['constraints'])}"] if answer["constraints"] else []
        asked = [answer["question"]["text"]] if answer["question"] else []
        for line in (*show.opening(answer)[:-1], *limits, *asked):  # the last one opens the list, which is there already
            out.print(line, markup=False)
    for line in show.footer(answer)[1:]:
        out.print(line)


def _turn(
    graph: "Graph", user: str | None, message: str | None, thread: str | None, k: int | None = None, reasons: str | None = None
) -> dict[str, Any]:
    given: Any = {"user": user, "message": message}
    answer: dict[str, Any] = graph.invoke(given, _config(thread), context=_context(k, reasons))["answer"]
    return answer


def _config(thread: str | None) -> Any:
    return {"run_name": "turn", "run_id": uuid.uuid4(), "configurable": {"thread_id": thread} if thread else {}}


def _context(k: int | None, reasons: str | None) -> Any:
    return {"k": k, "reasons": reasons}


def _check_thread(thread: str | None) -> None:
    if thread is not None and not 0 < len(thread.strip()) <= 200:
        raise BadInput("cannot use that thread: give it a name of 1 to 200 characters")


def _settings() -> "Settings":
    from duetto.settings import Settings

    return Settings.from_environment()


def _memory() -> Any:
    from langgraph.checkpoint.memory import InMemorySaver

    return InMemorySaver()


def main(arguments: list[str] | None = None) -> None:
    """Runs a command; what the caller did wrong is told in one sentence, with exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin made learning 20 times slower on a busy machine
    try:
        app(arguments)
    except DuettoError as error:
        err.print(f"duetto: {error}", markup=False, soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
