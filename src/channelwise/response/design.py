"""A market in a model's units: the arrays and the static layout that the log density reads.

`Layout` says what the compiled program looks like and is hashable; `Design` holds numbers only, so
that a new market of the same shape, or other numbers in the same priors, reuses the program.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.response.layout import (
    QUARTER,
    Layout,
    effect_priors,
    layout_of,
    own_prior,
)
from channelwise.response.lift import LiftTest
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model, ModelError
from channelwise.response.priors import Kernel, Prior, Warp, kernel, warp
from channelwise.response.trials import Trials, trials


class Design(NamedTuple):
    """A market's numbers in the model's units (all float64)."""

    lagged: Float[np.ndarray, "geo medium lag time"]  # exposure per head over its largest value
    y: Float[np.ndarray, "geo time"]  # outcome per head over its largest value
    seen: Float[np.ndarray, " time"]  # 1 in the market's periods, 0 in those that fill the shape
    times: float  # number of the market's periods
    columns: Float[np.ndarray, "geo time linear"]  # of the baseline
    mean: Float[np.ndarray, " linear"]  # prior means of the baseline's coefficients
    spread: Float[np.ndarray, " linear"]  # and their prior standard deviations
    offset: Float[np.ndarray, "geo time"]  # columns @ mean
    basis: Float[np.ndarray, "linear time"]  # eigenvectors of the baseline's covariance, one geo
    eigen: Float[np.ndarray, " linear"]  # and eigenvalues d
    axes: Float[np.ndarray, "linear linear"]  # Q of columns · spread = U √d Q′
    gram: Float[np.ndarray, "linear linear"]  # Σ columns' columns, scaled by the spreads
    totals: Float[np.ndarray, "geo linear"]  # Σ_t columns, scaled by the spreads
    head: Float[np.ndarray, " geo"]  # outcome units per model unit: heads × largest outcome
    per: Float[np.ndarray, " medium"]  # prior quantity per outcome unit: 1/spend (ROI), 1/Σ outcome
    warp: Warp  # of the interval, positive and effect coordinates, in this order
    interval_prior: Kernel
    positive_prior: Kernel
    effect_prior: Kernel
    effect_scale: Float[np.ndarray, " medium"]  # a typical size of the effect's prior
    sigma_prior: Kernel
    sigma_guess: float
    linear_pull: Float[np.ndarray, " all"]  # Student-t: prior means over prior variances
    linear_root: Float[np.ndarray, "all all"]  # and a root of the covariance under normal errors
    trials: Trials | None = None  # lift tests


class Problem(NamedTuple):
    """A design, its layout, and the units it was made with."""

    design: Design
    layout: Layout
    outcome_scale: float  # outcome per head at the value 1
    media_scale: Float[np.ndarray, " medium"]  # exposure per head at the value 1
    media: tuple[str, ...]
    linear_names: tuple[str, ...]


class Units(NamedTuple):
    """The units of an earlier fit, to keep when a market grows or a part of it is held out."""

    outcome_scale: float
    media_scale: Float[np.ndarray, " medium"]


def design(
    market: MarketData,
    model: Model,
    units: Units | None = None,
    seen: int | None = None,
    lift_tests: Sequence[LiftTest] = (),
) -> Problem:
    """Puts a market into a model's units.

    Args:
        market: the data; at least 8 periods with an outcome.
        model: the specification.
        units: scales of an earlier fit; by default the largest outcome and exposure a head.
        seen: how many periods with an outcome an earlier fit saw, where the market goes on after
            them: trend, controls and heads then keep the meaning they had in that fit. By default
            all.
        lift_tests: experiments to condition on.

    Raises:
        ModelError: if the model names a medium the market lacks, a prior has the wrong support, or
            there are too few periods.
        LiftError: if a lift test does not fit the market.
    """
    media = (*market.channels, *market.organic_names)
    if market.n_observed < 8:
        raise ModelError(
            f"{market.n_observed} periods with an outcome are too few; give 8 or more."
        )
    seen = market.n_observed if seen is None else seen
    heads = _heads(market, seen)
    exposure = np.concatenate([market.exposure, market.organic], axis=2) / heads[:, None, None]
    outcome = market.outcome[:, market.before :] / heads[:, None]
    if units is None:
        largest = exposure.max(axis=(0, 1))
        units = Units(float(np.abs(outcome).max()) or 1.0, np.where(largest > 0, largest, 1.0))
    columns, names, priors = _baseline(market, model, seen)
    _check_names(model, media, names)
    layout = layout_of(market, model, media, len(names))
    experiments = trials(lift_tests, market, heads, *units, model.lags)
    if experiments is not None:
        layout = replace(layout, trials=experiments.shape)
    y = outcome / units.outcome_scale
    mean = np.array([prior.a for prior in priors])
    spread = np.array([prior.b for prior in priors])
    scaled = (columns * spread).reshape(-1, len(names))
    gram = scaled.T @ scaled
    eigen, vectors = np.linalg.eigh(gram)
    eigen = np.maximum(eigen, 1e-300)
    basis = (scaled @ vectors / np.sqrt(eigen)).T if not layout.hierarchical else np.zeros((0, 0))
    effect = effect_priors(model, market)
    inside, above = (
        [own_prior(model, s, media) for s in t] for t in (layout.interval, layout.positive)
    )
    pull, root, sigma = _linear(columns, y, mean, spread, layout)
    numbers = Design(
        lagged=_lagged(exposure / units.media_scale, model.lags, market.before),
        y=y,
        seen=np.ones(market.n_observed),
        times=float(market.n_observed),
        columns=columns,
        mean=mean,
        spread=spread,
        offset=columns @ mean,
        basis=basis,
        eigen=eigen,
        axes=vectors,
        gram=gram,
        totals=(columns * spread).sum(axis=1),
        head=heads * units.outcome_scale,
        per=_per(market, model),
        warp=_warps(inside + above, effect),
        interval_prior=kernel(inside),
        positive_prior=kernel(above),
        effect_prior=kernel(effect),
        effect_scale=np.array([prior.scale for prior in effect]),
        sigma_prior=kernel([model.prior("sigma")]),
        sigma_guess=sigma,
        linear_pull=pull,
        linear_root=root,
        trials=experiments,
    )
    return Problem(_filled(numbers), layout, units.outcome_scale, units.media_scale, media, names)


def _filled(numbers: Design) -> Design:
    """Zeros up to a whole number of quarters: next week's market then has this week's shape.

    No medium responds to nothing, so these periods add nothing to any sum over time.
    """
    more = -len(numbers.seen) % QUARTER
    pad = lambda x: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, more)])  # noqa: E731
    last = ("lagged", "y", "seen", "offset", "basis")
    filled = {name: pad(getattr(numbers, name)) for name in last}
    columns = pad(numbers.columns.swapaxes(1, 2)).swapaxes(1, 2)
    return numbers._replace(**filled, columns=columns)


def _check_names(model: Model, media: tuple[str, ...], columns: tuple[str, ...]) -> None:
    """Mappings name media, or columns of the baseline, that the market has."""
    linear = ("intercept", "trend", "seasonality", "control", "event")
    given = {"adstock": model.adstock, "saturation": model.saturation, **model.priors}
    for name, what in given.items():
        there = columns if name in linear else media
        unknown = set() if isinstance(what, str | Prior) else set(what) - set(there)
        if unknown:
            kind = "column of the baseline" if name in linear else "medium"
            raise ModelError(
                f"The market has no {kind} called {sorted(unknown)[0]!r}, which {name} names; "
                f"it has {', '.join(there)}."
            )
    if model.prior("sigma").support != "positive":
        raise ModelError("The prior of sigma must live on positive numbers.")


def _heads(market: MarketData, seen: int) -> np.ndarray:
    """People of each geo; where unknown, its share of the outcome, so that geos are comparable."""
    if market.n_geos == 1:
        return np.ones(1)
    if market.population is not None:
        return market.population
    mean = np.abs(market.outcome[:, market.before : market.before + seen]).mean(axis=1)
    return np.where(mean > 0, mean, mean.max()) / mean.max()


def _lagged(media: np.ndarray, lags: int, before: int) -> np.ndarray:
    """Exposure shifted by 0 … L periods, (geo, medium, lag, time); before the record it is 0."""
    times = media.shape[1]
    padded = np.pad(media, ((0, 0), (lags, 0), (0, 0))).swapaxes(1, 2)
    shifted = [padded[..., lags - lag + before : lags - lag + times] for lag in range(lags + 1)]
    return np.stack(shifted, axis=2)


def _baseline(
    market: MarketData, model: Model, seen: int
) -> tuple[np.ndarray, tuple[str, ...], list[Prior]]:
    """Columns of the baseline (geo, time, column), their names and priors."""
    start, shape = market.before, (market.n_geos, market.n_observed)
    time = np.arange(shape[1]) / (seen - 1) - 0.5  # from −½ to ½ over the periods seen
    parts: list[tuple[str, str, np.ndarray]] = [("intercept", "intercept", np.ones(shape[1]))]
    if model.trend != "none":
        parts.append(("trend", "trend", time))
    for k in range(model.knots):
        knot = (k + 1) / (model.knots + 1) - 0.5
        parts.append(("trend", f"trend_{k + 1}", np.maximum(time - knot, 0.0)))
    angle = 2 * np.pi * _year(market.dates[start:])
    for k in range(1, model.seasonality + 1):
        parts.append(("seasonality", f"sin_{k}", np.sin(k * angle)))
        parts.append(("seasonality", f"cos_{k}", np.cos(k * angle)))
    for i, name in enumerate(market.control_names):
        parts.append(("control", name, standardized(market.controls[:, start:, i], seen)))
    for i, name in enumerate(market.event_names):
        parts.append(("event", name, market.events[:, start:, i]))
    columns = np.stack([np.broadcast_to(column, shape) for _, _, column in parts], axis=2)
    priors = [model.prior(kind, name) for kind, name, _ in parts]
    for (_, name, _), prior in zip(parts, priors, strict=True):
        if prior.family != "normal":
            raise ModelError(f"The prior of {name} must be normal, not {prior.label}.")
    return columns, tuple(name for _, name, _ in parts), priors


def _year(dates: np.ndarray) -> np.ndarray:
    """Dates in years of 365.25 days."""
    return dates.astype("datetime64[D]").astype(float) / 365.25


def standardized(x: Float[np.ndarray, "geo time"], seen: int) -> Float[np.ndarray, "geo time"]:
    """A control with mean 0 and standard deviation 1 over all geos and the periods seen."""
    spread = x[:, :seen].std()
    return (x - x[:, :seen].mean()) / (spread if spread > 0 else 1.0)


def _warps(priors: list[Prior], effect: list[Prior]) -> Warp:
    """All warps; those of the effects in units of each prior's typical size."""
    of_effect = warp(effect)
    of_effect = of_effect._replace(scale=of_effect.scale / np.array([p.scale for p in effect]))
    return Warp(*map(np.concatenate, zip(warp(priors), of_effect, strict=True)))


def _per(market: MarketData, model: Model) -> np.ndarray:
    """What one unit of the outcome is worth in the quantity the effect's prior is about."""
    spend = market.total_spend
    if model.prior_on in ("roi", "marginal_roi") and not (spend > 0).all():
        missing = market.channels[int(np.argmin(spend))]
        raise ModelError(f"{missing} has no spend, so it has no ROI; leave the channel out.")
    paid = {
        "coefficient": np.ones_like(spend),
        "roi": market.value / np.where(spend > 0, spend, 1.0),
        "marginal_roi": market.value / np.where(spend > 0, spend, 1.0),
        "contribution": np.full_like(spend, 1 / market.outcome[:, market.before :].sum()),
    }[model.prior_on]
    return np.concatenate([paid, np.ones(len(market.organic_names))])


def _linear(columns, y, mean, spread, layout) -> tuple[np.ndarray, np.ndarray, float]:
    """Ridge fit of the baseline (and geo intercepts) alone: V⁻¹m, a root covariance, the noise."""
    geos, times, _ = columns.shape
    flat = columns.reshape(geos * times, -1)
    if layout.hierarchical:
        flat = np.concatenate([flat, np.repeat(np.eye(geos), times, axis=0)], axis=1)
        spread = np.concatenate([spread, np.ones(geos)])
        mean = np.concatenate([mean, np.zeros(geos)])
    target = y.reshape(-1) - flat @ mean
    shift = np.linalg.solve(flat.T @ flat + np.diag(1e-2 / spread**2), flat.T @ target)
    sigma = max(float(np.std(target - flat @ shift)), 1e-9)
    root = np.linalg.inv(np.linalg.cholesky(flat.T @ flat / sigma**2 + np.diag(spread**-2.0))).T
    return mean / spread**2, root, sigma
