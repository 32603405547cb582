"""Markdown of answers: what items are called, and what people say, is shown and never obeyed."""

import re
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="needs the extra `serve`")

from duetto.server.markdown import Lines, markdown, plain
from duetto.server.turn import Event

HOSTILE = [
    "**bold** and `code`", "<script>alert(1)</script>", "[click](http://x.y)", "![](http://x.y/p.png)", "# heading", "> quote",
    "- item", "+ item", "1. item", "12) item", "two\nlines", "two\r\nlines", "two\u2028lines", "two\x0blines", "| a | b |",
    "~~gone~~", "$5 to $10", "&lt;b&gt;", "https://x.y", "www.x.y", "a@b.c", "=== x", "\\*", "*", "__x__",
]  # fmt: skip


def told(title: str, reason: str = "It fits.", before: str = "For you:", question: str | None = None) -> dict[str, Any]:
    picks = [{"rank": n, "title": title, "reason": reason, "attributes": {"year": 1999}} for n in (1, 2)]
    listed = [f"{r['rank']}. {r['title']} (1999) - {r['reason']}" for r in picks]
    asked = None if question is None else {"text": question, "options": []}
    return {"recommendations": picks, "reply": "\n".join([before, *listed, *([question] if question else [])]), "question": asked}


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_has_a_meaning_of_its_own(text: str) -> None:
    shown = plain(text)
    assert re.sub(r"\\(?=[!-/:-@\[-`{-~])(.)", r"\1", shown) == " ".join(text.split())
    assert not re.search(r"(?<!\\)(\\\\)*[`*_\[\]<>#|~$&@]", shown)
    assert not re.match(r"([-+=]+|\d+[.)])( |$)", shown)
    assert not re.search(r"(?i)(?<!\\)://|www\.", shown)
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("title", HOSTILE)
def test_a_list_stays_a_list_of_so_many_lines(title: str) -> None:
    lines = markdown(told(title, title, "Said before.", "Which one?")).splitlines()
    assert [line[:5] for line in lines if re.match(r"\d\. ", line)] == ["1. **", "2. **"]
    assert (lines[0], lines[-1], len(lines)) == ("Said before.", "Which one?", 6)


def test_what_is_streamed_ends_with_what_else_there_is_to_say() -> None:
    answer, lines = told("Up", before="As you wish.", question="Which one?"), Lines()
    pieces = [lines.of(Event("ranking", {"recommendations": answer["recommendations"]}))]
    pieces += [lines.of(Event("reason", {"rank": n, "reason": "It fits."})) for n in (1, 2)]
    pieces += [lines.of(Event("node", {"node": "answer"})), lines.of(Event("answer", answer))]
    assert "".join(pieces) == ("1. **Up**\n2. **Up**\n\n- **1** – It fits.\n- **2** – It fits.\n\nAs you wish.\n\nWhich one?")


def test_an_answer_without_a_list_is_its_words() -> None:
    assert markdown({"recommendations": [], "reply": "Hello!", "question": None}) == "Hello!"
