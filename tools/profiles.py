"""What is known of a person across conversations, in a LangGraph Store: what they said of items, limits that always hold,
their tastes; each with when, and in which conversation, it was learned."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from langgraph.store.base import BaseStore
from pydantic import BaseModel

from duetto.tools.tastes import same

Id = str | int
Kind = Literal["liked", "disliked", "seen", "uninterested"]
KINDS: tuple[Kind, ...] = ("liked", "disliked", "seen", "uninterested")
SAID: dict[Kind, str] = {
    "liked": "you liked", "disliked": "you disliked", "seen": "you have already", "uninterested": "you do not want",
}  # fmt: skip
PROFILES, THREADS = ("profiles",), ("threads",)


class Opinion(BaseModel):
    item_id: Id
    kind: Kind
    at: str
    thread: str | None = None


class Standing(BaseModel):
    """A limit that holds in every conversation."""

    said: str
    where: dict[str, Any]
    at: str
    thread: str | None = None


class Corrected(BaseModel):
    """What the person themself says of a taste: the weight it has in every turn. 0: it is none of theirs."""

    preference: str
    weight: float
    at: str


class Profile(BaseModel):
    """One person. `tastes` are preferences with evidence as a model read them, and of which history (its hash)."""

    user: Id
    opinions: list[Opinion] = []
    constraints: list[Standing] = []
    tastes: dict[str, Any] = {}
    corrected: list[Corrected] = []

    def of(self, kind: Kind) -> list[Id]:
        return [opinion.item_id for opinion in self.opinions if opinion.kind == kind]

    @property
    def limits(self) -> list[Any]:
        """The standing limits as a conversation keeps them: words, and the predicate as JSON."""
        return [{"said": c.said, "where": c.where} for c in self.constraints]

    def with_opinions(self, said: dict[Kind, list[Id]], thread: str | None) -> "Profile":
        """With exactly these opinions; what was known before keeps its date."""
        known = {(str(o.item_id), o.kind): o for o in self.opinions}
        at = now()
        opinions = [
            known.get((str(item), kind)) or Opinion(item_id=item, kind=kind, at=at, thread=thread)
            for kind in KINDS
            for item in said[kind]
        ]
        return self.model_copy(update={"opinions": opinions})

    def with_constraints(self, standing: Sequence[dict[str, Any]], thread: str | None) -> "Profile":
        """With exactly these standing limits; what was known before keeps its date."""
        known = {repr(c.where): c for c in self.constraints}
        kept = [known.get(repr(c["where"])) or Standing(**c, at=now(), thread=thread) for c in standing]
        return self.model_copy(update={"constraints": kept})

    def with_corrected(self, preference: str, weight: float | None) -> "Profile":
        """With this weight for a taste, in the place of an earlier one; None: the taste is again as it is read."""
        others = [one for one in self.corrected if same(one.preference) != same(preference)]
        own = [] if weight is None else [Corrected(preference=preference, weight=weight, at=now())]
        return self.model_copy(update={"corrected": [*others, *own]})

    def with_tastes(self, tastes: dict[str, Any]) -> "Profile":
        return self.model_copy(update={"tastes": {**tastes, "at": now()}})


def profile_of(store: BaseStore, user: Id) -> Profile | None:
    found = store.get(PROFILES, str(user))
    return None if found is None else Profile.model_validate(found.value)


def all_profiles(store: BaseStore) -> Iterator[Profile]:
    return (Profile.model_validate(value) for value in kept_in(store, PROFILES))


def kept_in(store: BaseStore, namespace: tuple[str, ...], **like: Any) -> Iterator[dict[str, Any]]:
    """Every value of a namespace, or those that have these entries; a store gives ten of them when it is asked for all."""
    found = 0
    while page := store.search(namespace, filter=like or None, limit=100, offset=found):
        yield from (entry.value for entry in page)
        found += len(page)


def keep_profile(store: BaseStore, profile: Profile) -> None:
    store.put(PROFILES, str(profile.user), profile.model_dump(mode="json"), index=False)


def note_thread(store: BaseStore, thread: str, user: Id, recordings: str | None) -> None:
    """That a person spoke in this conversation, and where it is recorded."""
    known = store.get(THREADS, f"{user}/{thread}")
    places = [] if known is None else known.value["recordings"]
    more = [recordings] if recordings is not None and recordings not in places else []
    if known is None or more:
        note = {"user": str(user), "thread": thread, "recordings": [*places, *more]}
        store.put(THREADS, f"{user}/{thread}", note, index=False)


def threads_of(store: BaseStore, user: Id) -> list[dict[str, Any]]:
    return list(kept_in(store, THREADS, user=str(user)))


def forget(store: BaseStore, user: Id) -> None:
    for note in threads_of(store, user):
        store.delete(THREADS, f"{user}/{note['thread']}")
    store.delete(PROFILES, str(user))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
