"""Texts ready to learn from: each with one label or several, every row checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from channelwise.learning.data.files import TableError
from channelwise.learning.data.tables import FEWEST_ROWS, check_column
from channelwise.learning.data.text_copies import notes_on_copies
from channelwise.learning.data.text_files import Rows, TextError, read_rows, shown
from channelwise.learning.data.text_labels import Labels, read_labels

__all__ = ["MOST_CHARACTERS", "Source", "TextError", "Texts", "load_texts"]

Source = Literal["real", "simulated", "yours"]
MOST_CHARACTERS = 100_000
"""A text is cut there: about 20,000 words, far beyond what any model here reads."""

TEXT_NAMES = ("text", "texts", "sentence", "review", "content", "message", "body", "comment")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "sentiment", "topic", "tags")


@dataclass(frozen=True)
class Texts:
    """Texts to learn from and what is known about them.

    Attributes:
      name: shown in reports.
      source: "real" (texts that come with libraries), "simulated" or "yours".
      texts: one a row, none of them empty.
      targets: int32, the number of the row's label; with several labels a row float32, one column
        a label, 1 where the row has it and 0 where not.
      labels: their names, in the order of the numbers or columns.
      multi: whether a row can have several labels, or none.
      notes: what a reader of the results should know about how the texts were read.
    """

    name: str
    source: Source
    texts: tuple[str, ...]
    targets: Int[np.ndarray, " row"] | Float[np.ndarray, "row label"]
    labels: tuple[str, ...]
    multi: bool
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.texts)

    @property
    def membership(self) -> Float[np.ndarray, "row label"]:
        """1 where the row has the label, whether rows have one or several."""
        if self.multi:
            return self.targets
        return np.eye(len(self.labels), dtype=np.float32)[self.targets]

    def describe(self) -> pd.DataFrame:
        """One row a label: its texts, their share, and how long they are in words."""
        words = np.array([len(text.split()) for text in self.texts])
        members = self.membership > 0
        lengths = [words[column] if column.any() else np.zeros(1) for column in members.T]
        return pd.DataFrame(
            {
                "label": list(self.labels),
                "texts": members.sum(0),
                "share": members.mean(0),
                "median words": [float(np.median(n)) for n in lengths],
                "longest": [int(n.max()) for n in lengths],
            }
        )


def load_texts(
    path: Path | str,
    *,
    text: str | None = None,
    label: str | Sequence[str] | None = None,
    label_separator: str | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
) -> Texts:
    """Read texts and their labels from a CSV or JSON-lines file and check every row.

    Args:
      path: the file; what it holds decides how it is read, not how its name ends.
      text: the column (field) of the texts; found among common names if None.
      label: the column of the labels: a name or number a row, or a list of them (JSON lines) if
        rows can have several; or the names of several columns of 1 and 0. Found if None.
      label_separator: between the labels of a row in one cell, such as "|"; an empty cell then
        means none of them.
      separator: between the fields of a CSV line; found from the header if None.
      encoding: how the file writes its characters.

    Returns:
      The texts, outer blanks removed. Rows without text or without label are left out, texts
      beyond `MOST_CHARACTERS` are cut there, copies are kept: each with a note.

    Raises:
      TextError: if the file cannot be read or nothing can be learnt from it; the message names
        the line, the value, and what to change.
    """
    rows = read_rows(path, separator=separator, encoding=encoding)
    notes = []
    text = text if text is not None else _found(rows, TEXT_NAMES, "text", notes)
    if label is None:
        label = _found(rows, LABEL_NAMES, "label", notes)
    label = label if isinstance(label, str) else tuple(label)
    _check_columns(rows, text, label)
    texts, empty = _texts_of(rows, text, notes)
    labels = read_labels(rows, label, label_separator)
    kept = _kept(rows, text, label, empty, labels, notes)
    chosen = tuple(texts[i] for i in np.flatnonzero(kept))
    labels = _counted(rows.file, labels, kept, notes)
    notes += notes_on_copies(chosen, labels.targets)
    return Texts(rows.file, "yours", chosen, *labels[:2], labels.multi, tuple(notes))


def _found(rows: Rows, names: tuple[str, ...], role: str, notes: list[str]) -> str:
    """The first column with one of the common names."""
    by_name = {column.lower(): column for column in reversed(rows.columns)}
    column = next((by_name[name] for name in names if name in by_name), None)
    if column is None:
        columns = ", ".join(map(shown, rows.columns[:12]))
        raise TextError(
            f"{rows.file} has no column that is called {names[0]!r} or the like. "
            f"Name it with {role}=: the columns are {columns}."
        )
    if column != names[0]:
        notes.append(f"the {role} is column {column!r}")
    return column


def _check_columns(rows: Rows, text: str, label: str | tuple[str, ...]) -> None:
    labels = (label,) if isinstance(label, str) else label
    try:
        for role, column in (("text", text), *(("label", name) for name in labels)):
            check_column(column, rows.columns, f"{rows.file}, {role}")
    except TableError as error:
        raise TextError(str(error)) from error
    if not labels or text in labels or len(set(labels)) < len(labels):
        raise TextError(
            f"label = {label!r} must name one column or several different ones, none of them the "
            f"text column {text!r}."
        )


def _texts_of(rows: Rows, text: str, notes: list[str]) -> tuple[list[str], Bool[np.ndarray, "row"]]:
    """Each row's text, cut where it is too long, and which rows have none."""
    texts = [
        _one_text(row.get(text), rows.file, line, text)
        for row, line in zip(rows.values, rows.lines, strict=True)
    ]
    long = np.array([len(t) > MOST_CHARACTERS for t in texts])
    broken = np.array([not _writable(t) for t in texts])
    if long.any():
        notes.append(
            f"{_number(long, 'text')} cut after {MOST_CHARACTERS:,} characters {_where(rows, long)}"
        )
    if broken.any():
        notes.append(f"halves of characters became '?' in {_number(broken, 'text')}")
    texts = [t[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8") for t in texts]
    return texts, np.array([not t for t in texts])


def _one_text(value: Any, file: str, line: int, column: str) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TextError(f"{file}, line {line}: {column!r} is {shown(value)}, which is no text.")
    return str(value).replace("\x00", " ").strip()


def _writable(text: str) -> bool:
    """False if a JSON escape left half a surrogate pair, which no UTF-8 can write."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _kept(
    rows: Rows, text: str, label: Any, empty: Any, labels: Labels, notes: list[str]
) -> Bool[np.ndarray, " row"]:
    """Rows with text and label; the others are left out with a note, if most have text."""
    missing = ~labels.known & ~empty
    for what, column, out in (("text", text, empty), ("label", label, missing)):
        if out.sum() > len(out) / 2 and (what == "text" or not labels.known.any()):
            raise TextError(
                f"{rows.file}: {out.sum()} of {len(out)} rows have no {what} in {column!r} "
                f"{_where(rows, out)}. Name the right column with {what}=."
            )
        if out.any():
            notes.append(f"{_number(out, 'row')} without {what} left out {_where(rows, out)}")
    kept = ~empty & labels.known
    if kept.sum() < FEWEST_ROWS:
        raise TextError(
            f"{rows.file}: only {kept.sum()} rows have a text and a label: at least {FEWEST_ROWS} "
            "are needed to train, stop and test on different rows."
        )
    return kept


def _counted(file: str, labels: Labels, kept: Any, notes: list[str]) -> Labels:
    """The labels of the kept rows; those that none of them has any more are dropped."""
    targets = labels.targets[kept]
    counts = targets.sum(0) if labels.multi else np.bincount(targets, minlength=len(labels.names))
    rows = len(targets)
    varying = (counts > 0) & (counts < rows)
    if not varying.any():
        only = ", ".join(shown(n) for n, c in zip(labels.names, counts, strict=True) if c) or "none"
        raise TextError(
            f"{file}: every row has the same label ({only}): nothing can be told apart. Add texts "
            "of another class, or name another column with label=."
        )
    if not labels.multi and len(labels.names) > rows / 2:
        raise TextError(
            f"{file}: {len(labels.names)} different labels in {rows} rows, such as "
            f"{shown(labels.names[0])}. A label stands for many texts: name another column with "
            "label=, or give label_separator= if a cell holds several."
        )
    if labels.multi:
        same = [name for name, varies in zip(labels.names, varying, strict=True) if not varies]
        notes += [f"label {name!r} is the same in every row" for name in same]
        return labels._replace(targets=targets)
    once = [name for name, count in zip(labels.names, counts, strict=True) if count == 1]
    notes += [f"label {name!r} has one text only" for name in once[:5]]
    used = np.flatnonzero(counts)
    names = tuple(labels.names[i] for i in used)
    return labels._replace(targets=np.searchsorted(used, targets).astype(np.int32), names=names)


def _number(rows: Any, noun: str) -> str:
    return f"{rows.sum()} {noun}{'s' if rows.sum() > 1 else ''}"


def _where(rows: Rows, chosen: Any) -> str:
    lines = [rows.lines[i] for i in np.flatnonzero(chosen)[:5]]
    more = ", …" if chosen.sum() > 5 else ""
    return f"(line{'s' if chosen.sum() > 1 else ''} {', '.join(map(str, lines))}{more})"
