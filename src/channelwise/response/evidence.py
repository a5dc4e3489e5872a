"""What did the data say, and could this model have made them? Contraction and predictive checks."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special


class PredictiveP(NamedTuple):
    """Probability that replicated noise is at least as extreme as the residuals, by statistic.

    Near 0 the residuals have more of it than the model can make, near 1 less.

    Attributes:
      autocorrelation: of neighbouring periods.
      outliers: largest absolute value.
    """

    autocorrelation: float
    outliers: float


def contraction(
    posterior: Float[np.ndarray, "draw *dims"],
    prior: Float[np.ndarray, "sample *dims"],
    *,
    robust: bool = True,
) -> Float[np.ndarray, "*dims"]:
    """How much the data narrowed what was believed: 1 − (posterior width / prior width)².

    If both are normal it is the data's share of the posterior's precision: at 0.5 the prior and
    the data say equally much, at 0 the data say nothing; below 0 the posterior is the wider one.

    Args:
      posterior: draws, all chains in one row.
      prior: draws of the same scalars from the prior.
      robust: width is the interquartile range, on the scale on which the prior is standard normal
        (Φ⁻¹ of the share of the prior's draws below); otherwise the standard deviation of the
        draws as they are, the textbook form.

    Returns:
      One value for each scalar, at most 1; NaN where the prior has no width, or draws are NaN.

    Numerical note: of two log-normals, an ROI of 35 ± 3 is wider than one of 1.2 ± 1.5, and yet
    all that is known of it came from the data. The robust form is the same for the ROI and for its
    logarithm, and exists for tails without a variance. Beyond the prior's draws it is 1.

    Source: Betancourt 2018, "Calibrating model-based inferences and decisions", §1.2; Schad,
    Betancourt, Vasishth 2021.
    """
    if robust:
        posterior, prior = _normal_scores(posterior, prior), _normal_scores(prior, prior)
    width = _interquartile_range if robust else lambda x: x.std(0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = width(posterior) / width(prior)
    return np.asarray(np.where(np.isfinite(ratio), 1 - ratio**2, np.nan))


def rank_correlation(
    draws: Float[np.ndarray, "draw parameter"],
) -> Float[np.ndarray, "parameter parameter"]:
    """Spearman's correlation of every two scalars: Pearson's of their ranks, ties sharing theirs.

    Two channels at −0.9 cannot be told apart by these data: only their sum is known.

    Args:
      draws: all chains in one row, one column for each scalar.

    Returns:
      A symmetric matrix in [−1, 1] with ones on its diagonal; NaN for a scalar that never moves.

    Source: Spearman 1904.
    """
    centred = np.stack([_ranks(x) for x in draws.T]) - (len(draws) - 1) / 2
    norm = np.sqrt(np.square(centred).sum(1))
    unit = np.divide(
        centred, norm[:, None], out=np.full_like(centred, np.nan), where=norm[:, None] > 0
    )
    return np.clip(unit @ unit.T, -1, 1)


def predictive_p(
    residuals: Float[np.ndarray, "draw geo time"], replicated: Float[np.ndarray, "draw geo time"]
) -> PredictiveP:
    """Posterior predictive p-values: P(T(replicated) > T(residuals)) + ½ P(they are equal).

    T is Σ r_t r_{t−1} / Σ r_t² over all geos, and then max |r_t|. A trend that was missed shows in
    the first, an event without a dummy in the second.

    Args:
      residuals: (y − μ) / σ of each draw of μ and σ.
      replicated: noise drawn from the model of each draw, in the same unit.

    Returns:
      One p-value for each statistic.

    Numerical note: conservative, since the parameters were fitted to the same outcome: under a
    right model the values gather around ½.

    Source: Gelman, Meng, Stern 1996; Meng 1994.
    """
    return PredictiveP(*(_exceedance(T(replicated), T(residuals)) for T in (_lag_one, _largest)))


def _exceedance(replicated: np.ndarray, observed: np.ndarray) -> float:
    return float(np.mean(replicated > observed) + np.mean(replicated == observed) / 2)


def _lag_one(r: Float[np.ndarray, "draw geo time"]) -> Float[np.ndarray, " draw"]:
    return (r[..., 1:] * r[..., :-1]).sum((1, 2)) / np.square(r).sum((1, 2))


def _largest(r: Float[np.ndarray, "draw geo time"]) -> Float[np.ndarray, " draw"]:
    return np.abs(r).max((1, 2))


def _interquartile_range(x: np.ndarray) -> np.ndarray:
    low, high = np.quantile(x, (0.25, 0.75), axis=0)
    return np.asarray(high - low)


def _normal_scores(
    x: Float[np.ndarray, "draw *dims"], prior: Float[np.ndarray, "sample *dims"]
) -> Float[np.ndarray, "draw *dims"]:
    """Φ⁻¹((i + ½)/n), i of the n sorted draws of the prior lying below x; ties count half."""
    flat, known = x.reshape(len(x), -1), prior.reshape(len(prior), -1)
    scores = np.empty(flat.shape)
    for k, (column, of) in enumerate(zip(flat.T, np.sort(known, axis=0).T, strict=True)):
        below = np.searchsorted(of, column, "left") + np.searchsorted(of, column, "right")
        scores[:, k] = special.ndtri(np.clip(below / 2, 0.5, len(of) - 0.5) / len(of))
    broken = np.isnan(flat) | np.isnan(known).any(axis=0)
    return np.where(broken, np.nan, scores).reshape(x.shape)


def _ranks(x: Float[np.ndarray, " draw"]) -> Float[np.ndarray, " draw"]:
    """0, 1, …, ties sharing the middle of theirs."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[place]
