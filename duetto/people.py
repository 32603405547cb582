"""What is kept of one person: shown, changed, forgotten; and everybody's feedback as a log that `build` reads."""

import csv
import json
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from duetto.errors import BadInput
from duetto.settings import Settings
from duetto.tools.catalogue import Catalogue
from duetto.tools.chat.answers import Answers
from duetto.tools.feedback import forget_feedback
from duetto.tools.journal import END, lines
from duetto.tools.profiles import KINDS, Id, Kind, Profile, all_profiles, forget, keep_profile, profile_of, threads_of
from duetto.tools.tastes import same
from duetto.wiring import pseudonyms_of

# The middle of the scale counts as had, not as disliked.
RATINGS: dict[Kind, float] = {"liked": 5.0, "seen": 3.0, "disliked": 1.0}


def profile(store: BaseStore, user: Id) -> Profile:
    """Raises BadInput for somebody of whom nothing is kept."""
    found = profile_of(store, user)
    if found is None:
        raise BadInput(f"nothing is kept of {user!r}: profiles are made by conversations, and told apart by --user")
    return found


def changed(
    store: BaseStore, user: Id, said: dict[Kind, list[Id]], dropped: list[Id], lifted: list[str], catalogue: Catalogue | None,
    tastes: Sequence[tuple[str, float | None]] = (),
) -> Profile:  # fmt: skip
    """The profile with these opinions, without those on dropped items, without the limits of these words, and with these
    weights of tastes (None: as they are read).

    Raises BadInput for an item the catalogue, where one is given, does not know, and for what is not there to be removed.
    """
    known = profile_of(store, user) or Profile(user=user)
    named = [item for items in said.values() for item in items]
    if catalogue is not None and (strange := [item for item in named if catalogue.row(item) is None]):
        raise BadInput(f"cannot keep an opinion on {strange[0]!r}: the index has no item of that id")
    if absent := [item for item in dropped if str(item) not in {str(o.item_id) for o in known.opinions}]:
        raise BadInput(f"cannot drop {absent[0]!r}: the profile of {user!r} says nothing of it")
    if unknown := [words for words in lifted if words not in {c.said for c in known.constraints}]:
        raise BadInput(f"cannot lift the limit {unknown[0]!r}: the profile of {user!r} does not have it")
    own = {same(one.preference) for one in known.corrected}
    if unset := [text for text, weight in tastes if weight is None and same(text) not in own]:
        raise BadInput(f"cannot take back what {user!r} says of {unset[0]!r}: the profile has no weight for it")
    gone = {str(item) for item in (*named, *dropped)}
    opinions = {
        kind: [
            *(item for item in known.of(kind) if str(item) not in gone),
            *(_own(item, catalogue) for item in said.get(kind, [])),
        ]
        for kind in KINDS
    }
    kept = [limit for limit in known.limits if limit["said"] not in lifted]
    now = known.with_opinions(opinions, None).with_constraints(kept, None)
    for text, weight in tastes:
        now = now.with_corrected(text, weight)
    keep_profile(store, now)
    return now


def _own(item: Id, catalogue: Catalogue | None) -> Id:
    """The id in the catalogue's own type."""
    row = None if catalogue is None else catalogue.row(item)
    return item if row is None or catalogue is None else catalogue.ids[row]


def forgotten(
    store: BaseStore, threads: BaseCheckpointSaver[Any], user: Id, folders: list[Path], settings: Settings
) -> dict[str, int]:
    """Removes a person's profile and feedback, the conversations they spoke in, and their turns from recordings; tells how
    much there was.

    A conversation that several people spoke in is gone for all of them, and so are all cached answers of the chat model.

    Recordings are looked for where their conversations were recorded and in `folders`. Raises BadInput when there is nothing.
    """
    notes, known = threads_of(store, user), profile_of(store, user)
    for note in notes:
        threads.delete_thread(note["thread"])
    names = {str(user), pseudonyms_of(settings).of(user)}
    places = {Path(place) for note in notes for place in note["recordings"]} | set(folders)
    files = [file for folder in sorted(places) if folder.is_dir() for file in sorted(folder.glob(f"*{END}"))]
    turns = sum(_without(file, names) for file in files)
    forget(store, user)
    said = forget_feedback(store, user)
    if settings.answers.exists():  # what a model answered may tell of anybody, and is only a cache
        Answers(settings.answers).clear()
    if known is None and not notes and not turns and not said:
        raise BadInput(f"nothing is kept of {user!r}")
    return {"profiles": int(known is not None), "conversations": len(notes), "recorded turns": turns, "feedback": said}


def _without(file: Path, names: set[str | None]) -> int:
    """Rewrites a recording without these people's turns, and removes it when nothing is left: how many turns went."""
    kept, gone = [], 0
    for _, line in lines(file):
        if line is not None and str(line.get("answer", {}).get("user")) in names:
            gone += 1
        elif line is not None:
            kept.append(json.dumps(line, ensure_ascii=False))
    if gone and kept:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:
            new.write("\n".join(kept) + "\n")
            new.flush()
            os.fsync(new.fileno())
        Path(new.name).replace(file)
    elif gone:
        file.unlink()
    return gone


def export(store: BaseStore, file: Path) -> int:
    """Everybody's opinions as a CSV log: user_id, item_id, rating (5 liked, 3 had, 1 disliked), timestamp; how many there are.

    What somebody does not want, but never had, is no interaction. Raises BadInput when the file cannot be written.
    """
    try:
        with file.open("w", newline="", encoding="utf-8") as out:
            return _written(store, out)
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror or error}; name another file") from error


def _written(store: BaseStore, out: TextIO) -> int:
    rows: list[tuple[Any, ...]] = [
        (known.user, opinion.item_id, RATINGS[opinion.kind], int(datetime.fromisoformat(opinion.at).timestamp()))
        for known in all_profiles(store)
        for opinion in known.opinions
        if opinion.kind in RATINGS
    ]
    writer = csv.writer(out)
    writer.writerow(("user_id", "item_id", "rating", "timestamp"))
    writer.writerows(rows)
    return len(rows)
