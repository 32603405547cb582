"""The page's templates: everything is escaped, and a name that is missing is an error."""

from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from duetto.version import VERSION

HERE = Path(__file__).parent
STATIC = HERE / "static"


def web(address: object, *schemes: str) -> str | None:
    """An address that may be linked to; None for what would run, or lead elsewhere than to the web."""
    try:
        parts = urlsplit(str(address).strip())
    except ValueError:
        return None
    return parts.geturl() if parts.scheme in (schemes or ("http", "https")) and parts.netloc else None


def day(at: str) -> str:
    """2026-05-17T09:30:00+00:00 as 17 May 2026."""
    try:
        found = date.fromisoformat(at[:10])
    except ValueError:
        return at
    return f"{found.day} {found:%b %Y}"


def percent(share: float) -> int:
    return round(100 * share)


def once(path: str) -> str:
    """Where a file of ours is, as this version of Duetto has it."""
    return f"/static/{path}?v={quote(VERSION)}"


_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_templates.filters |= {"day": day, "percent": percent, "path": lambda text: quote(str(text), safe="")}
_templates.globals |= {"once": once}


def render(template: str, **told: Any) -> str:
    return _templates.get_template(template).render(told)


def html(template: str, status: int = 200, headers: dict[str, str] | None = None, **told: Any) -> HTMLResponse:
    """What is told of people is nobody else's to keep."""
    return HTMLResponse(render(template, **told), status, {"Cache-Control": "no-store", **(headers or {})})
