"""A reply in the person's own language, by the chat model; numbers and titles must survive, sentence by sentence."""

import json
import re

from pydantic import BaseModel

from duetto import prompts
from duetto.errors import ModelMisbehaved
from duetto.graph.state import Outcome
from duetto.tools.chat.budget import Budget
from duetto.tools.chat.language_model import LanguageModel


class TranslateAnswer(BaseModel):
    """What the model answers; see prompts/translate_reply.md."""

    sentences: list[str]


def translated(
    model: LanguageModel, sentences: list[str], language: str, titles: list[str], budget: Budget
) -> tuple[list[str], Outcome]:
    """The sentences in this language; as they are where that fails. A sentence that lost a number or one of the titles stays."""
    turn = {"language": language, "sentences": sentences}
    prompt = prompts.render("translate_reply", turn=json.dumps(turn, ensure_ascii=False))
    used = (prompt.name, prompt.version)
    try:
        answer = model.ask(prompt, TranslateAnswer, budget)
    except ModelMisbehaved as error:
        return sentences, Outcome.of(budget, used, f"the reply is in English: {error}")
    if len(answer.sentences) != len(sentences):
        note = f"the reply is in English: {len(answer.sentences)} sentences came back for {len(sentences)}"
        return sentences, Outcome.of(budget, used, note)
    kept = [new if _faithful(old, new, titles) else old for old, new in zip(sentences, answer.sentences, strict=True)]
    lost = sum(new != given for new, given in zip(kept, answer.sentences, strict=True))
    notes = (f"sentences whose translation lost a number or a title, left in English: {lost}",) if lost else ()
    return kept, Outcome.of(budget, used, *notes)


def _faithful(old: str, new: str, titles: list[str]) -> bool:
    numbers = re.findall(r"\d+", old)
    return bool(new.strip()) and sorted(numbers) == sorted(re.findall(r"\d+", new)) and all(t in new for t in titles if t in old)
