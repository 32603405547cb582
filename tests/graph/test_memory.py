"""What goes with a person from conversation to conversation."""

from typing import Any

from langgraph.store.memory import InMemoryStore

from duetto.graph.carried import wanted
from duetto.graph.memory import Memory
from duetto.graph.state import NO_TASTES, State
from duetto.tools.index import Index
from duetto.tools.language import Understanding
from duetto.tools.profiles import Profile, keep_profile, profile_of


def opinions(**said: Any) -> Profile:
    kinds: Any = {"liked": [], "disliked": [], "seen": [], "uninterested": [], **said}
    return Profile(user="ann").with_opinions(kinds, None)


def test_what_is_said_elsewhere_while_a_turn_is_read_stays(sample_index: Index) -> None:
    store, memory = InMemoryStore(), Memory(sample_index.catalogue, None)
    first, second, third, fourth = sample_index.catalogue.ids[:4]
    keep_profile(store, opinions(liked=[first, fourth]))
    before, _ = memory.before(State(), "ann", store)
    keep_profile(store, opinions(liked=[first, second]).with_corrected("westerns", 0))  # all on the page
    now: Any = {**wanted(before), "liked": [fourth, third], "disliked": [first]}
    memory.keep(store, "ann", before, now, Understanding(), NO_TASTES, None)
    known = profile_of(store, "ann")
    assert known is not None
    assert (known.of("liked"), known.of("disliked")) == ([third, second], [first])
    assert [(one.preference, one.weight) for one in known.corrected] == [("westerns", 0)]
