"""A turn that runs, told over HTTP: whole, or as server-sent events; it stops when who asked has gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.responses import StreamingResponse

from duetto.server.house import House
from duetto.server.playing import Play
from duetto.server.turn import Stopped


async def answered(play: Play, request: Request) -> dict[str, Any]:
    """The turn's answer; it stops when the client has gone."""
    answer = asyncio.ensure_future(play.answer())
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise Stopped("the client has gone")
        return answer.result()
    finally:
        if not answer.done():
            play.stop()
            answer.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def stream(play: Play, here: House) -> AsyncIterator[str]:
    """The turn as server-sent events; it stops when nobody listens any more."""
    try:
        async for some in play.bursts(here.settings.limits.alive_seconds):
            yield "".join(sent(event.name, event.data) for event in some) or ":\n\n"
    except Exception as error:
        yield sent("error", here.told(error))
    finally:
        if not play.ended:
            play.stop()


def sent(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def events(lines: AsyncIterator[str]) -> StreamingResponse:
    """An event stream, which no proxy on the way holds back."""
    return StreamingResponse(
        lines, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
