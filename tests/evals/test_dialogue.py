"""`duetto eval dialogue`: what is to be found in other people's conversations, and how it is played."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from langchain_core.messages import AIMessage, HumanMessage

from duetto.cli import main
from duetto.errors import BadInput
from duetto.evals import found
from duetto.evals.dialogue import OURS, SHOWN, Player, play
from duetto.evals.moments import Counts, Heard, Moment, heard, sampled
from duetto.evals.redial import Dialogue, Links, read
from duetto.evals.rivals import Rivals
from duetto.jobs import evaluate_dialogues
from duetto.settings import Settings
from duetto.tools import index as indexes
from duetto.tools import sample
from duetto.tools.catalogue import Catalogue
from duetto.wiring import open_graph
from tests.sessions import speaking
from tests.tools.films import catalogue, toolbox

FILMS = {"1": "Alien (1979)", "2": "Aliens  (1986)", "3": "Up (2009)", "4": "Se7en (1995)", "5": "Nobody Made This (1999)"}
TALK = [
    ("recommender", "Hi!"),
    ("recommender", "What do you like?"),
    ("seeker", "I loved @1 so much"),
    ("recommender", "Then see @2 or @4 or @5, they are as good as @1"),
    ("seeker", "More please"),
    ("recommender", "@3"),
]
ROW = {title: row for row, title in enumerate(catalogue().titles)}


def distributed(name: str = "7", rejected: tuple[str, ...] = ("4",)) -> dict[str, Any]:
    """A conversation as ReDial has it."""
    return {
        "conversationId": name,
        "initiatorWorkerId": 10,
        "respondentWorkerId": 11,
        "messages": [{"senderWorkerId": 10 if who == "seeker" else 11, "text": text, "timeOffset": 0} for who, text in TALK],
        "movieMentions": FILMS,
        "initiatorQuestions": {film: {"suggested": 1, "seen": 2, "liked": 0 if film in rejected else 2} for film in FILMS},
        "respondentQuestions": [],
    }


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "talks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def talks(tmp_path: Path) -> list[Dialogue]:
    return read(written(tmp_path, distributed()))


@pytest.fixture
def moments(talks: list[Dialogue]) -> list[Heard]:
    return heard(talks, Links(catalogue()))[0]


def test_titles_stand_in_place_of_ids_and_one_side_speaks_until_the_other_answers(talks: list[Dialogue]) -> None:
    assert [turn.speaker for turn in talks[0].turns] == ["recommender", "seeker", "recommender", "seeker", "recommender"]
    assert talks[0].turns[0].words == "Hi!\nWhat do you like?"
    assert (
        talks[0].turns[2].words
        == "Then see Aliens (1986) or Se7en (1995) or Nobody Made This (1999), they are as good as Alien (1979)"
    )
    assert talks[0].turns[2].films == ("2", "4", "5", "1")
    assert talks[0].rejected == {"4"}


def test_a_table_of_conversations_reads_as_the_file_as_distributed(tmp_path: Path, talks: list[Dialogue]) -> None:
    row = distributed()
    table = {
        "conversation_id": row["conversationId"],
        "messages": json.dumps([{"role": who, "text": text} for who, text in TALK]),
        "movie_mentions": json.dumps(FILMS),
        "seeker_form": json.dumps(row["initiatorQuestions"]),
    }
    pl.DataFrame([table]).write_parquet(tmp_path / "talks.parquet")
    assert read(tmp_path / "talks.parquet") == talks


def test_conversations_without_films_or_forms_are_read(tmp_path: Path) -> None:
    bare = distributed() | {"movieMentions": [], "initiatorQuestions": []}
    assert read(written(tmp_path, bare))[0].titles == {}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (({"text": "hello"},), "conversation 1 is not as ReDial's are"),
        ((distributed(), distributed()), "two conversations have the same id"),
        ((distributed("1"), distributed("2") | {"messages": "none"}), "conversation 2 is not as ReDial's are"),
    ],
)
def test_other_files_are_bad_input(tmp_path: Path, rows: tuple[dict[str, Any], ...], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read(written(tmp_path, *rows))


@pytest.mark.parametrize(
    ("film", "title"),
    [
        ("Matrix (1999)", "Matrix, The (1999)"),
        ("The Matrix (1999)", "Matrix, The (1999)"),
        ("The Matrix (1998)", "Matrix, The (1999)"),
        ("The Matrix (1997)", None),
        ("the matrix", "Matrix, The (1999)"),
        ("Jumanji (2017)", "Jumanji (2017)"),
        ("Jumanji", None),
        ("Amelie (2001)", "Fabuleux destin, Le (Amélie) (2001)"),
        ("Fast & Loose (2003)", "Fast and Loose (2003)"),
        ("", None),
    ],
)
def test_films_are_linked_by_title_and_year(film: str, title: str | None) -> None:
    titles = [
        "Matrix, The (1999)",
        "Jumanji (1995)",
        "Jumanji (2017)",
        "Fabuleux destin, Le (Amélie) (2001)",
        "Fast and Loose (2003)",
    ]
    row = Links(Catalogue.of(pl.DataFrame({"item_id": list(range(5)), "title": titles}))).row(film)
    assert (None if row is None else titles[row]) == title


def test_targets_are_first_mentions_of_the_recommender_that_the_seeker_did_not_reject(talks: list[Dialogue]) -> None:
    found, counts = heard(talks, Links(catalogue()))
    first, second, third = found[0].moments
    assert (first.targets, first.mentioned, first.asked) == ((), (), "")
    assert (second.targets, second.mentioned) == ((ROW["Aliens"],), (ROW["Alien"],))
    assert (third.targets, third.mentioned) == ((ROW["Up"],), (ROW["Alien"], ROW["Aliens"], ROW["Se7en"]))
    assert third.asked == "More please"
    assert third.answered.startswith("Then see Aliens")
    assert third.said.count("\n") == 4
    assert counts == Counts(mentions=6, linked=5, films=5, known=4, rejected=1)


def test_a_conversation_ends_where_nothing_more_is_to_be_found(tmp_path: Path) -> None:
    found, _ = heard(read(written(tmp_path, distributed(rejected=("3",)))), Links(catalogue()))
    assert [moment.number for moment in found[0].moments] == [1, 2]
    assert heard(read(written(tmp_path, distributed(rejected=tuple(FILMS)))), Links(catalogue()))[0] == []


def test_a_sample_is_the_same_each_time_and_keeps_the_order(tmp_path: Path) -> None:
    many = read(written(tmp_path, *(distributed(str(name)) for name in range(20))))
    assert sampled(many, 5) == sampled(many, 5)
    names = [int(talk.name) for talk in sampled(many, 5)]
    assert len(names) == 5
    assert names == sorted(names)


class Echo:
    """A graph that recommends the same ids in each turn, and keeps what it was given."""

    def __init__(self, ids: list[int]) -> None:
        self.ids, self.given, self.wanted = ids, list[dict[str, Any]](), list[int | None]()

    def invoke(self, given: dict[str, Any], config: Any, context: Any) -> dict[str, Any]:
        self.given.append(given)
        self.wanted.append(context.k)
        answer = {"recommendations": [{"item_id": i} for i in self.ids], "intent": "recommend", "degraded": []}
        return {"answer": answer, "messages": [AIMessage("ours", id=f"reply-{len(self.given)}")]}


def test_what_the_human_recommender_said_takes_the_place_of_our_reply(moments: list[Heard]) -> None:
    echo = Echo([3])
    list(Player(lambda threads: echo, toolbox()).play(moments[0]))
    first, second, third = (given["messages"] for given in echo.given)
    assert first == []
    assert second == [AIMessage("Hi!\nWhat do you like?", id="reply-1"), HumanMessage("I loved Alien (1979) so much")]
    assert [message.id for message in third] == ["reply-2", None]
    assert third[1].text == "More please"


def test_what_was_mentioned_is_taken_out_of_the_ranking_before_places_are_counted(moments: list[Heard]) -> None:
    echo = Echo([1, 10, 2, 6])  # Alien is mentioned before the first, Aliens and Se7en before the second
    second, third = Player(lambda threads: echo, toolbox()).play(moments[0])
    assert second.ranks == [1]
    assert third.ranks == [0]
    assert echo.wanted == [SHOWN, SHOWN + 1, SHOWN + 3]


def test_a_target_that_is_not_recommended_has_the_last_place(moments: list[Heard]) -> None:
    assert [answered.ranks for answered in Player(lambda threads: Echo([]), toolbox()).play(moments[0])] == [[SHOWN], [SHOWN]]


def test_co_occurrence_ranks_what_the_same_people_had_and_the_rest_by_popularity() -> None:
    rows = tuple(range(12))
    alien = ROW["Alien"]
    moment = Moment(1, "", "", "", (alien,), tuple(row for row in rows if row != alien))
    ranks = dict(zip(moment.targets, Rivals(toolbox()).ranks([moment])["co-occurrence"][0], strict=True))
    assert {ranks[ROW["Aliens"]], ranks[ROW["The Thing"]]} == {0, 1}
    assert ranks[ROW["Heat"]] == 2  # cleo had it too
    assert sorted(ranks.values()) == list(range(11))
    assert ranks[ROW["Toy Story"]] < ranks[ROW["Casablanca"]]


def test_text_ranks_what_was_said_and_without_words_it_is_popularity() -> None:
    targets = (ROW["Airplane!"], ROW["Alien"])
    said = Moment(1, "", "a pilot must land a plane", "Hi\na pilot must land a plane", (), targets)
    silent = Moment(1, "", "", "", (), targets)
    ranks = Rivals(toolbox()).ranks([said, silent])
    assert ranks["message text"][0][0] == 0
    assert ranks["conversation text"][0][0] == 0
    assert ranks["message text"][1] == ranks["popularity"][1] == ranks["co-occurrence"][1]


def test_a_run_goes_on_with_the_pieces_that_are_there(moments: list[Heard], tmp_path: Path) -> None:
    box = toolbox()
    first = play(moments, [Player(lambda threads: Echo([2]), box)], Rivals(box), tmp_path)
    again = play(moments, [Player(lambda threads: None, box)], Rivals(box), tmp_path)  # a graph that could not play
    assert first.equals(again)
    assert first.filter(pl.col("system") == OURS)["rank"].to_list() == [0, SHOWN]


def test_the_report_compares_over_the_same_films_and_draws_conversations_whole() -> None:
    ranks = {"popularity": [0, 20, SHOWN], OURS: [0, 0, 9]}
    table = pl.DataFrame(
        [
            {"system": system, "dialogue": talk, "turn": turn, "mentioned": turn - 1, "target": place, "rank": rank,
             "intent": "recommend", "listed": 10 * (turn > 1), "degraded": False}
            for system, of in ranks.items()
            for place, (talk, turn, rank) in enumerate(zip(("a", "a", "b"), (1, 2, 7), of, strict=True))
        ]
    )  # fmt: skip
    report = found.report_of(table, Counts(10, 8, 5, 4, 1))
    assert report["systems"][OURS]["recall@10"]["mean"] == 1
    assert report["systems"]["popularity"]["recall@50"]["mean"] == pytest.approx(2 / 3)
    assert report["systems"]["popularity"]["mrr"]["mean"] == pytest.approx((1 + 1 / 21) / 3)
    compared = {row["metric"]: row for row in report["comparisons"]}
    assert compared["recall@10"]["difference"] == pytest.approx(2 / 3)
    assert compared["recall@10"]["low"] == 0.5  # conversation a alone
    assert [(group["group"], group["targets"]) for group in report["groups"]["turn"]] == [("1", 1), ("2", 1), ("6+", 1)]
    assert report["facts"]["share of mentions linked"] == 0.8
    assert report["facts"]["turns that recommended nothing"] == 1


# over the sample, from the command line


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    films = sample.films()
    named = {
        str(row): f"{title} ({year})" for row, (title, year) in enumerate(films.select("title", "year").head(12).iter_rows())
    }
    talks = [
        distributed(str(name))
        | {
            "movieMentions": named,
            "messages": [
                {"senderWorkerId": 10, "text": f"I loved @{name} and @{name + 1}"},
                {"senderWorkerId": 11, "text": f"Try @{name + 2}"},
                {"senderWorkerId": 10, "text": "Something funny?"},
                {"senderWorkerId": 11, "text": f"@{name + 3} then"},
            ],
            "initiatorQuestions": [],
        }
        for name in range(8)
    ]
    return written(tmp_path_factory.mktemp("dialogues"), *talks)


def run(file: Path, index: Path, *more: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["eval", "dialogue", "--dialogues", str(file), "--index", str(index), *more])
    return int(left.value.code or 0)


def test_json_is_the_report_that_is_written(
    file: Path, sample_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, sample_path, "--sample", "5", "--out", str(tmp_path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "report.json").read_text())
    assert list(told["systems"]) == ["popularity", "co-occurrence", "message text", "conversation text", "duetto"]
    assert told["facts"]["conversations"] == 5
    assert told["facts"]["films to be found"] == 10
    assert told["facts"]["share of mentions linked"] == 1
    assert "By the recommender" in (tmp_path / "report.html").read_text()


def test_a_run_without_a_folder_prints_a_table(file: Path, sample_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, sample_path) == 0
    told = capsys.readouterr().out
    assert "recall@50" in told
    assert "duetto less co-occurrence, recall@10" in told


def test_recorded_answers_are_said_again(file: Path, settings: Settings, tmp_path: Path) -> None:
    talks, _ = heard(sampled(read(file), 2), Links(indexes.load(settings.sample).catalogue))
    make = partial(open_graph, "sample", model=speaking(), settings=settings, record=tmp_path)
    for talk in talks:
        list(Player(make, toolbox(indexes.load(settings.sample))).play(talk))
    recordings = sorted(tmp_path.glob("*.jsonl"))
    covered = evaluate_dialogues(file, "sample", most=2, recordings=recordings, settings=settings)
    assert covered["facts"]["turns that told of something left out"] == 0
    beyond = evaluate_dialogues(file, "sample", most=3, recordings=recordings, settings=settings)
    assert beyond["facts"]["turns that told of something left out"] > 0


def test_recordings_without_a_model_are_bad_input(file: Path, settings: Settings, tmp_path: Path) -> None:
    evaluate_dialogues(file, "sample", most=1, record=tmp_path, settings=settings)
    with pytest.raises(BadInput, match="they must all be of one chat model"):
        evaluate_dialogues(file, "sample", recordings=sorted(tmp_path.glob("*.jsonl")), settings=settings)


def test_films_that_no_catalogue_of_ours_has_are_bad_input(
    sample_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = distributed() | {"movieMentions": {film: f"Nothing {film} (1801)" for film in FILMS}}
    assert run(written(tmp_path, strange), sample_path) == 2
    assert "no recommended film is in the catalogue of this index (0 of 6 mentions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--sample", "few"), "cannot evaluate 'few' conversations: --sample takes a number from 1 on, or all"),
        (("--recordings", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_bad_options_are_told_in_one_sentence(
    file: Path, sample_path: Path, more: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, sample_path, *more) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
