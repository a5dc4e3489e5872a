"""Cross-validation folds that keep to the table's own rule: classes, groups, or time."""

import numpy as np
from jaxtyping import Int

from channelwise.learning.data.files import TableError
from channelwise.learning.data.splits import Split
from channelwise.learning.data.tables import Table


def fold_splits(
    table: Table, rows: Int[np.ndarray, " row"], *, folds: int = 5, seed: int = 0
) -> list[Split]:
    """Cut rows into folds; each is tested on in turn, with the others as training rows.

    The folds follow the rule of `split_table`: classes keep their shares, whole groups stay
    together, and with a `time` column every fold is tested on rows no older than any it trains on
    (so the oldest rows are only trained on).

    Args:
      table: from `load_table` and the like.
      rows: which of its rows take part, such as training and validation rows together.
      folds: ≥ 2.
      seed: of the draw; without effect on a table with `group` or `time`.

    Returns:
      One split for each fold, its validation part empty.

    Raises:
      TableError: if there are fewer than two folds, or too few rows, groups or moments for them.

    Source: Hastie, Tibshirani, Friedman 2009, §7.10.
    """
    from sklearn import model_selection

    if folds < 2:
        raise TableError(f"folds must be at least 2, got {folds}.")
    groups = None if table.group is None else table.group[rows].astype(str)
    order = np.arange(len(rows))
    if table.time is not None:
        order = np.argsort(table.time[rows], kind="stable")
        cutter, how = model_selection.TimeSeriesSplit(folds), "by time"
    elif groups is not None:
        cutter, how = model_selection.GroupKFold(folds), "by group"
    elif table.task == "classification":
        cutter = model_selection.StratifiedKFold(folds, shuffle=True, random_state=seed)
        how = "stratified"
    else:
        cutter, how = model_selection.KFold(folds, shuffle=True, random_state=seed), "random"
    try:
        cut = list(cutter.split(order, table.target[rows], groups))
    except ValueError as error:
        raise TableError(f"{folds} folds cannot be cut from {len(rows)} rows: {error}") from error
    nothing = np.empty(0, rows.dtype)
    pieces = [(np.sort(rows[order[train]]), np.sort(rows[order[test]])) for train, test in cut]
    return [Split(train, nothing, test, how) for train, test in pieces]
