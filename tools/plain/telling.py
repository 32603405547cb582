"""What is known of items, said plainly: one, or several side by side."""

from typing import Any

from duetto.tools.catalogue import Catalogue


def about(catalogue: Catalogue, row: int) -> str:
    """An item's title, facts and text, on one line."""
    kinds = catalogue.kinds
    facts = catalogue.facts_of(row)
    year = next((facts[name] for name in catalogue.columns("year") if name in facts), None)
    short = [f"{name.replace('_', ' ')}: {shown(value)}" for name, value in facts.items() if kinds[name] in SHORT]
    text = " ".join(str(facts[name]) for name in catalogue.columns("text") if name in facts)
    head = catalogue.titles[row] + (f" ({year})" if year is not None else "")
    return " ".join(". ".join(part for part in (head, "; ".join(short), text) if part).split())


def compare(catalogue: Catalogue, rows: tuple[int, ...]) -> tuple[list[str], dict[str, Any]]:
    """A sentence for each column in which they differ, one for what they share; and the same as JSON."""
    facts = {row: catalogue.facts_of(row) for row in rows}
    names = [
        name for name, kind in catalogue.kinds.items() if kind in (*SHORT, "year") and any(name in f for f in facts.values())
    ]
    lines, same = [], []
    for name in names:
        values = [facts[row].get(name) for row in rows]
        label = name.replace("_", " ")
        if len({str(value) for value in values}) == 1:
            same.append(f"{label} ({shown(values[0])})")
        else:
            told = [f"{catalogue.titles[row]} {shown(value)}" for row, value in zip(rows, values, strict=True)]
            lines.append(f"{label}: {'; '.join(told)}")
    if same:
        lines.append(f"the same {' and '.join(same)}")
    table = {str(catalogue.ids[row]): {name: facts[row].get(name) for name in names} for row in rows}
    return lines, {"compared": table}


def listed(words: list[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"; the `last` one may be joined by another word."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


SHORT = ("category", "number", "date", "flag")


def shown(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace("|", ", ")
