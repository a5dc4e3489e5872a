"""What all geo tests share: outcomes by region and period, and what a test found."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from channelwise.response.market import MarketData

Day = str | np.datetime64


class GeoTestError(ValueError):
    """A geo test that these data cannot carry; says why, and what to do instead."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Outcomes of regions over time.

    Attributes:
      outcome: revenue or conversions of each region and period.
      geos: names of the regions.
      dates: first days of the periods, ascending.

    Raises:
      GeoTestError: with fewer than two geos, an outcome that is not finite, or one that never
        changes.
    """

    outcome: Float[np.ndarray, "geo time"]
    geos: tuple[str, ...]
    dates: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "outcome", np.asarray(self.outcome, np.float64))
        object.__setattr__(self, "dates", np.asarray(self.dates).astype("datetime64[D]"))
        _check(self)

    def index(self, geos: Sequence[str]) -> Int[np.ndarray, " chosen"]:
        """Where these geos stand.

        Raises:
          GeoTestError: for a geo that is unknown or named twice.
        """
        for geo in geos:
            if geo not in self.geos:
                near = difflib.get_close_matches(geo, self.geos, 1)
                hint = f"; the nearest is {near[0]!r}" if near else ""
                raise GeoTestError(f"{geo!r} is no geo of these data{hint}.")
        if len(set(geos)) < len(geos):
            raise GeoTestError(f"A geo is named twice in {', '.join(geos)}; name each once.")
        return np.array([self.geos.index(geo) for geo in geos], dtype=np.intp)

    def periods(self, start: Day, stop: Day) -> tuple[int, int]:
        """The periods that begin on or after `start` and before `stop`, as first and end.

        Raises:
          GeoTestError: if these days lie outside the data or hold no period.
        """
        first, end = np.searchsorted(self.dates, np.array([start, stop], "datetime64[D]"))
        after = self.dates[-1] + (self.dates[-1] - self.dates[-2])
        given = np.array([start, stop], "datetime64[D]")
        if given[0] < self.dates[0] or given[1] > after:
            raise GeoTestError(
                f"The test runs from {given[0]} to {given[1]}, outside the data, which run from "
                f"{self.dates[0]} to {after}; give days inside."
            )
        if first >= end:
            raise GeoTestError(
                f"No period begins from {given[0]} up to before {given[1]}; let the test end later."
            )
        return int(first), int(end)

    def split(
        self, test: Sequence[str], control: Sequence[str] | None
    ) -> tuple[Int[np.ndarray, " test"], Int[np.ndarray, " control"]]:
        """Where the test geos and the control geos (all others unless told) stand.

        Raises:
          GeoTestError: if a side is empty or a geo is on both.
        """
        treated = self.index(test)
        rest = [geo for geo in self.geos if geo not in test] if control is None else control
        both = sorted(set(test) & set(rest))
        if both:
            raise GeoTestError(f"{', '.join(both)}: both test and control; a geo can be but one.")
        if not len(test) or not len(rest):
            side = "control" if len(test) else "test"
            raise GeoTestError(f"There is no {side} geo; a test needs at least one of each.")
        return treated, self.index(rest)


def _check(panel: Panel) -> None:
    shape = (len(panel.geos), len(panel.dates))
    if panel.outcome.shape != shape:
        raise GeoTestError(
            f"outcome has the shape {panel.outcome.shape}, but geos × dates make {shape}."
        )
    if shape[0] < 2 or shape[1] < 2:
        raise GeoTestError(
            f"There are {shape[0]} geos and {shape[1]} periods; a geo test needs two or more of "
            "each. Read the market with its column of regions."
        )
    if not np.isfinite(panel.outcome).all():
        raise GeoTestError("The outcome must be finite in every geo and period.")
    if not (np.diff(panel.dates) > np.timedelta64(0, "D")).all():
        raise GeoTestError("The dates must ascend, each once.")
    still = [g for g, y in zip(panel.geos, panel.outcome, strict=True) if np.ptp(y) == 0]
    if still:
        raise GeoTestError(
            f"The outcome of {', '.join(still)} never changes, so that nothing can be matched to "
            "it; leave it out, or look for a column that was not recorded."
        )


def panel_of(market: MarketData) -> Panel:
    """A market's outcome by region, in its own units, without periods of carry-in."""
    seen = slice(market.before, None)
    return Panel(market.outcome[:, seen], market.geos, market.dates[seen])


class GeoEffect(NamedTuple):
    """What a geo test found. All amounts are in units of the outcome.

    Attributes:
      method: "pairs", "regression" or "synthetic".
      observed: outcome of all test geos together, of the periods before and in the test.
      expected: the same as it would have been without the test.
      first: the test's first period in these two.
      lift: Σ observed − expected over the test.
      low: lower end of the interval of the lift.
      high: upper end.
      confidence: of the interval.
      p_value: two-sided, of no lift.
      smallest: the relative lift that, added to what was observed, would just be detected.
      weights: share of each control geo in the expected outcome, by name; empty where the method
        has none.
    """

    method: str
    observed: Float[np.ndarray, " time"]
    expected: Float[np.ndarray, " time"]
    first: int
    lift: float
    low: float
    high: float
    confidence: float
    p_value: float
    smallest: float
    weights: dict[str, float]

    @property
    def relative(self) -> float:
        """The lift as a share of what was expected."""
        return self.lift / float(self.expected[self.first :].sum())

    @property
    def detected(self) -> bool:
        """Whether the interval excludes no lift."""
        return self.low > 0 or self.high < 0


def windows(
    panel: Panel, start: Day, stop: Day, before: int | None, least: int
) -> tuple[int, int, int]:
    """The periods of a test: first before it, first in it, first after it.

    Args:
      panel: the outcomes.
      start: first day of the test.
      stop: first day after it.
      before: periods in front that are compared; None for all.
      least: periods in front that the method needs.

    Raises:
      GeoTestError: if the data do not reach so far.
    """
    first, end = panel.periods(start, stop)
    back = first if before is None else before
    if not least <= back <= first:
        raise GeoTestError(
            f"The test starts {first} periods into the data and is to be compared with {back} "
            f"before it; at least {least} are needed. Start later or change `before`."
        )
    return first - back, first, end


def check_confidence(confidence: float) -> None:
    """A confidence lies strictly between 0 and 1.

    Raises:
      GeoTestError: if it does not.
    """
    if not 0 < confidence < 1:
        raise GeoTestError(f"confidence is {confidence}; give a value in (0, 1), such as 0.9.")
