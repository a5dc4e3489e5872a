"""From columns to numbers: what is learnt from the training rows, kept as plain numbers.

scikit-learn's transformers are fitted to the training rows and only there; their medians, means,
scales and categories are then written into a small record that JSON can hold. So nothing of the
validation and test rows leaks into the inputs, and a saved model needs no pickle to come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from channelwise.learning.data.columns import as_numbers, as_texts
from channelwise.learning.data.files import TableError
from channelwise.learning.data.splits import Split
from channelwise.learning.data.tables import Table, check_column

Unseen = Literal["refuse", "other"]

MOST_CATEGORIES = 50
"""Categories of one column that get an input of their own; the rarer ones share "other"."""
FEWEST_IN_CATEGORY = 5
"""Training rows below which a category goes into "other"."""


class Numeric(NamedTuple):
    """A column of numbers: missing values become the median, then (v − mean) / scale.

    Attributes:
      name: of the column.
      median: of the training rows.
      mean: of the training rows, after filling.
      scale: their standard deviation; 1 if it is 0.
      indicator: whether a further input tells that the value was missing.
    """

    name: str
    median: float
    mean: float
    scale: float
    indicator: bool


class Categorical(NamedTuple):
    """A column of names: one input for each category, 1 where the row has it, else 0.

    Attributes:
      name: of the column.
      categories: those with an input of their own; "missing" is one if it occurs.
      pooled: rarer ones of the training rows, which share the input "other".
    """

    name: str
    categories: tuple[str, ...]
    pooled: tuple[str, ...]


class Parts(NamedTuple):
    """Inputs and targets of the three parts of a split, ready for `fit`.

    Attributes:
      train: (x, y), float32.
      validation: the same for the validation rows.
      test: the same for the test rows.
      preparation: how they were made.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    preparation: "Preparation"


@dataclass(frozen=True)
class Preparation:
    """How a row of a table becomes a row of inputs.

    Attributes:
      numeric: the columns of numbers, in order.
      categorical: the columns of names, in order.
      task: "classification" or "regression".
      target_name: the column to predict.
      labels: names of the (negative, positive) class; None in a regression.
      target_mean: of the training rows' targets; 0 in a classification.
      target_scale: their standard deviation; 1 in a classification.
    """

    numeric: tuple[Numeric, ...]
    categorical: tuple[Categorical, ...]
    task: Literal["classification", "regression"]
    target_name: str
    labels: tuple[str, str] | None
    target_mean: float = 0.0
    target_scale: float = 1.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns a table must have."""
        return tuple(c.name for c in (*self.numeric, *self.categorical))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs: numbers, then missing-value flags, then categories."""
        flags = [f"{c.name} missing" for c in self.numeric if c.indicator]
        names = [f"{c.name} = {v}" for c in self.categorical for v in _inputs(c)]
        return (*(c.name for c in self.numeric), *flags, *names)

    def transform(
        self, frame: pd.DataFrame, unseen: Unseen = "refuse"
    ) -> Float[np.ndarray, "row feature"]:
        """Rows of inputs, float32.

        Args:
          frame: must have every column of `columns`; others are left alone.
          unseen: what to do with a category that no training row had: "refuse" it in a sentence,
            or let it count as "other": the input the rare categories share, and where there were
            none, as none of the known ones (all inputs 0).

        Raises:
          TableError: if a column is missing, a number cannot be read or a category is unknown.
        """
        for name in self.columns:
            check_column(name, [str(c) for c in frame.columns], "new rows")
        numbers = [_numbers(frame[c.name]) for c in self.numeric]
        pairs = list(zip(self.numeric, numbers, strict=True))
        scaled = [(v.fillna(c.median).to_numpy() - c.mean) / c.scale for c, v in pairs]
        flags = [v.isna().to_numpy(float) for c, v in pairs if c.indicator]
        names = [_one_hot(c, as_texts(frame[c.name]), unseen) for c in self.categorical]
        inputs = np.column_stack([np.empty((len(frame), 0)), *scaled, *flags, *names])
        return inputs.astype(np.float32)

    def standardize_target(self, y: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
        """(y − mean) / scale of the training rows; unchanged in a classification."""
        return ((y - self.target_mean) / self.target_scale).astype(np.float32)

    def restore_target(self, z: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
        """A regression's outputs in the target's own unit: z · scale + mean."""
        return (z.astype(np.float64) * self.target_scale + self.target_mean).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, texts and numbers."""
        record = dict(vars(self))
        record["numeric"] = [c._asdict() for c in self.numeric]
        record["categorical"] = [
            {"name": c.name, "categories": list(c.categories), "pooled": list(c.pooled)}
            for c in self.categorical
        ]
        record["labels"] = None if self.labels is None else list(self.labels)
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Preparation":
        """The inverse of `to_json`; a record of another form raises KeyError or TypeError."""
        texts = [
            Categorical(c["name"], tuple(c["categories"]), tuple(c["pooled"]))
            for c in record["categorical"]
        ]
        changed = {
            "numeric": tuple(Numeric(**c) for c in record["numeric"]),
            "categorical": tuple(texts),
            "labels": None if record["labels"] is None else tuple(record["labels"]),
        }
        return cls(**{**record, **changed})


def prepare(table: Table, split: Split) -> Parts:
    """Fit the preparation to the training rows and apply it to all three parts."""
    preparation = fit_preparation(table, split.train)

    def part(rows: Int[np.ndarray, " row"]) -> tuple[np.ndarray, np.ndarray]:
        x = preparation.transform(table.frame.iloc[rows], unseen="other")
        return x, preparation.standardize_target(table.target[rows])

    return Parts(part(split.train), part(split.validation), part(split.test), preparation)


def fit_preparation(table: Table, rows: Int[np.ndarray, " train"]) -> Preparation:
    """Learn medians, means, scales and categories from these rows alone.

    Args:
      table: the whole table.
      rows: numbers of the training rows.

    Returns:
      The preparation; its `transform` equals the scikit-learn `ColumnTransformer` it came from.
    """
    kinds = {c.name: c.kind for c in table.columns}
    numeric = [name for name in table.features if kinds[name] == "numeric"]
    texts = [name for name in table.features if kinds[name] == "categorical"]
    train = clean(table.frame.iloc[rows], numeric, texts)
    numeric = [name for name in numeric if train[name].notna().any()]
    transformer = column_transformer(numeric, texts).fit(train)
    y = table.target[rows].astype(np.float64)
    target = (
        {"target_mean": float(y.mean()), "target_scale": float(y.std()) or 1.0}
        if table.task == "regression"
        else {}
    )
    return Preparation(
        numeric=_learnt_numbers(transformer, numeric, train),
        categorical=_learnt_categories(transformer, texts),
        task=table.task,
        target_name=table.target_name,
        labels=table.labels,
        **target,
    )


def clean(frame: pd.DataFrame, numeric: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    """Columns as scikit-learn wants them: float64 with NaN, or texts with "missing"."""
    columns = {name: as_numbers(frame[name]) for name in numeric}
    columns |= {name: as_texts(frame[name]) for name in texts}
    return pd.DataFrame(columns, index=frame.index)


def column_transformer(numeric: Sequence[str], texts: Sequence[str]) -> Any:
    """scikit-learn's transformer: median and scaling, missing-value flags, one-hot categories."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    flags = MissingIndicator(features="missing-only", error_on_new=False)
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=FEWEST_IN_CATEGORY,
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
    )
    steps = [("numbers", scaled, list(numeric)), ("flags", flags, list(numeric))]
    return ColumnTransformer([*(steps if numeric else []), ("names", one_hot, list(texts))])


def _learnt_numbers(
    transformer: Any, names: Sequence[str], train: pd.DataFrame
) -> tuple[Numeric, ...]:
    if not names:
        return ()
    imputer, scaler = (step for _, step in transformer.named_transformers_["numbers"].steps)
    learnt = zip(names, imputer.statistics_, scaler.mean_, scaler.scale_, strict=True)
    return tuple(
        Numeric(name, float(median), float(mean), float(scale), bool(train[name].isna().any()))
        for name, median, mean, scale in learnt
    )


def _learnt_categories(transformer: Any, names: Sequence[str]) -> tuple[Categorical, ...]:
    if not names:
        return ()
    encoder = transformer.named_transformers_["names"]
    rare = [() if r is None else tuple(map(str, r)) for r in encoder.infrequent_categories_]
    every = [tuple(map(str, c)) for c in encoder.categories_]
    return tuple(
        Categorical(name, tuple(c for c in seen if c not in pooled), pooled)
        for name, seen, pooled in zip(names, every, rare, strict=True)
    )


def _inputs(column: Categorical) -> tuple[str, ...]:
    return (*column.categories, "other") if column.pooled else column.categories


def _numbers(values: pd.Series) -> pd.Series:
    numbers = as_numbers(values)
    unreadable = values.notna() & numbers.isna()
    if unreadable.any():
        row = int(np.argmax(unreadable.to_numpy()))
        raise TableError(
            f"Column {values.name!r} holds {str(values.iloc[row])!r} in row {row + 1}, which is "
            "not a finite number. Correct it, or leave the field empty if it is unknown."
        )
    return numbers


def _one_hot(
    column: Categorical, texts: pd.Series, unseen: Unseen
) -> Float[np.ndarray, "row category"]:
    known = {*column.categories, *column.pooled}
    new = ~texts.isin(known) & (texts != "missing")
    if unseen == "refuse" and new.any():
        row = int(np.argmax(new.to_numpy()))
        shown = ", ".join(map(repr, sorted(known)[:8])) + (", …" if len(known) > 8 else "")
        raise TableError(
            f"Column {column.name!r} holds {texts.iloc[row]!r} in row {row + 1} "
            f"({int(new.sum())} such rows), which no training row had: it knew {shown}. "
            "Correct it, or let unknown categories count as 'other' (unseen='other')."
        )
    names = texts.where(texts.isin(column.categories), "other" if column.pooled else "")
    return np.stack([(names == v).to_numpy(float) for v in _inputs(column)], axis=1)
