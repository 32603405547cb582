"""How alike two rankings are."""

from collections.abc import Hashable, Sequence

PERSISTENCE = 0.9  # the first ten places carry 86% of the weight


def overlap(ours: Sequence[Hashable], theirs: Sequence[Hashable], p: float = PERSISTENCE) -> float:
    """Rank-biased overlap, extrapolated to the end of the longer list: 1 for the same ranking, 0 for disjoint ones.

    Webber, Moffat and Zobel, A similarity measure for indefinite rankings (TOIS 2010), equation 32; no item twice.
    """
    short, long = sorted((ours, theirs), key=len)
    s, end = len(short), len(long)
    if not s:
        return float(end == 0)
    seen_short: set[Hashable] = set()
    seen_long: set[Hashable] = set()
    common, at_s, total = 0, 0, 0.0
    for depth in range(1, end + 1):
        item = long[depth - 1]
        seen_long.add(item)
        common += item in seen_short
        if depth <= s:
            other = short[depth - 1]
            seen_short.add(other)
            common += other in seen_long
        if depth == s:
            at_s = common
        beyond = at_s * (depth - s) / (s * depth) if depth > s else 0.0
        total += (common / depth + beyond) * p**depth
    tail = ((common - at_s) / end + at_s / s) * p**end
    return (1 - p) / p * total + tail
