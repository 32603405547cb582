"""The words: one Markdown file a prompt, rendered strictly."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_SLOT = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt. `version` is the first 8 hex digits of the template's SHA-256."""

    name: str
    version: str
    system: str
    user: str


@cache
def _template(name: str) -> tuple[str, str, str]:
    text = resources.files(__package__).joinpath(f"{name}.md").read_text(encoding="utf-8")
    system, _, user = text.partition("\n# user\n")
    return system.removeprefix("# system\n").strip(), user.strip(), hashlib.sha256(text.encode()).hexdigest()[:8]


def version(name: str) -> str:
    """The version hash of a prompt file, without rendering it."""
    return _template(name)[2]


def render(name: str, **values: str) -> Prompt:
    """Fill `prompts/NAME.md`. Values are data: a slot inside a value is never filled in turn.

    Raises KeyError naming a slot without a value, or a value without a slot.
    """
    system, user, digest = _template(name)
    slots = set(_SLOT.findall(system)) | set(_SLOT.findall(user))
    if missing := slots - values.keys():
        raise KeyError(f"prompt {name!r} needs a value for {sorted(missing)}")
    if extra := values.keys() - slots:
        raise KeyError(f"prompt {name!r} has no slot for {sorted(extra)}")

    def fill(text: str) -> str:
        return _SLOT.sub(lambda m: values[m.group(1)], text)

    return Prompt(name, digest, fill(system), fill(user))
