"""Plan, play, look again: what a strategy earns over some quarters, beside one who knows the truth.

    regret = Σ_t m_t(oracle's spend) − Σ_t m_t(strategy's spend)          currency

over the weeks of the quarters played and of the tail behind them, m the expected outcome of
`response.play`: what was lost by planning as one did, with the luck of the draw left out. Every
strategy has the same money in every quarter, the sum of the usual spend, and spreads it evenly over
the weeks, as the oracle does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from channelwise.response.market import MarketData
from channelwise.response.oracle import best_plan, best_within, spread
from channelwise.response.play import World

_CENT = 1e-6  # of the budget: rounding that is no overspending

Strategy = Callable[[MarketData, Float[np.ndarray, " channel"]], Float[np.ndarray, " channel"]]
"""From the market so far, and today's spend a week, to the next quarter's spend a week."""


@dataclass(frozen=True, eq=False)
class Played:
    """What a strategy spent, and what could be expected of it.

    Attributes:
      spend: currency a week, of every quarter.
      expected: outcome in currency of every quarter, and last that of the tail behind them.
      budget: currency of all quarters together; what is not spent of it is not counted as earned.
    """

    spend: Float[np.ndarray, "quarter channel"]
    expected: Float[np.ndarray, " quarter_and_tail"]
    budget: float

    def regret(self, oracle: "Played") -> Float[np.ndarray, " quarter_and_tail"]:
        """Currency lost against the oracle, quarter by quarter and in the tail."""
        return oracle.expected - self.expected


def play_quarters(world: World, strategy: Strategy, quarters: int = 8) -> Played:
    """Let a strategy plan quarter after quarter, each time knowing all that came before.

    Args:
      world: at the end of its record.
      strategy: in the first quarter its "today" is the usual spend, then its own last plan.
      quarters: to play.

    Raises:
      ValueError: if a plan spends more than the budget.
    """
    budget, today, spent = world.usual.sum(), world.usual, []
    for quarter in range(quarters):
        today = np.asarray(strategy(world.market, today), np.float64)
        if today.sum() > budget * (1 + _CENT):
            raise ValueError(
                f"The plan of quarter {quarter + 1} spends {today.sum():,.2f} a week; the budget "
                f"is {budget:,.2f}."
            )
        world = world.play(spread(today[None]))
        spent.append(today)
    money = float(quarters * len(spread(today[None])) * budget)
    return Played(np.array(spent), world.outcome_by_quarter(), money)


def play_oracle(world: World, quarters: int = 8) -> Played:
    """The best plan of all quarters at once, free of bounds, by one who knows the truth."""
    plan = iter(best_plan(world, quarters))
    return play_quarters(world, lambda market, today: next(plan), quarters)


def as_it_is(market: MarketData, today: Float[np.ndarray, " channel"]) -> np.ndarray:
    """The strategy that changes nothing."""
    return today


def knows_the_truth(world: World, change: float) -> Strategy:
    """The best strategy under a bound on the change of a quarter: it sees the world itself.

    Args:
      world: the one that will be played.
      change: share by which a channel's spend may differ from the quarter before.
    """

    def strategy(market, today):
        nonlocal world
        plan = best_within(world, today, change)
        world = world.play(spread(plan[None])) if world.quarters_left else world
        return plan

    return strategy
