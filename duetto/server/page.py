"""The page: a conversation with what is known of the person beside it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated
from uuid import uuid4

from fastapi import Form, Request, Response

from duetto.errors import DuettoError
from duetto.graph.state import ItemId
from duetto.server.api import Here, Thread, Who
from duetto.server.cards import Turn, answered, failed, listed, opinions_of, running
from duetto.server.doors import NotThere, Visitor
from duetto.server.house import House
from duetto.server.page_doors import Guest, Named, Sitting, by_htmx, go, page_router, remember, sentence
from duetto.server.page_person import panel, said_of
from duetto.server.page_tastes import tastes_of
from duetto.server.playing import Play
from duetto.server.rendering import html, render
from duetto.server.streaming import events
from duetto.server.turn import Asked, Event
from duetto.tools.profiles import Profile, profile_of

TURNS = 50  # of a long conversation, the newest
Said = Annotated[str | None, Form(max_length=10_000)]
router = page_router()


@router.get("/")
def start(request: Request, here: Here, sitting: Sitting) -> Response:
    """A new conversation, which begins when something is said."""
    page = _talk(here, sitting, uuid4().hex, [])
    remember(page, request, sitting.person)
    return page


@router.get("/c/{thread}")
def go_on(thread: str, request: Request, here: Here, who: Who, sitting: Sitting) -> Response:
    """A conversation as it stands, with the turns that still run."""
    live = [play for play in here.live.of(thread) if _speaks_for(who, play.asked.user)]
    try:
        here.talks().check(who, thread)
        told = here.talks().told(thread, TURNS)
    except NotThere:  # its first turn may still run; of what others began nothing is shown
        if not live:
            raise
        told = []
    speakers = [*(one.answer["user"] for one in told[-1:]), *(play.asked.user for play in live)]
    if speakers and speakers[0] is not None:
        sitting = Guest(here.own_id(speakers[0]), sitting.chooses, sitting.keyed)
    newest = max((n for n, one in enumerate(told) if one.answer["recommendations"]), default=-1)
    catalogue, opinions = here.opened().index.catalogue, opinions_of(profile_of(here.store, sitting.person))
    turns = [answered(one.answer, one.message, catalogue, opinions, n >= newest) for n, one in enumerate(told)]
    known = {turn.id for turn in turns}
    return _talk(here, sitting, thread, [*turns, *(_of_play(play, here) for play in live if play.run_id not in known)])


def _talk(here: House, sitting: Guest, thread: str, turns: list[Turn]) -> Response:
    last = next((turn.answer for turn in reversed(turns) if turn.answer is not None), None)
    return html("talk.html", sitting=sitting, thread=thread, turns=turns, last=last, **panel(here, sitting, last))


def _of_play(play: Play, here: House) -> Turn:
    if not play.ended or play.failure is None:
        return running(play)
    return failed(play.run_id, play.asked.message, sentence(here.told(play.failure)["message"]))


def _speaks_for(who: Visitor, user: ItemId | None) -> bool:
    return who.person is None or str(user) == who.person


@router.post("/c/{thread}")
async def say(
    thread: Thread, request: Request, here: Here, who: Who, sitting: Sitting, user: Named = None, message: Said = None,
    quick: Said = None, title: Said = None, silent: Said = None,
) -> Response:  # fmt: skip
    """A turn: a message, what a button says, a title that was missed in the list, or nothing at all."""
    person = here.own_id(who.speaks_for(user or None) or sitting.person)
    check = partial(here.talks().check, who, thread, new=True)
    await asyncio.to_thread(check)
    text = quick or (f'why not "{title.strip()}"?' if title and title.strip() else message)
    text = None if silent or not text or not text.strip() else text.strip()
    headers = {"HX-Push-Url": f"/c/{thread}"}
    try:
        play = here.playing.start(Asked(thread, person, text, check=check))
    except DuettoError as error:
        if not by_htmx(request):
            raise
        turn = failed(f"refused-{uuid4().hex}", text, sentence(here.told(error)["message"]))
        return html("turn.html", headers=headers, turn=turn, thread=thread)
    here.live.add(play, here.settings.limits.grace_seconds)
    if by_htmx(request):
        return html("turn.html", headers=headers, turn=running(play), thread=thread)
    await asyncio.gather(play.answer(), return_exceptions=True)  # what failed is on the page
    return go(request, f"/c/{thread}#turn-{play.run_id}")


@router.get("/page/plays/{run_id}")
async def follow(run_id: str, here: Here, who: Who) -> Response:
    """A turn as it happens, in pieces of the page; from the first on, whoever comes when."""
    try:
        play = here.live.play(run_id)
        who.speaks_for(play.asked.user)
    except NotThere:  # to a browser's EventSource any other answer is a reason to ask again, for ever
        lost = failed(run_id, None, "This turn runs no more: reload the page to see how the conversation stands.")
        return events(_once(_sent("turn", render("answer.html", turn=lost, thread=""))))
    return events(_followed(play, here))


async def _once(line: str) -> AsyncIterator[str]:
    yield line


async def _followed(play: Play, here: House) -> AsyncIterator[str]:
    try:
        async for event in play.listen(here.settings.limits.alive_seconds):
            if event is None:
                yield ":\n\n"
            elif event.name in ("ranking", "reason", "answer"):
                yield await asyncio.to_thread(_piece, event, play, here)
    except Exception as error:
        turn = failed(play.run_id, play.asked.message, sentence(here.told(error)["message"]))
        yield _sent("turn", render("answer.html", turn=turn, thread=play.asked.thread))


def _piece(event: Event, play: Play, here: House) -> str:
    catalogue = here.opened().index.catalogue
    person, thread = play.asked.user, play.asked.thread
    if event.name == "reason":
        return _sent("reason", render("reason.html", id=play.run_id, **event.data))
    profile = None if person is None else profile_of(here.store, person) or Profile(user=person)
    opinions = opinions_of(profile)
    if event.name == "ranking":
        cards = listed(event.data, catalogue, opinions)
        return _sent("ranking", render("ranking.html", id=play.run_id, cards=cards, thread=thread, person=person))
    turn = answered(event.data, play.asked.message, catalogue, opinions)
    told = {} if profile is None else {**said_of(here, profile), **tastes_of(here, profile, event.data)}
    return _sent("turn", render("ended.html", turn=turn, last=event.data, thread=thread, person=person, **told))


def _sent(name: str, text: str) -> str:
    """A server-sent event; any kind of line break would end a line of it."""
    lines = "\n".join(f"data: {line}" for line in text.splitlines())
    return f"event: {name}\n{lines}\n\n"
