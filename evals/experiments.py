"""Evaluations as LangSmith experiments, by `langsmith.evaluate`; without a key they stay on this machine.

Nobody is told of by an id, and where DUETTO_TRACE_TEXT is off no text of items and messages leaves: see each list of trials.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from itertools import groupby
from typing import Any
from uuid import uuid4

from langsmith import Client
from langsmith.schemas import Example

from duetto.errors import DuettoError
from duetto.evals.case_files import Case
from duetto.evals.case_runner import Outcome
from duetto.evals.datasets import Inputs, inputs_of, keep, key
from duetto.evals.truth import Verdict
from duetto.tools.journal import Pseudonyms
from duetto.tools.tracing import HIDDEN, has_key, plain, single_requests

UPLOADED_AT_ONCE = 8
RETRIES = 3
Outputs = dict[str, Any]
Scores = dict[str, float | None]


@dataclass(frozen=True)
class Trial:
    """One example of an experiment: its inputs as they are told, and what gives its outputs and scores."""

    inputs: Inputs
    run: Callable[[], tuple[Outputs, Scores]]


def reachable() -> bool:
    """Whether LangSmith has a key. Raises NotReady where it has one and does not answer: before the work, not after it."""
    if not has_key():
        return False
    with single_requests() as client:
        client.has_dataset(dataset_name="duetto-cases")
    return True


def experiment(
    dataset: str, trials: Sequence[Trial], facts: dict[str, Any], *, upload: bool, at_once: int = UPLOADED_AT_ONCE
) -> None:
    """Runs the trials through `langsmith.evaluate`; `upload` puts them and what came out into LangSmith, under this dataset.

    Raises what a trial raised, or NotReady.
    """
    from langsmith import evaluate

    if not trials:
        return
    runs = {key(trial.inputs): trial.run for trial in trials}
    scored: dict[str, Scores] = {}
    failed: list[DuettoError] = []

    def target(inputs: Inputs) -> Outputs:
        try:
            outputs, scored[key(inputs)] = runs[key(inputs)]()
        except DuettoError as error:
            failed.append(error)  # told here, not there: it may quote what somebody said
            return {}
        return outputs

    def scores(inputs: Inputs) -> dict[str, Any]:
        found = scored.get(key(inputs), {})
        return {"results": [{"key": name, "score": score} for name, score in found.items() if score is not None]}

    with _client(upload) as client, warnings.catch_warnings(), redirect_stdout(sys.stderr if upload else StringIO()):
        warnings.simplefilter("ignore")  # of langsmith's own making
        inputs = [trial.inputs for trial in trials]
        evaluate(
            target, data=keep(client, dataset, inputs) if upload else _examples(inputs), evaluators=[scores], client=client,
            upload_results=upload, disable_evaluator_tracing=True, experiment_prefix=dataset, metadata=facts,
            max_concurrency=at_once, blocking=True,
        )  # fmt: skip
    if failed:
        raise failed[0]


def _client(upload: bool) -> Any:
    if upload:
        return single_requests("told all of the experiment", retries=RETRIES)
    return nullcontext(Client(api_url="http://127.0.0.1:9", api_key="none", auto_batch_tracing=False, info={}))


def _examples(inputs: list[Inputs]) -> list[Example]:
    now, nowhere = datetime.now(UTC), uuid4()
    return [Example(id=uuid4(), inputs=one, dataset_id=nowhere, created_at=now, modified_at=now) for one in inputs]


def of_case(case: Case, run: Callable[[Case], Outcome], text: bool, pseudonyms: Pseudonyms, pulled: bool) -> Trial:
    """A conversation; one that was `pulled` stands in its dataset already. Without text only a pseudonym of its name is told."""

    def played() -> tuple[Outputs, Scores]:
        outcome = run(case)
        told: Outputs = plain(asdict(outcome), text, pseudonyms=pseudonyms)
        return told, {"passed": float(not outcome.wrong)}

    turns = [step.model_copy(update={"user": pseudonyms.of(step.user)}) for step in case.turns]
    unnamed = case.model_copy(update={"user": pseudonyms.of(case.user), "turns": turns})
    told = inputs_of(unnamed) if text else {"case": {"name": pseudonyms.of(case.name)}}
    return Trial(inputs_of(case) if pulled else told, played)


def of_people(
    found: list[Verdict], users: Sequence[str | int], message: str | None, text: bool, pseudonyms: Pseudonyms
) -> list[Trial]:
    """Each person by a pseudonym, with what was found of the reasons shown; a reason's words only where text is told."""
    trials = []
    for person, verdicts in groupby(found, key=lambda verdict: verdict.told.person):
        inputs: Inputs = {"user": pseudonyms.of(users[person])}
        if message is not None:
            inputs["message"] = message if text else HIDDEN
        trials.append(Trial(inputs, partial(_of_person, list(verdicts), text)))
    return trials


def _of_person(found: list[Verdict], text: bool) -> tuple[Outputs, Scores]:
    fallen = [one.fall.without > one.fall.others for one in found if one.fall is not None]
    scores: Scores = {
        "grounded": sum(not one.ungrounded for one in found) / len(found),
        "faithful": sum(fallen) / len(fallen) if fallen else None,
        "consistent": sum(not one.contradicting for one in found) / len(found),
    }
    wrong = [
        {"reason": one.told.reason.text, "wrong": [*one.ungrounded, *one.contradicting]}
        for one in found
        if one.ungrounded or one.contradicting
    ]
    return {"reasons": len(found), "compared": len(fallen), "wrong": plain(wrong, text), **scores}, scores


def of_systems(report: dict[str, Any]) -> list[Trial]:
    """Each system over the data, with the report's figures: no person and no item."""
    shared = {"data": report["dataset"], "protocol": report["protocol"], "embedder": report["facts"]["embedder"]}
    return [Trial(shared | {"system": name}, partial(_of_system, figures)) for name, figures in report["systems"].items()]


def _of_system(figures: Outputs) -> tuple[Outputs, Scores]:
    return figures, {name: of["mean"] for name, of in figures.items()}
