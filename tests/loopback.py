"""An OpenAI-compatible server on 127.0.0.1, faults included: what the chat model's port is tested against.

with Loopback(always(says({"answer": 42}))) as server:
    ChatOpenAI(base_url=server.base_url, ...)
"""

import base64
import gzip
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import numpy as np
from pydantic import BaseModel

Body = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `content` is what the model says: text, or the arguments when a tool was asked for.

    `hang` never answers, `drop` closes the connection in the middle of the body, `trickle` sends one byte every so
    many seconds; each ends when the server stops.
    """

    content: str = ""
    refusal: str | None = None
    finish: str = "stop"
    usage: tuple[int, int] | None = (20, 10)
    status: int = 200
    message: str = "no"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None  # instead of a chat completion
    delay: float = 0.0
    hang: bool = False
    drop: bool = False
    trickle: float = 0.0


Script = Callable[[Body, int], Answer]  # (request body, which chat request this is, from 1)


def says(content: str | Body | BaseModel, **kwargs: Any) -> Answer:
    if isinstance(content, BaseModel):
        content = content.model_dump_json()
    return Answer(content if isinstance(content, str) else json.dumps(content), **kwargs)


def refuses(why: str = "I cannot help with that.") -> Answer:
    return Answer(refusal=why)


def fails(status: int, retry_after: str | None = None, **kwargs: Any) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer(status=status, headers=headers, **kwargs)


def always(answer: Answer) -> Script:
    return lambda body, n: answer


def in_turn(*answers: Answer) -> Script:
    """The n-th request gets the n-th answer; the last one repeats."""
    return lambda body, n: answers[min(n, len(answers)) - 1]


@dataclass(frozen=True)
class Seen:
    """A request as the server saw it; header names are lower case."""

    path: str
    headers: dict[str, str]
    body: Body


@dataclass(frozen=True)
class Reply:
    """What goes back: `drop` and `trickle` are as in Answer."""

    value: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None  # instead of the value as JSON
    drop: bool = False
    trickle: float = 0.0


class Server:
    """HTTP on 127.0.0.1 while it is open."""

    def __init__(self) -> None:
        self.stopped, self.lock = threading.Event(), threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), name="loopback")

    def reply(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        """None is never an answer. Requests come from several threads."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()  # joins the handlers
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64
    owner: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of the tests; the standard library would print a traceback."""


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0 closes after each answer: a client's idle connection cannot keep a handler alive after the test.
    protocol_version = "HTTP/1.0"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        reply = self.server.owner.reply(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        if reply is None:
            return
        raw = json.dumps(reply.value).encode() if reply.raw is None else reply.raw
        self.send_response(reply.status)
        for name, text in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if reply.drop:
            self.wfile.write(raw[: len(raw) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        elif reply.trickle:
            for byte in raw:
                self.wfile.write(bytes([byte]))
                if self.server.owner.stopped.wait(reply.trickle):
                    return
        else:
            self.wfile.write(raw)

    do_POST = do_PATCH = do_DELETE = do_GET


class Loopback(Server):
    """`requests` are all requests so far, `chats` the chat completions among them; `dimensions` is the embeddings'."""

    def __init__(self, script: Script | Answer, dimensions: int = 16) -> None:
        super().__init__()
        self.script = always(script) if isinstance(script, Answer) else script
        self.dimensions = dimensions
        self._seen: list[Seen] = []

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[Seen]:
        with self.lock:
            return list(self._seen)

    @property
    def chats(self) -> list[Seen]:
        return [seen for seen in self.requests if seen.path.endswith("/chat/completions")]

    def reply(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        asked: Body = json.loads(body or b"{}")
        with self.lock:
            self._seen.append(Seen(path, headers, asked))
            n = sum(seen.path == path for seen in self._seen)
        if method == "GET":
            model = {"id": "loopback", "object": "model", "created": 0, "owned_by": "us"}
            return Reply({"object": "list", "data": [model]})
        if path.endswith("/embeddings"):
            return Reply(_embeddings(asked, self.dimensions))
        return self._chat(asked, n) if path.endswith("/chat/completions") else Reply(_error("no such path", None), 404)

    def _chat(self, body: Body, n: int) -> Reply | None:
        answer = self.script(body, n)
        if why := _unacceptable(body):
            answer = Answer(status=400, message=why, code="invalid_request_error")
        if answer.hang:
            self.stopped.wait()
            return None
        self.stopped.wait(answer.delay)
        good = answer.status == 200
        value = _completion(body, answer, n) if good else _error(answer.message, answer.code)
        return Reply(value, answer.status, answer.headers, answer.body, answer.drop, answer.trickle)


def _completion(body: Body, answer: Answer, n: int) -> Body:
    message: Body = {"role": "assistant", "content": answer.content, "refusal": answer.refusal}
    if answer.refusal is not None:
        message["content"] = None
    elif body.get("tools") and answer.content:
        name = body["tools"][0]["function"]["name"]
        call = {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": answer.content}}
        message |= {"content": None, "tool_calls": [call]}
    made: Body = {
        "id": f"chatcmpl-{n}",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}],
    }
    if answer.usage is not None:
        read, wrote = answer.usage
        made["usage"] = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
    return made


def _error(message: str, code: str | None) -> Body:
    return {"error": {"message": message, "type": "error", "param": None, "code": code}}


def _unacceptable(body: Body) -> str | None:
    """The two refusals of the real API that depend on how a request is made."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        return "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    schema = wanted.get("json_schema", {})
    if schema.get("strict") and (where := _not_strict(schema["schema"], "the schema")):
        return f"Invalid schema for response_format {schema['name']!r}: {where}"
    return None


def _not_strict(schema: Any, where: str) -> str | None:
    """What strict mode would refuse: an object that is open, or whose properties are not all required."""
    if isinstance(schema, list):
        return next((bad for part in schema if (bad := _not_strict(part, where))), None)
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"'additionalProperties' must be false in {where}"
        if set(schema.get("required", [])) != set(schema.get("properties", {})):
            return f"'required' must name every property in {where}"
    return next((bad for key, part in schema.items() if (bad := _not_strict(part, key))), None)


def _embeddings(body: Body, dimensions: int) -> Body:
    given = body["input"]
    texts = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
    data = []
    for index, text in enumerate(texts):
        vector = _vector(text if isinstance(text, str) else " ".join(map(str, text)), dimensions)
        plain = body.get("encoding_format") != "base64"
        coded = vector.tolist() if plain else base64.b64encode(vector.tobytes()).decode()
        data.append({"object": "embedding", "index": index, "embedding": coded})
    count = sum(len(str(text)) // 4 for text in texts)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}


def _vector(text: str, dimensions: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Hashed bag of words, shape (dimensions,), unit length: texts that share words are alike."""
    total = np.zeros(dimensions)
    for word in text.lower().split() or [""]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).normal(size=dimensions)
    return (total / np.linalg.norm(total)).astype("<f4")
