"""Two conversion rates compared by score tests, which hold for few conversions, and none, too.

A score test of a hypothesis H asks how far the observed rates lie from it in standard deviations
*as they would be under H*, at the rates p̃ that are most likely if H holds:

    χ_d = (p̂_B − p̂_A − d) / √((p̃_A q̃_A / n_A + p̃_B q̃_B / n_B) N / (N − 1))
    χ_r = (p̂_B − r p̂_A) / √((r² p̃_A q̃_A / n_A + p̃_B q̃_B / n_B) N / (N − 1))

An interval is all d, or all r, with |χ| ≤ z; the two intervals and the p-value are one test, since
χ_d=0 = χ_r=1. Without any conversion the difference is still bounded; the lift is not.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from channelwise.decisions.experiments.arms import Counts, ExperimentError, check_share
from channelwise.decisions.experiments.estimate import Estimate, Numbers, tail_p

LARGEST_LIFT = 1e12
BISECTIONS = 64


class Table(NamedTuple):
    """Successes and trials of control and treatment; numbers, or arrays of many experiments."""

    x_a: Numbers
    n_a: Numbers
    x_b: Numbers
    n_b: Numbers


@dataclass(frozen=True)
class Rates:
    """Two arms of counts; the same verbs as `Comparison`.

    Attributes:
      control: counts of arm A.
      treatment: counts of arm B.
    """

    control: Counts
    treatment: Counts

    @property
    def table(self) -> Table:
        """The four numbers."""
        a, b = self.control, self.treatment
        return Table(float(a.successes), float(a.trials), float(b.successes), float(b.trials))

    def p_value(self, null: float = 0.0, alternative: str = "two-sided") -> float:
        """Of the difference of rates being `null`, in (−1, 1); 1 without any conversion."""
        if not -1 < null < 1:
            raise ExperimentError(f"null is {null:g}; a difference of rates lies in (-1, 1).")
        chi = float(difference_score(self.table, null))
        return tail_p(chi, alternative, lambda x: float(ndtr(x)))

    def difference(self, level: float = 0.95) -> Estimate:
        """p̂_B − p̂_A, and all differences that the score test accepts.

        Args:
          level: in (0, 1).

        Source: Miettinen and Nurminen 1985, "Comparative analysis of two rates", §2.
        """
        low, high = difference_ends(self.table, _z(level))
        value = self.treatment.mean - self.control.mean
        ends = float(low), float(high)
        return Estimate(value, *ends, self.p_value(), level, "difference", "score")

    def lift(self, level: float = 0.95) -> Estimate:
        """p̂_B / p̂_A − 1, and all lifts that the score test accepts.

        Args:
          level: in (0, 1).

        Returns:
          Without a conversion in the control the upper end is ∞ (and the estimate too); without
          any, the estimate is NaN, and −1 to ∞ says that the data tell nothing about a lift.

        Source: Koopman 1984; Miettinen and Nurminen 1985, §3.
        """
        low, high = ratio_ends(self.table, _z(level))
        a, b = self.control.mean, self.treatment.mean
        value = b / a - 1 if a > 0 else (np.inf if b > 0 else np.nan)
        ends = float(low) - 1, float(high) - 1
        return Estimate(float(value), *ends, self.p_value(), level, "lift", "score")


def difference_ends(table: Table, z: float) -> tuple[Numbers, Numbers]:
    """All d with |χ_d| ≤ z, for many tables at once."""
    middle = table.x_b / table.n_b - table.x_a / table.n_a
    low = falling_root(lambda d: difference_score(table, d) - z, -1.0 + 0 * middle, middle)
    return low, falling_root(lambda d: difference_score(table, d) + z, middle, 1.0 + 0 * middle)


def ratio_ends(table: Table, z: float) -> tuple[Numbers, Numbers]:
    """All r with |χ_r| ≤ z, for many tables at once; 0 and ∞ where there is no limit."""
    x_a, n_a, x_b, n_b = (np.asarray(v, dtype=float) for v in table)
    span = np.log(LARGEST_LIFT)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.clip(np.log(x_b / n_b) - np.log(x_a / n_a), -span, span)
    middle = np.where(np.isnan(middle), 0.0, middle)
    score = Table(x_a, n_a, x_b, n_b)
    low = np.exp(
        falling_root(lambda s: ratio_score(score, np.exp(s)) - z, 0 * middle - span, middle)
    )
    high = np.exp(
        falling_root(lambda s: ratio_score(score, np.exp(s)) + z, middle, 0 * middle + span)
    )
    return np.where(x_b == 0, 0.0, low)[()], np.where(x_a == 0, np.inf, high)[()]


def difference_score(table: Table, d: Numbers) -> Numbers:
    """χ_d, see the module."""
    x_a, n_a, x_b, n_b = table
    p_a, p_b = rates_at_difference(table, d)
    n = n_a + n_b
    variance = (p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b) * n / (n - 1)
    return _standardized(x_b / n_b - x_a / n_a - d, variance)


def ratio_score(table: Table, r: Numbers) -> Numbers:
    """χ_r, see the module."""
    x_a, n_a, x_b, n_b = table
    p_a, p_b = rates_at_ratio(table, r)
    n = n_a + n_b
    variance = (r**2 * p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b) * n / (n - 1)
    return _standardized(x_b / n_b - r * x_a / n_a, variance)


def rates_at_difference(table: Table, d: Numbers) -> tuple[Numbers, Numbers]:
    """The likeliest rates with p_B − p_A = d: the middle root of a cubic.

    Source: Farrington and Manning 1990, appendix.
    """
    x_a, n_a, x_b, n_b = table
    y_a, y_b, theta = x_a / n_a, x_b / n_b, n_a / n_b
    a = 1 + theta
    b = -(1 + theta + y_b + theta * y_a + d * (theta + 2))
    c = d**2 + d * (2 * y_b + theta + 1) + y_b + theta * y_a
    k = -y_b * d * (1 + d)
    v = (b / (3 * a)) ** 3 - b * c / (6 * a**2) + k / (2 * a)
    u = np.where(v < 0, -1.0, 1.0) * np.sqrt(np.maximum((b / (3 * a)) ** 2 - c / (3 * a), 1e-60))
    w = (np.pi + np.arccos(np.clip(v / u**3, -1, 1))) / 3
    p_b = np.clip(2 * u * np.cos(w) - b / (3 * a), np.maximum(0, d), np.minimum(1, 1 + d))
    return p_b - d, p_b


def rates_at_ratio(table: Table, r: Numbers) -> tuple[Numbers, Numbers]:
    """The likeliest rates with p_B = r p_A: the smaller root of N r p² − b p + X = 0."""
    x_a, n_a, x_b, n_b = table
    b = n_a + x_b + r * (n_b + x_a)
    root = np.sqrt(np.maximum(b**2 - 4 * (n_a + n_b) * r * (x_a + x_b), 0))
    p_a = np.clip(2 * (x_a + x_b) / (b + root), 0, np.minimum(1, 1 / r))
    return p_a, r * p_a


def _standardized(distance: Numbers, variance: Numbers) -> Numbers:
    """distance / √variance; without variance 0 if there is no distance, else ±∞."""
    with np.errstate(divide="ignore", invalid="ignore"):
        chi = np.asarray(distance) / np.sqrt(np.asarray(variance))
    return np.where(np.abs(distance) < 1e-15, 0.0, chi)[()]


def falling_root(f, low: Numbers, high: Numbers) -> Numbers:
    """Where a decreasing function of many numbers crosses 0, by bisection."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = f(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return ((low + high) / 2)[()]


def _z(level: float) -> float:
    check_share("level", level, 0.95)
    return float(ndtri((1 + level) / 2))
