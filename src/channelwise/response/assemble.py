"""Puts draws under their public names, with named dimensions."""

import numpy as np
from jaxtyping import Float

from channelwise.response.design import Problem
from channelwise.response.lift import LiftTest
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model
from channelwise.response.posterior import Posterior


def assemble(
    problem: Problem,
    market: MarketData,
    model: Model,
    *,
    named: dict[str, Float[np.ndarray, "chain draw _"]],
    beta: Float[np.ndarray, "chain draw medium"],
    sigma: Float[np.ndarray, "chain draw"],
    total: Float[np.ndarray, "chain draw medium"],
    coefficients: Float[np.ndarray, "chain draw column"],
    intercepts: Float[np.ndarray, "chain draw _"],
    factor: Float[np.ndarray, "chain draw geo _"],
    statistics: dict[str, np.ndarray],
    state: dict[str, np.ndarray],
    lift_tests: tuple[LiftTest, ...] = (),
) -> Posterior:
    """A posterior from draws in the model's units.

    Args:
        problem: what they were drawn for.
        market: its data.
        model: its specification.
        named: parameters of adstock, saturation, geos and noise, a column for each owner.
        beta: coefficients of the media.
        sigma: noise.
        total: contributions over all geos and periods, in units of the outcome.
        coefficients: of the baseline's columns.
        intercepts: of the geos, beside the common one; read with several geos only.
        factor: of each geo on each medium's coefficient; read with several geos only.
        statistics: of the sampler.
        state: where the sampler stood.
        lift_tests: what they were conditioned on beside the market.
    """
    media, layout = problem.media, problem.layout
    draws, dims = {}, {}
    coords = {"medium": media, "channel": market.channels, "column": problem.linear_names}
    for name, x in named.items():
        owners = layout.owners(name)
        if name in ("tau", "nu"):
            draws[name], dims[name] = x[..., 0], ()
        elif len(owners) == len(media):
            draws[name], dims[name] = x, ("medium",)
        else:
            draws[name], dims[name] = x, (f"{name}_medium",)
            coords[f"{name}_medium"] = tuple(media[m] for m in owners)
    draws |= {"beta": beta, "sigma": sigma, "contribution": total, "coefficient": coefficients}
    dims |= {"beta": ("medium",), "sigma": (), "contribution": ("medium",)}
    dims["coefficient"] = ("column",)
    spend = market.total_spend
    if (spend > 0).all():
        paid = total[..., : market.n_channels]
        draws["roi"], dims["roi"] = market.value * paid / spend, ("channel",)
    if layout.hierarchical:
        coords["geo"] = market.geos
        draws["geo_intercept"], dims["geo_intercept"] = intercepts, ("geo",)
        draws["geo_factor"], dims["geo_factor"] = factor, ("geo", "medium")
    units = {
        "outcome_scale": np.asarray(problem.outcome_scale),
        "media_scale": problem.media_scale,
    }
    return Posterior(draws, dims, coords, statistics, market, model, units | state, lift_tests)
