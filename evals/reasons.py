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
        wrong = [f"cites {catalogue.titles[row]}, which is not in the history" for row in told.reason.cited
                 if row not in told.history]  # fmt: skip
        known = {told.pick.row, *told.reason.cited, *told.state.understood.meaning.alike}
        wrong += [f"names {catalogue.titles[row]}, which is no evidence" for row in strangers(text, known, catalogue)]
        wrong += self._quotations(told) + self._links(told) + self._tastes(told) + self._numbers(told, known)
        return wrong

    def _quotations(self, told: Told) -> list[str]:
        said = {told.state.understood.meaning.wish, *(query.text for query in told.state.written.queries)}
        return [f"quotes “{quoted}”, which nobody said" for quoted in QUOTED.findall(told.reason.text) if quoted not in said]

    def _links(self, told: Told) -> list[str]:
        """The crowd's links and the likeness of texts, worked out again."""
        wrong = []
        for row in self._named(LINKED, told):
            history = told.state.understood.history
            links = self.box.crowd.links(history, np.array([told.pick.row]))[:, 0]
            if not (links[:, history.rows == row] > 0).any():
                wrong.append(f"no history links it with {self.box.catalogue.titles[row]}")
        for row in self._named(CLOSE_TO_OWN, told):
            vectors = self.box.store.vectors_of(np.array([told.pick.row, row]))
            everywhere = self.box.voice.sample_cosines(vectors[1:])[0]
            if float(vectors[0] @ vectors[1]) <= float(everywhere.mean()):
                wrong.append(f"its text is no closer to {self.box.catalogue.titles[row]} than most")
        return wrong

    def _named(self, clause: re.Pattern[str], told: Told) -> list[int]:
        """The cited rows whose titles stand in a clause."""
        titles = self.box.catalogue.titles
        return [row for part in clause.findall(told.reason.text) for row in told.reason.cited if titles[row] in part]

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

    def _numbers(self, told: Told, known: set[int]) -> list[str]:
        catalogue, text = self.box.catalogue, told.reason.text
        texts = [*(catalogue.titles[row] for row in known), *(preference.text for preference in told.preferences)]
        for covered in sorted(texts, key=len, reverse=True):  # "Toy Story" is part of "Toy Story 2"
            text = text.replace(covered, "")
        text = QUOTED.sub("", text)
        cosines = {f"{cosine:.2f}" for _, cosine in told.pick.queries}
        facts = {str(value) for value in catalogue.facts_of(told.pick.row).values()}
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
        if not self.box.eligible(history, understood.where)[row]:
            wrong.append("recommends against a constraint")
        if not understood.meaning.wish and not understood.meaning.alike and any(phrase in text for phrase in ASKED):
            wrong.append("speaks of a request that was not made")
        if "I know nothing of your taste" in text and told.history:
            wrong.append("denies a taste that the history shows")
        return wrong
