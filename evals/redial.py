"""ReDial's conversations between a seeker and a recommender (Li et al., 2018), and their films in a catalogue.

The file is as distributed (https://redialdata.github.io, JSON lines) or a table of the same with the columns conversation_id,
messages, movie_mentions and seeker_form, the last three as JSON. Each message names films as `@id`.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from duetto.tools.catalogue import Catalogue
from duetto.tools.plain.titles import plain
from duetto.tools.reading.files import Source, shown
from duetto.tools.reading.formats import UNPARSABLE, from_parquet, records
from duetto.tools.reading.titles import split_title

Speaker = Literal["seeker", "recommender"]
MENTION = re.compile(r"@(\d+)")
REMEDY = "name a file of ReDial's conversations, as distributed"


@dataclass(frozen=True)
class Turn:
    """What one side said until the other answered: the words with `Title (year)` in place of each @id, and the films' ids."""

    speaker: Speaker
    words: str
    films: tuple[str, ...]


@dataclass(frozen=True)
class Dialogue:
    """`titles` are `Title (year)` by film id; `rejected` are the films of which the seeker's questionnaire says not liked."""

    name: str
    turns: tuple[Turn, ...]
    titles: dict[str, str]
    rejected: frozenset[str]


def read(path: Path) -> list[Dialogue]:
    """All conversations of a file. Raises BadInput."""
    source = Source(path, "dialogues")
    rows = from_parquet(source).iter_rows(named=True) if path.suffix.lower() == ".parquet" else records(source, json.loads)
    found = [_dialogue(row, number, source) for number, row in enumerate(rows, start=1)]
    if not found:
        raise source.refusal("it holds no conversation", REMEDY)
    if len({dialogue.name for dialogue in found}) < len(found):
        raise source.refusal("two conversations have the same id", "give each an id of its own")
    return found


def _dialogue(row: dict[str, Any], number: int, source: Source) -> Dialogue:
    try:
        return _tabled(row) if "conversation_id" in row else _distributed(row)
    except (*UNPARSABLE, LookupError, TypeError, AttributeError) as error:
        problem = f"conversation {number} is not as ReDial's are ({type(error).__name__}: {shown(error)})"
        raise source.refusal(problem, REMEDY) from error


def _distributed(row: dict[str, Any]) -> Dialogue:
    seeker = row["initiatorWorkerId"]
    messages = [("seeker" if said["senderWorkerId"] == seeker else "recommender", said["text"]) for said in row["messages"]]
    return _made(row["conversationId"], messages, row["movieMentions"], row.get("initiatorQuestions"))


def _tabled(row: dict[str, Any]) -> Dialogue:
    messages = [(said["role"], said["text"]) for said in json.loads(row["messages"])]
    form = json.loads(row["seeker_form"] or "{}")
    return _made(row["conversation_id"], messages, json.loads(row["movie_mentions"] or "{}"), form)


def _made(name: object, messages: list[tuple[Any, str]], films: Any, form: Any) -> Dialogue:
    """Empty mappings are distributed as empty lists; a film of which nobody knew the title has none."""
    titles = {str(film): " ".join(str(title).split()) for film, title in (films or {}).items() if title}
    rejected = {str(film) for film, told in (form or {}).items() if told.get("liked") == 0}
    turns = []
    for speaker, said in groupby(messages, key=lambda message: message[0]):
        if speaker not in ("seeker", "recommender"):
            raise ValueError(f"nobody is a {speaker}")
        text = "\n".join(words for _, words in said)
        named = tuple(dict.fromkeys(MENTION.findall(text)))
        turns.append(Turn(speaker, MENTION.sub(lambda found: titles.get(found[1], " "), text).strip(), named))
    return Dialogue(str(name), tuple(turns), titles, frozenset(rejected))


class Links:
    """Films by title and year. One a year off will do, and so will a title without a year that only one item has."""

    def __init__(self, catalogue: Catalogue) -> None:
        year = next(iter(catalogue.columns("year")), None)
        years = catalogue.table[year].to_list() if year else [None] * len(catalogue)
        self._rows: dict[str, dict[int | None, int]] = defaultdict(dict)
        for row, (title, released) in enumerate(zip(catalogue.titles, years, strict=True)):
            told, in_title = split_title(title)
            for name in _names(told):
                self._rows[name].setdefault(released or in_title, row)

    def row(self, film: str) -> int | None:
        """The row of a `Title (year)`, None when no item is it."""
        title, year = split_title(film)
        for name in _names(title):
            rows = self._rows.get(name, {})
            if year is None and len(rows) == 1:
                return next(iter(rows.values()))
            for near in () if year is None else (year, year + 1, year - 1):
                if near in rows:
                    return rows[near]
        return None


def _names(title: str) -> Iterator[str]:
    """The whole title, the one outside brackets, and those within."""
    within = [alternative.removeprefix("a.k.a. ") for alternative in re.findall(r"\(([^()]*)\)", title)]
    for name in (title, re.sub(r"\s*\([^()]*\)", "", title), *within):
        if told := plain(name.replace("&", " and ")):
            yield told
