"""`duetto eval dialogue`: conversations that two people had, the graph in the recommender's place.

At every turn of the human recommender the conversation so far is played through the graph. The films that the recommender
names there for the first time, and that the seeker did not reject, are the targets; what was mentioned before is taken out
of every ranking. What the seeker thought of films is never told, only what was said.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import polars as pl
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Checkpointer
from langsmith import tracing_context

from duetto.evals.moments import Heard, Moment
from duetto.evals.resumed import code
from duetto.evals.rivals import Rivals
from duetto.graph.state import Context
from duetto.tools.agent_tools import Toolbox
from duetto.tools.chat.budget import Call
from duetto.tools.chat.recorded import RecordedModel
from duetto.tools.progress import Advance
from duetto.tools.single_thread import single_thread

SHOWN = 50
PIECE = 32  # conversations
OURS = "duetto"
COLUMNS: dict[str, Any] = {
    "system": pl.String, "dialogue": pl.String, "turn": pl.Int64, "mentioned": pl.Int64, "target": pl.Int64, "rank": pl.Int64,
    "intent": pl.String, "listed": pl.Int64, "degraded": pl.Boolean,
}  # fmt: skip
Graph = Any  # a compiled graph of a turn
Calls = dict[tuple[str, int], list[Call]]  # what was recorded, by thread and turn


class Player:
    """Plays conversations over one graph; `tape`, where given, has the model say what was recorded of each turn."""

    def __init__(
        self, make: Callable[[Checkpointer], Graph], box: Toolbox, tape: RecordedModel | None = None, calls: Calls | None = None
    ) -> None:
        self._threads = InMemorySaver()
        self._graph, self._box, self._tape, self._calls = make(self._threads), box, tape, calls or {}

    def play(self, conversation: Heard) -> Iterator["Answered"]:
        """Each moment's answer, where something is to be found.

        What the human recommender said takes the place of our own reply, which nobody has read.
        """
        limits, thread = self._box.limits, thread_of(conversation)
        config: Any = {"configurable": {"thread_id": thread}, "run_name": "dialogue"}
        reply: str | None = None
        for moment in conversation.moments:
            messages: list[Any] = [AIMessage(moment.answered, id=reply)] if moment.answered else []
            if moment.asked:
                messages.append(HumanMessage(moment.asked[: limits.message_chars]))
            if self._tape is not None:
                self._tape.tape.load(self._calls.get((thread, moment.number), []))
            k = min(limits.max_top_k, SHOWN + len(moment.mentioned))
            given = {"user": None, "message": None, "messages": messages}
            with tracing_context(enabled=False):
                told = self._graph.invoke(given, config, context=Context(k=k, reasons="none"))
            reply = told["messages"][-1].id
            answer = told["answer"]
            if moment.targets:
                rows = self._box.catalogue.rows(item["item_id"] for item in answer["recommendations"])
                yield Answered(conversation.name, moment, rows, answer["intent"], bool(answer["degraded"]))
        self._threads.delete_thread(thread)


@dataclass(frozen=True)
class Answered:
    """The `rows` recommended at a moment, best first; `degraded` where a part of the turn failed."""

    dialogue: str
    moment: Moment
    rows: list[int]
    intent: str
    degraded: bool

    @property
    def ranks(self) -> list[int]:
        kept = [row for row in self.rows if row not in self.moment.mentioned]
        return [kept.index(row) if row in kept else SHOWN for row in self.moment.targets]


def thread_of(conversation: Heard) -> str:
    return f"dialogue-{conversation.name}"


def play(
    conversations: list[Heard], players: list[Player], rivals: Rivals, parts: Path | None = None, advance: Advance | None = None
) -> pl.DataFrame:
    """A row per system and target: `dialogue`, `turn`, `mentioned` (how many before), `target` (row), `rank` (from 0; SHOWN
    where the target is not among so many); `intent`, `listed` (how many were recommended) and `degraded`, null for the
    others.

    Pieces are played as many at a time as there are players, and kept in the folder `parts`; one that is there is read.
    """
    free: SimpleQueue[Player] = SimpleQueue()
    for player in players:
        free.put(player)

    def piece(start: int) -> pl.DataFrame:
        path = parts / f"{start:06d}.parquet" if parts is not None else None
        some = conversations[start : start + PIECE]
        if path is not None and path.is_file():
            table = pl.read_parquet(path)
        else:
            player = free.get()
            try:
                table = _piece(some, player, rivals)
            finally:
                free.put(player)
            if path is not None:
                table.write_parquet(path.with_suffix(".writing"))
                path.with_suffix(".writing").replace(path)
        if advance is not None:
            advance(len(some))
        return table

    with single_thread(), ThreadPoolExecutor(len(players)) as pool:
        return pl.concat(pool.map(piece, range(0, len(conversations), PIECE)))


def _piece(conversations: list[Heard], player: Player, rivals: Rivals) -> pl.DataFrame:
    answers = [answered for talk in conversations for answered in player.play(talk)]
    ranks = rivals.ranks([answered.moment for answered in answers]) | {OURS: [answered.ranks for answered in answers]}
    rows = [
        (system, a.dialogue, a.moment.number, len(a.moment.mentioned), target, min(rank, SHOWN))
        + ((a.intent, len(a.rows), a.degraded) if system == OURS else (None, None, None))
        for system, of in ranks.items()
        for a, places in zip(answers, of, strict=True)
        for target, rank in zip(a.moment.targets, places, strict=True)
    ]
    return pl.DataFrame(rows, COLUMNS, orient="row")


def fingerprint(index: str, conversations: list[Heard], *more: object) -> str:
    """Of everything the figures depend on."""
    told = json.dumps([index, [repr(talk) for talk in conversations], more], default=str)
    return hashlib.sha256(told.encode() + code(".", "tools", "graph", "evals")).hexdigest()
