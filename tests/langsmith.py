"""LangSmith on 127.0.0.1, as far as the installed client asks: it keeps datasets, examples, experiments, runs and feedback."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.loopback import Reply, Server

KEY = "lsv2_pt_Very5ecretKey_0123456789"
NOW, TENANT = "2025-01-01T00:00:00+00:00", str(uuid4())
INFO = {
    "instance_flags": {"dataset_examples_multipart_enabled": True},
    "batch_ingest_config": {
        "use_multipart_endpoint": False, "size_limit": 100, "size_limit_bytes": 20_000_000, "scale_up_nthreads_limit": 2,
        "scale_up_qsize_trigger": 1000,
    },
}  # fmt: skip
Thing = dict[str, Any]


class LangSmith(Server):
    """`heard` are the paths and bodies of what was sent; each waits `delay` seconds for its answer.

    `broken` are the statuses that requests of a method and the beginning of a path get.
    """

    def __init__(self, delay: float = 0.0, broken: dict[tuple[str, str], int] | None = None) -> None:
        super().__init__()
        self.delay, self.broken = delay, broken or {}
        self.heard: list[tuple[str, bytes]] = []
        self.asked: list[tuple[str, str]] = []
        self.datasets: dict[str, Thing] = {}
        self.examples: dict[str, Thing] = {}
        self.sessions: dict[str, Thing] = {}
        self.runs: dict[str, Thing] = {}
        self.feedback: list[Thing] = []

    def reply(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        where, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        with self.lock:
            self.asked.append((method, where))
            if method in ("POST", "PATCH"):
                self.heard.append((where, body))
        if method in ("POST", "PATCH"):
            self.stopped.wait(self.delay)
        for (wanted, start), status in self.broken.items():
            if method == wanted and where.startswith(start):
                return Reply({"detail": f"no, and your key is {headers.get('x-api-key')}"}, status)
        if where != "/info" and headers.get("x-api-key") != KEY:
            return Reply({"detail": "who are you?"}, 401)
        with self.lock:
            return self._answer(method, where.strip("/").split("/"), query, headers, body)

    def _answer(self, method: str, path: list[str], query: dict[str, list[str]], headers: dict[str, str], body: bytes) -> Reply:
        match method, path:
            case "GET", ["info"]:
                return Reply(INFO)
            case "GET", ["datasets"]:
                return Reply([one for one in self.datasets.values() if one["name"] in query.get("name", [])])
            case "POST", ["datasets"]:
                return self._made(self.datasets, {"created_at": NOW, **json.loads(body)})
            case "GET", ["sessions"]:
                return Reply([session(name="default", id=str(uuid4()))])
            case "POST", ["sessions"]:
                made = session(**json.loads(body))
                if made["reference_dataset_id"] not in self.datasets:
                    return Reply({"detail": "Dataset not found"}, 404)
                return self._made(self.sessions, made)
            case "PATCH", ["sessions", name]:
                self.sessions[name].update({k: v for k, v in json.loads(body).items() if v is not None})
                return Reply(self.sessions[name])
            case "GET", ["examples"]:
                found = [one for one in self.examples.values() if one["dataset_id"] in query["dataset"]]
                start = int(query["offset"][0])
                return Reply(found[::-1][start : start + int(query["limit"][0])])
            case "DELETE", ["examples"]:
                for name in query["example_ids"]:
                    del self.examples[name]
                return Reply({})
            case "POST", ["v1", "platform", "datasets", dataset, "examples"]:
                return self._uploaded(dataset, parts_of(headers["content-type"], body))
            case "POST", ["runs"]:
                return self._made(self.runs, json.loads(body))
            case "PATCH", ["runs", name]:
                self.runs[name].update({k: v for k, v in json.loads(body).items() if v is not None})
                return Reply({}, 202)
            case "POST", ["runs", "batch"]:
                return Reply({}, 202)
            case "POST", ["feedback"]:
                self.feedback.append(json.loads(body))
                return Reply(self.feedback[-1])
        return Reply({"detail": "no such path"}, 404)

    def _made(self, where: dict[str, Thing], thing: Thing) -> Reply:
        made = {"id": str(uuid4()), **thing}
        if "name" in made and where is not self.runs and any(one["name"] == made["name"] for one in where.values()):
            return Reply({"detail": "there is one of that name"}, 409)
        where[made["id"]] = made
        return Reply(made)

    def _uploaded(self, dataset: str, parts: dict[str, Any]) -> Reply:
        made = [name for name in parts if "." not in name]
        for name in made:
            self._keep(name, dataset, parts[f"{name}.inputs"])
        return Reply({"example_ids": made, "count": len(made), "as_of": NOW}, 201)

    def _keep(self, name: str, dataset: str, inputs: Thing) -> None:
        times = {"created_at": NOW, "modified_at": NOW}
        self.examples[name] = {"id": name, "dataset_id": dataset, "inputs": inputs, "outputs": None, **times}

    def hold(self, dataset: str, inputs: list[Thing]) -> None:
        """A dataset that somebody else has made."""
        made = self._made(self.datasets, {"created_at": NOW, "name": dataset}).value["id"]
        for one in inputs:
            self._keep(str(uuid4()), made, one)

    def inputs(self, dataset: str) -> list[Thing]:
        """Of the examples of the dataset of this name."""
        (found,) = [one["id"] for one in self.datasets.values() if one["name"] == dataset]
        return [one["inputs"] for one in self.examples.values() if one["dataset_id"] == found]

    @property
    def said(self) -> str:
        """Everything that was sent, without JSON's escapes."""
        return "\n".join(body.decode().encode().decode("unicode_escape", "replace") for _, body in self.heard)


def session(**given: Any) -> Thing:
    return {"tenant_id": TENANT, "start_time": NOW, "reference_dataset_id": None, **given}


def parts_of(content_type: str, body: bytes) -> dict[str, Any]:
    """The JSON parts of a multipart body by their names."""
    message: Any = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return {
        part.get_param("name", header="content-disposition"): json.loads(part.get_payload(decode=True))
        for part in message.get_payload()
    }


@contextmanager
def closed_port() -> Iterator[str]:
    """An address at which nobody listens for as long as it is bound."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
