"""Who sits before the page: chosen from the log, somebody new, or whoever a key is for."""

from typing import Annotated

from fastapi import Form, Request, Response

from duetto.server.api import Here, Who
from duetto.server.doors import Unknown
from duetto.server.house import COOKIE
from duetto.server.page_doors import PERSON, Named, go, keep, new_guest, page_router, remember
from duetto.server.rendering import html

Secret = Annotated[str, Form(max_length=500)]
router = page_router()


@router.post("/page/person")
def be(request: Request, here: Here, who: Who, user: Named = None) -> Response:
    """Chooses whom to be; a new visitor where nobody is named."""
    named = (user or "").strip() or new_guest()
    response = go(request, "/")
    remember(response, request, here.own_id(who.speaks_for(named) or named))
    return response


@router.post("/page/sign-in")
def sign_in(request: Request, here: Here, key: Secret = "") -> Response:
    """Keeps the key in a cookie that no script can read."""
    try:
        here.doors.let_in(key.strip())
    except Unknown:
        return html("sign_in.html", 401, {"WWW-Authenticate": "Bearer"}, wrong=True)
    response = go(request, "/")
    keep(response, request, COOKIE, key.strip())
    return response


@router.post("/page/sign-out")
def sign_out(request: Request) -> Response:
    response = go(request, "/")
    response.delete_cookie(COOKIE, path="/")
    response.delete_cookie(PERSON, path="/")
    return response
