"""Training, validation and test rows: stratified, by whole groups, or from old to new."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from channelwise.learning.data.files import TableError
from channelwise.learning.data.tables import Table


class Split(NamedTuple):
    """Which rows do what; every row does one thing.

    Attributes:
      train: rows the preparation and the model are fitted to.
      validation: rows that decide when to stop, and the threshold.
      test: rows looked at once, at the end.
      how: "stratified", "random", "by group" or "by time".
    """

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    test: Int[np.ndarray, " test"]
    how: str


def split_table(
    table: Table, *, validation: float = 0.2, test: float = 0.2, seed: int = 0
) -> Split:
    """Split the rows of a table so that the test rows stand for the rows to come.

    Classes keep their shares in every part. With a `group` column whole groups go to one part;
    with a `time` column the newest rows are the test rows, the next newest the validation rows,
    and rows of one moment stay together.

    Args:
      table: from `load_table` and the like.
      validation: share of the rows that decide when to stop, in [0, 1).
      test: share of the rows kept for the end, in (0, 1); both together below 1.
      seed: of the draw; without effect on a split by time.

    Returns:
      Row numbers, sorted.

    Raises:
      TableError: if a part would have no row, or not both classes.
    """
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise TableError(
            f"validation = {validation} and test = {test} must be shares of the rows that leave "
            "some to train on, such as 0.2 and 0.2."
        )
    if table.time is not None:
        parts, how = _by_time(table, validation, test), "by time"
    elif table.group is not None:
        parts, how = _by_group(table, validation, test, seed), "by group"
    else:
        parts = _at_random(table, validation, test, seed)
        how = "stratified" if table.task == "classification" else "random"
    split = Split(*(np.sort(part) for part in parts), how)
    _check(table, split, validation)
    return split


def _at_random(table: Table, validation: float, test: float, seed: int) -> list[np.ndarray]:
    """Shuffle within each class and cut each class at the same shares."""
    rng = np.random.default_rng(seed)
    classes = table.target if table.task == "classification" else np.zeros(table.rows)
    members = [rng.permutation(np.flatnonzero(classes == c)) for c in np.unique(classes)]
    cuts = [_cut(rows, validation, test) for rows in members]
    return [np.concatenate(part) for part in zip(*cuts, strict=True)]


def _cut(rows: np.ndarray, validation: float, test: float) -> list[np.ndarray]:
    """train | validation | test of an ordered list, each asked-for part with at least one row."""
    n = len(rows)
    n_test = max(1, round(test * n))
    n_validation = max(1, round(validation * n)) if validation else 0
    first = n - n_test - n_validation
    return np.split(rows, [first, first + n_validation])


def _by_group(table: Table, validation: float, test: float, seed: int) -> list[np.ndarray]:
    groups = np.unique(table.group.astype(str))
    if len(groups) < 3:
        raise TableError(
            f"There are {len(groups)} groups: at least 3 are needed, one each to train, to stop "
            "and to test. Leave group= out if rows are independent."
        )
    shuffled = np.random.default_rng(seed).permutation(groups)
    return [
        np.flatnonzero(np.isin(table.group.astype(str), part))
        for part in _cut(shuffled, validation, test)
    ]


def _by_time(table: Table, validation: float, test: float) -> list[np.ndarray]:
    moments = np.sort(table.time)
    n = table.rows
    newest = moments[min(n - 1, n - max(1, round(test * n)))]
    newer = moments[max(0, n - round(test * n) - round(validation * n))] if validation else newest
    masks = (
        table.time < newer,
        (table.time >= newer) & (table.time < newest),
        table.time >= newest,
    )
    return [np.flatnonzero(mask) for mask in masks]


def _check(table: Table, split: Split, validation: float) -> None:
    for name, rows in split._asdict().items():
        if name == "how" or (name == "validation" and not validation):
            continue
        if len(rows) == 0:
            raise TableError(
                f"The {name} part of a split {split.how} has no row: {table.rows} rows are too "
                "few, or too many of them belong together. Choose other shares."
            )
        if table.task == "classification" and len(np.unique(table.target[rows])) < 2:
            raise TableError(
                f"The {name} part of a split {split.how} has rows of one class only. "
                "Choose another seed or other shares, or add rows of the rarer class."
            )
