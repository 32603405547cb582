"""The turns of a conversation in which something is to be found, and what was said before each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duetto.errors import BadInput
from duetto.evals.redial import Dialogue, Links


@dataclass(frozen=True)
class Moment:
    """A turn of the human recommender: their `number`-th, from 1.

    `asked` is what the seeker said since the one before, `answered` what the recommender said there; `said` is all of the
    conversation so far. `mentioned` are the rows of the films named before, oldest first, `targets` of those to be found.
    """

    number: int
    answered: str
    asked: str
    said: str
    mentioned: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Heard:
    """A conversation as it is played."""

    name: str
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class Counts:
    """`mentions` and `linked` of them; `films` and `known` of them, each counted once; `rejected` are no targets."""

    mentions: int
    linked: int
    films: int
    known: int
    rejected: int


def heard(dialogues: Sequence[Dialogue], links: Links) -> tuple[list[Heard], Counts]:
    """The conversations in which something is to be found, up to where the last of it is."""
    rows = {title: links.row(title) for dialogue in dialogues for title in dialogue.titles.values()}
    films = {film: rows.get(dialogue.titles.get(film, "")) for dialogue in dialogues for t in dialogue.turns for film in t.films}
    mentions = linked = rejected = 0
    found = []
    for dialogue in dialogues:
        mentioned: list[int] = []
        moments: list[Moment] = []
        said: list[str] = []
        asked = answered = ""
        for turn in dialogue.turns:
            named = [(film, rows.get(dialogue.titles.get(film, ""))) for film in turn.films]
            mentions, linked = mentions + len(named), linked + sum(row is not None for _, row in named)
            new: dict[int, str] = {}
            for film, row in named:
                if row is not None and row not in mentioned:
                    new.setdefault(row, film)
            if turn.speaker == "recommender":
                targets = tuple(row for row, film in new.items() if film not in dialogue.rejected)
                rejected += len(new) - len(targets)
                moments.append(Moment(len(moments) + 1, answered, asked, "\n".join(said), tuple(mentioned), targets))
                asked, answered = "", turn.words
            else:
                asked = turn.words
            said.append(turn.words)
            mentioned += new
        last = max((place for place, moment in enumerate(moments) if moment.targets), default=-1)
        if last >= 0:
            found.append(Heard(dialogue.name, tuple(moments[: last + 1])))
    known = sum(row is not None for row in films.values())
    return found, Counts(mentions, linked, len(films), known, rejected)


def sampled(dialogues: list[Dialogue], most: int | None) -> list[Dialogue]:
    """So many, drawn with a fixed seed, in the file's order."""
    if most is None or most >= len(dialogues):
        return dialogues
    return [dialogues[place] for place in np.sort(np.random.default_rng(0).permutation(len(dialogues))[:most])]


def require(conversations: list[Heard], counts: Counts) -> None:
    """Raises BadInput where nothing is to be found."""
    if not conversations:
        known = f"{counts.linked} of {counts.mentions} mentions are of its items"
        raise BadInput(f"cannot evaluate: no recommended film is in the catalogue of this index ({known}); name another index")
