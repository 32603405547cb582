"""Files of JSON lines that grow while others may be killed: a line is whole on the disk before its turn is answered."""

import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from duetto.errors import BadInput, NotReady

END = ".jsonl"
KEY = 32  # bytes


class Journal:
    """A folder with one file a conversation."""

    def __init__(self, folder: Path) -> None:
        """Raises NotReady when the folder cannot be made."""
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotReady(f"cannot record into {folder}: {error.strerror or error}; name another folder") from error

    def file(self, name: str) -> Path:
        """The file of a conversation: its name as far as a file may have it, and a digest of all of it."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-")
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return self.folder / f"{plain or 'thread'}-{digest}{END}"

    def append(self, name: str, line: BaseModel) -> None:
        """In one write, and synced. What a crash left half-written stays on a line of its own. Raises OSError."""
        try:
            text = line.model_dump_json(by_alias=True) + "\n"
        except PydanticSerializationError:  # half a character, as a broken terminal sends it
            text = json.dumps(line.model_dump(mode="json", by_alias=True), allow_nan=False) + "\n"
        path = self.file(name)
        new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                text = "\n" + text
            data = text.encode()
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:  # its name is to be there after a crash, too
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Each line's number from 1 and its object; None for one that was only half written.

    Raises BadInput when the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the recording {path}: {error.strerror or error}; name a file that is there") from error
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if line.strip():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):  # JSON or UTF-8
                found = None
            yield number, found if isinstance(found, dict) else None


class Pseudonyms:
    """The same name for the same person, which only who holds the secret file could trace back by trying."""

    def __init__(self, secret: Path) -> None:
        """Reads the secret, or makes it. Raises NotReady."""
        try:
            secret.parent.mkdir(parents=True, exist_ok=True)
            if not secret.exists():
                with tempfile.NamedTemporaryFile(dir=secret.parent) as made:  # whole before it has its name
                    made.write(secrets.token_bytes(KEY))
                    made.flush()
                    with suppress(FileExistsError):
                        os.link(made.name, secret)
            self._key = secret.read_bytes()
        except OSError as error:
            raise NotReady(f"cannot keep the secret of pseudonyms in {secret}: {error.strerror or error}") from error
        if len(self._key) != KEY:
            raise NotReady(f"the secret of pseudonyms in {secret} is damaged: remove the file, and people get new pseudonyms")

    def of(self, name: str | int | None) -> str | None:
        if name is None:
            return None
        return "p-" + hmac.new(self._key, str(name).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]
