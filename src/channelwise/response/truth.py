"""A simulated market and what is known of it: what each channel really did."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from channelwise.response.market import MarketData

Expected = Callable[[Float[np.ndarray, "scenario channel"]], Float[np.ndarray, "scenario geo time"]]
"""Expected outcome of each scenario, a scenario being a factor on every channel's spend."""

_STEP = 1e-4


@dataclass(frozen=True, eq=False)
class Truth:
    """What each channel did to the outcome, by comparing worlds that differ in its spend alone.

    A world is a factor m_c on the spend of each channel in every period there ever was; the rest,
    chance included, stays. With Y(m) the expected outcome summed over geos and observed periods,

        contribution_c = Y(1) − Y(m_c = 0)
        ROI_c          = value · contribution_c / spend_c
        marginal ROI_c = value · ∂Y/∂m_c at m = 1 / spend_c

    Where channels work together, as in `people_market`, contributions and baseline need not add
    up to the outcome.

    Attributes:
      expected: Y by geo and period for any factors: response curves and plans can be checked.
      contribution: over the observed periods, in units of the outcome.
      roi: currency back per currency spent in the observed periods; NaN without spend.
      marginal_roi: of the last unit of currency, NaN without spend.
      contribution_over_time: by geo and observed period.
      baseline: expected outcome without any paid channel.
      parameters: what the market was made with, by name.
    """

    expected: Expected
    contribution: Float[np.ndarray, " channel"]
    roi: Float[np.ndarray, " channel"]
    marginal_roi: Float[np.ndarray, " channel"]
    contribution_over_time: Float[np.ndarray, "geo time channel"]
    baseline: Float[np.ndarray, "geo time"]
    parameters: Mapping[str, np.ndarray]

    def response_curve(
        self, factors: Float[np.ndarray, " factor"]
    ) -> Float[np.ndarray, "factor channel"]:
        """What each channel contributes at a factor on its spend, the others at theirs of today.

        Y(m_c = factor) − Y(m_c = 0), in units of the outcome.
        """
        every = [one_changed(len(self.roi), c, factors) for c in range(len(self.roi))]
        totals = self.expected(np.concatenate(every)).sum(axis=(1, 2))
        full = self.expected(np.ones((1, len(self.roi)))).sum()
        return totals.reshape(len(self.roi), -1).T - (full - self.contribution)


@dataclass(frozen=True, eq=False)
class SimulatedMarket:
    """Data as an analyst would get them, and the truth behind them."""

    market: MarketData
    truth: Truth


def one_changed(
    channels: int, channel: int, factors: Float[np.ndarray, " factor"]
) -> Float[np.ndarray, "factor channel"]:
    """Scenarios in which one channel's spend is multiplied and the others' stays."""
    scenarios = np.ones((len(factors), channels))
    scenarios[:, channel] = factors
    return scenarios


def truth_of(expected: Expected, market: MarketData, parameters: Mapping[str, np.ndarray]) -> Truth:
    """The truth that follows from the expected outcome of every scenario.

    Args:
      expected: returns the observed periods alone.
      market: for its spend and its value per unit of the outcome.
      parameters: kept as they are.

    Returns:
      All comparisons, from 2 + 3 · channels scenarios.

    Numerical note: contributions are exact differences; marginal ROI is a central difference with
    a step of 1e-4, whose error is of the order of 1e-8 of the ROI.
    """
    C = market.n_channels
    factors = np.array([0.0, 1 - _STEP, 1 + _STEP])
    each = [one_changed(C, c, factors) for c in range(C)]
    worlds = expected(np.concatenate([np.ones((1, C)), np.zeros((1, C)), *each]))
    without, less, more = np.moveaxis(worlds[2:].reshape(C, 3, *worlds.shape[1:]), 1, 0)
    over_time = np.moveaxis(worlds[0] - without, 0, -1)
    contribution = over_time.sum(axis=(0, 1))
    slope = (more - less).sum(axis=(1, 2)) / (2 * _STEP)
    spend = market.total_spend
    per = market.value / np.where(spend > 0, spend, np.nan)
    return Truth(
        expected=expected,
        contribution=contribution,
        roi=contribution * per,
        marginal_roi=slope * per,
        contribution_over_time=over_time,
        baseline=worlds[1],
        parameters=parameters,
    )
