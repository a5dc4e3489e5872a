"""The labels of texts, one or several a row, from the values of a file."""

import re
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from channelwise.learning.data.text_files import Rows, TextError, shown

YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")


class Labels(NamedTuple):
    """What the rows are to be told apart by.

    Attributes:
      targets: int32 numbers of labels, or float32 ones and zeros, one column a label.
      names: of the labels.
      known: rows that have an answer; the targets of the others mean nothing.
      multi: whether a row can have several labels.
    """

    targets: Int[np.ndarray, " row"] | Float[np.ndarray, "row label"]
    names: tuple[str, ...]
    known: Bool[np.ndarray, " row"]
    multi: bool


def read_labels(rows: Rows, label: str | tuple[str, ...], separator: str | None) -> Labels:
    """Labels from one column (a name, a list, or names between separators) or from 0/1 columns."""
    if separator == "":
        raise TextError("label_separator is empty: give what stands between labels, such as '|'.")
    if isinstance(label, tuple):
        return _from_columns(rows, label)
    cells = [row.get(label) for row in rows.values]
    if separator is not None:
        cells = [_parts(cell, separator) for cell in cells]
    if any(isinstance(cell, list) for cell in cells):
        return _from_lists(rows, label, cells)
    return _from_names(rows, label, cells)


def _from_names(rows: Rows, label: str, cells: list[Any]) -> Labels:
    names = [_name(cell, rows, line, label) for cell, line in zip(cells, rows.lines, strict=True)]
    labels = _in_order({name for name in names if name})
    number = {name: i for i, name in enumerate(labels)}
    targets = np.array([number.get(name, 0) for name in names], np.int32)
    return Labels(targets, labels, np.array([bool(name) for name in names]), multi=False)


def _from_lists(rows: Rows, label: str, cells: list[Any]) -> Labels:
    lists = [
        [_name(part, rows, line, label) for part in (cell if isinstance(cell, list) else [cell])]
        for cell, line in zip(cells, rows.lines, strict=True)
    ]
    labels = _in_order({name for names in lists for name in names if name})
    targets = np.array([[name in names for name in labels] for names in lists], np.float32)
    known = np.array([cell is not None for cell in cells])
    return Labels(targets.reshape(len(lists), len(labels)), labels, known, multi=True)


def _from_columns(rows: Rows, columns: tuple[str, ...]) -> Labels:
    cells = [
        [_zero_or_one(row.get(column), rows.file, line, column) for column in columns]
        for row, line in zip(rows.values, rows.lines, strict=True)
    ]
    targets = np.array(cells, np.float32)
    known = ~np.isnan(targets).any(axis=1)
    return Labels(np.nan_to_num(targets), columns, known, multi=True)


def _parts(cell: Any, separator: str) -> Any:
    if not isinstance(cell, str):
        return cell
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _name(cell: Any, rows: Rows, line: int, label: str) -> str:
    """The label as a text; empty if there is none."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, str | int | float):
        return str(cell).strip().encode("utf-8", "replace").decode("utf-8")
    raise TextError(
        f"{rows.file}, line {line}: {label!r} is {shown(cell)}. A label is a text, a number, or a "
        "list of these."
    )


def _zero_or_one(cell: Any, file: str, line: int, column: str) -> float:
    value = "" if cell is None else str(cell).strip().lower()
    if value in YES:
        return 1.0
    if value in NO:
        return 0.0
    if not value:
        return np.nan
    raise TextError(
        f"{file}, line {line}: {column!r} is {shown(cell)}, but with several label columns each "
        "holds 1 (the text has the label) or 0. For one column of names give label='…' alone."
    )


def _in_order(names: set[str]) -> tuple[str, ...]:
    """As numbers if all are, else by the alphabet."""
    if all(re.fullmatch(r"[-+]?\d+(\.\d+)?", name, re.ASCII) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names))
