"""Cases as LangSmith datasets, and their runs as LangSmith experiments; without a key the experiment stays on this machine."""

import warnings
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from langsmith import Client
from langsmith.schemas import Example
from langsmith.utils import LangSmithError
from pydantic import ValidationError

from duetto.errors import BadInput, NotReady
from duetto.evals.case_files import Case, Outcome, Runner
from duetto.tools.tracing import quiet_client

PASSED = {"passed": True}


def push(cases: list[Case], dataset: str) -> None:
    """Puts the cases into a dataset, made where it is not there; a case of the same name is replaced. Raises NotReady."""
    client = quiet_client()
    try:
        found = client.read_dataset(dataset_name=dataset) if client.has_dataset(dataset_name=dataset) else None
        kept = found or client.create_dataset(dataset, description="Conversations with assertions, for `duetto eval cases`.")
        names = {case.name for case in cases}
        old = [example.id for example in client.list_examples(dataset_id=kept.id) if _name(example) in names]
        if old:
            client.delete_examples(old)
        examples: list[Any] = [{"inputs": _inputs(case), "outputs": PASSED} for case in cases]
        client.create_examples(dataset_id=kept.id, examples=examples)
    except (LangSmithError, OSError) as error:
        raise _unheard(error) from error
    finally:
        client.close(timeout=0)


def pull(dataset: str) -> list[Case]:
    """Raises NotReady, or BadInput for a dataset that is not there or holds something else."""
    client = quiet_client()
    try:
        if not client.has_dataset(dataset_name=dataset):
            raise BadInput(f"there is no dataset {dataset!r} in LangSmith: put cases there with --push {dataset}")
        examples = list(client.list_examples(dataset_name=dataset))
    except (LangSmithError, OSError) as error:
        raise _unheard(error) from error
    finally:
        client.close(timeout=0)
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

    client = quiet_client() if upload else Client(api_url="http://127.0.0.1:9", api_key="none", auto_batch_tracing=False, info={})
    examples = [_example(case) for case in cases]
    try:
        with warnings.catch_warnings():  # of langsmith's own making
            warnings.simplefilter("ignore")
            evaluate(
                target, data=examples, evaluators=[passed], client=client, upload_results=upload,
                experiment_prefix="duetto-cases", max_concurrency=0, blocking=True,
            )  # fmt: skip
    except (LangSmithError, OSError) as error:
        raise _unheard(error) from error
    finally:
        client.close(timeout=0)
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


def _unheard(error: Exception) -> NotReady:
    why = type(error).__name__  # its text may hold the key
    return NotReady(f"LangSmith could not be reached ({why}): check LANGSMITH_ENDPOINT and LANGSMITH_API_KEY")
