"""Tests and intervals that hold whenever one looks: for people who peek.

Let the standardized effect have the prior N(0, g). The Bayes factor of "some effect" against "none"
of a two-sample t statistic with ν degrees of freedom is, with κ = g times the effective sample,

    e = (1 + κ)^(−1/2) ((1 + t²/ν) / (1 + t²/(ν (1 + κ))))^((ν + 1)/2)

Without an effect, e is a non-negative martingale for normal outcomes of unknown variance, so that
P(e ≥ 1/α ever) ≤ α (Ville): rejecting as soon as e ≥ 1/α is allowed at any time. All effects
whose e stays below 1/α make a confidence sequence: with probability 1 − α it holds the truth *at
all times together*. For large ν this is the normal mixture (mixture SPRT)

    e = (1 + κ)^(−1/2) exp(κ t² / (2 (1 + κ)))

which holds asymptotically for any outcome with a finite variance. For conversions at any sample
size see `coin`.

Source: Robbins 1970; Lai 1976; Wang and Ramdas 2023, "Anytime-valid t-tests and confidence
sequences for Gaussian means with unknown variance"; Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas
2024, "Time-uniform central limit theory and asymptotic confidence sequences".
"""

import numpy as np
from jaxtyping import Float

from channelwise.decisions.experiments.arms import ExperimentError, check_positive, check_share
from channelwise.decisions.experiments.estimate import Comparison, Estimate, Numbers, fieller_ends
from channelwise.decisions.experiments.proportions import Rates


def always_valid(
    comparison: Comparison | Rates,
    planned: float,
    *,
    level: float = 0.95,
    scale: str = "difference",
) -> Estimate:
    """The effect with an interval and a p-value that hold at every look.

    m_B − m_A ± c(n) · error,   c from `critical_value`;   p = min(1, 1/e)

    Look as often as you like, and stop when you like: at every look the interval is one of a
    confidence sequence. Its smallest p so far is valid too.

    Args:
      comparison: of `compare`, `cuped` or `stratified`, with the data up to now.
      planned: units of both arms at which the interval shall be tightest; chosen before the start.
      level: of all looks together, in (0, 1).
      scale: "difference", or "lift" for a ratio (Fieller's set with c in place of t).

    Returns:
      The estimate; −∞ to ∞ while the data set no limit.

    Raises:
      ExperimentError: for values outside their ranges, or a lift without a positive control.

    Numerical note: exact for normal outcomes in two equally large arms of equal variance;
    otherwise asymptotic, as the t test is. Equally large arms kept the error from the first look
    on in every simulation, heavy tails included: skewness cancels. Where one arm is small and
    the outcome skewed it does not (`benchmarks/experiments_proof.py`, "1 : 9"): begin to look
    when the small arm has some hundreds of units; for conversions use `coin.exact_lift`.
    """
    pair = _as_means(comparison)
    c = float(critical_value(pair.n, planned, 1 - level))
    value = pair.treatment - pair.control
    log_e = log_e_value(value / pair.error, pair.n, planned, 1 - level)
    p = float(np.exp(-max(log_e, 0.0)))
    if scale == "difference":
        low, high = value - c * pair.error, value + c * pair.error
        return Estimate(value, low, high, p, level, "difference", "always valid")
    if scale != "lift":
        raise ExperimentError(f"scale is {scale!r}; there are difference and lift.")
    if not pair.control > 0:
        raise ExperimentError(
            f"the control's mean is {pair.control:g}: a lift needs a control above 0. "
            "Look at the difference instead."
        )
    low, high = fieller_ends(pair.control, pair.treatment, pair.covariance, c)
    ratio = pair.treatment / pair.control
    return Estimate(ratio - 1, float(low) - 1, float(high) - 1, p, level, "lift", "always valid")


def log_e_value(t: Numbers, n: Numbers, planned: float, alpha: float = 0.05) -> Numbers:
    """ln e of a t statistic, see the module; reject when it reaches ln(1/α).

    Args:
      t: estimate over its standard error.
      n: units of both arms so far, > 2; ν = n − 2.
      planned: units at which the test shall be most sensitive.
      alpha: the error it is tuned for, in (0, 1); the e-value is valid for all.
    """
    df, kappa = _df_and_kappa(n, planned, alpha)
    gain = np.log1p(t**2 / df) - np.log1p(t**2 / (df * (1 + kappa)))
    return (df + 1) / 2 * gain - np.log1p(kappa) / 2


def critical_value(n: Numbers, planned: float, alpha: float = 0.05) -> Numbers:
    """c(n): the |t| at which e = 1/α; ∞ while the sample is too small to reject.

    c² = ν (q − 1) / (1 − q / (1 + κ)),   q = (√(1 + κ) / α)^(2 / (ν + 1))

    Args:
      n: units of both arms so far, > 2.
      planned: units at which c √(1/n) relative to its best is smallest.
      alpha: probability to be wrong at any time, in (0, 1).

    Returns:
      3.035 near `planned` at α = 0.05, where a single look has 1.96; grows slowly away from it.
    """
    df, kappa = _df_and_kappa(n, planned, alpha)
    log_q = (np.log1p(kappa) - 2 * np.log(alpha)) / (df + 1)
    room = -np.expm1(log_q - np.log1p(kappa))
    square = df * np.expm1(log_q) / np.where(room > 0, room, 1.0)
    return np.where(room > 0, np.sqrt(square), np.inf)[()]


def tightest(alpha: float) -> float:
    """κ at which the boundary is lowest: −W₋₁(−α²/e) − 1, with Lambert's W.

    c² = (1 + 1/κ) ln((1 + κ)/α²) of the normal mixture is smallest there: 8.2 for α = 0.05.

    Source: Waudby-Smith et al. 2024, on the choice of ρ.
    """
    from scipy.special import lambertw

    check_share("alpha", alpha, 0.05)
    return float(-lambertw(-(alpha**2) / np.e, -1).real - 1)


def _df_and_kappa(n: Numbers, planned: float, alpha: float) -> tuple[Numbers, Numbers]:
    check_positive("planned", planned)
    if not np.all(np.asarray(n) > 2):
        raise ExperimentError(f"n is {n}; a t statistic needs at least 3 units in both arms.")
    n = np.asarray(n, dtype=float)
    return (n - 2)[()], (tightest(alpha) * n / planned)[()]


def _as_means(comparison: Comparison | Rates) -> Comparison:
    """Rates as means, each with the variance of its own arm."""
    if isinstance(comparison, Comparison):
        return comparison
    a, b = comparison.control, comparison.treatment
    if min(a.n, b.n) < 2 or a.variance + b.variance == 0:
        raise ExperimentError(
            f"{a.successes} of {a.n} and {b.successes} of {b.n}: the rates do not vary yet. "
            "Wait for conversions in an arm, or use coin.exact_lift, which holds from the first."
        )
    errors: Float[np.ndarray, " arm"] = np.array([x.variance / (x.n - 1) for x in (a, b)])
    return Comparison(a.mean, b.mean, np.diag(errors), a.n + b.n, float(a.n + b.n - 2))
