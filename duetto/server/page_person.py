"""The page's part that is about the person: what is known of them, to be changed, and their conversations."""

from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import Form, Request, Response

from duetto.errors import BadInput
from duetto.server import api
from duetto.server.api import Here, Thread, Who
from duetto.server.cards import opinions_of
from duetto.server.doors import NotThere
from duetto.server.house import House
from duetto.server.page_doors import PERSON, Asked, Guest, Named, Sitting, by_htmx, go, page_router
from duetto.server.page_offers import PEOPLE
from duetto.server.page_tastes import tastes_of
from duetto.server.rendering import html
from duetto.tools.profiles import KINDS, Kind, Profile, profile_of

HISTORY = 12  # newest items of the log that are shown
SESSIONS = 50
router = page_router()


def panel(here: House, sitting: Guest, last: dict[str, Any] | None) -> dict[str, Any]:
    """What is known of a person."""
    index = here.opened().index
    profile = profile_of(here.store, sitting.person) or Profile(user=sitting.person)
    history = index.histories.of_user(sitting.person)
    return {
        **said_of(here, profile),
        "had": [index.catalogue.titles[row] for row in reversed(history.rows[-HISTORY:].tolist())],
        "had_count": len(history),
        **tastes_of(here, profile, last),
        "size": len(index.catalogue),
        "people": [str(user) for user in index.histories.users[:PEOPLE]] if sitting.chooses else [],
    }


def said_of(here: House, profile: Profile | None) -> dict[str, Any]:
    """A person's opinions by kind, the last first, and the limits that always hold."""
    if profile is None:
        return {"said": {}, "limits": []}
    opinions = [{"title": here.title(one.item_id), **one.model_dump()} for one in reversed(profile.opinions)]
    return {"said": {kind: [one for one in opinions if one["kind"] == kind] for kind in KINDS}, "limits": profile.constraints}


def _seat(here: House, who: Who, sitting: Guest, user: str | None) -> Guest:
    return Guest(here.own_id(who.speaks_for(user or None) or sitting.person), sitting.chooses, sitting.keyed)


@router.get("/you")
def you(here: Here, who: Who, sitting: Sitting, user: Asked = None) -> Response:
    """What is known of the person, on a page of its own."""
    seat = _seat(here, who, sitting, user)
    return html("you.html", sitting=seat, sessions=_sessions(here, seat), thread="", **panel(here, seat, None))


@router.get("/page/sessions")
def sessions(here: Here, who: Who, sitting: Sitting, user: Asked = None) -> Response:
    return html("sessions.html", sessions=_sessions(here, _seat(here, who, sitting, user)))


def _sessions(here: House, sitting: Guest) -> list[dict[str, Any]]:
    return here.talks().of(sitting.person)[:SESSIONS]


@router.post("/page/opinion")
def opine(
    request: Request, here: Here, who: Who, sitting: Sitting, item_id: Annotated[str, Form(max_length=500)] = "",
    title: Annotated[str, Form(max_length=2000)] = "", kind: Annotated[Kind | None, Form()] = None, user: Named = None,
    thread: Annotated[Thread | None, Form()] = None, run_id: Annotated[str | None, Form(max_length=100)] = None,
    place: Annotated[str, Form(max_length=100)] = "",
) -> Response:  # fmt: skip
    """Keeps an opinion of an item, or drops what is kept of it. A card gets its buttons back, the panel itself."""
    seat = _seat(here, who, sitting, user)
    catalogue = here.opened().index.catalogue
    row = catalogue.row(item_id) if item_id else catalogue.resolve(title)
    if row is None:
        raise BadInput("cannot keep an opinion: the catalogue has no such item; choose one of those that are offered")
    item = catalogue.ids[row]
    if kind is None:
        said = str(item) in opinions_of(profile_of(here.store, seat.person))
        api.change_profile(api.ProfileChanged.model_validate({"user": seat.person, "dropped": [item] if said else []}), here, who)
    else:
        there = thread if thread is not None and _is_there(here, who, thread) else None
        given = {"user": seat.person, "thread": there, "run_id": _uuid(run_id), "item_id": item, "kind": kind}
        api.give_feedback(api.FeedbackGiven.model_validate(given), here, who)
    if not by_htmx(request):
        return go(request, f"/c/{thread}" if thread and place else f"/you?user={seat.person}")
    if place:
        told: dict[str, Any] = {"item_id": item, "title": catalogue.titles[row], "opinion": kind, "place": place, "fresh": True}
        told |= said_of(here, profile_of(here.store, seat.person))
        return html("verdict.html", id=run_id, thread=thread, person=seat.person, **told)
    return _panel(here, seat)


def _uuid(text: str | None) -> UUID | None:
    """None for a turn that has none, as those of another front door may."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _is_there(here: House, who: Who, thread: str) -> bool:
    """A list can be judged before its turn has ended, and so before its conversation is kept."""
    try:
        here.talks().check(who, thread)
    except NotThere:
        return False
    return True


@router.post("/page/limit")
def lift(
    request: Request, here: Here, who: Who, sitting: Sitting, said: Annotated[str, Form(max_length=5000)] = "",
    user: Named = None,
) -> Response:  # fmt: skip
    """Takes a limit off that always holds."""
    seat = _seat(here, who, sitting, user)
    api.change_profile(api.ProfileChanged.model_validate({"user": seat.person, "lifted": [said]}), here, who)
    return _panel(here, seat) if by_htmx(request) else go(request, f"/you?user={seat.person}")


@router.post("/page/taste")
def weigh(
    request: Request, here: Here, who: Who, sitting: Sitting, preference: Annotated[str, Form(max_length=200)] = "",
    weight: Annotated[float | None, Form(ge=0, le=1)] = None, user: Named = None, thread: Annotated[Thread | None, Form()] = None,
) -> Response:  # fmt: skip
    """Keeps what a taste weighs from now on; without a weight it is again as it is read."""
    if not preference.strip():
        raise BadInput("cannot keep a taste without words: say in a few words what you like")
    seat = _seat(here, who, sitting, user)
    taste = {"preference": preference, "weight": weight}
    api.change_profile(api.ProfileChanged.model_validate({"user": seat.person, "tastes": [taste]}), here, who)
    if not by_htmx(request):
        return go(request, f"/you?user={seat.person}")
    return _panel(here, seat, thread if thread is not None and _is_there(here, who, thread) else "")


@router.post("/page/forget")
def forget(request: Request, here: Here, who: Who, sitting: Sitting, user: Named = None) -> Response:
    """Everything that is kept of a person."""
    seat = _seat(here, who, sitting, user)
    with suppress(NotThere):  # nothing was kept
        api.forget(here, who, str(seat.person))
    response = go(request, "/")
    if who.person is None:
        response.delete_cookie(PERSON, path="/")
    return response


def _panel(here: House, seat: Guest, thread: str = "") -> Response:
    told = here.talks().told(thread, 1) if thread else []
    last = next((one.answer for one in told if str(one.answer["user"]) == str(seat.person)), None)
    return html("panel.html", sitting=seat, thread=thread, sessions=None, **panel(here, seat, last))
