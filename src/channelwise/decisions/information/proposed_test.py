"""A test that could be run: what it would change, how long, and how well it could measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from channelwise.response.effects import Effects
from channelwise.response.lift import LiftError, LiftTest, changed_media, tested_geos
from channelwise.response.market import MarketData


@dataclass(frozen=True)
class ProposedTest:
    """An experiment that is not run yet.

    Args:
      factor: by channel, what its spend is multiplied by; several channels at once are one test.
      periods: how long, at least 1.
      start: first date. A date after the record stands for the same weeks of the last year in it;
        by default a stretch of the record in which the channels spend as they mostly do.
      geos: where; all if left out, and the rest of the geos is then no control.
      share: of those geos' people that are treated, in (0, 1]; the others are the control.
      tail: periods after the last in which the outcome is still compared; by default the model's
        longest lag, as far as the record allows.
      cost: of running it, currency, beside what it loses or saves by spending differently.
      standard_error: of its lift, in units of the outcome; by default from the fitted noise.
      name: for tables; by default what it does.
    """

    factor: Mapping[str, float]
    periods: int
    start: str | None = None
    geos: tuple[str, ...] | None = None
    share: float = 1.0
    tail: int | None = None
    cost: float = 0.0
    standard_error: float | None = None
    name: str = ""

    def __post_init__(self):
        for what, value, least in (("periods", self.periods, 1), ("cost", self.cost, 0)):
            if not value >= least:
                raise LiftError(f"A proposed test has {what} of {value:g}; give {least} or more.")

    @property
    def label(self) -> str:
        """Its name, or what it does: "tv off, 4 periods"."""
        where = "" if self.geos is None else f", in {len(self.geos)} geos"
        part = "" if self.share == 1 else f", on {self.share:.0%} of the people"
        changes = " and ".join(f"{c} {_change(f)}" for c, f in self.factor.items())
        return self.name or f"{changes}, {self.periods} periods{where}{part}"


def _change(factor: float) -> str:
    named = {0: "off", 2: "doubled"}
    return named.get(factor, f"{'+' if factor >= 1 else '−'}{abs(factor - 1):.0%}")


def proposals(
    market: MarketData,
    factors: Sequence[float] = (0.0, 0.5, 1.5, 2.0),
    periods: Sequence[int] = (4, 8),
    **more,
) -> list[ProposedTest]:
    """Every channel × every change × every duration.

    Args:
      market: for its channels.
      factors: changes of spend.
      periods: durations.
      more: of `ProposedTest`, for all of them: geos, share, cost, tail.
    """
    return [
        ProposedTest({channel: factor}, length, **more)
        for channel in market.channels
        for factor in factors
        for length in periods
    ]


def as_lift_test(test: ProposedTest, effects: Effects) -> LiftTest:
    """The test as if it ran within the record, with nothing measured yet.

    Raises:
      LiftError: if it does not fit the market, or names a medium without spend.
    """
    market, lags = effects.market, effects.posterior.model.lags
    first, tail = _window(test, market, lags)
    days = market.dates[first], market.dates[first + test.periods - 1]
    parts = {"geos": test.geos, "share": test.share, "tail": tail, "name": test.label}
    plain = LiftTest(test.factor, str(days[0]), str(days[1]), 0.0, 1.0, **parts)
    changed_media(plain, market, np.ones(market.n_geos))  # refuses what does not fit the market
    for channel in test.factor:
        if channel in market.organic_names:
            raise LiftError(f"{channel} has no spend, so that no plan could use a test of it.")
    error = test.standard_error
    if error is None:
        error = standard_error(effects, tested_geos(plain, market), test.periods + tail, test.share)
    return replace(plain, standard_error=error)


def standard_error(effects: Effects, tested: Sequence[int], periods: int, share: float) -> float:
    """The error of a lift that the noise of the fitted model leaves, in units of the outcome.

    se² = n (1 + n/N) V
    V = Σ_T σ_g² + (Σ_T h / Σ_C h)² Σ_C σ_g²      tested geos T beside control geos C
      = Σ_T σ_g² s/(1 − s)                        a share s of the people, beside the others
      = Σ_T σ_g²                                  everywhere, beside the model's own forecast

    for n periods (tail included) after N of the record, h_g heads, σ_g noise of a geo's period. The
    n/N is what is not known of the level without the test.

    Args:
      effects: of a fit.
      tested: indices of the tested geos.
      periods: n.
      share: s in (0, 1].

    Numerical note: a share's people are taken to be as noisy, one by one, as all of them; where
    days or weather move all people alike, the control takes that out and the error is smaller.
    """
    sigma = np.sqrt(_noise_variance(effects))
    inside = np.isin(np.arange(len(sigma)), tested)
    own, heads = np.sum(sigma[inside] ** 2), sigma / sigma.sum()  # σ_g is proportional to heads
    if share < 1:
        variance = own * share / (1 - share)
    elif inside.all():
        variance = own
    else:
        ratio = heads[inside].sum() / heads[~inside].sum()
        variance = own + ratio**2 * np.sum(sigma[~inside] ** 2)
    return float(np.sqrt(periods * (1 + periods / effects.market.n_observed) * variance))


def _noise_variance(effects: Effects) -> Float[np.ndarray, " geo"]:
    """Mean over draws of the variance of a period's outcome in each geo."""
    variance = effects.sigma[:, :, 0] ** 2
    if effects.posterior.model.noise == "student_t":
        nu = np.maximum(effects.draws_of("nu"), 2.5)  # a scale of heavy tails has no variance
        variance = variance * (nu / (nu - 2))[:, None]
    return variance.mean(axis=0)


def _window(test: ProposedTest, market: MarketData, lags: int) -> tuple[int, int]:
    """The first period and the tail of the stretch of the record that stands for the test."""
    first, free = market.before, market.n_times - test.periods
    if first > free:
        raise LiftError(
            f"{test.label}: the record has {market.n_observed} periods; give at most so many."
        )
    tail = min(lags if test.tail is None else test.tail, free - first)
    if test.start is None:
        at = _typical(test, market, np.arange(first, free - tail + 1))
        return at, tail
    at = _period_of(np.datetime64(test.start), market)
    year = round(365.25 / market.period_days)
    while at > free - tail:
        at -= year
    if at < first:
        raise LiftError(
            f"{test.label}: no year of the record holds {test.periods} periods and a tail of "
            f"{tail} from {test.start} on; give a start within {market.dates[0]} to "
            f"{market.dates[free - tail]}."
        )
    return at, tail


def _period_of(day: np.datetime64, market: MarketData) -> int:
    """The period that holds a date, counted on at the record's rhythm behind its end."""
    ahead = (day - market.dates[-1]).astype(int)
    if ahead >= 0:
        return market.n_times - 1 + int(ahead / market.period_days)
    return int(np.searchsorted(market.dates, day, "right")) - 1


def _typical(test: ProposedTest, market: MarketData, starts: np.ndarray) -> int:
    """The latest start whose spend comes closest to an average stretch's."""
    at = [market.channels.index(c) for c in test.factor if c in market.channels]
    if not at:
        return int(starts[-1])
    spend = market.spend[:, :, at].sum(axis=0)
    total = np.concatenate([np.zeros((1, len(at))), np.cumsum(spend, axis=0)])
    share = (total[starts + test.periods] - total[starts]) / np.maximum(total[-1], 1e-300)
    off = np.abs(share * market.n_times / test.periods - 1).max(axis=1)
    return int(starts[len(off) - 1 - np.argmin(off[::-1])])
