"""Fits a response model to a market: from data to a diagnosed posterior."""

from collections.abc import Sequence

import jax
import numpy as np

from channelwise.response.assemble import assemble
from channelwise.response.baseline import draw_baseline
from channelwise.response.design import Problem, Units, design
from channelwise.response.diagnostics import RHAT_LIMIT
from channelwise.response.effects import units_of
from channelwise.response.lift import LiftTest
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model, ModelError
from channelwise.response.nuts import sample_carefully
from channelwise.response.posterior import Posterior
from channelwise.response.sampling import ACCEPTANCES, Adaptation, Samples, sample, sample_many


def fit(
    market: MarketData,
    model: Model | None = None,
    *,
    chains: int = 8,
    draws: int = 500,
    seed: int = 0,
    start: Posterior | None = None,
    units: Units | None = None,
    careful: bool | None = None,
    lift_tests: Sequence[LiftTest] | None = None,
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
        careful: True to use NUTS in any case, False never to; by default NUTS tries where the fast
            sampler's chains do not agree, and the draws that agree better are kept.
        lift_tests: experiments that the posterior takes in beside the market, see
            `lift.LiftTest`; by default those of `start`.

    Returns:
        Draws of every parameter, of contributions and of ROI, with the sampler's statistics.
        `judge` says whether they may be used.

    Raises:
        ModelError: if the model does not fit the market.
        LiftError: if a lift test does not fit it.
    """
    model = Model() if model is None else model
    if start is not None and units is None:
        units = units_of(start)
    if lift_tests is None:
        lift_tests = start.lift_tests if start is not None else ()
    with jax.enable_x64(True):
        problem = design(market, model, units, lift_tests=lift_tests)
        samples = _drawn(problem, chains, draws, seed, _adaptation(start, problem), careful)
    return _posterior(samples, problem, market, model, seed, tuple(lift_tests))


def fit_many(
    markets: list[MarketData],
    model: Model | None = None,
    *,
    chains: int = 8,
    draws: int = 500,
    seed: int = 0,
) -> list[Posterior]:
    """The posteriors of many markets of one shape (brands, say), drawn side by side.

    One compiled program moves all chains of all markets: what an accelerator is for. A market whose
    chains did not agree, or diverged, is fitted again on its own.

    Args:
        markets: with the same numbers of geos, quarters of periods and columns of each kind.
        model: one specification for all.
        chains: of each market.
        draws: a chain, to begin with.
        seed: of all random numbers.

    Raises:
        ModelError: if the markets differ in shape, or the model does not fit one of them.
    """
    model = Model() if model is None else model
    with jax.enable_x64(True):
        problems = [design(market, model) for market in markets]
        different = [i for i, p in enumerate(problems) if p.layout != problems[0].layout]
        if different:
            raise ModelError(
                f"Market {different[0]} differs in shape from market 0; fit it on its own."
            )
        many = sample_many(problems, chains=chains, draws=draws, seed=seed)
    fitted = []
    for i, (samples, problem) in enumerate(zip(many, problems, strict=True)):
        if samples.diverging.any() or _disagreement(samples) > RHAT_LIMIT:
            fitted.append(fit(markets[i], model, chains=chains, draws=draws, seed=seed + i))
        else:
            fitted.append(_posterior(samples, problem, markets[i], model, seed + i))
    return fitted


def _drawn(
    problem: Problem,
    chains: int,
    draws: int,
    seed: int,
    start: Adaptation | None,
    careful: bool | None,
) -> Samples:
    """The fast sampler, with smaller steps where it diverged; NUTS where its chains disagree."""
    if careful:
        return sample_carefully(problem, draws=-(-chains * draws // 4), seed=seed)
    for acceptance in ACCEPTANCES:
        samples = sample(
            problem, chains=chains, draws=draws, seed=seed, start=start, acceptance=acceptance
        )
        if not samples.diverging.any():
            break
        start = samples.adaptation
    if careful is None and _disagreement(samples) > RHAT_LIMIT:
        slow = sample_carefully(problem, draws=-(-chains * draws // 4), seed=seed)
        return min(samples, slow, key=_disagreement)
    return samples


def _disagreement(samples: Samples) -> float:
    """The largest R-hat of any coordinate; infinite where one is unknown."""
    return float(np.nan_to_num(samples.rhat, nan=np.inf))


def _adaptation(start: Posterior | None, problem: Problem) -> Adaptation | None:
    """Where the earlier fit ended, if its coordinates mean the same."""
    if start is None or len(start.state["root"]) != problem.layout.dimension:
        return None
    state = start.state
    return Adaptation(state["position"], state["root"], float(state["log_step"]))


def _posterior(
    samples: Samples,
    problem: Problem,
    market: MarketData,
    model: Model,
    seed: int,
    lift_tests: tuple[LiftTest, ...] = (),
) -> Posterior:
    values = samples.values
    coefficients, intercepts = draw_baseline(values, problem, np.random.default_rng([seed, 1]))
    statistics = ("energy", "diverging", "acceptance", "steps")
    return assemble(
        problem,
        market,
        model,
        named=values.named,
        beta=values.beta,
        sigma=values.sigma,
        total=values.total,
        coefficients=coefficients,
        intercepts=intercepts,
        factor=values.geo.get("factor", np.ones((*values.sigma.shape, 1, 1))),
        statistics={name: getattr(samples, name) for name in statistics},
        state={name: np.asarray(x) for name, x in samples.adaptation._asdict().items()},
        lift_tests=lift_tests,
    )
