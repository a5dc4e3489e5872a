"""A table ready to learn from: feature columns of known kind, one target, every row checked."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from channelwise.learning.data.columns import Column, Kind, describe_column
from channelwise.learning.data.files import TableError, read_frame
from channelwise.learning.data.target import Target, Task, read_target

Source = Literal["real", "simulated", "yours"]
FEWEST_ROWS = 10


@dataclass(frozen=True)
class Table:
    """Rows to learn from and what is known about them.

    Attributes:
      name: shown in reports.
      source: "real" (measured data that come with a library), "simulated" or "yours".
      frame: the used feature columns, one row each.
      target: float32; 1 and 0 for the positive and the negative class, else the value itself.
      target_name: its column.
      task: "classification" (two classes) or "regression".
      labels: the names of the (negative, positive) class; None in a regression.
      columns: every column except target, group and time, used or ignored, with the reason.
      group: rows of one group must not be split; None if rows are independent.
      time: rows are split from old to new; None if order does not matter.
      notes: what a reader of the results should know about how the table was read.
    """

    name: str
    source: Source
    frame: pd.DataFrame
    target: Float[np.ndarray, " row"]
    target_name: str
    task: Task
    labels: tuple[str, str] | None
    columns: tuple[Column, ...]
    group: Shaped[np.ndarray, " row"] | None
    time: Shaped[np.ndarray, " row"] | None
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        return len(self.target)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the used columns."""
        return tuple(self.frame.columns)

    def describe(self) -> pd.DataFrame:
        """One row a column: its kind, its missing and distinct values, and why it is ignored."""
        return pd.DataFrame(self.columns, columns=list(Column._fields))


def load_table(
    path: Path | str,
    target: str,
    *,
    task: Task | None = None,
    positive: str | None = None,
    kinds: dict[str, Kind] | None = None,
    group: str | None = None,
    time: str | None = None,
    separator: str | None = None,
) -> Table:
    """Read a CSV or Parquet file and check that something can be learnt from it.

    Args:
      path: the file; UTF-8, separator found from the file unless `separator` names it.
      target: the column to predict.
      task: "classification" or "regression"; decided from the target's values if None.
      positive: the class that 1 stands for; needed if there are more than two.
      kinds: what single columns are, where the detection is wrong.
      group: a column whose rows belong together (a customer, a patient): never split.
      time: a column of dates or numbers: the newest rows become the test rows.
      separator: between the fields of a line.

    Returns:
      The table; rows without a target are left out, with a note.

    Raises:
      TableError: if the file or the columns cannot be used; the message says what to change.
    """
    frame = read_frame(path, separator=separator)
    options = {"task": task, "positive": positive, "kinds": kinds, "group": group, "time": time}
    return make_table(frame, target, name=Path(path).name, **options)


def make_table(
    frame: pd.DataFrame,
    target: str,
    *,
    name: str = "table",
    source: Source = "yours",
    task: Task | None = None,
    positive: str | None = None,
    kinds: dict[str, Kind] | None = None,
    group: str | None = None,
    time: str | None = None,
) -> Table:
    """A table from a frame in memory; see `load_table` for the arguments and the errors."""
    frame = frame.copy()
    frame.columns = _distinct([str(column).strip() for column in frame.columns])
    kinds = kinds or {}
    named = {"target": target, "group": group, "time": time, **{f"kinds: {k}": k for k in kinds}}
    for role, column in named.items():
        if column is not None:
            check_column(column, list(frame.columns), role)
    _check_roles(target, group, time)
    frame, notes = _rows_with_target(frame, target)
    answer: Target = read_target(frame[target], task=task, positive=positive)
    taken = {target, group, time}
    columns = [
        describe_column(frame[column], kinds.get(column))
        for column in frame.columns
        if column not in taken
    ]
    used = [column.name for column in columns if column.kind != "ignore"]
    if not used:
        raise TableError(
            "No column is left to learn from: "
            + "; ".join(f"{c.name!r}: {c.note or 'ignored'}" for c in columns[:5])
            + ". Add a column that varies, or overrule the detection with kinds=."
        )
    notes += [f"column {c.name!r} is not used: {c.note}" for c in columns if c.kind == "ignore"]
    notes += [f"column {c.name!r}: {c.note}" for c in columns if c.kind != "ignore" and c.note]
    notes += _leaks(frame[used], answer)
    return Table(
        name=name,
        source=source,
        frame=frame[used].reset_index(drop=True),
        target=answer.values,
        target_name=target,
        task=answer.task,
        labels=answer.labels,
        columns=tuple(columns),
        group=None if group is None else frame[group].to_numpy(),
        time=None if time is None else _times(frame[time]),
        notes=(*notes, *answer.notes),
    )


def check_column(column: str, columns: list[str], role: str) -> None:
    """Refuse a column that is not there, and offer the nearest name."""
    if column in columns:
        return
    lower = {name.lower(): name for name in columns}
    near = difflib.get_close_matches(column.lower(), lower, n=1, cutoff=0.5)
    meant = f" Did you mean {lower[near[0]]!r}?" if near else ""
    shown = ", ".join(map(repr, columns[:12])) + (", …" if len(columns) > 12 else "")
    raise TableError(f"{role}: there is no column {column!r}.{meant} The columns are {shown}.")


def _distinct(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(
            f"Several columns are named {', '.join(map(repr, twice))}. "
            "Give every column its own name."
        )
    return names


def _check_roles(target: str, group: str | None, time: str | None) -> None:
    if target in (group, time):
        raise TableError(f"The target {target!r} cannot also be the group or time column.")
    if group is not None and time is not None:
        raise TableError(
            f"Rows can be split by whole groups ({group!r}) or from old to new ({time!r}), "
            "not both: name the one that decides what will be new when the model is used."
        )


def _rows_with_target(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, list[str]]:
    known = frame[target].notna()
    if not known.any():
        raise TableError(f"The target {target!r} has no value in any row. Choose another column.")
    if known.sum() < FEWEST_ROWS:
        raise TableError(
            f"Only {known.sum()} rows have a target: at least {FEWEST_ROWS} are needed to train, "
            "stop and test on different rows."
        )
    left_out = int((~known).sum())
    notes = [f"{left_out} rows without {target!r} are left out"] if left_out else []
    return frame[known], notes


def _times(values: pd.Series) -> Shaped[np.ndarray, " row"]:
    """Dates or numbers as sortable numbers."""
    if values.isna().any():
        raise TableError(
            f"The time column {values.name!r} has {values.isna().sum()} missing values: "
            "fill them or leave those rows out."
        )
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(float)
    dates = pd.to_datetime(values, errors="coerce", format="mixed", utc=True)
    if dates.isna().any():
        raise TableError(
            f"The time column {values.name!r} holds {str(values[dates.isna()].iloc[0])!r}, which "
            "is neither a date nor a number. Write dates as 2024-01-31."
        )
    return dates.astype("int64").to_numpy(float)


def _leaks(features: pd.DataFrame, answer: Target) -> list[str]:
    """Columns that tell the target of every row: usually recorded after the fact."""
    y = pd.Series(answer.values, index=features.index)
    few = [c for c in features.columns if features[c].nunique() <= 20]
    exact = [c for c in few if y.groupby(features[c].astype(str)).nunique().max() == 1]
    return [
        f"column {c!r} alone tells the target of every row: is it known beforehand?" for c in exact
    ]
