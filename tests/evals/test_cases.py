"""The conversations that ship pass as they stand: without a model, and through a scripted one.

The sample's run everywhere. Those of ML-1M and Beauty need an index of that data: ML_1M_INDEX and AMAZON_BEAUTY_INDEX name one.
"""

import os
from functools import cache, partial

import pytest

from duetto.evals.case_files import OURS, Case, read
from duetto.evals.case_runner import Runner
from duetto.evals.scripted_reader import scripted_model
from duetto.settings import Settings
from duetto.wiring import graph_of, open_index, parts

FOLDERS = {"sample": OURS, "ml-1m": OURS.parent / "ml-1m", "amazon-beauty": OURS.parent / "amazon-beauty"}
VARIABLES = {"ml-1m": "ML_1M_INDEX", "amazon-beauty": "AMAZON_BEAUTY_INDEX"}
FILES = [(data, file.stem) for data, folder in FOLDERS.items() for file in sorted(folder.glob("*.yaml"))]
every_model = pytest.mark.parametrize("model", ["none", "scripted"])


@cache
def runner(data: str, settings: Settings, model: str) -> Runner:
    index = open_index("sample" if data == "sample" else os.environ[VARIABLES[data]], settings)
    box, signals = parts(index, settings)
    speaker = scripted_model(index.catalogue, settings.limits) if model == "scripted" else None
    return Runner(box, index.features, partial(graph_of, index, box, signals, speaker))


@every_model
@pytest.mark.parametrize(("data", "name"), FILES)
def test_a_case_passes(settings: Settings, data: str, name: str, model: str) -> None:
    if data != "sample" and VARIABLES[data] not in os.environ:
        pytest.skip(f"no index of {data}: name one in {VARIABLES[data]}")
    (found,) = runner(data, settings, model).run(read([FOLDERS[data] / f"{name}.yaml"]))
    assert (found.wrong, found.state) == ([], {})


def cases() -> list[Case]:
    return read(list(FOLDERS.values()))


def test_there_are_thirty_conversations_and_most_have_five_turns_or_more() -> None:
    assert len(cases()) >= 30
    assert sum(len(case.turns) >= 5 for case in cases()) > len(cases()) / 2


def test_each_has_a_name_of_its_own_in_its_folder() -> None:
    for folder in FOLDERS.values():
        names = [case.name for case in read([folder])]
        assert len(set(names)) == len(names)


def test_every_intent_is_tried() -> None:
    tried = {step.expect.intent for case in cases() for step in case.turns}
    assert tried >= {
        "recommend", "refine", "feedback", "undo", "why_not", "about", "why", "compare", "facts", "profile", "start_over",
        "small_talk", "out_of_scope",
    }  # fmt: skip


def test_the_process_is_restarted_and_people_interleave_over_every_data() -> None:
    for folder in FOLDERS.values():
        steps = [step for case in read([folder]) for step in case.turns]
        assert any(step.restart for step in steps)
        assert len({step.user for step in steps if step.user is not None}) > 1


def test_a_scripted_model_is_asked_through_every_prompt_of_a_turn(settings: Settings) -> None:
    index = open_index("sample", settings)
    box, signals = parts(index, settings)
    model = scripted_model(index.catalogue, settings.limits)
    Runner(box, index.features, partial(graph_of, index, box, signals, model)).run(read([OURS / "second-one.yaml"]))
    asked = {call.schema_name for call in model.chat.calls}  # type: ignore[attr-defined]
    assert asked == {"ExtractAnswer", "QueriesAnswer", "ExplainAnswer", "AboutAnswer"}
