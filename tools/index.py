"""An index on disk: `versions/<hash>/` and `CURRENT`, one line that names the version in use.

A version's name is the hash of its manifest, and the manifest holds the hash of every other file, so that one flipped
byte anywhere is noticed. No file is a pickle: loading an index cannot run code. A crash while writing leaves the old
version whole, for CURRENT is replaced last and atomically.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import polars as pl
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, ValidationError

from duetto.errors import NotReady
from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.crowd_voice import CrowdVoice, Standing
from duetto.tools.embedding import Vectors
from duetto.tools.features import Features
from duetto.tools.fusion import FEATURES, Weights
from duetto.tools.histories import Histories
from duetto.tools.lsa import Lsa
from duetto.tools.ranker import Ranker
from duetto.tools.words import Words

FORMAT = 3
KEPT_VERSIONS = 2
RANKER = "ranker.txt"


class Manifest(BaseModel):
    """What an index is made of; `files` maps each file's name to its SHA-256."""

    model_config = ConfigDict(extra="forbid")

    format: int
    duetto: str
    created: str
    counts: dict[str, int]
    embedder: str
    dimensions: int
    crowd: dict[str, Any]
    validation: dict[str, float]
    fusion: dict[str, Any]
    columns: dict[str, str]
    seconds: dict[str, float]
    files: dict[str, str] = {}


@dataclass(frozen=True)
class Index:
    """A version in memory. `texts` (items,) are hashes of the embedded texts; `graph` is an HNSW index or None."""

    manifest: Manifest
    catalogue: Catalogue
    histories: Histories
    features: Features
    words: Words
    vectors: Vectors
    texts: "np.ndarray[Any, np.dtype[np.uint64]]"
    crowd: CrowdVoice
    weights: Weights
    ranker: Ranker | None = None
    lsa: Lsa | None = None
    graph: Any = None
    version: str = ""
    no_ranker: str = ""  # why the ranker that was built cannot run here


def text_hashes(texts: list[str]) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def write(root: Path, index: Index) -> Index:
    """Writes a version, makes it current and returns the index under its name. Raises NotReady if the disk refuses."""
    try:
        name, manifest = _write(root, index)
    except OSError as error:
        raise NotReady(f"could not write the index {root}: {error.strerror or error}; the index in use is unchanged") from error
    return replace(index, version=name, manifest=manifest)


def _write(root: Path, index: Index) -> tuple[str, Manifest]:
    versions = root / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    _sweep(versions)
    folder = versions / f".writing-{os.getpid()}"
    folder.mkdir()
    index.catalogue.table.write_parquet(folder / "items.parquet")
    pl.DataFrame({"user_id": index.histories.users}).write_parquet(folder / "users.parquet")
    np.savez(
        folder / "histories.npz",
        indptr=index.histories.indptr,
        rows=index.histories.rows,
        disliked=index.histories.disliked,
    )
    sp.save_npz(folder / "features.npz", index.features.matrix)
    pl.DataFrame({"column": index.features.columns, "value": index.features.values}).write_parquet(folder / "features.parquet")
    np.save(folder / "vectors.npy", index.vectors)
    np.save(folder / "texts.npy", index.texts)
    np.save(folder / "item_factors.npy", index.crowd.als.item_factors)
    np.savez(folder / "standing.npz", **vars(index.crowd.standing))
    for name, relation in index.crowd.relations.items():
        sp.save_npz(folder / f"relation_{name}.npz", relation, compressed=False)
    index.words.save(folder)
    if index.ranker is not None:
        (folder / RANKER).write_text(index.ranker.text, encoding="utf-8")
    if index.lsa is not None:
        index.lsa.save(folder)
    if index.graph is not None:
        faiss.write_index(index.graph, str(folder / "hnsw.faiss"))
    for path in folder.iterdir():
        _sync(path)
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    manifest = index.manifest.model_copy(update={"files": files})
    text = manifest.model_dump_json(indent=1)
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    _sync(folder / "manifest.json")
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    if (versions / name).exists():  # the same index again; the one there may have been damaged since
        for path in folder.iterdir():
            os.replace(path, versions / name / path.name)
        folder.rmdir()
    else:
        folder.rename(versions / name)
    pointer = root / f".CURRENT-{os.getpid()}"
    pointer.write_text(name + "\n", encoding="utf-8")
    _sync(pointer)
    os.replace(pointer, root / "CURRENT")
    _sync(root)
    _retire(versions, name)
    return name, manifest


def current(root: Path) -> Path:
    """The folder of the version in use. Raises NotReady when there is none."""
    mend = f"run `duetto build --index {root} ...`"
    if not root.is_dir():
        raise NotReady(f"there is no index at {root}: {mend}, or use `--index sample`")
    try:
        name = (root / "CURRENT").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NotReady(f"{root} is not an index, for it has no readable CURRENT file: {mend}") from error
    folder = root / "versions" / name
    if not name.isalnum() or not folder.is_dir():
        raise NotReady(f"the index {root} is damaged: CURRENT names a version that is not there; {mend} again")
    if not (folder / "manifest.json").is_file():
        raise NotReady(f"the index {root} is damaged (manifest.json is missing): {mend} again")
    return folder


def manifest_of(root: Path) -> tuple[Manifest, Path]:
    """The manifest of the version in use, checked, and its folder."""
    folder = current(root)
    damaged = f"the index {root} is damaged (%s): run `duetto build --index {root} ...` again"
    raw = (folder / "manifest.json").read_bytes()
    try:
        data = json.loads(raw)
        if isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > FORMAT:
            raise NotReady(
                f"the index {root} has format {data['format']}, newer than this duetto reads ({FORMAT}): "
                f"upgrade duetto, or run `duetto build --index {root} ...` again"
            )
        if isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] < FORMAT:
            raise NotReady(f"the index {root} is of an earlier duetto: run `duetto build --index {root} ...` again")
        manifest = Manifest.model_validate(data)
    except (ValueError, ValidationError) as error:
        raise NotReady(damaged % "manifest.json cannot be read") from error
    if hashlib.sha256(raw).hexdigest()[:16] != folder.name:
        raise NotReady(damaged % "manifest.json is not what was written")
    return manifest, folder


def load(root: Path) -> Index:
    """Loads the version in use after checking every file's hash. Raises NotReady naming the file that is damaged."""
    manifest, folder = manifest_of(root)
    fusion = manifest.fusion
    if tuple(fusion["features"]) != FEATURES:
        raise NotReady(f"the index {root} was fitted for another duetto's fusion: run `duetto build --index {root} ...` again")
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file() or _digest(path) != digest:
            state = "is not what was written" if path.is_file() else "is missing"
            raise NotReady(f"the index {root} is damaged ({name} {state}): run `duetto build --index {root} ...` again")
    with np.load(folder / "histories.npz", allow_pickle=False) as arrays:
        users = pl.read_parquet(folder / "users.parquet")["user_id"].to_list()
        histories = Histories(users, arrays["indptr"], arrays["rows"], arrays["disliked"])
    named = pl.read_parquet(folder / "features.parquet")
    features = Features(sp.load_npz(folder / "features.npz"), named["column"].to_list(), named["value"].to_list())
    factors = np.load(folder / "item_factors.npy", allow_pickle=False)
    relations = {
        name.removeprefix("relation_").removesuffix(".npz"): sp.load_npz(folder / name)
        for name in manifest.files
        if name.startswith("relation_")
    }
    ranker, no_ranker = _ranker(folder, fusion["signals"]) if RANKER in manifest.files else (None, "")
    with np.load(folder / "standing.npz", allow_pickle=False) as arrays:
        standing = Standing(**arrays)
    return Index(
        manifest=manifest,
        catalogue=Catalogue(pl.read_parquet(folder / "items.parquet"), manifest.columns),  # type: ignore[arg-type]
        histories=histories,
        features=features,
        words=Words.load(folder),
        vectors=np.load(folder / "vectors.npy", allow_pickle=False),
        texts=np.load(folder / "texts.npy", allow_pickle=False),
        crowd=CrowdVoice(Crowd(factors, CrowdSettings(**manifest.crowd)), relations, standing),
        weights=Weights(fusion["coefficients"], fusion["fitted_on"], fusion["variety"]),
        ranker=ranker,
        no_ranker=no_ranker,
        lsa=Lsa.load(folder) if manifest.embedder == "lsa" else None,
        graph=faiss.read_index(str(folder / "hnsw.faiss")) if "hnsw.faiss" in manifest.files else None,
        version=folder.name,
    )


def _ranker(folder: Path, signals: dict[str, str]) -> tuple[Ranker | None, str]:
    """No ranker, and why, where LightGBM cannot run: the adaptive weights then serve, and every turn says so."""
    try:
        return Ranker((folder / RANKER).read_text(encoding="utf-8"), signals), ""
    except NotReady as error:
        return None, f"{error}; the adaptive weights rank instead"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(versions: Path) -> None:
    """Removes what writers left behind that are no longer running."""
    for folder in versions.glob(".writing-*"):
        writer = int(folder.name.removeprefix(".writing-"))
        if writer == os.getpid() or not _running(writer):
            shutil.rmtree(folder, ignore_errors=True)


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _retire(versions: Path, name: str) -> None:
    """Keeps the version in use and the one before it, which a running server may still be reading."""
    complete = [folder for folder in versions.iterdir() if not folder.name.startswith(".") and folder.name != name]
    for folder in sorted(complete, key=lambda f: f.stat().st_mtime)[: -(KEPT_VERSIONS - 1)]:
        shutil.rmtree(folder, ignore_errors=True)
