"""From a catalogue and a log to an index in memory; the long steps report their progress."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import polars as pl
from langchain_core.embeddings import Embeddings

from duetto.errors import BadInput
from duetto.limits import Limits
from duetto.tools.agent_tools import Toolbox
from duetto.tools.catalogue import Catalogue
from duetto.tools.crowd import Crowd, CrowdSettings
from duetto.tools.crowd_voice import CrowdVoice, Standing
from duetto.tools.embedding import Vectors, embed_items
from duetto.tools.features import Features
from duetto.tools.histories import Histories
from duetto.tools.index import FORMAT, Index, Manifest, text_hashes
from duetto.tools.lsa import Lsa
from duetto.tools.practice import Messages, held_out, learn, newest_events
from duetto.tools.progress import Progress, Silence
from duetto.tools.relations import fit_relations
from duetto.tools.signals import Signals
from duetto.tools.vector_store import FaissStore, hnsw
from duetto.tools.words import Words
from duetto.version import VERSION


@dataclass
class _Clock:
    """Seconds spent by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


def make_index(
    items: pl.DataFrame,
    interactions: pl.DataFrame,
    descriptions: pl.DataFrame | None,
    *,
    embedder_name: str,
    embedder: Embeddings | None,
    previous: Index | None,
    limits: Limits,
    strict: bool = False,
    repeated: int = 0,
    progress: Progress | None = None,
    messages: Messages | None = None,
) -> Index:
    """The index of these tables (see `duetto.tools.reading.tables`). `embedder` None means lsa, fitted here.

    Item vectors of `previous` are reused where the embedder and the item's text are the same. `messages` are requests
    to practise on, by row; by default the items' own queries.
    Raises BadInput when too many interactions or descriptions name unknown items, or no interaction is left.
    """
    progress, clock = progress or Silence(), _Clock()
    with clock.time("read"):
        items, lost_descriptions = _described(items, descriptions, limits, strict)
        catalogue = Catalogue.of(items)
        interactions, lost = _known(interactions, catalogue, limits, strict)
        histories = Histories.of(interactions, catalogue)
    with clock.time("embed"):
        texts = catalogue.documents()
        hashes = text_hashes(texts)
        lsa, vectors, embedded = _embedded(embedder, catalogue, texts, hashes, previous, embedder_name, limits, progress)
        graph = hnsw(vectors) if len(vectors) > limits.hnsw_above else None
    with clock.time("features"):
        features, words = Features.of(catalogue), Words.fit(texts)
    used: Embeddings = embedder or lsa  # type: ignore[assignment]
    newest = newest_events(histories, limits)
    people, before = held_out(histories, newest), histories.cut(newest)
    with clock.time("inner crowd"):
        advance = progress.stage("fitting the crowd", 2)
        inner = fit_crowd(before, len(catalogue), limits)
        advance(1)
    with clock.time("learning"):
        store = FaissStore(catalogue, vectors, used, limits, graph)
        box = Toolbox(catalogue, before, store, used, words, inner, limits)
        learned = learn(box, Signals(catalogue, features, inner), people, messages, progress)
    with clock.time("crowd"):
        crowd = fit_crowd(histories, len(catalogue), limits)
        advance(1)
    manifest = Manifest(
        format=FORMAT,
        duetto=VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        counts={
            "items": len(catalogue),
            "users": len(histories),
            "interactions": len(histories.rows),
            "items_embedded": embedded,
            "dropped_unknown_interactions": lost,
            "dropped_repeated_interactions": repeated,
            "dropped_unknown_descriptions": lost_descriptions,
        },
        embedder=embedder_name,
        dimensions=int(vectors.shape[1]),
        crowd=crowd.als.to_json(),
        validation=learned.validation,
        fusion={
            **learned.weights.to_json(),
            "signals": learned.ranker.parts if learned.ranker else {},
            "no_ranker": learned.note,
        },
        columns=dict(catalogue.kinds),
        seconds=clock.seconds,
    )
    return Index(
        manifest, catalogue, histories, features, words, vectors, hashes, crowd, learned.weights, learned.ranker, lsa, graph
    )


def fit_crowd(histories: Histories, items: int, limits: Limits) -> CrowdVoice:
    """All that the crowd's voice knows of a log."""
    als = Crowd.fit(histories.positives(items), CrowdSettings.of(items))
    return CrowdVoice(als, fit_relations(histories, items, limits), Standing.of(histories, items))


def _embedded(
    embedder: Embeddings | None, catalogue: Catalogue, texts: list[str], hashes: "np.ndarray[tuple[int], np.dtype[np.uint64]]",
    previous: Index | None, name: str, limits: Limits, progress: Progress,
) -> tuple[Lsa | None, Vectors, int]:  # fmt: skip
    """The fitted lsa if that is the embedder, the vectors, and how many texts had to be embedded."""
    usable = previous is not None and previous.manifest.embedder == name
    if usable and previous is not None and catalogue.ids == previous.catalogue.ids and np.array_equal(hashes, previous.texts):
        return previous.lsa, previous.vectors, 0
    if embedder is None:
        lsa = Lsa.fit(texts, min(limits.lsa_dimensions, max(32, len(texts) // 4)))
        return (
            lsa,
            embed_items(lsa, texts, limits.embed_batch, progress.stage("embedding items", len(texts))),
            len(texts),
        )
    known: dict[int, int] = {}
    if usable and previous is not None:
        known = {int(text): row for row, text in enumerate(previous.texts)}
    fresh = [row for row, text in enumerate(hashes) if int(text) not in known]
    advance = progress.stage("embedding items", len(fresh))
    new = embed_items(embedder, [texts[row] for row in fresh], limits.embed_batch, advance) if fresh else None
    width = new.shape[1] if new is not None else previous.vectors.shape[1]  # type: ignore[union-attr]
    vectors = np.zeros((len(texts), width), dtype=np.float32)
    for row, text in enumerate(hashes):
        if (old := known.get(int(text))) is not None:
            vectors[row] = previous.vectors[old]  # type: ignore[union-attr]
    if new is not None:
        vectors[fresh] = new
    return None, vectors, len(fresh)


_NEW = " (described)"


def _described(items: pl.DataFrame, descriptions: pl.DataFrame | None, limits: Limits, strict: bool) -> tuple[pl.DataFrame, int]:
    """Items with `description` and `queries` of the enrichment file, which wins where it says something."""
    if descriptions is None or descriptions.is_empty():
        return items, 0
    key = pl.col("item_id").cast(pl.String)
    enrichment = descriptions.with_columns(_key=key).drop("item_id")
    enrichment = enrichment.drop([c for c in enrichment.columns if enrichment[c].null_count() == enrichment.height])
    if enrichment["_key"].n_unique() < enrichment.height:
        raise BadInput("cannot use the descriptions: an item is described twice; keep one line an item")
    unknown = enrichment.join(items.select(_key=key), on="_key", how="anti").height
    _judge(unknown, enrichment.height, "descriptions", limits, strict)
    joined = items.with_columns(_key=key).join(enrichment, on="_key", how="left", maintain_order="left", suffix=_NEW)
    for column in [c for c in enrichment.columns if c + _NEW in joined.columns]:
        alike = joined[column].dtype == joined[column + _NEW].dtype
        better = pl.coalesce(column + _NEW, column) if alike else pl.col(column + _NEW)
        joined = joined.with_columns(better.alias(column)).drop(column + _NEW)
    return joined.drop("_key"), unknown


def _known(interactions: pl.DataFrame, catalogue: Catalogue, limits: Limits, strict: bool) -> tuple[pl.DataFrame, int]:
    ids = pl.Series("item_id", [str(i) for i in catalogue.ids], dtype=pl.String)
    known = interactions.filter(pl.col("item_id").cast(pl.String).is_in(ids.implode()))
    lost = interactions.height - known.height
    _judge(lost, interactions.height, "interactions", limits, strict)
    if known.is_empty():
        raise BadInput("cannot build: there is no interaction with an item of the catalogue; give a log that has some")
    return known, lost


def _judge(unknown: int, total: int, what: str, limits: Limits, strict: bool) -> None:
    if not unknown:
        return
    if strict or unknown > limits.unknown_share * total:
        rule = "--strict allows none" if strict else f"at most {limits.unknown_share:.0%} may"
        raise BadInput(
            f"cannot build: {unknown:,} of {total:,} {what} name items that are not in the catalogue, and {rule}; "
            "check that both files use the same item ids"
        )
