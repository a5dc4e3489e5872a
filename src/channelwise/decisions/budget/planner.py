"""The strategy of this library: fit, ask the gate, allocate within reach of today, and again.

Where the gate shuts on a fit, the next model of the list is tried; where it shuts on all of them,
today's plan stays: a model that may not be used moves no money.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.closed_loop import Strategy
from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.market_curves import shapes_of
from channelwise.response.effects import Effects, units_of
from channelwise.response.examine import examine
from channelwise.response.fit import fit
from channelwise.response.mmm import Model
from channelwise.response.play import QUARTER
from channelwise.response.posterior import Posterior

MODELS = (Model(saturation="hill", prior_on="roi"),)


def planner(
    models: Sequence[Model] = MODELS,
    *,
    change: float = 0.4,
    gated: bool = True,
    draws: int = 500,
    seed: int = 0,
) -> Strategy:
    """A strategy for `closed_loop.play_quarters`, which learns from every quarter it plays.

    Args:
      models: in the order in which they are tried.
      change: share by which a channel may move from today's spend in one quarter.
      gated: False to plan by the first model whatever the gate says.
      draws: of the posterior, for the plan.
      seed: of the fits.
    """
    last: dict[int, Posterior] = {}

    def strategy(market, today):
        for i, model in enumerate(models):
            last[i] = fit(market, model, seed=seed, start=last.get(i))
            if not gated or examine(last[i]).passed:
                return _planned(even_curves(last[i], QUARTER, draws), today, change)
        return today

    return strategy


def even_curves(posterior: Posterior, periods: int, draws: int) -> Curves:
    """The curves of a national market for spend that is even over so many periods.

    f(x) = periods · value · β sat(x / (periods · media scale)): long after the spend began, so that
    what comes in from before and what is carried out are the same. Carry-over must be normalized.
    """
    market, C = posterior.market, posterior.market.n_channels
    effects = Effects(posterior, draws=draws)
    (_, beta, _), (forms, unit, slope) = effects.parameters, shapes_of(effects)
    return Curves(
        channels=market.channels,
        forms=forms,
        amplitude=periods * market.value * beta[:, 0, :C].T[:, :, None],
        scale=periods * (units_of(posterior).media_scale[:C, None] * unit)[:, :, None],
        slope=slope,
        today=periods * market.spend[0, -periods:].mean(axis=0),
    )


def _planned(
    curves: Curves, today: Float[np.ndarray, " channel"], change: float
) -> Float[np.ndarray, " channel"]:
    """The best spend a week within reach of today's."""
    curves = replace(curves, today=QUARTER * today)
    plan = allocate(curves, Constraints(budget=float(curves.today.sum()), change=change))
    return plan.spend / QUARTER
