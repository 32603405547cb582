"""The index in use: a build that ends while the server runs is followed without dropping a turn."""

import gc
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from duetto.errors import DuettoError
from duetto.settings import Settings
from duetto.tools.chat.language_model import LanguageModel
from duetto.tools.either import EitherSaver, EitherStore
from duetto.wiring import Opened, index_root, open_turns

log = logging.getLogger("duetto.server")


class Following:
    """`opened` opens what the folder `root` names in its CURRENT file; turns that run keep what they began with."""

    def __init__(self, root: Path, opened: Callable[[], Opened], every: float) -> None:
        self._file, self._open, self._every = root / "CURRENT", opened, every
        self._lock = threading.Lock()
        self._looked, self._refused = time.monotonic(), ""
        self._now = opened()
        _settle()

    @classmethod
    def of(
        cls, index: str, settings: Settings, saver: EitherSaver, store: EitherStore, *, record: str | Path | None, redact: bool,
        model: LanguageModel | None = None,
    ) -> "Following":  # fmt: skip
        """Of an index, with what is kept of conversations and people."""

        def opened() -> Opened:
            return open_turns(index, saver, store=store, model=model, settings=settings, record=record, redact=redact)

        return cls(index_root(index, settings), opened, settings.limits.follow_seconds)

    def now(self) -> Opened:
        if time.monotonic() - self._looked > self._every and self._lock.acquire(blocking=False):
            self._looked = time.monotonic()
            version = self._version()
            if version in ("", self._now.index.version, self._refused):
                self._lock.release()
            else:
                threading.Thread(target=self._follow, args=(version,), name="follow", daemon=True).start()
        return self._now

    def _version(self) -> str:
        try:
            return self._file.read_text(encoding="utf-8").strip()
        except OSError:  # what is open stays good without its files
            return ""

    def _follow(self, version: str) -> None:
        try:
            self._now = self._open()
            _settle()
            log.info("the index was built anew", extra={"index": self._now.index.version})
        except Exception as error:  # whatever is wrong with it, turns go on
            self._refused = version
            why = str(error) if isinstance(error, DuettoError) else type(error).__name__
            log.error("a new index cannot be used, so the one before stays", extra={"why": why})
        finally:
            self._lock.release()


def _settle() -> None:
    """What is loaded stays, so the collector need not look through it in the middle of a turn; what was before may go."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
