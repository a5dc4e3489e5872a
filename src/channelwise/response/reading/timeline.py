"""The rows of a table laid out by geo and date, and whether they fill that grid."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from channelwise.response.reading.columns import Roles
from channelwise.response.reading.dates import Rhythm, rhythm
from channelwise.response.reading.findings import Finding, error, in_rows, listed, note
from channelwise.response.reading.patterns import LONG, normal
from channelwise.response.reading.table import Table

_MIXED = 0.2
"""Share of the steps between dates from which a second step is a second frequency, not a slip."""


class Grid(NamedTuple):
    """Where the values of each geo and date stand.

    Attributes:
      dates: (time,) datetime64[D], ascending.
      geos: names in alphabetical order; "national" where the table has none.
      record: (geo, time) index of the record.
    """

    dates: np.ndarray
    geos: tuple[str, ...]
    record: np.ndarray


def lay_out(table: Table, roles: Roles) -> tuple[Grid | None, list[Finding]]:
    """The grid of a table, None if its rows do not make one; and what was found on the way."""
    column = roles.column("date")
    dates = table.dates(column).values
    findings = _check_reading(table, column)
    if any(f.level == "error" for f in findings):
        return None, findings
    geos, problems = _geos(table, roles.column("geo"))
    problems = problems or _check_repeats(table, roles, dates, geos)
    problems = problems or _check_rhythm(table, dates) + _check_calendars(table, dates, geos)
    if problems:
        return None, findings + problems
    return _grid(dates, geos), findings


def _grid(dates: np.ndarray, geos: np.ndarray) -> Grid:
    times, at_time = np.unique(dates, return_inverse=True)
    names, at_geo = np.unique(geos, return_inverse=True)
    record = np.empty((len(names), len(times)), int)
    record[at_geo, at_time] = np.arange(len(dates))
    return Grid(times, tuple(names.tolist()), record)


def _check_reading(table: Table, column: str) -> list[Finding]:
    """Whether every row has a date, read in one certain order of day and month."""
    texts, read = table.texts(column), table.dates(column)
    bad = np.flatnonzero(np.isnat(read.values))
    if len(bad):
        shown = listed(repr(texts[i]) for i in bad)
        rows = table.rows[bad]
        message = f"Column {column!r} holds no date in {in_rows(rows)}: {shown}."
        return [error("no-date", f"{message} Write dates as 2024-03-31.", rows)]
    if read.doubt:
        return [
            error(
                "date-order",
                f"The dates of column {column!r}, such as {texts[0]!r}, could be day/month or "
                "month/day, and neither order is the more regular. Write them as 2024-03-31.",
            )
        ]
    return [note("date-order", f"Column {column!r} is {read.note}.")] if read.note else []


def _geos(table: Table, column: str | None) -> tuple[np.ndarray, list[Finding]]:
    if column is None:
        return np.full(len(table.rows), "national"), []
    texts = table.texts(column)
    rows = table.rows[[i for i, text in enumerate(texts) if text == ""]]
    if not len(rows):
        return np.array(texts), []
    return np.array(texts), [
        error("no-geo", f"Column {column!r} names no geo in {in_rows(rows)}.", rows)
    ]


def _check_repeats(
    table: Table, roles: Roles, dates: np.ndarray, geos: np.ndarray
) -> list[Finding]:
    """Whether a date occurs once in each geo."""
    count = Counter(zip(geos.tolist(), dates.tolist(), strict=True))
    again = [
        i for i, key in enumerate(zip(geos.tolist(), dates.tolist(), strict=True)) if count[key] > 1
    ]
    if not again:
        return []
    rows, where = table.rows[again], sorted({str(dates[i]) for i in again})
    per_geo = " of one geo" if roles.column("geo") else ""
    return [
        error(
            "date-twice",
            f"Several rows{per_geo} have the same date: {listed(where)} in {in_rows(rows)}. "
            f"{_splitter(table, roles, dates)}",
            rows,
        )
    ]


def _splitter(table: Table, roles: Roles, dates: np.ndarray) -> str:
    """The remedy for repeated dates: a column of texts that tells them apart may be the geo."""
    for column in table.names:
        texts = table.texts(column)
        few = 1 < len(set(texts)) <= len(texts) / 2
        keys = set(zip(texts, dates.tolist(), strict=True))
        if few and not table.is_numeric(column) and len(keys) == len(texts):
            media = LONG.fullmatch(normal(column))
            return (
                f"Bring each {column} into a column of its own."
                if media
                else f"If column {column!r} tells regions apart, name it with geo=."
            )
    return "Sum them, or delete the copies, so that each period is one row."


def _check_rhythm(table: Table, dates: np.ndarray) -> list[Finding]:
    """Whether the dates follow each other at one step, without a gap."""
    found = rhythm(dates)
    if found.regular:
        return []
    if mixed := _mixed(table, dates):
        return [mixed]
    findings = []
    if len(found.odd):
        rows = table.rows[np.isin(dates, found.odd)]
        findings.append(
            error(
                "odd-date",
                f"The dates are {found.name}, but {listed(found.odd)} in {in_rows(rows)} "
                f"{_fall(found.odd)} out of that rhythm. Correct them.",
                rows,
            )
        )
    if len(found.missing):
        findings.append(_gap(table, dates, found))
    return findings


def _fall(things: np.ndarray) -> str:
    return "falls" if len(things) == 1 else "fall"


def _gap(table: Table, dates: np.ndarray, found: Rhythm) -> Finding:
    known = np.unique(dates)
    before = known[np.unique(np.searchsorted(known, found.missing) - 1)]
    rows = table.rows[np.isin(dates, before)]
    many = len(found.missing) > 1
    return error(
        "gap",
        f"The dates are {found.name}, but {len(found.missing)} {'are' if many else 'is'} missing: "
        f"{listed(found.missing)}, after {in_rows(rows)}. Add a row for each, with 0 where nothing "
        "was spent.",
        rows,
    )


def _days(n: int) -> str:
    return "1 day" if n == 1 else f"{n} days"


def _mixed(table: Table, dates: np.ndarray) -> Finding | None:
    """Two frequencies in one table, each in a good part of the steps."""
    known = np.unique(dates)
    steps = np.diff(known).astype(int)
    sizes = Counter(np.where((steps >= 28) & (steps <= 31), 30, steps).tolist()).most_common(2)
    if len(sizes) < 2 or sizes[1][1] < max(3, _MIXED * len(steps)):
        return None
    change = known[1:][np.flatnonzero(np.abs(steps - steps[0]) > 3)[:1]]
    rows = table.rows[np.isin(dates, change)]
    (first, many), (second, fewer) = sizes
    return error(
        "mixed-frequency",
        f"The dates mix frequencies: {many} steps of about {_days(first)} and {fewer} of "
        f"about {_days(second)}; the first change is at {listed(change)} in {in_rows(rows)}. "
        "Sum the finer rows to the coarser frequency.",
        rows,
    )


def _check_calendars(table: Table, dates: np.ndarray, geos: np.ndarray) -> list[Finding]:
    """Whether all geos have the same dates."""
    known = np.unique(dates)
    lacking = {geo: np.setdiff1d(known, dates[geos == geo]) for geo in dict.fromkeys(geos.tolist())}
    lacking = {geo: missing for geo, missing in lacking.items() if len(missing)}
    if not lacking:
        return []
    geo, missing = max(lacking.items(), key=lambda item: (len(item[1]), item[0]))
    others = f" (and {len(lacking) - 1} other geos lack some)" if len(lacking) > 1 else ""
    return [
        error(
            "geo-calendar",
            f"Geo {geo!r} has no row for {len(missing)} of the {len(known)} dates: "
            f"{listed(missing)}{others}. Every geo needs the same dates.",
            table.rows[np.isin(geos, list(lacking))],
        )
    ]
