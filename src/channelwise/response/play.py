"""Markets that go on: spend a quarter's money, see what comes back, plan the next one.

A `World` is a simulated market up to today and all it will ever hold: the same weeks of demand,
controls and noise await every plan, so that two strategies differ by their spend alone. For the
weeks t after the record and any spend x in them,

    outcome_t = m_t(x_1, …, x_t) + ε_t

with m the simulator's own expected outcome, `additive` or `people`, and ε drawn once. Where
nothing else is planned a channel gets its usual spend: an even rate, the mean of the record's last
year. Plans run for quarters of 13 weeks. A quarter also acts on weeks behind it, so that an account
of plans counts a `tail` of further weeks, in which every world spends as usual.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from channelwise.response import people
from channelwise.response.additive import contribution_of
from channelwise.response.market import MarketData
from channelwise.response.simulate import family_market, people_market

QUARTER, YEAR = 13, 52

Mean = Callable[[Float[np.ndarray, "scenario week channel"]], Float[np.ndarray, "scenario week"]]
"""The expected outcome, in currency, of every week after the record for the spend in them."""


@dataclass(frozen=True, eq=False)
class World:
    """A national market that can be played.

    Attributes:
      calendar: the record and all weeks after it, with what nobody plans: dates and controls.
      mean: expected outcome of the weeks after the record.
      noise: what chance adds to it, currency.
      spend: of the weeks after the record: what was played, then the usual.
      played: weeks played so far.
      tail: weeks at the end of the calendar that are counted, but not planned.
    """

    calendar: MarketData
    mean: Mean
    noise: Float[np.ndarray, " week"]
    spend: Float[np.ndarray, "week channel"]
    played: int
    tail: int

    @property
    def record(self) -> int:
        """Weeks that were there before the first plan."""
        return self.calendar.n_times - len(self.noise)

    @property
    def usual(self) -> Float[np.ndarray, " channel"]:
        """Currency a week of each channel as it was: the mean of the record's last year."""
        return self.calendar.spend[0, self.record - YEAR : self.record].mean(axis=0)

    @property
    def quarters_left(self) -> int:
        """Quarters that can still be planned."""
        return (len(self.noise) - self.tail - self.played) // QUARTER

    @property
    def market(self) -> MarketData:
        """What an analyst has today: the record and the quarters played."""
        spend, outcome = self.calendar.spend.copy(), self.calendar.outcome.copy()
        spend[0, self.record :] = self.spend
        outcome[0, self.record :] = self.mean(self.spend[None])[0] + self.noise
        whole = replace(self.calendar, spend=spend, exposure=spend, outcome=outcome)
        return whole.window(0, self.record + self.played)

    def play(self, plan: Float[np.ndarray, "period channel"]) -> "World":
        """The world after the next weeks, spent as planned.

        Args:
          plan: currency of each channel in each of them, at least 0; 13 weeks are a quarter.

        Raises:
          ValueError: if the plan is longer than the weeks left, or spends less than nothing.
        """
        return replace(self, spend=self._planned(plan[None])[0], played=self.played + len(plan))

    def expected(
        self, plans: Float[np.ndarray, "scenario period channel"]
    ) -> Float[np.ndarray, " scenario"]:
        """The expected outcome, in currency, from today until the tail behind each plan is over.

        After the plan spend is as usual, so that what is compared is the plan and its carry-out.
        """
        end = self.played + plans.shape[1] + self.tail
        return self.mean(self._planned(plans))[:, self.played : end].sum(axis=1)

    def outcome_by_quarter(self) -> Float[np.ndarray, " quarter_and_tail"]:
        """The expected outcome of every quarter played, then that of the tail behind the last.

        Raises:
          ValueError: if a quarter was broken off.
        """
        if self.played % QUARTER:
            raise ValueError(f"{self.played} weeks were played; quarters have {QUARTER}.")
        mean = self.mean(self.spend[None])[0]
        weeks = mean[: self.played].reshape(-1, QUARTER)
        return np.append(weeks.sum(axis=1), mean[self.played : self.played + self.tail].sum())

    def _planned(
        self, plans: Float[np.ndarray, "scenario period channel"]
    ) -> Float[np.ndarray, "scenario week channel"]:
        """The spend of all weeks after the record under each plan."""
        left = len(self.noise) - self.tail - self.played
        if plans.shape[1] > left:
            raise ValueError(f"The plan has {plans.shape[1]} weeks; this world has {left} left.")
        if not (plans >= 0).all():
            raise ValueError(
                f"The plan spends {plans.min():,.0f} somewhere; it must be at least 0."
            )
        spend = np.repeat(self.spend[None], len(plans), axis=0)
        spend[:, self.played : self.played + plans.shape[1]] = plans
        return spend


def family_world(
    seed: int,
    *,
    weeks: int = 156,
    quarters: int = 8,
    adstock: str = "geometric",
    saturation: str = "michaelis_menten",
    lags: int = 8,
    **options,
) -> World:
    """A market of the response model's own family that goes on; its tail is the longest lag.

    Args:
      seed: of everything random, the weeks to come included.
      weeks: of the record, at least 52.
      quarters: that can be played.
      adstock: form of the carry-over.
      saturation: form of the curves.
      lags: longest lag in weeks.
      options: more of `simulate.family_market`.

    Raises:
      ValueError: if the record is shorter than the year that says what is usual.
    """
    _check_record(weeks)
    forms = {"adstock": adstock, "saturation": saturation, "lags": lags}
    made = family_market(seed, weeks=weeks + quarters * QUARTER + lags, **forms, **options)
    market, truth = made.market, made.truth

    def mean(spend):
        past = np.repeat(market.spend[:, :weeks], len(spend), axis=0)
        path = np.concatenate([past, spend], axis=1)
        brought = contribution_of(path, market, truth.parameters, **forms)
        return (truth.baseline[0] + brought)[:, weeks:]

    return _world(made, mean, weeks, lags)


def people_world(
    seed: int,
    *,
    weeks: int = 156,
    quarters: int = 8,
    tail: int = YEAR,
    heads: float = 1e6,
    noise: float = 0.02,
    index_noise: float | None = 0.2,
) -> World:
    """A market of people that goes on; from the first plan on, search spend is planned as well.

    People stay aware and stay buyers for longer than any tail: by default a year of it is counted.

    Args:
      seed: of everything random, the weeks to come included.
      weeks: of the record, at least 52.
      quarters: that can be played.
      tail: weeks after the last plan that are counted.
      heads: people who might ever buy.
      noise: see `people.people_market`.
      index_noise: see `people.people_market`.

    Raises:
      ValueError: if the record is shorter than the year that says what is usual.
    """
    _check_record(weeks)
    total = weeks + quarters * QUARTER + tail
    options = {"people": heads, "noise": noise, "index_noise": index_noise}
    made = people_market(seed, weeks=total, before=0, **options)
    chance = people.draw_chance(np.random.default_rng(seed), people.HISTORY + total, heads)
    start = people.HISTORY + weeks
    state = people.run(np.ones((1, 4)), chance, heads).states[start, :, 0]
    future = people.Chance(*(x[start:] for x in chance))

    def mean(spend):
        others, search = np.moveaxis(spend[..., :3], 0, -1), spend[..., 3].T
        one = np.ones((len(spend), 4))
        return people.run(one, future, heads, search, planned=others, state=state).revenue.T

    return _world(made, mean, weeks, tail)


def _check_record(weeks: int) -> None:
    if weeks < YEAR:
        raise ValueError(f"A record of {weeks} weeks is too short; give at least {YEAR}.")


def _world(made, mean: Mean, weeks: int, tail: int) -> World:
    """The world at the end of its record; the noise is what the simulator added."""
    market = made.market
    expected = made.truth.expected(np.ones((1, market.n_channels)))[0, 0]
    noise = (market.outcome[0] - expected)[weeks:]
    usual = market.spend[0, weeks - YEAR : weeks].mean(axis=0)
    spend = np.repeat(usual[None], len(noise), axis=0)
    return World(market, mean, noise, spend, 0, tail)
