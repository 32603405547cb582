"""Everything Duetto raises on purpose.

DuettoError
├── BadInput          the caller's input cannot be used: a file, an option, a message
├── NotReady          something that must exist first does not, or no longer fits (an index, an extra, a key)
│   └── StorageFailed what is kept of people and conversations could not be reached; the turn may be tried again
└── ModelMisbehaved   the chat model could not be reached, or answered with something unusable
    └── BudgetSpent   a cap of this turn (calls, tokens, time) forbids another model call

Each message is one sentence: what was attempted, what was wrong and where, and what to do next.
The command line prints it and exits with 2.
"""


class DuettoError(Exception):
    """Base of every error above."""


class BadInput(DuettoError):
    """The caller's input cannot be used."""


class NotReady(DuettoError):
    """Something needed is missing, damaged, or does not fit what it is used with."""


class StorageFailed(NotReady):
    """The database of conversations and profiles is not reachable, full or busy; what it has acknowledged is safe."""


class ModelMisbehaved(DuettoError):
    """The chat model failed or gave an answer that cannot be used."""


class BudgetSpent(ModelMisbehaved):
    """Another model call would pass a cap of this turn."""
