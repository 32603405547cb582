"""Lines of a file a person gave us, or one sentence on why they cannot be had."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from duetto.errors import BadInput
from duetto.limits import Limits

FULL_COPY = "download or copy it again"


@dataclass(frozen=True)
class Source:
    """A file and what is being read from it, e.g. "items": all that an error message must name."""

    path: Path
    what: str

    def refusal(self, problem: str, remedy: str) -> BadInput:
        return BadInput(f"Reading {self.what} from {shown(str(self.path), 300)}: {problem}; {remedy}.")


def shown(value: object, length: int = 60) -> str:
    """`value` quoted for a message: on one line, and not longer than `length`."""
    text = str(value)
    return repr(text if len(text) <= length else text[: length - 1] + "…")


def require_readable(source: Source) -> None:
    """Raises BadInput unless the path is a regular file with something, but not too much, in it."""
    path = source.path
    try:
        if path.is_dir():
            raise source.refusal(
                "it is a folder that holds none of the published data sets", "name a file, or a MovieLens folder"
            )
        size = path.stat().st_size
    except FileNotFoundError:
        raise source.refusal("there is no such file", "check the path") from None
    except (OSError, ValueError) as error:
        raise source.refusal(f"it cannot be opened ({error})", "check the path and its permissions") from error
    if not path.is_file():
        raise source.refusal("it is not a regular file", "save the data to a file first")
    if size == 0:
        raise source.refusal("the file is empty", "write it again")
    if size > Limits.file_bytes:
        raise _too_large(source)


def lines(source: Source, fallback: str | None = None) -> Iterator[str]:
    """UTF-8 lines with their ends, gunzipped when the name ends in .gz, without a byte-order mark.

    A line that is not UTF-8 is decoded as `fallback` where one is given. Raises BadInput at the first bad byte.
    """
    require_readable(source)
    offset = 0
    try:
        with _opened(source.path) as stream:
            for number, raw in enumerate(stream, start=1):
                line = _decoded(raw, offset, fallback, source)
                if "\0" in line:
                    raise source.refusal(f"line {number} holds a NUL byte", "save it as plain UTF-8 text")
                yield line.removeprefix("\ufeff") if number == 1 else line
                offset += len(raw)
                if offset > Limits.file_bytes:
                    raise _too_large(source)
    except EOFError:
        raise source.refusal("the gzip data ends too early", FULL_COPY) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        if str(error).startswith("Not a gzipped file"):
            remedy = "remove .gz from its name or compress it"
            raise source.refusal("it is named .gz but is not gzip", remedy) from None
        raise source.refusal(f"the gzip data is damaged ({error})", FULL_COPY) from error
    except OSError as error:
        raise source.refusal(f"it cannot be read ({error})", "check the file and its permissions") from error
    if offset == 0:
        raise source.refusal("the file is empty", "write it again")


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _decoded(raw: bytes, offset: int, fallback: str | None, source: Source) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if fallback:
            return raw.decode(fallback)
        at = offset + error.start
        raise source.refusal(
            f"byte {at} ({raw[error.start]:#04x}) is not UTF-8",
            "re-encode it, e.g. iconv -f latin1 -t utf-8",
        ) from None


def _too_large(source: Source) -> BadInput:
    return source.refusal(f"it is larger than {Limits.file_bytes / 2**30:.0f} GiB", "split it or drop columns")
