"""What the MCP server's tools do: each gives what it answers, and the same as readable text."""

import json
import uuid
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated, Any, Literal

from langgraph.store.base import BaseStore
from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field

from duetto import people, wiring
from duetto.errors import BadInput
from duetto.graph.answer import Answer, Cited, Recommendation
from duetto.graph.look_up import told_why
from duetto.mcp_answers import Facts, Hit, Hits, Item, Known, Turn, Why
from duetto.tools.agent_tools import FactsArgs, artifact, catalogue_facts, search_catalogue
from duetto.tools.feedback import keep_feedback, new_feedback
from duetto.tools.profiles import KINDS, Id, Kind

MOST = 100  # items a search tells of

User = Annotated[Id | None, Field(description="who speaks: a person's id; by default whoever spoke in the thread, or nobody")]
Thread = Annotated[
    str | None,
    Field(min_length=1, max_length=200, pattern=r"\S", description="the conversation to continue; by default a new one"),
]
Where = Annotated[dict[str, Any] | None, Field(description=FactsArgs.model_fields["where"].description)]


@dataclass(frozen=True)
class Tools:
    """`user`, where there is one, is the only person spoken for. One turn at a time: two of a conversation would collide."""

    opened: wiring.Opened
    profiles: BaseStore
    user: Id | None
    turns: Lock = field(default_factory=Lock)

    def recommend(
        self,
        message: Annotated[str, Field(description="what the person says, in their own words")],
        user: User = None,
        thread: Thread = None,
        k: Annotated[int | None, Field(ge=1, description="how many items")] = None,
    ) -> Annotated[CallToolResult, Turn]:
        thread = thread or _new_thread()
        with self.turns:
            answer = self._turn(message, self._speaker(user, thread), thread, k)
        told = Turn(
            thread=thread, turn=answer.turn, user=answer.user, reply=answer.reply, constraints=answer.constraints,
            question=answer.question, degraded=answer.degraded,
            items=[Item(**r.model_dump(include={*Item.model_fields}), evidence=r.cites) for r in answer.recommendations],
            about=[Cited(item_id=item.item_id, title=item.title) for item in answer.items],
        )  # fmt: skip
        ids = [*((item.title, item.item_id) for item in told.items), *((item.title, item.item_id) for item in told.about)]
        named = [f"item_id of {_data(title)}: {_data(item_id)}" for title, item_id in ids]
        return _result(told, answer.reply, *named, f"thread: {_data(thread)}")

    def why(
        self,
        item_id: Annotated[Id | None, Field(description="the item, by its id")] = None,
        title: Annotated[str | None, Field(description="or by its title, perhaps with the year, as in a reply")] = None,
        user: User = None,
        thread: Thread = None,
    ) -> Annotated[CallToolResult, Why]:
        catalogue = self.opened.box.catalogue
        row, thread = self._row(item_id, title), thread or _new_thread()
        named, known_as = catalogue.titles[row], catalogue.ids[row]
        with self.turns:
            speaker = self._speaker(user, thread)
            turn, found = self._recommended(known_as, speaker, thread)
            if found is not None:
                steps = [step.model_dump() for step in found.steps]
                lines = [f"Recommended in turn {turn}.", *told_why(named, found.reason, found.weights, steps)]
            else:
                year = catalogue.facts_of(row).get("year")
                asked = f"why not “{named}”" + (f" ({year})?" if year else "?")
                answer = self._turn(asked, speaker, thread, None)
                lines = [f"{named} was not recommended in this conversation."]
                lines += [answer.reply] if [str(item.item_id) for item in answer.items] == [str(known_as)] else []
        why = Why(thread=thread, item_id=known_as, title=named, turn=turn, recommendation=found, reply="\n".join(lines))
        cited = [f"cited: {_data(cited.title)}, item_id {_data(cited.item_id)}" for cited in (found.cites if found else ())]
        return _result(why, why.reply, *cited, f"thread: {_data(thread)}")

    def search(
        self,
        query: Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"\S", description="what the text should be like")],
        where: Where = None,
        k: Annotated[int, Field(ge=1, le=MOST, description="how many items")] = 10,
    ) -> Annotated[CallToolResult, Hits]:
        box = self.opened.box
        heard = artifact(search_catalogue(box), "search", queries=[query], where=where, k=k)
        titles, ids, facts_of = box.catalogue.titles, box.catalogue.ids, box.catalogue.facts_of
        items = [
            Hit(item_id=ids[row], title=titles[row], cosine=round(cosine, 4), attributes=facts_of(row))
            for found in heard.found
            for row, cosine in found[:k]
        ]
        hits = Hits(items=items, understood=not heard.unheard)
        opening = "Best first, one item a line:" if items else "No item of the catalogue fits."
        if not hits.understood:
            opening = "No word of the query occurs in the catalogue."
        return _result(hits, opening, *(_data(item.model_dump(mode="json")) for item in items))

    def facts(
        self,
        where: Where = None,
        column: Annotated[str | None, Field(description="whose range and extremes are wanted")] = None,
        order: Annotated[Literal["highest", "lowest"], Field(description="which extremes")] = "highest",
        k: Annotated[int, Field(ge=1, le=MOST, description="how many extremes")] = 3,
    ) -> Annotated[CallToolResult, Facts]:
        told = artifact(catalogue_facts(self.opened.box), "facts", where=where, column=column, order=order, k=k)
        facts = Facts(count=told["count"], of=told["of"], **told.get("range", {}), extremes=told.get(order, []))
        plain = facts.model_dump(mode="json")
        lines = [f"{facts.count:,} of {facts.of:,} items."]
        if column is not None:
            lines.append(f"{column}: from {_data(plain['lowest'])} to {_data(plain['highest'])}; {order} first:")
        return _result(facts, *lines, *map(_data, plain["extremes"]))

    def feedback(
        self,
        item_id: Annotated[Id, Field(description="the item's id")],
        kind: Annotated[Kind, Field(description="what the person says of it")],
        user: Annotated[Id | None, Field(description="whose opinion it is")] = None,
    ) -> Annotated[CallToolResult, Known]:
        catalogue = self.opened.box.catalogue
        speaker = self.opened.box.histories.own_id(self._allowed(user))
        if speaker is None:
            raise BadInput("cannot keep an opinion of nobody: name the user")
        with self.turns:
            now = people.changed(self.profiles, speaker, {kind: [item_id]}, [], [], catalogue)
            for row in catalogue.rows([item_id]):
                keep_feedback(self.profiles, new_feedback(speaker, item_id=catalogue.ids[row], kind=kind))
        opinions = {kind: [self._cited(row) for row in catalogue.rows(now.of(kind))] for kind in KINDS}
        known = Known(user=now.user, opinions={kind: cited for kind, cited in opinions.items() if cited})
        lines = [f"{kind}: {', '.join(_data(item.title) for item in items)}" for kind, items in known.opinions.items()]
        return _result(known, f"Kept. Known of {_data(now.user)} from now on, in every conversation:", *lines)

    # who and what

    def _allowed(self, user: Id | None) -> Id | None:
        if self.user is not None and user is not None and str(user) != str(self.user):
            raise BadInput(f"cannot speak for {user!r}: this server was started for {self.user!r} alone")
        return self.user if self.user is not None else user

    def _speaker(self, user: Id | None, thread: str) -> Id | None:
        speaker = self._allowed(user)
        before = self.opened.graph.get_state(_config(thread)).values
        if not before.get("turn"):
            return speaker
        if self.user is not None and str(before["person"]) != str(self.user):
            raise BadInput(f"cannot go on with {thread!r}: somebody else than {self.user!r} speaks in that conversation")
        person: Id | None = before["person"]
        return person if speaker is None else speaker

    def _row(self, item_id: Id | None, title: str | None) -> int:
        """Raises BadInput where it is not exactly one item."""
        catalogue = self.opened.box.catalogue
        if (item_id is None) == (title is None):
            raise BadInput("cannot tell which item is meant: give either its item_id or its title")
        if title is None:
            if (row := catalogue.row(item_id)) is None:
                raise BadInput(f"there is no item {item_id!r} in the catalogue: `search` finds items and their ids")
            return row
        wanted = title.strip().casefold()
        rows = [row for row, name in enumerate(catalogue.titles) if wanted.startswith(name.casefold())]
        rows = [row for row in rows if wanted in self._names(row)]
        if not rows:
            raise BadInput(f"there is no item titled {title!r} in the catalogue: `search` finds items and their ids")
        if len(rows) > 1:
            ids = ", ".join(repr(catalogue.ids[row]) for row in rows[:10])
            raise BadInput(f"cannot tell which {title!r} is meant: give the item_id, one of {ids}")
        return rows[0]

    def _names(self, row: int) -> set[str]:
        catalogue = self.opened.box.catalogue
        name = catalogue.titles[row].casefold()
        return {name, f"{name} ({catalogue.facts_of(row).get('year')})"}

    def _cited(self, row: int) -> Cited:
        return Cited(item_id=self.opened.box.catalogue.ids[row], title=self.opened.box.catalogue.titles[row])

    # the conversation

    def _turn(self, message: str, user: Id | None, thread: str, k: int | None) -> Answer:
        given: Any = {"user": user, "message": message}
        context: Any = {"k": k}
        config: Any = {**_config(thread), "run_name": "turn", "run_id": uuid.uuid4()}
        return Answer.model_validate(self.opened.graph.invoke(given, config, context=context)["answer"])

    def _recommended(self, item_id: Id, user: Id | None, thread: str) -> tuple[int | None, Recommendation | None]:
        """The turn in which this person got the item last in the conversation, and as what."""
        for past in self.opened.graph.get_state_history(_config(thread)):
            answer = past.values.get("answer")
            if not answer or str(answer["user"]) != str(user):
                break
            for recommendation in answer["recommendations"]:
                if str(recommendation["item_id"]) == str(item_id):
                    return answer["turn"], Recommendation.model_validate(recommendation)
        return None, None


def _new_thread() -> str:
    return f"mcp-{uuid.uuid4().hex[:12]}"


def _config(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


def _data(value: Any) -> str:
    """As JSON on one line: a text can neither end its own quotes nor begin a line."""
    return json.dumps(value, ensure_ascii=False)


def _result(told: BaseModel, *lines: str) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text="\n".join(lines))], structured_content=told.model_dump(mode="json")
    )
