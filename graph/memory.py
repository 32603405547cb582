"""What goes along from turn to turn, and with a person from conversation to conversation."""

from dataclasses import dataclass
from typing import Any, cast

from langgraph.store.base import BaseStore

from duetto.graph.carried import carried
from duetto.graph.state import NOTHING, Carried, ItemId, State, TastesKept, Wanted
from duetto.tools.catalogue import Catalogue
from duetto.tools.constraints import checked, kept_of, parsed
from duetto.tools.language import Understanding
from duetto.tools.profiles import KINDS, Kind, Profile, keep_profile, note_thread, profile_of


@dataclass(frozen=True)
class Memory:
    """`recordings` is the folder that turns are recorded in, if they are."""

    catalogue: Catalogue
    recordings: str | None

    def before(self, state: State, user: ItemId | None, store: BaseStore | None) -> tuple[Carried, tuple[str, ...]]:
        """What is known from the turns before and, across conversations, from the person's profile."""
        before = carried(state)
        new = _is_new(before, user)
        if new and before["turn"]:  # another person speaks: nothing of the one before is theirs
            before = {**NOTHING, "turn": before["turn"]}
        profile = profile_of(store, user) if store is not None and user is not None else None
        if store is not None and user is not None:
            own = [] if profile is None else profile.corrected
            before = {**before, "corrected": [{"preference": one.preference, "weight": one.weight} for one in own]}
        if profile is not None:
            opinions: Any = {kind: profile.of(kind) for kind in KINDS}
            past = [_with_profile(step, before, opinions) for step in before["past"]]
            before = {**before, **opinions, "past": past}
            if new:
                before["constraints"] = profile.limits
            if not before["tastes"]["history"] and profile.tastes:
                before["tastes"] = {"history": profile.tastes["history"], "preferences": profile.tastes["preferences"]}
        kept = Understanding(set=parsed(before["constraints"]))
        still, lost = checked(kept, self.catalogue)  # the catalogue was perhaps rebuilt since
        before = {**before, "constraints": [kept_of(constraint) for constraint in still.set]}
        return before, lost

    def keep(
        self, store: BaseStore, user: ItemId, before: Carried, now: Wanted, meaning: Understanding, tastes: TastesKept,
        thread: str | None,
    ) -> None:  # fmt: skip
        """What the person said, and where, for later conversations. What was kept while the turn was read stays."""
        if thread is not None:
            note_thread(store, thread, user, self.recordings)
        kept = profile_of(store, user) or Profile(user=user)
        lifted = [c["where"] for c in before["constraints"] if c not in now["constraints"]]
        standing: list[Any] = [limit for limit in kept.limits if limit["where"] not in lifted]
        if meaning.standing:
            said = {constraint.said for constraint in meaning.set}
            always = [limit["where"] for limit in standing]
            standing += [c for c in now["constraints"] if c["said"] in said and c["where"] not in always]
        opinions: Any = _with_change(kept, before, now)
        changed = kept.with_opinions(opinions, thread).with_constraints(standing, thread)
        if tastes["history"] and tastes["history"] != kept.tastes.get("history"):
            changed = changed.with_tastes(dict(tastes))
        if changed != kept:
            keep_profile(store, changed)


def _with_change(kept: Profile, before: Carried, now: Wanted) -> dict[Kind, list[ItemId]]:
    """The opinions of this turn, with what was kept and dropped elsewhere while it was read."""
    judged = {str(item) for kind in KINDS for item in now[kind] if item not in before[kind]}
    opinions = {}
    for kind in KINDS:
        known = kept.of(kind)
        mine = [item for item in now[kind] if item in known or item not in before[kind]]
        opinions[kind] = mine + [item for item in known if item not in before[kind] and str(item) not in judged]
    return opinions


def _with_profile(step: Wanted, then: Carried, now: Any) -> Wanted:
    """A step to undo, with what was said of items in other conversations since: it takes back only what was said in this one."""
    changed: Any = {}
    for kind in KINDS:
        came = {str(item) for item in then[kind]} - {str(item) for item in step[kind]}
        here = {str(item) for item in (*now[kind], *came)}
        back = [item for item in step[kind] if str(item) not in here and item not in then[kind]]
        changed[kind] = [item for item in now[kind] if str(item) not in came] + back
    return cast(Wanted, {**step, **changed})


def _is_new(before: Carried, user: ItemId | None) -> bool:
    """Whether somebody else spoke before, or nobody."""
    return not before["turn"] or before["person"] != user
