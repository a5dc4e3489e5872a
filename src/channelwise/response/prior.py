"""Draws from the prior: what the model believes of a market before its outcome is seen."""

import numpy as np
from jaxtyping import Float

from channelwise.response.assemble import assemble
from channelwise.response.design import Problem, Units, design
from channelwise.response.effects import per_draw
from channelwise.response.layout import effect_priors, own_prior
from channelwise.response.market import MarketData
from channelwise.response.media import media_gain, media_response
from channelwise.response.mmm import Model
from channelwise.response.posterior import Posterior


def prior_draws(
    market: MarketData,
    model: Model,
    draws: int = 1000,
    seed: int = 0,
    units: Units | None = None,
) -> Posterior:
    """Draws from the prior, in the form of a posterior of one chain.

    The effects are drawn as what their prior is about (ROI, say) and then turned into coefficients
    by the market's own media; the outcome gives nothing but its scale.

    Args:
        market: the media; of the outcome only the largest value is used.
        model: the specification.
        draws: how many.
        seed: of the random numbers.
        units: scales to keep, see `design.Units`.

    Returns:
        A `Posterior` without statistics; `Effects` turns it into prior predictive contributions,
        curves and outcomes.
    """
    problem, rng = design(market, model, units), np.random.default_rng([seed, 2])
    layout, data = problem.layout, problem.design
    drawn = lambda priors: np.stack([p.sample(rng, (draws,)) for p in priors], axis=1)  # noqa: E731
    named = {
        name: drawn([own_prior(model, (name, m), problem.media) for m in layout.owners(name)])
        for name in layout.names
    }
    factor = np.ones((draws, 1, layout.media))
    if layout.hierarchical:
        z = rng.standard_normal((draws, layout.geos, layout.media))
        factor = np.exp(named["eta"][:, None, :] * z)
    reach = np.einsum("sgmt,sgm,g->sm", per_draw(media_response, named, problem), factor, data.head)
    beta = drawn(effect_priors(model, market)) / _quantity_per_beta(reach, named, factor, problem)
    coefficients = data.mean + data.spread * rng.standard_normal((draws, layout.linear))
    tau = named.get("tau", np.zeros((draws, 1)))
    parts = {
        "beta": beta,
        "sigma": model.prior("sigma").sample(rng, (draws,)),
        "total": beta * reach,
        "coefficients": coefficients,
        "intercepts": tau * rng.standard_normal((draws, layout.geos)),
        "factor": factor,
    }
    one_chain = {name: x[None] for name, x in parts.items()}
    one_chain["named"] = {name: x[None] for name, x in named.items()}
    return assemble(problem, market, model, **one_chain, statistics={}, state={})


def _quantity_per_beta(
    reach: np.ndarray, named: dict, factor: np.ndarray, problem: Problem
) -> Float[np.ndarray, "draw medium"]:
    """What the prior of the effect is about, at β = 1; see `density`."""
    data, layout = problem.design, problem.layout
    if layout.prior_on == "coefficient":
        return np.ones_like(reach)
    if layout.prior_on == "marginal_roi":
        gain = per_draw(media_gain, named, problem)
        reach = np.einsum("sgmt,sgm,g->sm", gain, factor, data.head)
    paid = np.arange(layout.media) < layout.channels
    return np.where(paid, reach * data.per, 1.0)
