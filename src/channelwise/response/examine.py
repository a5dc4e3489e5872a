"""Puts a fresh posterior through the gate: everything `gate.judge` asks for, computed."""

from channelwise.response.effects import Effects, units_of
from channelwise.response.evidence import contraction, predictive_p
from channelwise.response.gate import Gate, judge
from channelwise.response.posterior import Posterior
from channelwise.response.prior import prior_draws


def examine(posterior: Posterior, seed: int = 0) -> Gate:
    """May this posterior be used? Convergence, fit, baseline, and what the data added.

    Args:
        posterior: of `fit`.
        seed: of the draws from the prior and of the replicated noise.

    Returns:
        The gate; `gate.require()` stops where it failed.
    """
    effects = Effects(posterior, draws=500)
    units = units_of(posterior)
    before = prior_draws(posterior.market, posterior.model, seed=seed, units=units)
    paid = slice(0, posterior.market.n_channels)
    return judge(
        posterior,
        contraction=contraction(
            posterior.flat("contribution")[:, paid], before.flat("contribution")[:, paid]
        ),
        baseline=effects.baseline(),
        predictive=predictive_p(effects.residuals(), effects.noise(seed)),
    )
