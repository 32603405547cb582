"""Conversations with assertions on the state of each turn, never on wording: `evals/cases`, and people's own.

A file holds one case: its `name`, the `user` who speaks (or nobody), and `turns`, each with what is said (`say`; none for a
silent visit) and what is expected. A turn may have another `user` or another `thread`, and `restart: true` starts the process
anew before it. Filters are predicates as JSON. Items are named by id, by title, or by their place in a list that was shown:
"#2" is the second of the last list, "#2 of turn 3" of the one that turn 3 showed.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from duetto.errors import BadInput
from duetto.tools.profiles import KINDS

OURS = Path(__file__).parent / "cases" / "sample"
Id = str | int
Where = dict[str, Any]
PLACE = re.compile(r"#(\d+)(?: of turn (\d+))?")


class Profiled(BaseModel):
    """What is kept of the person across conversations; what is not named may be anything."""

    model_config = ConfigDict(extra="forbid")

    liked: list[Id] | None = None
    disliked: list[Id] | None = None
    seen: list[Id] | None = None
    uninterested: list[Id] | None = None
    standing: list[Where] | None = Field(None, description="the limits that always hold, and no other")


class Expected(BaseModel):
    """What a turn's state must be; what is not named may be anything."""

    model_config = ConfigDict(extra="forbid")

    intent: str | None = None
    constraints: list[Where] | None = Field(None, description="the hard constraints in force, and no other")
    every: Where | None = Field(None, description="a filter that each recommended item satisfies")
    contains: list[Id] = Field(default_factory=list, description="recommended items")
    excludes: list[Id] = Field(default_factory=list, description="items that must not be recommended")
    items: list[Id] | None = Field(None, description="the items that the turn is about")
    liked: list[Id] | None = None
    disliked: list[Id] | None = None
    seen: list[Id] | None = None
    uninterested: list[Id] | None = None
    soft: dict[Literal["leanings", "avoid", "unchecked"], bool | list[str]] = Field(
        default_factory=dict, description="whether there are soft wishes of this kind, or words that they say"
    )
    asks: bool | list[Id] | None = Field(None, description="whether a question is asked, or the options that it offers")
    relaxations: bool | int | None = Field(None, description="whether something to give up is offered, or how much at least")
    changed: bool | None = Field(None, description="whether the list is told to have changed, and why")
    facts: dict[str, Any] = Field(default_factory=dict, description="part of the facts, of lists the beginning")
    language: str | None = None
    retrieves: bool | None = Field(None, description="whether the voices ran")
    second_look: bool | None = None
    profile: Profiled | None = None
    least: int | None = Field(None, ge=0, description="items recommended at least")
    most: int | None = Field(None, ge=0, description="items recommended at most")
    calls: int | None = Field(None, ge=0, description="calls to the chat model at most")
    grounded: bool = Field(False, description="every reason is grounded and contradicts nothing")
    refused: bool = Field(False, description="the turn is bad input")

    @property
    def filters(self) -> list[Where]:
        every = [self.every] if self.every is not None else []
        return [*(self.constraints or ()), *every, *((self.profile and self.profile.standing) or ())]

    @property
    def named(self) -> list[Id]:
        """Every item named, but for the options of a question, which may be other words."""
        said = [getattr(one, kind) or [] for one in (self, self.profile) if one is not None for kind in KINDS]
        return [*self.contains, *self.excludes, *(self.items or ()), *(item for items in said for item in items)]


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    say: str | None = None
    user: Id | None = Field(None, description="who speaks, if not the case's user")
    thread: str | None = Field(None, description="in which conversation, if not the first one")
    restart: bool = False
    expect: Expected


class Case(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    user: Id | None = None
    k: int | None = Field(None, ge=1)
    turns: list[Step] = Field(min_length=1)


def read(paths: Sequence[Path]) -> list[Case]:
    """Cases from files, or from all files of folders. Raises BadInput naming the file and the field."""
    import yaml

    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not found:
            raise BadInput(f"cannot run cases: there is no .yaml file in the folder {path}")
        files += found
    cases = []
    for file in files:
        try:
            cases.append(Case.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))))
        except OSError as error:
            raise BadInput(f"cannot read the case {file}: {error.strerror or error}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read the case {file}: it is no YAML ({str(error).splitlines()[0]})") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise BadInput(f"cannot run the case {file}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
    return cases
