"""What was found in a market's data: sentences that name the column, the rows and the remedy."""

import difflib
from collections.abc import Iterable
from typing import Literal, NamedTuple

_SHOWN = 5
"""Rows, dates or names listed in a sentence before the rest is only counted."""


class Finding(NamedTuple):
    """One thing to know about the data.

    Attributes:
      level: "error" (the data cannot be used), "warning" (they can, with care) or "note".
      code: a short name of the kind of finding, such as "gap".
      message: a sentence, with the remedy where there is one.
      rows: the file's rows concerned, numbered as a spreadsheet does: the header is row 1.
    """

    level: Literal["error", "warning", "note"]
    code: str
    message: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.level}: {self.message}"


class MarketError(ValueError):
    """Data from which no market can be read; says everything that is wrong at once.

    Attributes:
      findings: all of them, warnings and notes too.
      roles: what each column was taken for, None where the file was not read so far.
    """

    def __init__(self, findings: Iterable[Finding], roles=None):
        self.findings = tuple(findings)
        self.roles = roles
        super().__init__("\n".join(f.message for f in self.findings if f.level == "error"))

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentences alone, not the library's inner frames."""
        return [f"MarketError: {self}"]


def error(code: str, message: str, rows: Iterable = ()) -> Finding:
    return Finding("error", code, message, tuple(int(row) for row in rows))


def warning(code: str, message: str, rows: Iterable = ()) -> Finding:
    return Finding("warning", code, message, tuple(int(row) for row in rows))


def note(code: str, message: str, rows: Iterable = ()) -> Finding:
    return Finding("note", code, message, tuple(int(row) for row in rows))


def in_rows(rows: Iterable) -> str:
    """Rows in words: "row 5", "rows 5 and 9", "rows 5 to 20", "rows 1, 3, 5, 7, 9 and 12 more"."""
    rows = sorted(int(row) for row in rows)
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) > 2 and rows[-1] - rows[0] == len(rows) - 1:
        return f"rows {rows[0]} to {rows[-1]}"
    return f"rows {listed(rows)}"


def listed(things: Iterable) -> str:
    """Things in words: "a", "a and b", "a, b and c", "a, b, c, d, e and 7 more"."""
    words = [str(thing) for thing in things]
    if len(words) > _SHOWN + 1:
        words = [*words[:_SHOWN], f"{len(words) - _SHOWN} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Ends a sentence about an unknown name: the closest known one, or all of them."""
    names = list(names)
    folded = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    return f"did you mean {folded[close[0]]!r}?" if close else f"there are {listed(names)}."
