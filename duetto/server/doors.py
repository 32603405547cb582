"""Who may come in, and how often: API keys, kept as hashes, each for one person or (`*`) for a service that speaks for all."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from duetto.errors import BadInput, DuettoError
from duetto.graph.state import ItemId

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Unknown(DuettoError):
    """There is no key, or it is none of ours."""


class TooOften(DuettoError):
    """A key's rate limit; `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__("this key has used up its requests of this minute: come again later")
        self.wait = wait


class NotThere(DuettoError):
    """It does not exist, or is somebody else's: which of both is not told."""


class Key(BaseModel):
    """`hash` is the SHA-256 of the key, in hex: a key is 32 random bytes, so its hash needs no salt."""

    hash: str = Field(pattern="^[0-9a-f]{64}$")
    person: str = Field(min_length=1, max_length=200)
    per_minute: int | None = Field(None, ge=1)


@dataclass(frozen=True)
class Visitor:
    """Who asks. `person` None may speak for anybody; `scope` tells callers apart without naming a key."""

    person: str | None = None
    scope: str = ""

    def speaks_for(self, user: ItemId | None) -> ItemId | None:
        """The person a request is about. Raises NotThere for somebody else than the key's own."""
        if self.person is None:
            return user
        if user is not None and str(user) != self.person:
            raise NotThere("there is nobody of that id")
        return self.person


@dataclass
class _Bucket:
    left: float
    at: float


@dataclass
class Doors:
    """Without `keys` everybody is let in: for this machine alone."""

    keys: dict[str, Key] | None
    per_minute: int
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def let_in(self, secret: str | None) -> Visitor:
        """Raises Unknown and TooOften."""
        if self.keys is None:
            return Visitor()
        key = self.keys.get(hashed(secret)) if secret else None
        if key is None:
            raise Unknown("this server wants an API key: send `Authorization: Bearer KEY`")
        self._count(key)
        return Visitor(None if key.person == "*" else key.person, key.hash[:16])

    def _count(self, key: Key) -> None:
        """A bucket that holds a minute's requests and fills evenly."""
        most, now = key.per_minute or self.per_minute, time.monotonic()
        bucket = self._buckets.setdefault(key.hash, _Bucket(most, now))
        bucket.left = min(most, bucket.left + (now - bucket.at) * most / 60)
        bucket.at = now
        if bucket.left < 1:
            raise TooOften((1 - bucket.left) * 60 / most)
        bucket.left -= 1


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(file: Path) -> dict[str, Key]:
    """By hash. Raises BadInput for a file that holds no list of keys."""
    try:
        keys = TypeAdapter(list[Key]).validate_json(file.read_bytes())
    except OSError as error:
        raise BadInput(
            f"cannot read the keys in {file}: {error.strerror}; make one with `duetto key --file {file} ...`"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"cannot use the keys in {file}: {where}: {first['msg']}; it is a list of {{hash, person, per_minute}}"
        ) from error
    return {key.hash: key for key in keys}


def new_key(file: Path, person: str, per_minute: int | None) -> str:
    """Adds a key to the file, and returns it: it is not kept anywhere."""
    known = list(read_keys(file).values()) if file.exists() else []
    secret = f"duetto-{secrets.token_urlsafe(32)}"
    try:
        key = Key(hash=hashed(secret), person=person, per_minute=per_minute)
    except ValidationError as error:
        raise BadInput("cannot make a key for that person: give an id of 1 to 200 characters, or * for a service") from error
    _write(file, [*known, key])
    return secret


def _write(file: Path, keys: Iterable[Key]) -> None:
    text = json.dumps([key.model_dump(exclude_none=True) for key in keys], indent=1)
    new = file.with_name(f"{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        new.touch(mode=0o600, exist_ok=False)
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise BadInput(f"cannot write the keys to {file}: {error.strerror}") from error
