"""The column to predict: two classes or a number, read and checked."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from channelwise.learning.data.columns import as_numbers, as_texts
from channelwise.learning.data.files import TableError

Task = Literal["classification", "regression"]

FEWEST_IN_CLASS = 3
"""One row each to train, to stop and to test."""
MOST_CLASSES = 20
_NEGATIVE = ("0", "no", "n", "false", "negative", "good", "ok", "none", "healthy", "benign", "-1")


class Target(NamedTuple):
    """A target column as numbers.

    Attributes:
      values: 1 and 0 for the positive and the negative class, or the value itself.
      task: what kind of prediction it asks for.
      labels: names of the (negative, positive) class; None in a regression.
      notes: how it was read.
    """

    values: Float[np.ndarray, " row"]
    task: Task
    labels: tuple[str, str] | None
    notes: tuple[str, ...]


def read_target(
    column: pd.Series, *, task: Task | None = None, positive: str | None = None
) -> Target:
    """Decide whether a target is two classes or a number, and turn it into float32.

    Args:
      column: without missing values.
      task: the user's word; None decides: texts, true/false and columns of two values are classes.
      positive: the class that becomes 1; with more than two, all the others become 0.

    Raises:
      TableError: if the target is constant, has too many classes or too few rows in one, or is no
        number in a regression.
    """
    name, distinct = column.name, column.nunique()
    if distinct == 1:
        raise TableError(
            f"The target {name!r} is {str(column.iloc[0])!r} in every row: there is nothing to "
            "learn. Choose another target, or add rows where it differs."
        )
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if task is None:
        classes = not numeric or distinct == 2 or positive is not None
        task = "classification" if classes else "regression"
    return _classes(column, positive) if task == "classification" else _numbers(column)


def _classes(column: pd.Series, positive: str | None) -> Target:
    texts = as_texts(column)
    counts = texts.value_counts()
    names = sorted(counts.index)
    shown = ", ".join(map(repr, names[:10])) + (", …" if len(names) > 10 else "")
    if positive is not None and str(positive) not in counts.index:
        raise TableError(f"positive={positive!r} is no class of {column.name!r}: it has {shown}.")
    if positive is None and len(names) > 2:
        hint = (
            ", or say task='regression' if it is a quantity"
            if len(names) > MOST_CLASSES or as_numbers(column).notna().all()
            else ""
        )
        raise TableError(
            f"The target {column.name!r} has {len(names)} classes ({shown}); this model tells two "
            f"apart. Name the one of interest with positive='{names[-1]}'{hint}."
        )
    positive = str(positive) if positive is not None else _positive(names)
    is_positive = (texts == positive).to_numpy()
    negative = next(n for n in names if n != positive) if len(names) == 2 else f"not {positive}"
    for label, rows in ((positive, int(is_positive.sum())), (negative, int((~is_positive).sum()))):
        if rows < FEWEST_IN_CLASS:
            raise TableError(
                f"The class {label!r} of {column.name!r} has {rows} row{'s' * (rows != 1)}: at "
                f"least {FEWEST_IN_CLASS} are needed, one each to train, to stop and to test. "
                "Add rows of this class."
            )
    note = f"{column.name!r}: 1 stands for {positive!r}, 0 for {negative!r}"
    return Target(is_positive.astype(np.float32), "classification", (negative, positive), (note,))


def _positive(names: list[str]) -> str:
    """Of two class names the one that is not a usual word for the negative; else the last."""
    plain = [n for n in names if n.lower() not in _NEGATIVE]
    return plain[0] if len(plain) == 1 else names[-1]


def _numbers(column: pd.Series) -> Target:
    numbers = as_numbers(column)
    if numbers.isna().any():
        bad = str(column[numbers.isna()].iloc[0])
        raise TableError(
            f"The target {column.name!r} holds {bad!r}, which is not a finite number. "
            "Correct it, or say task='classification'."
        )
    return Target(numbers.to_numpy(np.float32), "regression", None, ())
