"""What people thought of what they were shown, in a LangGraph Store beside their profiles."""

from itertools import islice
from typing import Literal
from uuid import uuid4

from langgraph.store.base import BaseStore
from pydantic import BaseModel

from duetto.tools.profiles import Id, Kind, kept_in, now

FEEDBACK = ("feedback",)
Verdict = Literal["up", "down"]


class Feedback(BaseModel):
    """An opinion of an item (`kind`), a verdict on a turn or on an item's reason (`verdict`), or both."""

    id: str
    user: Id
    thread: str | None = None
    run_id: str | None = None
    item_id: Id | None = None
    kind: Kind | None = None
    verdict: Verdict | None = None
    comment: str | None = None
    at: str


def keep_feedback(store: BaseStore, given: Feedback) -> None:
    store.put(FEEDBACK, f"{given.user}/{given.id}", {**given.model_dump(mode="json"), "person": str(given.user)}, index=False)


def new_feedback(user: Id, **said: object) -> Feedback:
    return Feedback.model_validate({**said, "user": user, "id": uuid4().hex, "at": now()})


def feedback_of(store: BaseStore, user: Id, most: int | None = 1_000) -> list[Feedback]:
    """Newest first."""
    found = islice(kept_in(store, FEEDBACK, person=str(user)), most)
    return sorted(map(Feedback.model_validate, found), key=lambda one: one.at, reverse=True)


def forget_feedback(store: BaseStore, user: Id) -> int:
    """How much there was: all of it is gone."""
    found = feedback_of(store, user, most=None)
    for one in found:
        store.delete(FEEDBACK, f"{user}/{one.id}")
    return len(found)
