"""MovieLens titles: `Matrix, The (1999)` is The Matrix of 1999."""

import re

_YEAR = re.compile(r"\s*\(\s*(\d{4})\s*(?:[-–]\s*(?:\d{4})?\s*)?\)\s*(?:\(V\)\s*)?$")
_ARTICLES = (
    "The A An Les Le La L' Los Las El Lo Il I Gli Una Une Uno Un Der Die Das Den Det De Dem Een Ein Eine En Ett Het Os As O"
)
_MOVED = re.compile(rf"^(?P<name>.*\S), (?P<article>{'|'.join(_ARTICLES.split())})$")
_PARTS = re.compile(r"(\s*\([^()]*\))")


def split_title(raw: str) -> tuple[str, int | None]:
    """The title as one says it, and its year; alternative titles in brackets stay, with their own articles moved."""
    title, year = raw.strip(), None
    if found := _YEAR.search(title):
        year = int(found[1])
        title = title[: found.start()] or title
    if quoted := re.fullmatch(r'"([^"]+)"', title):
        title = quoted[1]
    return "".join(_spoken(part) for part in _PARTS.split(title)).strip(), year


def _spoken(part: str) -> str:
    if bracketed := re.fullmatch(r"(\s*)\((.*)\)", part):
        prefix = "a.k.a. " if bracketed[2].startswith("a.k.a. ") else ""
        return f"{bracketed[1]}({prefix}{_spoken(bracketed[2].removeprefix(prefix))})"
    moved = _MOVED.match(part.strip())
    if not moved:
        return part
    joint = "" if moved["article"].endswith("'") else " "
    return f"{moved['article']}{joint}{moved['name']}"
