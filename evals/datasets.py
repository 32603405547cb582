"""Cases as LangSmith datasets, and their runs as LangSmith experiments; without a key the experiment stays on this machine."""

import warnings
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from langsmith import Client
from langsmith.schemas import Example
from pydantic import ValidationError

from duetto.errors import BadInput
from duetto.evals.case_files import Case, Outcome, Runner
from duetto.tools.tracing import single_requests

PASSED = {"passed": True}


def push(cases: list[Case], dataset: str) -> None:
    """Puts the cases into a dataset, made where it is not there; a case of the same name is replaced. Raises NotReady."""
    with single_requests() as client:
        found = client.read_dataset(dataset_name=dataset) if client.has_dataset(dataset_name=dataset) else None
        kept = found or client.create_dataset(dataset, description="Conversations with assertions, for `duetto eval cases`.")
        names = {case.name for case in cases}
        old = [example.id for example in client.list_examples(dataset_id=kept.id) if _name(example) in names]
        if old:
            client.delete_examples(old)
        examples: list[Any] = [{"inputs": _inputs(case), "outputs": PASSED} for case in cases]
        client.create_examples(dataset_id=kept.id, examples=examples)


def pull(dataset: str) -> list[Case]:
    """Raises NotReady, or BadInput for a dataset that is not there or holds something else."""
    with single_requests() as client:
        if not client.has_dataset(dataset_name=dataset):
            raise BadInput(f"there is no dataset {dataset!r} in LangSmith: put cases there with --push {dataset}")
        examples = list(client.list_examples(dataset_name=dataset))
    try:
        return [Case.model_validate((example.inputs or {})["case"]) for example in examples]
    except (KeyError, ValidationError) as error:
        raise BadInput(f"cannot run the dataset {dataset!r}: it holds examples that are no cases of Duetto") from error


def experiment(runner: Runner, cases: list[Case], upload: bool) -> list[Outcome]:
    """Runs the cases through `langsmith.evaluate`; uploads what came out only where asked. Raises NotReady."""
    from langsmith import evaluate

    outcomes: dict[str, Outcome] = {}

    def target(inputs: dict[str, Any]) -> dict[str, Any]:
        (outcome,) = runner.run([Case.model_validate(inputs["case"])])
        outcomes[outcome.case] = outcome
        return asdict(outcome) | {"passed": not outcome.wrong}

    def passed(outputs: dict[str, Any]) -> dict[str, Any]:
        return {"key": "passed", "score": bool(outputs["passed"]), "comment": "; ".join(outputs["wrong"])}

    examples = [_example(case) for case in cases]
    nobody = nullcontext(Client(api_url="http://127.0.0.1:9", api_key="none", auto_batch_tracing=False, info={}))
    with single_requests() if upload else nobody as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of langsmith's own making
        evaluate(
            target, data=examples, evaluators=[passed], client=client, upload_results=upload,
            experiment_prefix="duetto-cases", max_concurrency=0, blocking=True,
        )  # fmt: skip
    return [outcomes[case.name] for case in cases]


def _example(case: Case) -> Example:
    now, home = datetime.now(UTC), uuid5(NAMESPACE_URL, "duetto")
    return Example(
        id=uuid5(home, case.name), inputs=_inputs(case), outputs=PASSED, dataset_id=home, created_at=now, modified_at=now
    )


def _inputs(case: Case) -> dict[str, Any]:
    return {"case": case.model_dump(mode="json", exclude_defaults=True)}


def _name(example: Example) -> str | None:
    name: str | None = (example.inputs or {}).get("case", {}).get("name")
    return name
