"""What each column of a table is: a number, a category, or nothing to learn from."""

import re
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from channelwise.learning.data.files import TableError

Kind = Literal["numeric", "categorical", "ignore"]

_MANY = 20
"""Rows or values below which nothing can be said about a column's being an identifier."""


class Column(NamedTuple):
    """A column and how it is used.

    Attributes:
      name: as in the file.
      kind: "numeric", "categorical" or "ignore".
      missing: rows without a value.
      distinct: different values.
      note: why it is ignored or how it was read; "" if there is nothing to say.
    """

    name: str
    kind: Kind
    missing: int
    distinct: int
    note: str


def describe_column(values: pd.Series, kind: Kind | None = None) -> Column:
    """Decide what a column is, or check what the user says it is.

    Numbers and true/false are numeric; texts are categories. Ignored, each with its reason in the
    note: columns without a value or with only one, dates, and identifiers (whole numbers or texts
    that differ in almost every row).

    Args:
      values: the column, named.
      kind: the user's word, which wins; None to decide here.

    Raises:
      TableError: if the user calls a column numeric that holds no number.
    """
    missing, distinct = int(values.isna().sum()), int(values.nunique())
    found, note = _look(values, distinct)
    if kind is not None:
        note = _check(values, kind) if kind != found else note
    return Column(str(values.name), kind or found, missing, distinct, note)


def as_numbers(values: pd.Series) -> pd.Series:
    """float64; what is no finite number becomes missing; true and false become 1 and 0."""
    if values.dtype == object or pd.api.types.is_string_dtype(values):
        truth = {True: 1.0, False: 0.0, "True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0}
        values = values.map(lambda v: truth.get(v, v) if isinstance(v, bool | str) else v)
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return numbers.where(np.isfinite(numbers.to_numpy(float, na_value=np.nan)))


def as_texts(values: pd.Series) -> pd.Series:
    """Category names: outer blanks removed, whole numbers without a decimal point."""
    if pd.api.types.is_float_dtype(values):
        texts = values.map(lambda v: str(int(v)) if v == v and float(v).is_integer() else str(v))
    else:
        texts = values.astype(str).str.strip()
    return texts.astype(object).where(values.notna(), "missing")


def _look(values: pd.Series, distinct: int) -> tuple[Kind, str]:
    if distinct == 0:
        return "ignore", "no value in any row"
    if distinct == 1:
        return "ignore", "the same value in every row"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "ignore", "a date: name it with time= to split by it"
    if pd.api.types.is_bool_dtype(values):
        return "numeric", ""
    if pd.api.types.is_numeric_dtype(values):
        identifier = _is_identifier(values, distinct)
        return ("ignore", "an identifier: counts the rows") if identifier else ("numeric", "")
    return _look_at_texts(values, distinct)


def _look_at_texts(values: pd.Series, distinct: int) -> tuple[Kind, str]:
    present = values.dropna()
    if set(map(str, present.unique())) <= {"True", "False", "true", "false"}:
        return "numeric", ""
    numbers = pd.to_numeric(present, errors="coerce")
    if numbers.notna().mean() >= 0.9 and distinct > _MANY:
        return "numeric", _unreadable(present, numbers)
    if _looks_like_dates(present):
        return "ignore", "a date: name it with time= to split by it"
    if distinct > _MANY and distinct > 0.5 * len(present):
        return "ignore", "an identifier or free text: almost every row has its own value"
    return "categorical", ""


def _unreadable(present: pd.Series, numbers: pd.Series) -> str:
    others = [repr(str(v)) for v in present[numbers.isna()].unique()[:3]]
    return f"not numbers, read as missing: {', '.join(others)}" if others else ""


def _is_identifier(values: pd.Series, distinct: int) -> bool:
    """Whole numbers, all different, that count 1, 2, 3, … or are called an id."""
    present = values.dropna()
    if distinct < len(present) or distinct <= _MANY or (present % 1 != 0).any():
        return False
    named = re.search(r"(^|[^a-z])(id|ids|key|index|nr|number)($|[^a-z])", str(values.name).lower())
    camel = str(values.name).endswith(("Id", "ID"))
    steps = present.sort_values().diff().dropna()
    return bool(named or camel or (steps == 1).all())


def _looks_like_dates(present: pd.Series) -> bool:
    pattern = r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}.*"
    texts = present.astype(str).str.strip()
    if not texts.str.fullmatch(pattern).all():
        return False
    return bool(pd.to_datetime(texts, errors="coerce", format="mixed").notna().all())


def _check(values: pd.Series, kind: Kind) -> str:
    if kind == "numeric" and as_numbers(values).notna().sum() == 0:
        example = repr(str(values.dropna().iloc[0])) if values.notna().any() else "nothing"
        raise TableError(
            f"Column {values.name!r} cannot be numeric: it holds no number ({example}). "
            "Call it 'categorical' or 'ignore'."
        )
    return "as you said"
