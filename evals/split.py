"""Which interactions are predicted from which: leave-one-out, and a split at one moment in time."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from duetto.errors import BadInput
from duetto.tools.catalogue import Catalogue
from duetto.tools.histories import Histories, History

TRAINING_SHARE = 0.8  # of a log's time before the temporal split
EVENTS = 10  # first ones of each person after the split


@dataclass(frozen=True)
class Case:
    """One prediction: whose, from which history, and the row of the item they took next, the label."""

    user: str
    history: History
    label: int


@dataclass(frozen=True)
class Split:
    """`training` is all that anything is fitted on; `labels` are the interactions to predict, in each person's order."""

    training: pl.DataFrame
    labels: pl.DataFrame


def leave_one_out(log: pl.DataFrame) -> Split:
    """Each person's last interaction is a label, unless it is their only one or a dislike; it is fitted on by nothing."""
    last = pl.col("position") == pl.col("position").max().over("user_id")
    several = pl.len().over("user_id") > 1
    return _split(log, last & several, last & several & _liked(log))


def temporal(log: pl.DataFrame) -> Split:
    """What happened after the moment by which 80% of the log had happened: the likes among each person's first 10 events.

    Raises BadInput for a log without times.
    """
    if "timestamp" not in log.columns or log["timestamp"].null_count():
        raise BadInput("cannot split the log by time: its interactions have no timestamp; use --protocol leave-one-out")
    moment = log["timestamp"].cast(pl.Float64).quantile(TRAINING_SHARE)
    later = pl.col("timestamp").cast(pl.Float64) > moment
    early = (pl.int_range(pl.len()).over("user_id") - (~later).sum().over("user_id")) < EVENTS
    return _split(log.sort("user_id", "position"), later, later & early & _liked(log))


def _split(log: pl.DataFrame, held: pl.Expr, labelled: pl.Expr) -> Split:
    marked = log.with_columns(_held=held, _label=labelled)
    return Split(marked.filter(~pl.col("_held")).drop("_held", "_label"), marked.filter("_label").drop("_held", "_label"))


def _liked(log: pl.DataFrame) -> pl.Expr:
    if "rating" not in log.columns or not log["rating"].count():
        return pl.lit(True)
    middle = (float(log["rating"].min()) + float(log["rating"].max())) / 2  # type: ignore[arg-type]
    return pl.col("rating").fill_null(middle) >= middle


def cases(log: pl.DataFrame, split: Split, catalogue: Catalogue) -> list[Case]:
    """A case for each label whose item the catalogue holds, with everything that its person did before it."""
    histories = Histories.of(log.filter(pl.col("item_id").cast(pl.String).is_in([str(i) for i in catalogue.ids])), catalogue)
    found = []
    for user, item in split.labels.select("user_id", "item_id").iter_rows():
        whole, label = histories.of_user(user), catalogue.row(item)
        if label is None:
            continue
        before = int(np.flatnonzero(whole.rows == label)[0])
        found.append(Case(str(user), History(whole.rows[:before], whole.disliked[:before], known=True), label))
    return found
