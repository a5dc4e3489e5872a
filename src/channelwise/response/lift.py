"""A lift test: an experiment that changed the spend of some channels and measured what that did.

It compares two worlds over the same periods and geos: the record, as the market's data hold it, and
the record with the change. The lift is what the change brought,

    lift = outcome with the change − outcome of the record,

summed over the test's periods and a tail of periods after it, in which what was carried over (or
was missing) still acts. Switching a working channel off therefore gives a negative lift, and where
the record itself holds the cut, the change is the spend of the arm that kept spending (`spend`) and
the lift is positive. Lifts at or near zero, and of either sign, are measurements like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite

import numpy as np
from jaxtyping import Float

from channelwise.response.market import MarketData
from channelwise.response.reading.findings import listed, nearest


class LiftError(ValueError):
    """A lift test that is none, or that does not fit the market; the message names the value."""


@dataclass(frozen=True)
class LiftTest:
    """What an experiment changed, when, where, and what it measured.

    Args:
      factor: by channel, what its exposure was multiplied by: 0 switched off, 1.3 is 30 % more.
        Several channels may change at once; an organic medium may be named too.
      start: first date, such as "2024-03-04". Every period that a date of the test falls into
        counts as a whole.
      end: last date, on or after the first.
      lift: measured, in units of the outcome (currency or conversions): with the change minus
        record, summed over geos, periods and tail.
      standard_error: of the lift, above 0.
      spend: by channel, in place of a factor: new currency per period over all tested geos
        together, spread by people; exposure follows at the channel's average price.
      geos: where; all if left out.
      tail: periods after the last one in which the outcome was still compared.
      share: of the geos' people that were in the test, in (0, 1]: national data and a test on a
        fifth of the country have share 0.2, and `lift` is what that fifth did.
      name: for messages and tables.

    Raises:
      LiftError: naming the value that cannot be.

    Numerical note: the lift enters the model as independent of the market's outcome. A test read
    off the very periods and geos that are fitted repeats a part of what they say.
    """

    factor: Mapping[str, float]
    start: str
    end: str
    lift: float
    standard_error: float
    spend: Mapping[str, float] = field(default_factory=dict)
    geos: tuple[str, ...] | None = None
    tail: int = 0
    share: float = 1.0
    name: str = ""

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        for name in ("factor", "spend"):
            put(name, {str(c): float(v) for c, v in getattr(self, name).items()})
        for name in ("lift", "standard_error", "share"):
            put(name, float(getattr(self, name)))
        for name in ("start", "end"):
            put(name, _iso(name, getattr(self, name)))
        if self.geos is not None:
            put("geos", tuple(self.geos))
        _check(self)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that change."""
        return (*self.factor, *self.spend)

    @property
    def label(self) -> str:
        """Its name, or what it changes and when: "tv × 0 from 2024-03-04 to 2024-03-31"."""
        changes = [f"{c} × {f:g}" for c, f in self.factor.items()]
        changes += [f"{c} at {s:g} a period" for c, s in self.spend.items()]
        return self.name or f"{listed(changes)} from {self.start} to {self.end}"


def _iso(name: str, value) -> str:
    try:
        day = np.datetime64(str(value), "D")
    except ValueError:
        day = np.datetime64("NaT")
    if np.isnat(day):
        raise LiftError(f"The {name} of a lift test cannot be {value!r}; write it as 2024-03-04.")
    return str(day)


def _check(test: LiftTest) -> None:
    """Everything that can be said without the market."""
    if not test.channels:
        raise LiftError("A lift test needs a channel; give factor={'tv': 0.0}, say.")
    of = f"The lift test {test.label}"
    twice = [c for c in test.factor if c in test.spend]
    if twice:
        raise LiftError(f"{of} gives {twice[0]} a factor and a spend; give one of the two.")
    for kind in ("factor", "spend"):
        for channel, value in getattr(test, kind).items():
            _check_range(of, f"a {kind} of {channel}", value, 0 <= value < inf, "0 or more")
    _check_range(of, "a standard error", test.standard_error, 0 < test.standard_error < inf, "> 0")
    _check_range(of, "a lift", test.lift, isfinite(test.lift), "a finite number")
    _check_range(of, "a tail", test.tail, test.tail >= 0, "0 periods or more")
    _check_range(of, "a share", test.share, 0 < test.share <= 1, "a number in (0, 1]")
    if test.end < test.start:
        raise LiftError(f"{of} ends on {test.end}, before it starts on {test.start}.")


def _check_range(of: str, what: str, value: float, good: bool, allowed: str) -> None:
    if not good:
        raise LiftError(f"{of} has {what} of {value:g}; give {allowed}.")


def periods(test: LiftTest, market: MarketData) -> tuple[int, int, int]:
    """First period of a test, the one behind its last, and the one behind its tail.

    Counted from the market's first period, those before the outcome included.

    Raises:
      LiftError: if the test, or its tail, lies outside the market's periods.
    """
    dates, last = market.dates, market.dates[-1] + round(market.period_days) - 1
    start, end = np.datetime64(test.start), np.datetime64(test.end)
    if start < dates[0] or end > last:
        raise LiftError(
            f"The lift test {test.label} runs from {start} to {end}, outside the market's periods "
            f"from {dates[0]} to {last}; give dates within them."
        )
    first, behind = (int(np.searchsorted(dates, d, "right")) for d in (start, end))
    if behind + test.tail > len(dates):
        raise LiftError(
            f"The tail of {test.tail} periods of the lift test {test.label} goes on after the "
            f"market's last period, {dates[-1]}; give a tail of at most {len(dates) - behind}."
        )
    return first - 1, behind, behind + test.tail


def tested_geos(test: LiftTest, market: MarketData) -> list[int]:
    """Where the test was, as indices of the market's geos.

    Raises:
      LiftError: if the market has no such geo.
    """
    for geo in test.geos or ():
        if geo not in market.geos:
            raise LiftError(
                f"The lift test {test.label} names the geo {geo!r}, which the market lacks: "
                f"{nearest(geo, market.geos)}"
            )
    return [i for i, geo in enumerate(market.geos) if test.geos is None or geo in test.geos]


def changed_media(
    test: LiftTest, market: MarketData, heads: Float[np.ndarray, " geo"]
) -> Float[np.ndarray, "tested time medium"]:
    """Exposure of the tested geos with the change, in the market's units, tail and past included.

    Raises:
      LiftError: if the market lacks a channel, or has nothing of it that a factor could multiply.
    """
    media = (*market.channels, *market.organic_names)
    where, (first, behind, _) = tested_geos(test, market), periods(test, market)
    exposure = np.concatenate([market.exposure, market.organic], axis=2)[where]
    window = exposure[:, first:behind]  # a view: what is written here stands in `exposure`
    for channel, factor in test.factor.items():
        at = _index(test, channel, media)
        if not window[..., at].any():
            raise LiftError(
                f"The lift test {test.label} multiplies {channel}, but the record holds none of it "
                "in those periods and geos; give other dates, or "
                f"spend={{{channel!r}: …}} a period."
            )
        window[..., at] *= factor
    for channel, spend in test.spend.items():
        at = _index(test, channel, market.channels)
        people = heads[where] / heads[where].sum()
        window[..., at] = (spend * _exposure_per_currency(test, market, at) * people)[:, None]
    return exposure


def _index(test: LiftTest, channel: str, names: tuple[str, ...]) -> int:
    if channel not in names:
        raise LiftError(
            f"The lift test {test.label} names the channel {channel!r}, which the market lacks: "
            f"{nearest(channel, names)}"
        )
    return names.index(channel)


def _exposure_per_currency(test: LiftTest, market: MarketData, channel: int) -> float:
    if market.exposure_names[channel] is None:
        return 1.0
    spend = market.spend[..., channel].sum()
    if not spend > 0:
        raise LiftError(
            f"The lift test {test.label} gives {market.channels[channel]} new spend, but the "
            "record has no price for its exposure; give a factor."
        )
    return float(market.exposure[..., channel].sum() / spend)
