"""Cases as LangSmith datasets."""

import json
from typing import Any

from langsmith import Client
from langsmith.schemas import Example
from pydantic import ValidationError

from duetto.errors import BadInput
from duetto.evals.case_files import Case
from duetto.tools.tracing import single_requests

Inputs = dict[str, Any]
DELETED_AT_ONCE = 100  # their ids go into one address


def push(cases: list[Case], dataset: str) -> None:
    """Puts the cases into a dataset, made where it is not there; a case of the same name is replaced.

    Raises BadInput for two cases of one name, and NotReady.
    """
    names = [case.name for case in cases]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"cannot put two cases called {twice[0]!r} into one dataset: give each a name of its own")
    with single_requests() as client:
        keep(client, dataset, [inputs_of(case) for case in cases])


def pull(dataset: str) -> list[Case]:
    """Raises NotReady, or BadInput for a dataset that is not there, empty, or holds something else."""
    with single_requests() as client:
        if not client.has_dataset(dataset_name=dataset):
            raise BadInput(f"there is no dataset {dataset!r} in LangSmith: put cases there with --push {dataset}")
        examples = list(client.list_examples(dataset_name=dataset))
    found = [_case(example.inputs or {}) for example in examples]
    cases = [case for case in found if case is not None]
    if len(cases) < len(found) or not cases:
        what = "examples that are no cases of Duetto" if found else "no case"
        raise BadInput(f"cannot run the dataset {dataset!r}: it holds {what}")
    return sorted(cases, key=lambda case: case.name)


def inputs_of(case: Case) -> Inputs:
    return {"case": case.model_dump(mode="json", exclude_defaults=True)}


def keep(client: Client, dataset: str, wanted: list[Inputs]) -> list[Example]:
    """The dataset's examples with these inputs, made where they are missing; then an older case of the same name goes."""
    made = client.has_dataset(dataset_name=dataset)
    kept = client.read_dataset(dataset_name=dataset) if made else client.create_dataset(dataset)
    there = {key(example.inputs or {}): example for example in client.list_examples(dataset_id=kept.id)}
    new = {key(inputs): inputs for inputs in wanted if key(inputs) not in there}
    names = {_name(inputs) for inputs in new.values()} - {None}
    if new:
        old = [example.id for example in there.values() if _name(example.inputs or {}) in names]
        client.create_examples(dataset_id=kept.id, examples=[{"inputs": inputs} for inputs in new.values()])
        for start in range(0, len(old), DELETED_AT_ONCE):
            client.delete_examples(old[start : start + DELETED_AT_ONCE])
        there = {key(example.inputs or {}): example for example in client.list_examples(dataset_id=kept.id)}
    return [there[key(inputs)] for inputs in wanted]


def key(inputs: Inputs) -> str:
    """The same for the same inputs, and for the same case however it is written."""
    case = _case(inputs)
    return json.dumps(inputs if case is None else inputs_of(case), sort_keys=True)


def _case(inputs: Inputs) -> Case | None:
    try:
        return Case.model_validate(inputs.get("case"))
    except ValidationError:
        return None


def _name(inputs: Inputs) -> str | None:
    case = inputs.get("case")
    return case.get("name") if isinstance(case, dict) else None
