"""What people thought of what they were shown."""

from langgraph.store.memory import InMemoryStore

from duetto.tools.feedback import feedback_of, forget_feedback, keep_feedback, new_feedback


def test_a_person_is_forgotten_whole_and_nobody_else() -> None:
    store = InMemoryStore()
    for _ in range(1_001):
        keep_feedback(store, new_feedback("ann", verdict="up"))
    keep_feedback(store, new_feedback("bob", verdict="down"))
    assert len(feedback_of(store, "ann")) == 1_000
    assert forget_feedback(store, "ann") == 1_001
    assert feedback_of(store, "ann") == []
    assert [one.verdict for one in feedback_of(store, "bob")] == ["down"]
