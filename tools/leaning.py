"""A soft wish along a column, such as "shorter" or "newest", as a number for every item."""

import numpy as np

from duetto.tools.catalogue import Catalogue
from duetto.tools.fusion import Array
from duetto.tools.language import Leaning


def along(catalogue: Catalogue, leaning: Leaning) -> Array:
    """Each item's place along the column, -1 to 1 at the wanted end, shape (items,); items without a value stand at -1."""
    values = catalogue.table[leaning.column].to_physical().cast(float).to_numpy()
    known = np.isfinite(values)
    order = np.full(len(values), -1.0)
    if known.sum() > 1:
        signed = values[known] if leaning.order == "highest" else -values[known]
        places = np.searchsorted(np.sort(signed), signed)
        order[known] = 2 * places / max(int(places.max()), 1) - 1
    return order
