"""Is what a reason says so? Every sentence is read back and checked against the catalogue, the history and the turn.

`grounding`: each title, number, quotation, attribute and cited id exists in the evidence or the catalogue. `consistency`:
nothing contradicts the history or the constraints. None of it trusts the
explainer: likeness, features and links are worked out again.
"""

import re
from dataclasses import dataclass

import numpy as np

from duetto.graph.state import State
from duetto.tools.agent_tools import Toolbox
from duetto.tools.features import Features
from duetto.tools.grounding import strangers
from duetto.tools.histories import NOBODY
from duetto.tools.language import Preference, Reason
from duetto.tools.pick import Pick
from duetto.tools.plain.reasons import FITS

LINKED = re.compile(r"Other people's histories link it with (.+?) from yours\.")
CLOSE_TO_OWN = re.compile(r"Its text is close to that of (.+?) from your history\.")
FITTING = "It fits your taste for "
COSINE = re.compile(r"cosine (-?\d+\.\d+)")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)*(?![\w])")
QUOTED = re.compile(r"“([^”]*)”")
ASKED = ("You asked for", "your request")


@dataclass(frozen=True)
class Told:
    """A reason of a turn and what it was made of."""

    person: int
    state: State
    pick: Pick
    reason: Reason

    @property
    def history(self) -> set[int]:
        return set(self.state.understood.history.liked_rows())

    @property
    def preferences(self) -> tuple[Preference, ...]:
        return self.state.understood.preferences


@dataclass(frozen=True)
class Checks:
    """What reasons are checked against."""

    box: Toolbox
    features: Features

    def grounding(self, told: Told) -> list[str]:
        """What the reason says that is not so, one phrase each; nothing for a grounded one."""
        text, catalogue = told.reason.text, self.box.catalogue
        cited = [catalogue.titles[row] for row in told.reason.cited if row not in told.history]
        wrong = [f"cites {title}, which is not in the history" for title in cited]
        known = {told.pick.row, *told.reason.cited, *told.state.understood.meaning.alike}
        unquoted = _without(text, [f"“{said}”" for said in self._said(told)])
        wrong += [f"names {catalogue.titles[row]}, which is no evidence" for row in strangers(unquoted, known, catalogue)]
        titles = [catalogue.titles[row] for row in known]
        quoted = QUOTED.findall(_without(unquoted, titles))
        wrong += [f"quotes “{words}”, which nobody said" for words in quoted]
        return wrong + self._links(told) + self._tastes(told) + self._numbers(told, unquoted, titles)

    def _said(self, told: Told) -> list[str]:
        return [told.state.understood.meaning.wish, *(query.text for query in told.state.queries)]

    def _links(self, told: Told) -> list[str]:
        """The crowd's links and the likeness of texts, worked out again."""
        titles, history = self.box.catalogue.titles, told.state.understood.history
        linked, wrong = self._named(LINKED, told)
        for row in linked:
            links = self.box.crowd.links(history, np.array([told.pick.row]))[:, 0]
            if not (links[:, history.rows == row] > 0).any():
                wrong.append(f"no history links it with {titles[row]}")
        close, unknown = self._named(CLOSE_TO_OWN, told)
        for row in close:
            vectors = self.box.store.vectors_of(np.array([told.pick.row, row]))
            everywhere = self.box.voice.sample_cosines(vectors[1:])[0]
            if float(vectors[0] @ vectors[1]) <= float(everywhere.mean()):
                wrong.append(f"its text is no closer to {titles[row]} than most")
        return wrong + unknown

    def _named(self, clause: re.Pattern[str], told: Told) -> tuple[list[int], list[str]]:
        """The cited rows whose titles stand in a clause, and what else stands there."""
        titles = self.box.catalogue.titles
        rows, wrong = [], []
        for part in clause.findall(told.reason.text):
            for row in sorted(told.reason.cited, key=lambda row: -len(titles[row])):
                if titles[row] in part:
                    rows.append(row)
                    part = part.replace(titles[row], "", 1)
            if left := re.sub(r"\band\b|[,\s]", "", part):
                wrong.append(f"names “{left}”, which is not cited")
        return rows, wrong

    def _tastes(self, told: Told) -> list[str]:
        """A taste that the item is said to fit is one of the person's, and the item has its features."""
        wrong = []
        for rest in told.reason.text.split(FITTING)[1:]:
            preference = next((p for p in told.preferences if rest.startswith(f"{p.text}.")), None)
            if preference is None:
                wrong.append(f"“{rest[:60]}” is no taste of this person")
            elif preference.features:
                has = self.features.matrix[told.pick.row, list(preference.features)].toarray().ravel()
                if has.mean() < FITS:
                    wrong.append(f"it is not {preference.text}")
        return wrong

    def _numbers(self, told: Told, unquoted: str, titles: list[str]) -> list[str]:
        catalogue, row = self.box.catalogue, told.pick.row
        text = _without(unquoted, [*titles, *(preference.text for preference in told.preferences)])
        cosines = {f"{cosine:.2f}" for _, cosine in told.pick.queries}
        facts = {str(value) for value in catalogue.facts_of(row).values()} | {*NUMBER.findall(catalogue.document(row))}
        wrong = [f"a cosine of {value} that no query has" for value in COSINE.findall(text) if value not in cosines]
        rest = COSINE.sub("", text)
        return wrong + [f"{value} stands nowhere" for value in NUMBER.findall(rest) if value not in facts]

    def contradictions(self, told: Told) -> list[str]:
        """Where the reason, or recommending the item at all, goes against the history or the constraints."""
        understood, catalogue = told.state.understood, self.box.catalogue
        history, row, text = understood.history, told.pick.row, told.reason.text
        disliked = set(history.rows[history.disliked].tolist())
        wrong = ["recommends what the person has"] if row in set(history.rows.tolist()) else []
        rejected = [catalogue.titles[cited] for cited in told.reason.cited if cited in disliked]
        wrong += [f"cites {title}, which the person rejects" for title in rejected]
        if not self.box.eligible(NOBODY, understood.where)[row]:
            wrong.append("recommends against a constraint")
        if not understood.meaning.wish and not understood.meaning.alike and any(phrase in text for phrase in ASKED):
            wrong.append("speaks of a request that was not made")
        if "I know nothing of your taste" in text and told.history:
            wrong.append("denies a taste that the history shows")
        return wrong


def _without(text: str, known: list[str]) -> str:
    """The text without these, longer ones first: "Toy Story" is part of "Toy Story 2"."""
    for words in sorted(filter(None, known), key=len, reverse=True):
        text = text.replace(words, " ")
    return text
