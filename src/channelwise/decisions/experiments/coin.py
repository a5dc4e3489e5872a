"""Conversions of a randomized test as tosses of a coin: exact at every look, from the first unit.

If each unit is assigned to the treatment with probability π, independently, then of the units that
convert each belongs to the treatment with probability

    q = π p_B / (π p_B + (1 − π) p_A)

whatever happened before. That is a coin whose bias is the lift,
p_B / p_A = q (1 − π) / ((1 − q) π):
the base rate has dropped out. For x_A and x_B conversions and a prior q ~ Beta(a, b),

    e(q) = B(a + x_B, b + x_A) / (B(a, b) q^x_B (1 − q)^x_A)

is a martingale if q is the truth, so P(e(q) ≥ 1/α ever) ≤ α for every sample size and rate: no
normal approximation, no smallest sample. The test of no effect is q = π. Rates may drift from hour
to hour, as long as the lift stays.

Source: Robbins 1970; Lindon and Malek 2022, "Anytime-valid inference for multinomial count data".
"""

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from channelwise.decisions.experiments.arms import (
    Counts,
    ExperimentError,
    check_positive,
    check_share,
)
from channelwise.decisions.experiments.estimate import Estimate, Numbers
from channelwise.decisions.experiments.proportions import falling_root
from channelwise.decisions.experiments.sequential import tightest


def exact_lift(
    control: Counts,
    treatment: Counts,
    planned: float,
    *,
    level: float = 0.95,
    share: float = 0.5,
) -> Estimate:
    """The lift p_B / p_A − 1 with an interval and a p-value that hold exactly at every look.

    Args:
      control: conversions up to now.
      treatment: conversions up to now.
      planned: conversions of both arms together at which the interval shall be tightest; chosen
        before the start.
      level: of all looks together, in (0, 1).
      share: π, probability of being assigned to the treatment.

    Returns:
      The estimate. Before the first conversion the interval is −1 to ∞ and p is 1.

    Raises:
      ExperimentError: for values outside their ranges.

    Numerical note: uses conversions alone. At small rates they hold all there is to know; at a
    rate p the interval is about 1/√(1 − p) as wide as it could be. Above ½ count failures.
    Assignment must be random: test it with `sample_ratio`.
    """
    x_a, x_b = float(control.successes), float(treatment.successes)
    check_share("level", level, 0.95)
    low, high = lift_ends(x_a, x_b, planned, 1 - level, share)
    log_e = log_e_value(x_a, x_b, share, planned, 1 - level, share)
    value = treatment.mean / control.mean - 1 if x_a else (np.inf if x_b else np.nan)
    p = float(np.exp(-max(log_e, 0.0)))
    return Estimate(float(value), float(low), float(high), p, level, "lift", "exact, always valid")


def log_e_value(
    x_a: Numbers,
    x_b: Numbers,
    q: Numbers,
    planned: float,
    alpha: float = 0.05,
    share: float = 0.5,
) -> Numbers:
    """ln e(q), see the module; the hypothesis is rejected when it reaches ln(1/α).

    Args:
      x_a: conversions of the control so far.
      x_b: of the treatment.
      q: tested probability that a conversion is the treatment's; `share` for "no effect".
      planned: conversions at which the test shall be most sensitive.
      alpha: the error it is tuned for, in (0, 1); the e-value is valid for all.
      share: π; the prior is Beta(k π, k (1 − π)) with k = planned / `tightest`(α).
    """
    check_share("share", share, 0.5)
    check_positive("planned", planned)
    k = planned / tightest(alpha)
    a, b = k * share, k * (1 - share)
    mixture = betaln(a + x_b, b + x_a) - betaln(a, b)
    return mixture - xlogy(x_b, q) - xlog1py(x_a, -q)


def lift_ends(
    x_a: Numbers, x_b: Numbers, planned: float, alpha: float = 0.05, share: float = 0.5
) -> tuple[Numbers, Numbers]:
    """All lifts whose q has e(q) < 1/α, for many experiments at once."""
    x_a, x_b = np.asarray(x_a, dtype=float), np.asarray(x_b, dtype=float)
    if (x_a < 0).any() or (x_b < 0).any():
        raise ExperimentError("conversions below 0; give counts.")
    limit = -np.log(alpha)
    middle = np.where(x_a + x_b > 0, x_b / np.maximum(x_a + x_b, 1), share)

    def excess(q: Numbers) -> Numbers:
        return log_e_value(x_a, x_b, q, planned, alpha, share) - limit

    low = falling_root(excess, 0 * middle, middle)
    high = falling_root(lambda q: -excess(q), middle, 0 * middle + 1)
    low, high = np.where(x_b == 0, 0.0, low), np.where(x_a == 0, 1.0, high)
    odds = (1 - share) / share
    with np.errstate(divide="ignore"):
        return (low / (1 - low) * odds - 1)[()], (high / (1 - high) * odds - 1)[()]
