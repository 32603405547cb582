"""An answer as Markdown, for chat interfaces: what an item's text or a person says is shown, never obeyed as markup."""

import re
from typing import Any

from duetto.server.turn import Event

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$&@]|:(?=//)|(?<=www)\.|^[-+=](?=[\s=-])|(?<=^\d)[.)]|(?<=^\d\d)[.)])", re.IGNORECASE)


def plain(text: str) -> str:
    """Its own characters in one line, whatever they would mean in Markdown, HTML, TeX or as a link."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def markdown(answer: dict[str, Any]) -> str:
    """What is to be said first, the list with its reasons, and the question, if there is one."""
    picks = answer["recommendations"]
    before, after = _around(answer)
    listed = [f"{_numbered(r['rank'], r['title'], r['attributes'].get('year'))}{_dash(r['reason'])}" for r in picks]
    return "\n\n".join(block for block in (before, "\n".join(listed), after) if block)


class Lines:
    """The same, piece by piece while the turn runs: the list at once, then each reason, and the rest in the end."""

    def __init__(self) -> None:
        self._sent: list[str] = []  # titles
        self._reasons = 0

    def of(self, event: Event) -> str:
        """What this event adds to the text."""
        if event.name == "ranking":
            picks = event.data["recommendations"]
            self._sent = [r["title"] for r in picks]
            return "\n".join(_numbered(r["rank"], r["title"], None) for r in picks) + "\n" if picks else ""
        if event.name == "reason":
            self._reasons += 1
            return f"{'' if self._reasons > 1 else chr(10)}- **{event.data['rank']}**{_dash(event.data['reason'])}\n"
        if event.name != "answer":
            return ""
        if [r["title"] for r in event.data["recommendations"]] != self._sent:
            return markdown(event.data)
        before, after = _around(event.data)
        rest = "\n\n".join(block for block in (before, after) if block)
        return f"\n{rest}" if rest and self._sent else rest


def around(answer: dict[str, Any]) -> tuple[list[str], str]:
    """What the reply says before the list, line by line, and after it."""
    asked = answer["question"]["text"] if answer["question"] else ""
    said = f"\n{answer['reply']}".removesuffix(f"\n{asked}")
    items = sum(1 + f"{r['title']}{r['reason']}".count("\n") for r in answer["recommendations"])
    lines = said.split("\n")[1:]
    return lines[: len(lines) - items], asked


def _around(answer: dict[str, Any]) -> tuple[str, str]:
    before, after = around(answer)
    return "\n".join(map(plain, before)), plain(after)


def _numbered(rank: int, title: str, year: object) -> str:
    return f"{rank}. **{plain(title)}**{f' ({year})' if year else ''}"


def _dash(reason: str | None) -> str:
    return f" – {plain(reason)}" if reason else ""
