"""`/v1`: turns, conversations, profiles, feedback and items."""

import asyncio
import json
from functools import partial
from threading import Lock
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from duetto import people
from duetto.errors import BadInput, NotReady
from duetto.graph.answer import Answer
from duetto.graph.state import ItemId
from duetto.server.doors import NotThere, Visitor
from duetto.server.house import House, at_home, who_asks
from duetto.server.streaming import answered, events, stream
from duetto.server.turn import Asked
from duetto.tools.feedback import Feedback, Verdict, feedback_of, keep_feedback, new_feedback
from duetto.tools.profiles import Kind, Profile, profile_of
from duetto.tools.tracing import has_key, send_feedback

THREAD = r"^[A-Za-z0-9._:-]{1,128}$"
Thread = Annotated[str, Field(pattern=THREAD, description="which conversation", examples=["tuesday"])]
User = Annotated[
    Annotated[str, Field(min_length=1, max_length=200)] | Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)],
    Field(description="the person's id in the log; somebody unknown is a stranger", examples=["p042"]),
]
Named = Annotated[
    str | None, Query(min_length=1, max_length=200, examples=["p042"], description="whose; a key's own person by default")
]
Here = Annotated[House, Depends(at_home)]
Who = Annotated[Visitor, Depends(who_asks)]
STREAMED = """event: node
data: {"node": "retrieve", "ms_since_start": 21.0}

event: ranking
data: {"recommendations": [{"rank": 1, "item_id": 181, "title": "Alien", "score": 4.4}]}

event: reason
data: {"rank": 1, "item_id": 181, "reason": "You asked for “dark”: its text speaks of darkness.", "by": "plain"}

event: answer
data: {"schema": 1, "thread": "tuesday", "turn": 1, "...": "..."}

"""
router = APIRouter(prefix="/v1", tags=["duetto"])
_changing = Lock()  # a profile is read, changed and written: of two at once, one would be lost


class Failure(BaseModel):
    type: str
    message: str
    request_id: str


class Failed(BaseModel):
    """What went wrong, in one sentence."""

    error: Failure


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


def example(**asked: Any) -> ConfigDict:
    """A whole body for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [asked]})


class TurnAsked(Body):
    """One turn. Without a message it is a silent visit; without a thread, a new conversation; without a user, a stranger."""

    model_config = example(message="something dark and clever, but no horror", user="p042", thread="tuesday", k=5)

    message: str | None = Field(None, examples=["something dark and clever, but no horror"])
    user: User | None = None
    thread: Thread | None = None
    k: int | None = Field(None, ge=1, le=1000, description="how many items")
    reasons: Literal["none", "plain", "model"] | None = None
    stream: bool = Field(False, description="server-sent events; so does `Accept: text/event-stream`")


class ThreadShown(BaseModel):
    thread: str
    title: str = Field(description="how it began")
    turns: int
    at: str


class TurnShown(BaseModel):
    message: str | None
    at: str
    answer: Answer


class ThreadTold(BaseModel):
    thread: str
    turns: list[TurnShown]


class TasteChanged(Body):
    """What a taste weighs in every turn from now on; 0: it is none of theirs, null: as much as is read in their history."""

    preference: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    weight: float | None = Field(ge=0, le=1, allow_inf_nan=False)


class ProfileChanged(Body):
    """What is to be kept from now on; `dropped` are items of which nothing is to be known, `lifted` limits by their words."""

    model_config = example(
        user="p042", liked=[181], dropped=[67], lifted=["no horror"], tastes=[{"preference": "heist films", "weight": 0.8}]
    )

    user: User | None = None
    liked: list[ItemId] = Field([], max_length=1000)
    disliked: list[ItemId] = Field([], max_length=1000)
    seen: list[ItemId] = Field([], max_length=1000)
    uninterested: list[ItemId] = Field([], max_length=1000)
    dropped: list[ItemId] = Field([], max_length=1000)
    lifted: list[str] = Field([], max_length=1000)
    tastes: list[TasteChanged] = Field([], max_length=1000)


class FeedbackGiven(Body):
    """An opinion of an item counts in the next turn; a verdict on a turn reaches LangSmith, where that is configured."""

    model_config = example(user="p042", thread="tuesday", item_id=181, kind="liked", comment="seen it twice")

    user: User | None = None
    thread: Thread | None = None
    run_id: UUID | None = Field(None, description="`run_id` of the answer that it is about")
    item_id: ItemId | None = None
    kind: Kind | None = Field(None, examples=["liked"])
    verdict: Verdict | None = None
    comment: str | None = Field(None, max_length=2000)


class FeedbackKept(BaseModel):
    feedback: Feedback
    told_langsmith: bool


class ItemShown(BaseModel):
    item_id: ItemId
    title: str
    available: bool
    text: str
    attributes: dict[str, Any]


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the OpenAPI document tells of them."""
    return {status: {"model": Failed} for status in (401, 403, 404, 408, 413, 421, 422, 429, 503, *statuses)}


@router.post(
    "/turns", response_model=Answer, responses={**failures(504), 200: {"content": {"text/event-stream": {"example": STREAMED}}}}
)
async def take_turn(asked: TurnAsked, request: Request, here: Here, who: Who) -> Response:
    """One turn of a conversation: JSON, or events `node`, `ranking`, `reason`, `answer` and `error` as they happen."""
    user = who.speaks_for(asked.user)
    thread = asked.thread or uuid4().hex
    check = partial(here.talks().check, who, thread, new=True)
    if asked.thread is not None:
        await asyncio.to_thread(check)
    play = here.playing.start(Asked(thread, user, asked.message, asked.k, asked.reasons, check=check))
    if asked.stream or "text/event-stream" in request.headers.get("accept", ""):
        return events(stream(play, here))
    return Response(json.dumps(await answered(play, request), ensure_ascii=False), media_type="application/json")


@router.get("/threads", responses=failures())
def list_threads(here: Here, who: Who, user: Named = None) -> list[ThreadShown]:
    """A person's conversations, the last one first."""
    return [ThreadShown(**one) for one in here.talks().of(_named(who, user))]


@router.get("/threads/{thread}", responses=failures())
def read_thread(thread: Annotated[str, Path(examples=["tuesday"])], here: Here, who: Who) -> ThreadTold:
    """How a conversation went."""
    here.talks().check(who, thread)
    turns = [TurnShown(message=t.message, at=t.at, answer=Answer.model_validate(t.answer)) for t in here.talks().told(thread)]
    return ThreadTold(thread=thread, turns=turns)


@router.get("/profile", responses=failures())
def read_profile(here: Here, who: Who, user: Named = None) -> Profile:
    """What is known of a person across conversations."""
    person = here.own_id(_named(who, user))
    return profile_of(here.store, person) or Profile(user=person)


@router.patch("/profile", responses=failures())
def change_profile(changed: ProfileChanged, here: Here, who: Who) -> Profile:
    """Keeps opinions, drops what is known of items, lifts limits, and corrects tastes."""
    said: dict[Kind, list[ItemId]] = {
        "liked": changed.liked, "disliked": changed.disliked, "seen": changed.seen, "uninterested": changed.uninterested,
    }  # fmt: skip
    person = here.own_id(_named(who, changed.user))
    catalogue = here.opened().index.catalogue
    tastes = [(one.preference, one.weight) for one in changed.tastes]
    with _changing:
        return people.changed(here.store, person, said, changed.dropped, changed.lifted, catalogue, tastes)


@router.delete("/profile", responses=failures())
def forget(here: Here, who: Who, user: Named = None) -> dict[str, int]:
    """Forgets a person: profile, conversations, feedback and recorded turns; tells how much there was."""
    person = here.own_id(_named(who, user))
    try:
        return people.forgotten(here.store, here.saver, person, here.recordings, here.settings)
    except BadInput as error:
        raise NotThere(str(error)) from error


@router.get("/feedback", responses=failures())
def read_feedback(here: Here, who: Who, user: Named = None) -> list[Feedback]:
    """What a person said of what they were shown, the last first."""
    return feedback_of(here.store, here.own_id(_named(who, user)))


@router.post("/feedback", status_code=201, responses=failures())
def give_feedback(given: FeedbackGiven, here: Here, who: Who) -> FeedbackKept:
    """Keeps it; an opinion of an item counts from the person's next turn on."""
    if given.kind is None and given.verdict is None:
        raise BadInput("cannot keep feedback that says nothing: send a `kind` (with an `item_id`), a `verdict`, or both")
    if given.kind is not None and given.item_id is None:
        raise BadInput("cannot keep an opinion of nothing: send the `item_id` that it is about")
    person = here.own_id(_named(who, given.user))
    if given.thread is not None:
        here.talks().check(who, given.thread)
    if given.kind is not None and given.item_id is not None:
        with _changing:
            people.changed(here.store, person, {given.kind: [given.item_id]}, [], [], here.opened().index.catalogue)
    run_id = None if given.run_id is None else str(given.run_id)
    kept = new_feedback(person, **{**given.model_dump(exclude={"user"}), "run_id": run_id})
    keep_feedback(here.store, kept)
    return FeedbackKept(feedback=kept, told_langsmith=_told(given))


@router.get("/items/{item_id:path}", responses=failures())
def read_item(item_id: Annotated[str, Path(examples=["181"])], here: Here, who: Who) -> ItemShown:
    """An item of the catalogue."""
    catalogue = here.opened().index.catalogue
    row = catalogue.row(item_id)
    if row is None:
        raise NotThere("the catalogue has no item of that id")
    return ItemShown(
        item_id=catalogue.ids[row], title=catalogue.titles[row], available=bool(catalogue.available[row]),
        text=catalogue.document(row), attributes=catalogue.facts_of(row),
    )  # fmt: skip


def _named(who: Visitor, user: ItemId | None) -> ItemId:
    person = who.speaks_for(user)
    if person is None:
        raise BadInput("cannot tell whose: name the `user`")
    return person


def _told(given: FeedbackGiven) -> bool:
    """A thumb on a turn, for who traces them; what cannot be sent is kept here all the same."""
    good = {"up": True, "down": False}.get(given.verdict or "")
    if good is None or given.run_id is None or not has_key():
        return False
    try:
        send_feedback(given.run_id, good, given.comment)
    except NotReady:
        return False
    return True
