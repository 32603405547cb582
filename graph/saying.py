"""What a turn says, in English sentences: what stands before and after the list of items."""

from dataclasses import dataclass

from duetto.graph.state import State
from duetto.tools.agent_tools import Toolbox
from duetto.tools.constraints import where
from duetto.tools.histories import NOBODY
from duetto.tools.language import RANKED, Question
from duetto.tools.profiles import SAID
from duetto.tools.relax import Relaxation, relaxations

NAMED = 3  # items a sentence names


@dataclass(frozen=True)
class Changes:
    """How the list differs from the one before, and what the person said in between: rows."""

    because: tuple[str, ...]
    entered: tuple[int, ...]
    left: tuple[int, ...]


def changes(state: State, box: Toolbox) -> Changes | None:
    """None where nothing was said of items, or nothing was shown before."""
    meaning, shown, titles = state.understood.meaning, state.understood.before["shown"], box.catalogue.titles
    if not shown or not meaning.opinions or not state.ranking.picks or meaning.wish != state.understood.before["topic"]["wish"]:
        return None
    because = tuple(f"{words} {titles[row]}" for kind, words in SAID.items() for row in getattr(meaning, kind))
    because += tuple(f"you said “{constraint.said}”" for constraint in meaning.set)
    because += ("you took limits back",) if meaning.clear else ()
    before = box.catalogue.rows(item["item_id"] for item in shown[-1])
    now = [pick.row for pick in state.ranking.picks]
    return Changes(because, tuple(row for row in now if row not in before), tuple(row for row in before if row not in now))


def relaxed(state: State, box: Toolbox) -> list[Relaxation]:
    """What to give up, where the limits left nothing to recommend."""
    understood = state.understood
    if understood.meaning.intent not in RANKED or state.ranking.picks or not state.constraints or _failed(state):
        return []
    return relaxations(box.catalogue, state.constraints, box.eligible(understood.history, None, understood.hidden))


def question_of(state: State) -> Question | None:
    return state.understood.meaning.question or state.ranking.question


def opening(state: State, box: Toolbox, moved: Changes | None, loosened: list[Relaxation]) -> list[str]:
    """The sentences before the list, or all that there is to say where there is none."""
    meaning = state.understood.meaning
    lines = list(meaning.notes)
    if meaning.question is not None:
        return lines
    if meaning.intent == "small_talk":
        hello = "All right." if state.understood.before["turn"] else "Hello!"
        lines.append(f"{hello} Tell me what you are in the mood for, or name something you liked.")
    elif meaning.intent == "out_of_scope":
        lines.append(f"I can only help with the {len(box.catalogue):,} items of this catalogue. What are you in the mood for?")
    elif meaning.intent == "start_over":
        lines.append("We start over: no limits, no request. What are you in the mood for?")
    elif state.looked.lines:
        lines += state.looked.lines
    elif state.ranking.place is not None:
        lines.append(_placed(state, box))
    elif meaning.intent in RANKED and (meaning.items or meaning.intent != "why_not"):
        lines += _changed(moved, box) if moved is not None else []
        lines += _ranked(state, box, loosened)
    elif not lines:
        lines.append("I do not know which item you mean: name it, or point at one that I showed.")
    return lines


def _ranked(state: State, box: Toolbox, loosened: list[Relaxation]) -> list[str]:
    understood, meaning = state.understood, state.understood.meaning
    limited = "; ".join(constraint["said"] for constraint in state.constraints)
    if not state.ranking.picks:
        return [_nothing(state, box, limited), *_offers(loosened)]
    lines = []
    if meaning.unchecked:
        unchecked = "”, “".join(meaning.unchecked)
        lines.append(f"No column of the catalogue can check “{unchecked}”, so I went by the texts.")
    if state.found.heard is not None and meaning.wish in state.found.heard.unheard:
        lines.append(f"No word of “{meaning.wish}” occurs in the catalogue, so I went without it.")
    lean = "; ".join(leaning.said for leaning in meaning.leanings)
    beside = f"Here is what I found ({limited}):" if limited else "Here is what I found:"
    lines += [f"I leaned towards {lean}."] if lean else []
    if understood.meaning.intent == "undo" and limited:
        lines.append(f"In force: {limited}.")
    return [*lines, beside]


def _nothing(state: State, box: Toolbox, limited: str) -> str:
    understood = state.understood
    if _failed(state):
        return "I could not search the catalogue just now, so I have nothing to recommend; please ask again."
    if not limited:
        any_left = bool(box.eligible(understood.history, understood.where, understood.hidden).any())
        return "I found nothing for this." if any_left else "I found nothing in the catalogue that you do not have already."
    fitting = int(box.eligible(NOBODY, where(state.constraints)).sum())
    if not fitting:
        return f"Nothing in the whole catalogue is within your limits ({limited})."
    left = int(box.eligible(understood.history, where(state.constraints), understood.hidden).sum())
    if not left:
        items = "the one item" if fitting == 1 else f"all {fitting:,} items"
        return f"You have or know {items} of the catalogue within your limits ({limited}) already."
    return f"I found nothing else within your limits ({limited})."


def _offers(loosened: list[Relaxation]) -> list[str]:
    return [f"But there {'is' if loosened[0].count == 1 else 'are'}: {'; '.join(map(str, loosened))}."] if loosened else []


def _failed(state: State) -> bool:
    return state.found.heard is None or bool(state.ranking.outcome.degraded)


def _changed(moved: Changes, box: Toolbox) -> list[str]:
    titles = box.catalogue.titles
    told = [f"Because {' and '.join(moved.because)}:"]
    for rows, word in ((moved.entered, "new"), (moved.left, "gone")):
        if rows:
            more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
            told.append(f"{word} {', '.join(titles[row] for row in rows[:NAMED])}{more};")
    return [
        " ".join(told).rstrip(";:") + "." if len(told) > 1 else f"{told[0].rstrip(':')} the list was made anew; it is the same."
    ]


def _placed(state: State, box: Toolbox) -> str:
    """Where the item that was missed stands, and by what it falls behind the last one shown."""
    assert state.ranking.place is not None
    assert state.ranking.asked_for is not None
    (place, of), pick, titles = state.ranking.place, state.ranking.asked_for, box.catalogue.titles
    line = f"{titles[pick.row]} stands at place {place:,} of {of:,} candidates for you now"
    if place <= state.understood.k:
        return f"{line}: among the first {state.understood.k}."
    last = state.ranking.picks[0]
    behind = {part: pick.parts.get(part, 0.0) - last.parts.get(part, 0.0) for part in {*pick.parts, *last.parts}}
    part, gap = min(behind.items(), key=lambda item: item[1])
    whole = pick.score - last.score
    against = f"Against {titles[last.row]}, at place {state.understood.k}"
    return f"{line}. {against}, it loses most by “{part}” ({gap:+.2f} of {whole:+.2f})."
