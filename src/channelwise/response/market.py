"""A market: what was spent on each channel, what came back, and what else may have moved it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from channelwise.response.reading.assembly import assemble, check_table
from channelwise.response.reading.cautions import Record, find_cautions
from channelwise.response.reading.columns import Named, Roles
from channelwise.response.reading.dates import rhythm
from channelwise.response.reading.findings import Finding, MarketError, error
from channelwise.response.reading.roles import find_roles
from channelwise.response.reading.sheet import read_sheet
from channelwise.response.reading.table import Table


@dataclass(frozen=True, eq=False)
class MarketData:
    """Spend, exposure, outcome and context of one market, per geo and period; units are kept.

    National data have one geo. Arrays that are left out hold no columns, and the exposure is then
    the spend itself. All arrays are float64 and finite, but for the outcome of the first `before`
    periods, which is NaN: those periods have media only, for what they carry over.

    Attributes:
      dates: first days of the periods, ascending and regular, the `before` ones included.
      outcome: revenue in currency, or conversions, of a period.
      spend: currency a period, at least 0.
      channels: names of the paid channels.
      exposure: what is carried over and saturates: impressions where there are any, else the spend.
      exposure_names: per channel the column of its exposure, None where that is the spend.
      controls: any sign: price, weather, competitors, promotions.
      control_names: one for each control.
      organic: at least 0: media without spend, such as a newsletter.
      organic_names: one for each organic channel.
      events: dummies, 1 in the periods of a holiday or another named event.
      event_names: one for each event.
      geos: regions, in the order of the first axis.
      population: people of each geo, None where unknown.
      outcome_name: the outcome's column.
      outcome_kind: "revenue" or "conversions".
      value_per_conversion: currency per conversion, for conversions.
      before: leading periods without an outcome.

    Raises:
      ValueError: if the shapes, the names or the values do not fit together.
    """

    dates: np.ndarray
    outcome: Float[np.ndarray, "geo time"]
    spend: Float[np.ndarray, "geo time channel"]
    channels: tuple[str, ...]
    exposure: Float[np.ndarray, "geo time channel"] = None
    exposure_names: tuple[str | None, ...] = None
    controls: Float[np.ndarray, "geo time control"] = None
    control_names: tuple[str, ...] = ()
    organic: Float[np.ndarray, "geo time organic"] = None
    organic_names: tuple[str, ...] = ()
    events: Float[np.ndarray, "geo time event"] = None
    event_names: tuple[str, ...] = ()
    geos: tuple[str, ...] = ("national",)
    population: Float[np.ndarray, " geo"] | None = None
    outcome_name: str = "outcome"
    outcome_kind: Literal["revenue", "conversions"] = "revenue"
    value_per_conversion: float = 1.0
    before: int = 0

    def __post_init__(self):
        self._put("dates", np.asarray(self.dates).astype("datetime64[D]"))
        if self.exposure is None:
            self._put("exposure", self.spend)
        if self.exposure_names is None:
            self._put("exposure_names", (None,) * len(self.channels))
        for name in ("controls", "organic", "events"):
            if getattr(self, name) is None:
                self._put(name, np.zeros((self.n_geos, self.n_times, 0)))
        for name in (*_PER_PERIOD, "population"):
            if getattr(self, name) is not None:
                self._put(name, np.asarray(getattr(self, name), np.float64))
        _check_shapes(self)
        _check_values(self)

    def _put(self, name: str, value) -> None:
        object.__setattr__(self, name, value)  # the market is frozen for everyone else

    @property
    def n_geos(self) -> int:
        return len(self.geos)

    @property
    def n_times(self) -> int:
        """Periods, the `before` ones included."""
        return len(self.dates)

    @property
    def n_observed(self) -> int:
        """Periods with an outcome."""
        return self.n_times - self.before

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    @property
    def total_spend(self) -> Float[np.ndarray, " channel"]:
        """Currency spent on each channel in the periods with an outcome, over all geos."""
        return self.spend[:, self.before :].sum(axis=(0, 1))

    @property
    def period_days(self) -> float:
        """Mean days of a period: 1 daily, 7 weekly, 30.4375 monthly, …"""
        return rhythm(self.dates).days

    @property
    def value(self) -> float:
        """Currency per unit of the outcome: 1 for revenue."""
        return 1.0 if self.outcome_kind == "revenue" else self.value_per_conversion

    def window(self, start: int, stop: int) -> "MarketData":
        """The periods start, …, stop − 1; all earlier ones become carry-in.

        Args:
          start: of the periods with an outcome, counted from 0.
          stop: behind the last one, at most `n_observed`.

        Raises:
          ValueError: if no period lies between the two.
        """
        if not 0 <= start < stop <= self.n_observed:
            raise ValueError(
                f"window({start}, {stop}) holds no periods of this market: "
                f"0 <= start < stop <= {self.n_observed} is needed."
            )
        before, end = self.before + start, self.before + stop
        outcome = self.outcome[:, :end].copy()
        outcome[:, :before] = np.nan
        cut = {name: getattr(self, name)[:, :end] for name in _PER_PERIOD[1:]}
        return replace(self, dates=self.dates[:end], outcome=outcome, before=before, **cut)


_PER_PERIOD = ("outcome", "spend", "exposure", "controls", "organic", "events")
_NAMED = {
    "spend": "channels",
    "exposure": "exposure_names",
    "controls": "control_names",
    "organic": "organic_names",
    "events": "event_names",
}


def _check_shapes(market: MarketData) -> None:
    grid = (market.n_geos, market.n_times)
    for name in _PER_PERIOD:
        names = _NAMED.get(name)
        shape = grid if names is None else (*grid, len(getattr(market, names)))
        if getattr(market, name).shape != shape:
            raise ValueError(
                f"{name} has the shape {getattr(market, name).shape}, but geos × dates"
                f"{f' × {names}' if names else ''} make {shape}."
            )
    if market.population is not None and market.population.shape != grid[:1]:
        raise ValueError(
            f"population has the shape {market.population.shape}, but there are {grid[0]} geos."
        )


def _check_values(market: MarketData) -> None:
    if not 0 <= market.before < market.n_times:
        raise ValueError(f"before={market.before} leaves none of {market.n_times} periods.")
    if not (np.diff(market.dates) > np.timedelta64(0, "D")).all():
        raise ValueError("The dates must ascend, each once.")
    if not np.isfinite(market.outcome[:, market.before :]).all():
        raise ValueError("The outcome must be finite in every period after the first `before`.")
    for name in _PER_PERIOD[1:]:
        values = getattr(market, name)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite everywhere.")
        if name in ("spend", "exposure", "organic") and (values < 0).any():
            raise ValueError(f"{name} must be at least 0 everywhere.")
    if not market.value_per_conversion > 0:
        raise ValueError(f"value_per_conversion={market.value_per_conversion} must be above 0.")


def read_market(
    path: Path | str,
    *,
    date: str | None = None,
    outcome: str | None = None,
    spend: Mapping[str, str] | Sequence[str] | None = None,
    exposure: Mapping[str, str] | None = None,
    controls: Sequence[str] | None = None,
    organic: Sequence[str] | None = None,
    events: Sequence[str] | None = None,
    geo: str | None = None,
    population: str | None = None,
    outcome_kind: Literal["revenue", "conversions"] = "revenue",
    value_per_conversion: float = 1.0,
) -> tuple[MarketData, Roles, list[Finding]]:
    """Reads and checks a market; roles that are not named are detected.

    Args:
      path: a CSV file (comma, semicolon, tab or bar; UTF-8) or a Parquet file, one row a period
        and geo, in any order.
      date: column of the first days of the periods.
      outcome: column of what came back. Leading periods without one are carry-in only.
      spend: columns of spend, or the column of each channel by the channel's name.
      exposure: column of impressions (or clicks, …) by the channel's name.
      controls: columns of what else moves the outcome; [] for none, as in the following.
      organic: columns of media without spend.
      events: columns of 0 and 1, or of texts that name an event in its periods.
      geo: column of regions.
      population: column of people in the region.
      outcome_kind: "revenue" in currency, or "conversions".
      value_per_conversion: currency per conversion.

    Returns:
      The market; the role of every column; warnings and notes.

    Raises:
      MarketError: if the data cannot be used, with everything that is wrong.
    """
    if not 0 < value_per_conversion < float("inf"):
        message = f"value_per_conversion={value_per_conversion} must be a number above 0."
        raise MarketError([error("bad-value", message)])
    conversions = outcome_kind == "conversions"
    table = Table(read_sheet(path))
    roles = find_roles(
        table,
        Named(
            date, outcome, spend, exposure, controls, organic, events, geo, population, conversions
        ),
    )
    roles, grid, findings = check_table(table, roles, conversions)
    parts = assemble(table, roles, grid)
    market = MarketData(
        **parts, outcome_kind=outcome_kind, value_per_conversion=value_per_conversion
    )
    return market, roles, [*findings, *find_cautions(_record(market))]


def _record(market: MarketData) -> Record:
    """What the cautions look at: the periods with an outcome."""
    seen = slice(market.before, None)
    return Record(
        market.dates[seen],
        market.outcome[:, seen],
        market.spend[:, seen],
        market.channels,
        365.25 / market.period_days,
        (market.events[:, seen] > 0).any(axis=(0, 2)),
    )
