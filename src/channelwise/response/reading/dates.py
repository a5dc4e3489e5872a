"""Dates as people write them, and the rhythm they follow: daily, weekly, monthly, …"""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import NamedTuple

import numpy as np

_TIME = re.compile(r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AP]M)?(Z|[+-]\d{2}:?\d{2})?$", re.I)
_YMD = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})|(\d{4})(\d{2})(\d{2})(?:\.0)?")
_YM = re.compile(r"(\d{4})[-/.](\d{1,2})")
_WEEK = re.compile(r"(\d{4})-?W(\d{1,2})", re.I)
_NUMBERS = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})")
_WORDS = ("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%b %Y", "%B %Y", "%d-%b-%Y", "%d-%b-%y")


class Dates(NamedTuple):
    """A column read as dates.

    Attributes:
      values: datetime64[D], NaT where the text is no date.
      order: how the texts were read, such as "day/month/year".
      doubt: both readings of numbers like 03/04/2024 fit as well; `values` is the first of them.
      note: how a doubt was settled; "" if there was none.
    """

    values: np.ndarray
    order: str
    doubt: bool = False
    note: str = ""


def read_dates(texts: list[str]) -> Dates:
    """Reads a column under the one order of day, month and year that reads the most of it.

    Where 03/04/2024 could be both, the order is chosen under which the dates are regular.
    """
    texts = [_TIME.sub("", text) for text in texts]
    readings = [Dates(_read(texts, parse), order) for order, parse in _ORDERS.items()]
    most = max(_count(reading) for reading in readings)
    best = [reading for reading in readings if _count(reading) == most]
    different = [r for r in best[1:] if not np.array_equal(r.values, best[0].values, True)]
    if most == 0 or not different:
        return best[0]
    regular = [r for r in best if rhythm(r.values).regular]
    if len(regular) == 1:
        chosen = regular[0]
        return chosen._replace(
            note=f"read as {chosen.order}: in that order the dates are "
            f"{rhythm(chosen.values).name}, in the other they are irregular"
        )
    return best[0]._replace(doubt=True)


def _count(reading: Dates) -> int:
    return int((~np.isnat(reading.values)).sum())


def _read(texts: list[str], parse: Callable[[str], date | None]) -> np.ndarray:
    known = {text: _safely(parse, text) for text in set(texts)}
    return np.array([known[text] for text in texts], dtype="datetime64[D]")


def _safely(parse: Callable[[str], date | None], text: str) -> date | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _year_first(text: str) -> date | None:
    if found := _YMD.fullmatch(text):
        return date(*(int(part) for part in found.groups() if part))
    if found := _YM.fullmatch(text):
        return date(int(found[1]), int(found[2]), 1)
    if found := _WEEK.fullmatch(text):
        return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    return None


def _month_in_words(text: str) -> date | None:
    if not re.search(r"[a-z]{3}", text, re.I) or not re.search(r"\d", text):
        return None
    text = " ".join(text.replace(",", " ").replace(". ", " ").split())
    text = re.sub(r"^(mon|tue|wed|thu|fri|sat|sun)[a-z]* ", "", text, flags=re.I)
    for form in _WORDS:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None


def _numbers(day: int, month: int) -> Callable[[str], date | None]:
    def parse(text: str) -> date | None:
        found = _NUMBERS.fullmatch(text)
        if not found:
            return None
        year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
        return date(year, int(found[month]), int(found[day]))

    return parse


_ORDERS = {
    "year-month-day": _year_first,
    "day/month/year": _numbers(1, 2),
    "month/day/year": _numbers(2, 1),
    "month in words": _month_in_words,
}


class Rhythm(NamedTuple):
    """How dates follow each other.

    Attributes:
      name: "daily", "weekly", "monthly", "every 3 days", … after the most frequent step.
      days: mean days of a period: 1, 7, 30.4375, …
      missing: dates that the rhythm asks for and that are not there.
      odd: dates that fall out of the rhythm.
      steps: the most frequent steps in days, or months, with their numbers.
    """

    name: str
    days: float
    missing: np.ndarray
    odd: np.ndarray
    steps: dict[int, int]

    @property
    def regular(self) -> bool:
        return len(self.missing) == 0 and len(self.odd) == 0


_DAILY_NAMES = {1: "daily", 7: "weekly", 14: "fortnightly", 28: "four-weekly"}
_MONTHLY_NAMES = {1: "monthly", 3: "quarterly", 6: "half-yearly", 12: "yearly"}


def rhythm(dates: np.ndarray) -> Rhythm:
    """The rhythm of dates (datetime64[D], any order, repeats and NaT ignored).

    Months count as equal where every date is the same day of its month, or each its last.
    """
    dates = np.unique(dates[~np.isnat(dates)])
    if len(dates) < 2:
        return Rhythm("a single date", 1.0, dates[:0], dates[:0], {})
    monthly, back = _months(dates)
    at = dates.astype(int) if monthly is None else monthly
    sizes, counts = np.unique(np.diff(at), return_counts=True)
    step = int(sizes[np.argmax(counts)])
    phase = np.bincount((at - at[0]) % step).argmax()
    odd = (at - at[0] - phase) % step != 0
    there = at[~odd]
    missing = np.setdiff1d(np.arange(there[0], there[-1] + 1, step), there)
    names = _DAILY_NAMES if monthly is None else _MONTHLY_NAMES
    unit, days = ("days", 1.0) if monthly is None else ("months", 365.25 / 12)
    frequent = dict(sorted(zip(sizes.tolist(), counts.tolist(), strict=True), key=lambda s: -s[1]))
    return Rhythm(
        names.get(step, f"every {step} {unit}"), step * days, back(missing), dates[odd], frequent
    )


def _months(dates: np.ndarray) -> tuple[np.ndarray | None, Callable[[np.ndarray], np.ndarray]]:
    """Months since 1970 if all are the same day of a month, or its last; and the way back."""
    month = dates.astype("datetime64[M]")
    day = (dates - month.astype("datetime64[D]")).astype(int)
    last = ((month + 1).astype("datetime64[D]") - dates).astype(int) == 1
    if len(np.unique(month)) == len(dates) and last.all():
        return month.astype(
            int
        ), lambda at: (at + 1).astype("datetime64[M]").astype("datetime64[D]") - 1
    if len(np.unique(month)) == len(dates) and (day == day[0]).all():
        return month.astype(
            int
        ), lambda at: at.astype("datetime64[M]").astype("datetime64[D]") + day[0]
    return None, lambda at: at.astype("datetime64[D]")
