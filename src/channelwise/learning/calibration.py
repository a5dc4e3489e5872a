"""Can the probabilities be believed? Reliability, its error against chance, and a repair.

A forecast p of an event is *calibrated* if the event happens in a share p of the cases that got
it. With several classes, forecast "my first choice is right": give the largest probability and
whether it was right.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Shaped

from channelwise.foundations.losses import binary_cross_entropy, softmax_cross_entropy

Bins = Literal["width", "mass"]


class ReliabilityCurve(NamedTuple):
    """Forecast against frequency, one entry for each bin that is not empty.

    Attributes:
      forecast: mean forecast of the bin's rows, p̄_k.
      frequency: share of events among them, ȳ_k.
      low: lower end of the consistency band, see `reliability_curve`.
      high: its upper end.
      count: rows in the bin, n_k.
    """

    forecast: Float[np.ndarray, "bin"]
    frequency: Float[np.ndarray, "bin"]
    low: Float[np.ndarray, "bin"]
    high: Float[np.ndarray, "bin"]
    count: Int[np.ndarray, "bin"]


class BrierParts(NamedTuple):
    """The mean squared error of probabilities and what it is made of.

    score = reliability − resolution + uncertainty + within

    Attributes:
      score: Brier score, mean (p − y)²; 0 is perfect.
      reliability: Σ n_k/n (p̄_k − ȳ_k)²: what miscalibration costs.
      resolution: Σ n_k/n (ȳ_k − ȳ)²: what telling cases apart earns.
      uncertainty: ȳ (1 − ȳ): the score of always forecasting the base rate.
      within: what the bins hide, mean (p − p̄_k)² − 2 (p − p̄_k)(y − ȳ_k); 0 if every bin
        holds one value.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def reliability_curve(
    probabilities: Float[ArrayLike, "row"],
    labels: Shaped[ArrayLike, "..."],
    *,
    bins: int = 15,
    by: Bins = "width",
    level: float = 0.95,
) -> ReliabilityCurve:
    """How often events happened against how likely they were called, with a consistency band.

    The band says where a bin's frequency would lie with probability `level` *if the forecasts
    were calibrated*: a point inside it is no evidence of miscalibration. It holds bin by bin:
    of 20 bins of a perfect model about one leaves its 95 % band.

    Args:
      probabilities: p in [0, 1], one a row.
      labels: y, 0 or 1, one a row.
      bins: number of bins, ≥ 1.
      by: "width" for bins of equal width on [0, 1]; "mass" for bins of equally many rows.
      level: of the band, in (0, 1).

    Returns:
      The bins that hold rows, in the order of their forecasts.

    Raises:
      ValueError: for values outside their ranges or shapes that differ.

    Numerical note: the band is the central interval of Binomial(n_k, p̄_k) / n_k. The count of
    events is a Poisson-binomial variable, less spread than that (Hoeffding 1956), so the band is
    a little wide, never too narrow by more than the binomial's steps.

    Source: Bröcker and Smith 2007, §3.
    """
    from scipy.stats import binom

    p, y = _checked(probabilities, labels)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}.")
    bin_of, n = _binned(p, bins, by)
    forecast = np.bincount(bin_of, p) / n
    frequency = np.bincount(bin_of, y) / n
    tail = (1 - level) / 2
    low, high = (binom.ppf(q, n, np.minimum(forecast, 1)) / n for q in (tail, 1 - tail))
    return ReliabilityCurve(forecast, frequency, low, high, n)


def expected_calibration_error(
    probabilities: Float[ArrayLike, "row"],
    labels: Shaped[ArrayLike, "..."],
    *,
    bins: int = 15,
    by: Bins = "width",
) -> float:
    """Mean distance of frequency from forecast: ECE = Σ_k n_k/n |ȳ_k − p̄_k|.

    Biased upwards: a *perfect* model has an ECE of about Σ_k √(2 p̄_k (1 − p̄_k) n_k / π) / n.
    Compare it with `perfect_calibration_errors` before believing it.

    Args:
      probabilities: p in [0, 1], one a row.
      labels: y, 0 or 1, one a row.
      bins: number of bins, ≥ 1.
      by: bins of equal "width" or equal "mass".

    Returns:
      A share between 0 and 1.

    Raises:
      ValueError: for values outside their ranges or shapes that differ.

    Source: Naeini, Cooper, Hauskrecht 2015; Guo, Pleiss, Sun, Weinberger 2017, eq. 3.
    """
    p, y = _checked(probabilities, labels)
    bin_of, _ = _binned(p, bins, by)
    return float(np.abs(np.bincount(bin_of, y - p)).sum() / p.size)


def perfect_calibration_errors(
    probabilities: Float[ArrayLike, "row"],
    *,
    bins: int = 15,
    by: Bins = "width",
    draws: int = 200,
    seed: int = 0,
) -> Float[np.ndarray, "draw"]:
    """The ECEs that these very forecasts would get if they were perfectly calibrated.

    Draws labels y_i ~ Bernoulli(p_i) again and again. The share of draws at or above the observed
    ECE is the p-value of the hypothesis that the model is calibrated.

    Args:
      probabilities: p in [0, 1], one a row.
      bins: number of bins, ≥ 1.
      by: bins of equal "width" or equal "mass".
      draws: how many label sets to draw, ≥ 1.
      seed: of the draws.

    Returns:
      One ECE for each draw.

    Raises:
      ValueError: for values outside their ranges.

    Source: Bröcker and Smith 2007, consistency resampling; Vaicenavicius et al. 2019, §4.
    """
    p, _ = _checked(probabilities, np.zeros(np.shape(probabilities)))
    bin_of, _ = _binned(p, bins, by)
    # A stream of its own: forecasts drawn from the same seed must not meet themselves here.
    rng = np.random.default_rng((seed, 2007))
    gaps = [np.bincount(bin_of, (rng.random(p.size) < p) - p) for _ in range(draws)]
    return np.abs(gaps).sum(1) / p.size


def brier_parts(
    probabilities: Float[ArrayLike, "row"],
    labels: Shaped[ArrayLike, "..."],
    *,
    bins: int = 15,
    by: Bins = "width",
) -> BrierParts:
    """Splits the Brier score into reliability, resolution, uncertainty and what bins hide.

    Args:
      probabilities: p in [0, 1], one a row.
      labels: y, 0 or 1, one a row.
      bins: number of bins, ≥ 1.
      by: bins of equal "width" or equal "mass".

    Returns:
      The parts, which add up exactly.

    Raises:
      ValueError: for values outside their ranges or shapes that differ.

    Source: Murphy 1973; Stephenson, Coelho, Jolliffe 2008 for the within-bin part.
    """
    p, y = _checked(probabilities, labels)
    bin_of, n = _binned(p, bins, by)
    p_bar = (np.bincount(bin_of, p) / n)[bin_of]
    y_bar = (np.bincount(bin_of, y) / n)[bin_of]
    within = (p - p_bar) ** 2 - 2 * (p - p_bar) * (y - y_bar)
    return BrierParts(
        score=float(np.mean((p - y) ** 2)),
        reliability=float(np.mean((p_bar - y_bar) ** 2)),
        resolution=float(np.mean((y_bar - y.mean()) ** 2)),
        uncertainty=float(y.mean() * (1 - y.mean())),
        within=float(within.mean()),
    )


def fit_temperature(
    logits: Float[ArrayLike, "row *class"],
    labels: Shaped[ArrayLike, "..."],
    *,
    limit: float = 100.0,
) -> float:
    """The temperature T that makes softmax(z / T), or σ(z / T), most likely: one number, refitted.

    T = argmin Σ_i l(z_i / T, y_i) with l the cross-entropy; T > 1 tempers an overconfident model.
    It changes no ranking and no decision at ½. Fit it on rows that trained nothing, and judge it
    on rows that fitted nothing.

    Args:
      logits: z of shape (rows,) for two classes, or (rows, classes).
      labels: y, 0 or 1 or class numbers, one a row.
      limit: T is sought in [1/limit, limit], limit > 1. The ends are reached only if no finite
        temperature is best: rows that are all right (T → 0) or no better than chance (T → ∞).

    Returns:
      T > 0, without unit.

    Raises:
      ValueError: if a logit is infinite or NaN, shapes differ or there are no rows.

    Numerical note: the loss is convex in 1/T, so its slope changes sign at most once; ln T is
    found by bisection, to float32 rounding.

    Source: Guo, Pleiss, Sun, Weinberger 2017, §4.2.
    """
    z, y = jnp.asarray(logits), jnp.asarray(labels)
    if not np.isfinite(z).all():
        raise ValueError(
            f"Logits must be finite, got {z[~jnp.isfinite(z)][0]}: no temperature tempers "
            "certainty. Take them before the probabilities round to 0 or 1."
        )
    return float(jnp.exp(_best_log_temperature(z, y, jnp.asarray(np.log(limit), z.dtype))))


@jax.jit
def _best_log_temperature(z: Array, y: Array, end: Array) -> Array:
    """The zero of the loss's slope by ln T in [−end, end], or the end towards which it falls."""
    loss = softmax_cross_entropy if z.ndim > 1 else binary_cross_entropy
    slope = jax.grad(lambda log_T: loss(z / jnp.exp(log_T), y))

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        falls = slope(middle) < 0
        return jnp.where(falls, middle, low), jnp.where(falls, high, middle)

    return jax.lax.fori_loop(0, 40, halve, (-end, end))[1]


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels in float64, or a sentence that says what is wrong with them."""
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    if p.shape != y.shape or p.ndim != 1:
        raise ValueError(
            "Probabilities and labels must be two lists of one length: "
            f"got {p.shape} and {y.shape}."
        )
    if p.size == 0:
        raise ValueError("There are no rows to judge: got 0 probabilities.")
    if not ((p >= 0) & (p <= 1)).all():
        worst = p[~((p >= 0) & (p <= 1))][0]
        raise ValueError(f"Probabilities must lie in [0, 1], got {worst}. Logits? Use a sigmoid.")
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"Labels must be 0 or 1, got {y[~np.isin(y, (0, 1))][0]}.")
    return p, y


def _binned(p: np.ndarray, bins: int, by: Bins) -> tuple[np.ndarray, np.ndarray]:
    """The bin of each row, numbered without gaps in the order of p, and the rows in each bin."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}.")
    if by == "width":
        coarse = np.minimum((p * bins).astype(int), bins - 1)
    elif by == "mass":
        inner = np.quantile(p, np.arange(1, bins) / bins)
        coarse = np.searchsorted(inner, p, side="right")
    else:
        raise ValueError(f"Unknown bins by={by!r}: use 'width' or 'mass'.")
    _, bin_of, count = np.unique(coarse, return_inverse=True, return_counts=True)
    return bin_of, count
