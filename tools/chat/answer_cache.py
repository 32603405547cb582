"""Answers of a chat model, kept in one SQLite file: asking the same again costs nothing, also after a restart."""

import hashlib
from contextlib import suppress

from langchain_community.cache import FullLLMCache, SQLiteCache
from langchain_core.caches import RETURN_VAL_TYPE
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session


class AnswerCache(SQLiteCache):
    """langchain-community's cache and table; rows are plain messages, found by a digest of the question.

    Its own rows are revived by LangChain's loader, which builds any core class a row names and warns at every hit; and
    its keys hold the server's address, credentials included. A file that cannot be read or written is a miss, never a
    failed turn.
    """

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        key = (_digest(prompt), _digest(llm_string), 0)
        try:
            with Session(self.engine) as session:
                row = session.get(FullLLMCache, key)
                text = None if row is None else str(row.response)
            return None if text is None else [ChatGeneration(message=AIMessage.model_validate_json(text))]
        except (SQLAlchemyError, ValidationError):
            return None

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        for answer in return_val:
            if isinstance(answer, ChatGeneration):
                text = answer.message.model_dump_json()
                row = FullLLMCache(prompt=_digest(prompt), llm=_digest(llm_string), idx=0, response=text)
                with suppress(SQLAlchemyError), Session(self.engine) as session, session.begin():
                    session.merge(row)
                return


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
