"""A sheet whose columns are read as numbers or dates when asked, each once."""

from functools import cached_property

import numpy as np

from channelwise.response.reading.dates import Dates, read_dates
from channelwise.response.reading.numbers import Numbers, read_numbers, sheet_decimal
from channelwise.response.reading.sheet import Sheet, is_missing


class Table:
    """The columns of a sheet as texts, numbers or dates.

    Attributes:
      sheet: the texts.
    """

    def __init__(self, sheet: Sheet):
        self.sheet = sheet
        self._numbers: dict[str, Numbers] = {}
        self._dates: dict[str, Dates] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sheet.columns)

    @cached_property
    def rows(self) -> np.ndarray:
        """Number of each record in the file."""
        return np.array(self.sheet.rows)

    @cached_property
    def _decimal(self) -> str | None:
        return sheet_decimal(self.sheet.columns.values())

    def texts(self, column: str) -> list[str]:
        return self.sheet.columns[column]

    def numbers(self, column: str) -> Numbers:
        if column not in self._numbers:
            self._numbers[column] = read_numbers(self.texts(column), self._decimal)
        return self._numbers[column]

    def dates(self, column: str) -> Dates:
        if column not in self._dates:
            self._dates[column] = read_dates(self.texts(column))
        return self._dates[column]

    def present(self, column: str) -> list[str]:
        """The cells that hold something."""
        return [text for text in self.texts(column) if not is_missing(text)]

    def is_numeric(self, column: str) -> bool:
        """Whether at least half of what is there are numbers."""
        numbers = self.numbers(column)
        there = len(numbers.values) - len(numbers.missing)
        return there > 0 and len(numbers.unreadable) <= there / 2

    def is_dates(self, column: str) -> bool:
        """Whether at least half of what is there are dates, and it is not plain numbers."""
        present = self.present(column)
        if not present or (self.is_numeric(column) and not _eight_digits(present)):
            return False
        return int((~np.isnat(self.dates(column).values)).sum()) >= len(present) / 2

    def is_dummy(self, column: str) -> bool:
        """Whether it holds 0 and 1 only."""
        return self.is_numeric(column) and set(self.numbers(column).values.tolist()) <= {0.0, 1.0}

    def is_constant(self, column: str) -> bool:
        values = self.numbers(column).values
        return len(set(self.texts(column))) == 1 or bool((values == values[0]).all())

    def counts_rows(self, column: str) -> bool:
        """Whether it is 0, 1, 2, … or 1, 2, 3, … in some order."""
        if not self.is_numeric(column) or len(self.rows) < 3:
            return False
        values = np.sort(self.numbers(column).values)
        counted = values[0] + np.arange(len(values))
        return bool(values[0] in (0.0, 1.0) and np.array_equal(values, counted))


def _eight_digits(texts: list[str]) -> bool:
    return all(len(text) == 8 and text[:2] in ("19", "20") and text.isdigit() for text in texts)
