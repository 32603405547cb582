"""Datasets and experiments over real HTTP, from processes of their own: langsmith reads its environment only once."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from duetto.evals.case_files import OURS, Case, read
from duetto.settings import Settings
from duetto.tools import sample
from duetto.tools.index import Index
from duetto.tools.journal import Pseudonyms
from tests.langsmith import KEY, LangSmith, closed_port
from tests.tools.test_tracing import told

GOOD = "name: a good one\nuser: p042\nturns: [{say: a sombre western, expect: {least: 10}}]\n"
OLD = "name: a bad one\nuser: p042\nturns: [{say: a comedy, expect: {most: 0}}]\n"
BAD = "name: a bad one\nuser: p042\nturns: [{say: films newer than 1995, expect: {most: 0, intent: small_talk}}]\n"
STRANGE = "name: of another catalogue\nturns: [{say: a western, expect: {contains: [Nonesuch]}}]\n"
RANK = """
command("eval", "rank", "--items", sys.argv[1] + "/items.csv", "--interactions", sys.argv[1] + "/log.csv", "--out",
        sys.argv[1] + "/out", "--users", "20", "--systems", "popularity,co-occurrence", "--brief", "--langsmith", "--json")
"""
REASONS = """
command("eval", "reasons", "--index", "sample", "--users", "5", "--langsmith", "--json")
"""
CASES = """
command("eval", "cases", sys.argv[1] + "/cases", "--langsmith", "--json")
"""
SAYING = """
command("eval", "reasons", "--index", "sample", "--users", "5", "--message", "a sombre western", "--langsmith")
"""
EXPERIMENTS = CASES + REASONS + SAYING + RANK
DATASETS = """
from duetto.evals import datasets
command("eval", "cases", "--push", "mine")
command("eval", "cases", "--push", "mine")
shown.append([case.model_dump(mode="json") for case in datasets.pull("mine")])
command("eval", "cases", "--pull", "nowhere")
command("eval", "cases", "--pull", "strange")
command("eval", "cases", "--pull", "empty")
command("eval", "cases", sys.argv[1] + "/old.yaml", "--push", "changing")
command("eval", "cases", sys.argv[1] + "/cases", "--push", "changing")
command("eval", "cases", "--pull", "changing", "--json")
command("eval", "cases", "--pull", "changing", "--langsmith", "--json")
command("eval", "cases", sys.argv[1] + "/old.yaml", sys.argv[1] + "/cases", "--push", "twice")
command("eval", "cases", sys.argv[1] + "/old.yaml", "--push", "strange")
command("eval", "cases", sys.argv[1] + "/strange.yaml", "--langsmith")
"""
ALONE = (
    """
connected = []
sys.addaudithook(lambda event, args: connected.append(str(args)) if event in ("socket.connect", "socket.getaddrinfo") else None)
"""
    + EXPERIMENTS
    + "shown.append(connected)\n"
)


@dataclass(frozen=True)
class Played:
    """What the commands said, and the server that heard of them."""

    shown: list[Any]
    server: LangSmith
    settings: Settings

    def name(self, user: str) -> str | None:
        return Pseudonyms(self.settings.data / "pseudonyms.key").of(user)

    def experiment(self, dataset: str) -> list[dict[str, Any]]:
        """The runs of the newest experiment of this dataset, each with its example's inputs and its scores."""
        (kept,) = [one["id"] for one in self.server.datasets.values() if one["name"] == dataset]
        *_, made = [one for one in self.server.sessions.values() if one["reference_dataset_id"] == kept]
        assert made["name"].startswith(dataset)
        return [
            {
                "inputs": self.server.examples[run["reference_example_id"]]["inputs"],
                "outputs": run["outputs"],
                "scores": {one["key"]: one["score"] for one in self.server.feedback if one["run_id"] == run["id"]},
            }
            for run in self.server.runs.values()
            if run["session_name"] == made["name"]
        ]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiments")
    sample.films().write_csv(folder / "items.csv")
    sample.interactions().drop("timestamp").write_csv(folder / "log.csv")
    (folder / "cases").mkdir()
    texts = {"cases/good": GOOD, "cases/bad": BAD, "old": OLD, "strange": STRANGE}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def play(settings: Settings, files: Path) -> Callable[..., Played]:
    def played(text: str, server: LangSmith, url: str | None = None, **more: str) -> Played:
        own = replace(settings, data=files / "data")
        with server:
            found = told(own, text, url or server.url, (str(files),), LANGSMITH_TRACING="false", **more)
        assert "lsv2" not in json.dumps(found.printed) + found.stderr
        assert KEY.encode() not in b"".join(body for _, body in server.heard)
        return Played(found.printed, server, own)

    return played


@pytest.fixture(scope="session")
def kept(play: Callable[..., Played]) -> Played:
    server = LangSmith()
    server.hold("strange", [{"case": "no case"}, {"question": "?"}])
    server.hold("empty", [])
    return play(DATASETS, server)


@pytest.fixture(scope="session")
def tried(play: Callable[..., Played]) -> Played:
    return play(EXPERIMENTS, LangSmith())


@pytest.fixture(scope="session")
def hidden(play: Callable[..., Played]) -> Played:
    return play(EXPERIMENTS + 'command("eval", "cases", "--push", "mine")\n', LangSmith(), DUETTO_TRACE_TEXT="off")


# datasets


def test_cases_that_were_pushed_come_back_as_they_were(kept: Played) -> None:
    ours = sorted(read([OURS]), key=lambda case: case.name)
    assert kept.shown[0] == [0, f"{len(ours)} cases are in the dataset mine\n", ""]
    assert [Case.model_validate(case) for case in kept.shown[2]] == ours


def test_cases_that_are_pushed_again_are_not_doubled(kept: Played) -> None:
    assert kept.shown[1] == kept.shown[0]
    assert len(kept.server.inputs("mine")) == len(read([OURS]))


def test_a_case_that_changed_replaces_the_one_of_its_name(kept: Played) -> None:
    assert [shown[0] for shown in kept.shown[6:8]] == [0, 0]
    said = {one["case"]["name"]: one["case"]["turns"][0]["say"] for one in kept.server.inputs("changing")}
    assert said == {"a good one": "a sombre western", "a bad one": "films newer than 1995"}
    code, out, _ = kept.shown[8]
    assert (code, [one["case"] for one in json.loads(out)]) == (1, ["a bad one", "a good one"])


def test_an_experiment_of_pulled_cases_belongs_to_their_dataset(kept: Played) -> None:
    code, out, _ = kept.shown[9]
    assert (code, [one["case"] for one in json.loads(out)]) == (1, ["a bad one", "a good one"])
    assert [run["scores"] for run in kept.experiment("changing")] == [{"passed": 0}, {"passed": 1}]
    assert len(kept.server.inputs("changing")) == 2


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (3, "there is no dataset 'nowhere' in LangSmith: put cases there with --push nowhere"),
        (4, "cannot run the dataset 'strange': it holds examples that are no cases of Duetto"),
        (5, "cannot run the dataset 'empty': it holds no case"),
        (10, "cannot put two cases called 'a bad one' into one dataset: give each a name of its own"),
        (12, "cannot run the case 'of another catalogue', turn 1: no item is called 'Nonesuch'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(kept: Played, number: int, sentence: str) -> None:
    code, out, err = kept.shown[number]
    assert (code, out) == (2, "")
    assert f"duetto: {sentence}\n" in err
    assert "Traceback" not in err


def test_examples_of_somebody_else_stay_beside_a_case(kept: Played) -> None:
    assert kept.shown[11][0] == 0
    assert [one.keys() for one in kept.server.inputs("strange")] == [{"case"}, {"question"}, {"case"}]


# experiments


def test_an_experiment_of_cases_tells_each_with_its_verdict(tried: Played) -> None:
    code, out, err = tried.shown[0]
    bad, good = tried.experiment("duetto-cases")
    assert (code, [bool(one["wrong"]) for one in json.loads(out)]) == (1, [True, False])
    assert "/datasets/" in err
    assert (bad["scores"], good["scores"]) == ({"passed": 0}, {"passed": 1})
    assert bad["inputs"]["case"]["turns"][0]["say"] == "films newer than 1995"
    assert bad["inputs"]["case"]["user"] == bad["outputs"]["state"]["user"] == tried.name("p042")
    assert bad["outputs"]["wrong"][0].startswith("turn 1: ")


def test_an_experiment_of_reasons_tells_each_person_by_a_pseudonym(tried: Played, sample_index: Index) -> None:
    code, out, _ = tried.shown[1]
    report = json.loads(out)["reasons"]["shown"]
    kept = [one["id"] for one in tried.server.datasets.values() if one["name"] == "duetto-reasons"]
    first = next(one for one in tried.server.sessions.values() if one["reference_dataset_id"] in kept)
    runs = [run for run in tried.server.runs.values() if run["session_name"] == first["name"]]
    names = {tried.name(str(user)) for user in sample_index.histories.users}
    assert code == 0
    assert len({json.dumps(tried.server.examples[run["reference_example_id"]]["inputs"]) for run in runs}) == len(runs) == 5
    assert {tried.server.examples[run["reference_example_id"]]["inputs"]["user"] for run in runs} < names
    assert sum(run["outputs"]["reasons"] for run in runs) == report["faithfulness"]["reasons"]
    assert sum(run["outputs"]["compared"] for run in runs) == report["faithfulness"]["compared"]
    faithful = sum(run["outputs"]["faithful"] * run["outputs"]["compared"] for run in runs if run["outputs"]["compared"])
    assert faithful / report["faithfulness"]["compared"] == pytest.approx(report["faithfulness"]["faithful"]["mean"], abs=1e-3)
    told = [one["key"] for one in tried.server.feedback if one["run_id"] in {run["id"] for run in runs}]
    assert (told.count("grounded"), told.count("consistent")) == (5, 5)
    assert first["extra"]["metadata"]["index"] == sample_index.version


def test_with_a_message_reasons_have_no_faithfulness(tried: Played) -> None:
    runs = tried.experiment("duetto-reasons")
    assert {run["inputs"]["message"] for run in runs} == {"a sombre western"}
    assert [run["scores"].keys() for run in runs] == [{"grounded", "consistent"}] * 5


def test_an_experiment_of_rankings_tells_each_system_s_figures(tried: Played) -> None:
    code, out, _ = tried.shown[3]
    report = json.loads(out)
    runs = {run["inputs"]["system"]: run for run in tried.experiment("duetto-rank")}
    assert code == 0
    assert runs.keys() == report["systems"].keys() == {"popularity", "co-occurrence"}
    for name, figures in report["systems"].items():
        assert runs[name]["outputs"] == figures
        assert runs[name]["scores"] == pytest.approx({metric: of["mean"] for metric, of in figures.items()}, abs=1e-4)
        assert runs[name]["inputs"]["protocol"] == report["protocol"]


@pytest.mark.parametrize("which", ["tried", "hidden"])
def test_no_id_of_a_person_arrives(request: pytest.FixtureRequest, sample_index: Index, which: str) -> None:
    found: Played = request.getfixturevalue(which)
    assert len(found.server.runs) == 14
    assert [
        user for user in sample_index.histories.users if f'"{user}"' in found.server.said or f" {user}" in found.server.said
    ] == []


def test_without_text_no_word_of_a_case_or_an_item_arrives(hidden: Played, sample_index: Index) -> None:
    titles = [title for title in sample_index.catalogue.titles if len(title) > 5]
    words = ("sombre", "western", "newer", "a good one", "small_talk", *titles)
    assert [word for word in words if word in hidden.server.said] == []
    assert [run["scores"] for run in hidden.experiment("duetto-cases")] == [{"passed": 0}, {"passed": 1}]
    assert len({run["inputs"]["user"] for run in hidden.experiment("duetto-reasons")}) == 5


def test_without_text_cases_are_not_pushed(hidden: Played) -> None:
    code, out, err = hidden.shown[-1]
    assert (code, out) == (2, "")
    assert err.startswith("duetto: cannot push cases")


def test_without_a_key_nothing_is_sent_and_the_same_is_found(play: Callable[..., Played], tried: Played) -> None:
    alone = play(ALONE, LangSmith(), LANGSMITH_API_KEY="")
    *shown, connected = alone.shown
    assert (connected, alone.server.asked) == ([], [])
    assert [code for code, _, _ in shown] == [code for code, _, _ in tried.shown] == [1, 0, 0, 0]
    for here, there in zip(shown[:2], tried.shown[:2], strict=True):
        assert json.loads(here[1]) == json.loads(there[1])
    assert json.loads(shown[3][1])["systems"] == json.loads(tried.shown[3][1])["systems"]


# a LangSmith that does not work

COMMANDS = """
command("eval", "cases", sys.argv[1] + "/cases", "--push", "mine")
command("eval", "cases", "--pull", "mine")
command("eval", "cases", sys.argv[1] + "/cases", "--langsmith")
"""
BROKEN: dict[str, tuple[dict[tuple[str, str], int], list[int]]] = {
    "no service": ({("GET", "/"): 500, ("POST", "/"): 500}, [2, 2, 2]),
    "another key": ({("GET", "/"): 401, ("POST", "/"): 403}, [2, 2, 2]),
    "no examples": ({("POST", "/v1/platform"): 422}, [2, 2, 2]),
    "no experiments": ({("POST", "/sessions"): 500}, [0, 1, 2]),
    "no runs": ({("POST", "/runs"): 500}, [0, 1, 2]),
    "no end of runs": ({("PATCH", "/runs"): 500}, [0, 1, 2]),
    "no feedback": ({("POST", "/feedback"): 404}, [0, 1, 2]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_server_that_fails_is_one_sentence(play: Callable[..., Played], name: str) -> None:
    broken, codes = BROKEN[name]
    shown = play(COMMANDS, LangSmith(broken=broken)).shown
    assert [code for code, _, _ in shown] == codes
    assert [len(sentences(err)) for _, _, err in shown] == [code == 2 for code in codes]


def test_nobody_who_listens_is_one_sentence_before_anything_is_done(play: Callable[..., Played]) -> None:
    with closed_port() as url:
        shown = play(COMMANDS + REASONS + RANK, LangSmith(), url).shown
    expected = "duetto: LangSmith could not be reached (LangSmithConnectionError): check LANGSMITH_ENDPOINT and LANGSMITH_API_KEY"
    assert [(code, out, sentences(err)) for code, out, err in shown] == [(2, "", [expected])] * 5


def sentences(err: str) -> list[str]:
    assert "Traceback" not in err
    return [line for line in err.splitlines() if line.startswith("duetto: ")]
