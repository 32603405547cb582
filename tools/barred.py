"""Why an item cannot be recommended to somebody, whatever its score."""

from collections.abc import Mapping
from typing import Any

from duetto.tools.catalogue import Catalogue
from duetto.tools.histories import History
from duetto.tools.predicate import from_json, mask


def barred(catalogue: Catalogue, history: History, said: Mapping[str, Any], row: int) -> list[str]:
    """A sentence for each thing in the way; `said` holds `constraints`, `disliked`, `seen` and `uninterested`."""
    title, item = catalogue.titles[row], str(catalogue.ids[row])
    found = []
    for kind, words in (("disliked", "disliked it"), ("seen", "have it already"), ("uninterested", "do not want it")):
        if item in map(str, said[kind]):
            found.append(f"{title} is left out because you said that you {words}.")
    if not found and row in history.rows:
        found.append(f"{title} is left out because it is in your history already.")
    if not catalogue.available[row]:
        found.append(f"{title} is marked as not available.")
    alone = catalogue.table[row : row + 1]
    against = [c["said"] for c in said["constraints"] if not mask(from_json(c["where"]), alone)[0]]
    return found + [f"{title} is left out by your limit “{words}”." for words in against]
