"""Who sits before the page, and how it tells what went wrong."""

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse

from duetto.errors import DuettoError
from duetto.graph.state import ItemId
from duetto.server.api import Here, Who
from duetto.server.house import COOKIE, failure_of
from duetto.server.rendering import html

PERSON = "duetto_person"
GUEST = "guest-"
YEAR = 365 * 24 * 3600
UNREAD = "The server could not read this: reload the page and try again."
Named = Annotated[str | None, Form(max_length=200)]
Asked = Annotated[str | None, Query(max_length=200)]


@dataclass(frozen=True)
class Guest:
    """Whoever sits there. `chooses`: may be anybody; `keyed`: came in with a key, and may sign out."""

    person: ItemId
    chooses: bool
    keyed: bool

    @property
    def name(self) -> str:
        return "a new visitor" if str(self.person).startswith(GUEST) else str(self.person)


async def guest(request: Request, here: Here, who: Who) -> Guest:
    """The key's person, else whom the cookie names, else somebody new."""
    known = who.person or unquote(request.cookies.get(PERSON, ""))[:200] or new_guest()
    return Guest(here.own_id(known), who.person is None, here.doors.keys is not None)


Sitting = Annotated[Guest, Depends(guest)]


def new_guest() -> str:
    return GUEST + secrets.token_hex(4)


def remember(response: Response, request: Request, person: ItemId) -> None:
    keep(response, request, PERSON, quote(str(person), safe=""))


def keep(response: Response, request: Request, name: str, value: str) -> None:
    """A cookie that no script reads and no other site sends."""
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=YEAR, path="/", httponly=True, samesite="strict", secure=secure)


def by_htmx(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def go(request: Request, address: str) -> Response:
    """To another page, for a form that a browser sends by itself and for one that htmx sends."""
    return Response(headers={"HX-Redirect": address}) if by_htmx(request) else RedirectResponse(address, 303)


def problem(request: Request, error: Exception) -> Response:
    """One sentence, and the way on; who is not let in is asked for a key."""
    if isinstance(error, RequestValidationError):
        status, why = (404, "There is no such page.") if error.errors()[0]["loc"][0] == "path" else (422, UNREAD)
    else:
        status, told = failure_of(error)
        why = told["message"]
    if status == 401:
        if by_htmx(request):
            return Response(headers={"HX-Redirect": "/"})
        return html("sign_in.html", 401, {"WWW-Authenticate": "Bearer"}, wrong=COOKIE in request.cookies)
    beside = {"HX-Reswap": "afterbegin"} if request.headers.get("hx-target") == "panel" else None  # not in its place
    return html("problem.html" if by_htmx(request) else "problem_page.html", status, beside, code=status, why=sentence(why))


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


class PageRoute(APIRoute):
    """What fails is told as a page, not as JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (DuettoError, RequestValidationError) as error:
                return problem(request, error)

        return handled


def page_router() -> APIRouter:
    return APIRouter(route_class=PageRoute, include_in_schema=False)
