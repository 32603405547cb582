"""What is wrong with a turn of a case: its state against what was expected of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langgraph.store.base import BaseStore

from duetto.errors import BadInput
from duetto.evals.case_files import PLACE, Expected, Id
from duetto.evals.reasons import Checks, Told
from duetto.graph.state import State
from duetto.tools.agent_tools import Toolbox
from duetto.tools.catalogue import Catalogue
from duetto.tools.constraints import columns, where
from duetto.tools.features import Features
from duetto.tools.predicate import from_json
from duetto.tools.profiles import KINDS, Profile, profile_of


@dataclass(frozen=True)
class Turn:
    """A turn that was played: its state and the profiles after it; `shown` are the rows that each turn of the case showed before
    it, `last` those of the last list of its conversation."""

    expected: Expected
    state: State
    store: BaseStore
    shown: dict[int, list[int]]
    last: list[int]


@dataclass(frozen=True)
class Checker:
    box: Toolbox
    features: Features

    def require(self, expected: Expected) -> None:
        """Raises BadInput for items and filters that the catalogue does not know."""
        for item in expected.named:
            if PLACE.fullmatch(str(item)) is None:
                row_of(self.box.catalogue, item)
        for filter_ in expected.filters:
            self.box.catalogue.mask(from_json(filter_))

    def wrong(self, turn: Turn) -> list[str]:
        """Each assertion that fails, and whatever no turn may do."""
        return [
            *self._plain(turn), *self._of_lists(turn), *self._of_people(turn), *self._soft(turn),
            *(self._ungrounded(turn.state) if turn.expected.grounded else []),
        ]  # fmt: skip

    def _plain(self, turn: Turn) -> list[str]:
        expected, answer, state = turn.expected, turn.state.answer, turn.state
        ran = "retrieve" in answer["timings_ms"] or "collaborate" in answer["timings_ms"]
        moved = answer["changes"]
        changed = moved is not None and bool(moved["because"]) and bool(moved["entered"] or moved["left"])
        offered, least = len(answer["relaxations"]), expected.relaxations
        told: list[tuple[bool, str]] = [
            (expected.refused, "it was to be refused, and was answered"),
            (expected.intent not in (None, answer["intent"]), f"the intent is {answer['intent']}"),
            (expected.language not in (None, answer["language"]), f"the language is {answer['language']}"),
            (expected.calls is not None and answer["usage"]["calls"] > expected.calls,
             f"{answer['usage']['calls']} calls to the chat model"),
            (expected.retrieves not in (None, ran), "the voices ran" if ran else "the voices did not run"),
            (expected.second_look not in (None, bool(state.repaired.queries)),
             "there was a second look" if state.repaired.queries else "there was no second look"),
            (expected.changed not in (None, changed), f"what is told of the changes is {moved}"),
            (least is not None and (bool(offered) != least if isinstance(least, bool) else offered < least),
             f"what may be given up is {answer['relaxations']}"),
            (not _within(expected.facts, answer["facts"]), f"the facts are {answer['facts']}"),
        ]  # fmt: skip
        return [what for failed, what in told if failed] + self._asked(turn)

    def _asked(self, turn: Turn) -> list[str]:
        wanted, question = turn.expected.asks, turn.state.answer["question"]
        if wanted is None or wanted is (question is not None):
            return []
        options = question["options"] if question is not None else []
        if not isinstance(wanted, bool) and sorted(options) == sorted(self._label(one, turn) for one in wanted):
            return []
        return ["no question is asked" if question is None else f"a question is asked that offers {options}"]

    def _label(self, option: Id, turn: Turn) -> str:
        return self._titles(self._rows([option], turn))[0] if PLACE.fullmatch(str(option)) else str(option)

    def _of_lists(self, turn: Turn) -> list[str]:
        expected, state, catalogue = turn.expected, turn.state, self.box.catalogue
        rows = [pick.row for pick in state.ranking.picks] if state.ranking.place is None else []
        wrong = []
        if expected.least is not None and len(rows) < expected.least:
            wrong.append(f"only {len(rows)} items are recommended")
        if expected.most is not None and len(rows) > expected.most:
            wrong.append(f"{len(rows)} items are recommended")
        if expected.constraints is not None and not self._alike([c["where"] for c in state.constraints], expected.constraints):
            wrong.append(f"the constraints are {[c['where'] for c in state.constraints]}")
        for filter_, what in ((expected.every, "the filter"), (where(state.constraints), "the limits in force")):
            if filter_ is not None and rows:
                mask = catalogue.mask(from_json(filter_))
                wrong += [f"{catalogue.titles[row]} is recommended against {what}" for row in rows if not mask[row]]
        known = set(catalogue.rows(item for kind in KINDS for item in getattr(state, kind)))
        wrong += [f"{catalogue.titles[row]} is recommended, and is known" for row in rows if row in known]
        listed = self._rows(expected.contains, turn)
        wrong += [f"{catalogue.titles[row]} is not recommended" for row in listed if row not in rows]
        wrong += [f"{catalogue.titles[row]} is recommended" for row in self._rows(expected.excludes, turn) if row in rows]
        about = catalogue.rows(item["item_id"] for item in state.answer["items"])
        if expected.items is not None and sorted(self._rows(expected.items, turn)) != sorted(about):
            wrong.append(f"it is about {self._titles(about)}")
        return wrong

    def _of_people(self, turn: Turn) -> list[str]:
        catalogue, user = self.box.catalogue, turn.state.understood.user
        profile = profile_of(turn.store, user) if user is not None else None
        profile, wanted = profile or Profile(user=user or ""), turn.expected.profile
        told: list[tuple[str, list[Id] | None, list[Id]]] = []
        told += [(kind, getattr(turn.expected, kind), getattr(turn.state, kind)) for kind in KINDS]
        told += [(f"{kind} in the profile", getattr(wanted, kind), profile.of(kind)) for kind in KINDS if wanted is not None]
        wrong = [
            f"{name} are {self._titles(catalogue.rows(kept))}"
            for name, items, kept in told
            if items is not None and sorted(self._rows(items, turn)) != sorted(catalogue.rows(kept))
        ]
        standing = [one.where for one in profile.constraints]
        if wanted is not None and wanted.standing is not None and not self._alike(standing, wanted.standing):
            wrong.append(f"the standing limits are {standing}")
        return wrong

    def _soft(self, turn: Turn) -> list[str]:
        soft = turn.state.answer["soft"]
        return [
            f"{kind} are {soft[kind]}"
            for kind, wanted in turn.expected.soft.items()
            if (bool(soft[kind]) != wanted if isinstance(wanted, bool) else not _said(wanted, soft[kind]))
        ]

    def _ungrounded(self, state: State) -> list[str]:
        checks = Checks(self.box, self.features)
        reasons = zip(state.ranking.picks, state.explained.reasons, strict=True)
        told = [Told(0, state, pick, reason) for pick, reason in reasons if reason is not None]
        return [f"“{one.reason.text}” {what}" for one in told for what in (*checks.grounding(one), *checks.contradictions(one))]

    def _alike(self, found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> bool:
        """The same filters in any order, however they are written: the same items by the same columns."""
        left = [from_json(filter_) for filter_ in expected]
        for filter_ in found:
            predicate = from_json(filter_)
            same = [
                one
                for one in left
                if one == predicate
                or (
                    columns(one) == columns(predicate)
                    and (mask := self.box.catalogue.mask(one)).any()
                    and np.array_equal(mask, self.box.catalogue.mask(predicate))
                )
            ]
            if not same:
                return False
            left.remove(same[0])
        return not left

    def _rows(self, named: Sequence[Id], turn: Turn) -> list[int]:
        return [self._row(item, turn) for item in named]

    def _row(self, item: Id, turn: Turn) -> int:
        place = PLACE.fullmatch(str(item))
        if place is None:
            return row_of(self.box.catalogue, item)
        shown = turn.shown.get(int(place[2]), []) if place[2] else turn.last
        if not 1 <= int(place[1]) <= len(shown):
            raise BadInput(f"there is no {item!r}: so many items were not shown")
        return shown[int(place[1]) - 1]

    def _titles(self, rows: Sequence[int]) -> list[str]:
        return [self.box.catalogue.titles[row] for row in rows]


def _within(part: Any, whole: Any) -> bool:
    """Whether a value holds another: dicts by their keys, lists by their beginnings."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and _within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) <= len(whole) and all(map(_within, part, whole))
    return bool(part == whole)


def _said(words: list[str], texts: list[str]) -> bool:
    return all(any(word.lower() in text.lower() for text in texts) for word in words)


def row_of(catalogue: Catalogue, item: Id) -> int:
    """By id, else by title. Raises BadInput."""
    if (row := catalogue.row(item)) is not None:
        return row
    found = np.flatnonzero(np.array(catalogue.titles) == str(item))
    if len(found) != 1:
        raise BadInput(f"{'no item is' if not len(found) else 'several items are'} called {item!r}")
    return int(found[0])
