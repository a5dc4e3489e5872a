"""Fits a response model to a market: from data to a diagnosed posterior."""

import jax
import numpy as np

from channelwise.response.baseline import draw_baseline
from channelwise.response.design import Problem, Units, design
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model
from channelwise.response.posterior import Posterior
from channelwise.response.sampling import Adaptation, Samples, sample


def fit(
    market: MarketData,
    model: Model | None = None,
    *,
    chains: int = 8,
    draws: int = 500,
    seed: int = 0,
    start: Posterior | None = None,
    units: Units | None = None,
) -> Posterior:
    """The posterior of a response model.

    Args:
        market: the data, see `market.read_market`.
        model: the specification; by default `Model()`.
        chains: chains that move together, at least 4.
        draws: draws a chain to begin with; more are taken until R-hat ≤ 1.01.
        seed: of all random numbers; the same seed on the same machine gives the same draws.
        start: the posterior of an earlier fit of the same model (last week's, say), from which
            this one starts; it also lends its units, so that the parameters stay comparable.
        units: scales to keep, see `design.Units`.

    Returns:
        Draws of every parameter, of contributions and of ROI, with the sampler's statistics.
        `judge` says whether they may be used.

    Raises:
        ModelError: if the model does not fit the market.
    """
    model = Model() if model is None else model
    if start is not None and units is None:
        units = Units(float(start.state["outcome_scale"]), start.state["media_scale"])
    with jax.enable_x64(True):
        problem = design(market, model, units)
        samples = sample(
            problem, chains=chains, draws=draws, seed=seed, start=_adaptation(start, problem)
        )
    return _posterior(samples, problem, market, model, seed)


def _adaptation(start: Posterior | None, problem: Problem) -> Adaptation | None:
    """Where the earlier fit ended, if its coordinates mean the same."""
    if start is None or len(start.state["root"]) != problem.layout.dimension:
        return None
    return Adaptation(*(start.state[name] for name in Adaptation._fields))


def _posterior(
    samples: Samples, problem: Problem, market: MarketData, model: Model, seed: int
) -> Posterior:
    rng = np.random.default_rng([seed, 1])
    values, media = samples.values, problem.media
    coefficients, own = draw_baseline(values, problem, rng)
    draws, dims = {}, {}
    coords = {"medium": media, "channel": market.channels, "column": problem.linear_names}
    for name, x in values.named.items():
        owners = problem.layout.owners(name)
        if name in ("tau", "nu"):
            draws[name], dims[name] = x[..., 0], ()
        elif len(owners) == len(media):
            draws[name], dims[name] = x, ("medium",)
        else:
            draws[name], dims[name] = x, (f"{name}_medium",)
            coords[f"{name}_medium"] = tuple(media[m] for m in owners)
    draws |= {"beta": values.beta, "sigma": values.sigma, "contribution": values.total}
    dims |= {"beta": ("medium",), "sigma": (), "contribution": ("medium",)}
    spend = market.spend[:, market.before :].sum(axis=(0, 1))
    paid = values.total[..., : market.n_channels]
    if (spend > 0).all():
        draws["roi"], dims["roi"] = market.value * paid / spend, ("channel",)
    draws["coefficient"], dims["coefficient"] = coefficients, ("column",)
    if problem.layout.hierarchical:
        coords["geo"] = market.geos
        draws["geo_intercept"], dims["geo_intercept"] = own, ("geo",)
        draws["geo_factor"], dims["geo_factor"] = values.geo["factor"], ("geo", "medium")
    statistics = {
        "energy": samples.energy,
        "diverging": samples.diverging,
        "acceptance": samples.acceptance,
        "steps": samples.steps,
    }
    return Posterior(
        draws=draws,
        dims=dims,
        coords=coords,
        statistics=statistics,
        market=market,
        model=model,
        state={
            "outcome_scale": np.asarray(problem.outcome_scale),
            "media_scale": problem.media_scale,
            **{name: np.asarray(x) for name, x in samples.adaptation._asdict().items()},
        },
    )
