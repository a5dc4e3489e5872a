"""How large an experiment must be, and what it can see.

An estimate whose shift is δ has a standard deviation s₁/√n, and s₀/√n if there were no effect; n
counts the units of the control arm, and r n those of the treatment. The test rejects beyond z s₀/√n
with z = Φ⁻¹(1 − α/2), so that

    power = Φ((δ√n − z s₀) / s₁) + Φ((−δ√n − z s₀) / s₁),   n = ((z s₀ + Φ⁻¹(power) s₁) / δ)²

For means, z is the quantile of a t distribution, and the first Φ a noncentral one: with few units
the estimated variance costs power. A covariate or strata that explain a share ρ² of the variance
scale s₀ and s₁ by √(1 − ρ²), and n by 1 − ρ².
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from channelwise.decisions.experiments.arms import ExperimentError, check_positive, check_share
from channelwise.decisions.experiments.estimate import Numbers
from channelwise.decisions.experiments.metric import Mean, Proportion

Metric = Proportion | Mean
"""What is measured."""


class Size(NamedTuple):
    """Units each arm needs."""

    control: int
    treatment: int

    @property
    def total(self) -> int:
        """Of both arms."""
        return self.control + self.treatment


def sample_size(
    metric: Metric,
    effect: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    ratio: float = 1.0,
    sides: int = 2,
    explained: float = 0.0,
) -> Size:
    """Units needed to find an effect with the given power.

    n = (1 − ρ²) ((z s₀ + Φ⁻¹(power) s₁) / δ)², rounded up; r n in the treatment

    Args:
      metric: what is measured.
      effect: absolute, in the metric's unit, either sign, not 0.
      power: wanted probability to reject if the effect is real, in (α, 1).
      alpha: probability to reject if there is none, in (0, 1).
      ratio: r > 0, treated units for each control unit.
      sides: 2, or 1 for a test that looks in the effect's direction alone.
      explained: ρ², share of the variance that a covariate or strata explain, in [0, 1).

    Returns:
      Units of each arm; for means the fewest with that power, by trying from that n on.

    Raises:
      ExperimentError: for values outside their ranges.

    Numerical note: for rates it leaves out rejections in the wrong direction, 1e-6 at a power of
    0.8.
    """
    how = {"alpha": alpha, "ratio": ratio, "sides": sides, "explained": explained}
    _check(**how)
    _check_power(power, alpha)
    if effect == 0:
        raise ExperimentError(
            "effect is 0: no experiment is large enough to find nothing. "
            "Give the smallest effect that would change what you do."
        )
    shift = metric.shift(effect, ratio)
    reach = ndtri(1 - alpha / sides) * shift.null + ndtri(power) * shift.alternative
    n = (1 - explained) * (reach / shift.effect) ** 2
    if shift.parts is not None:
        n = max(np.ceil(n), 2.0, np.ceil(2 / ratio))
        while power_of(metric, effect, n, **how) < power:
            n += 1
    return Size(max(1, _up(n)), max(1, _up(ratio * n)))


def power_of(
    metric: Metric,
    effect: float,
    n: float | Float[np.ndarray, " size"],
    *,
    alpha: float = 0.05,
    ratio: float = 1.0,
    sides: int = 2,
    explained: float = 0.0,
) -> float | Float[np.ndarray, " size"]:
    """Probability that a test of n control units rejects, see the module.

    Args:
      metric: what is measured.
      effect: absolute, in the metric's unit; 0 gives α.
      n: units of the control arm, > 0.
      alpha, ratio, sides, explained: as for `sample_size`.

    Raises:
      ExperimentError: for values outside their ranges.
    """
    _check(alpha, ratio, sides, explained)
    shift, n_a = metric.shift(effect, ratio), np.asarray(n, dtype=float)
    least = 0 if shift.parts is None else max(1, 1 / ratio)
    if not np.all(n_a > least):
        raise ExperimentError(f"n is {n}; give a number of units above {least:g}.")
    signal = shift.effect * np.sqrt(n_a / (1 - explained))
    if shift.parts is not None:
        df = _welch_df(shift.parts, n_a, ratio)
        power = _t_power(signal / shift.alternative, df, alpha, sides)
    else:
        z = ndtri(1 - alpha / sides) * shift.null
        power = sum(ndtr((sign * signal - z) / shift.alternative) for sign in (1, -1)[:sides])
    return power if np.ndim(n) else float(power)


def detectable(
    metric: Metric,
    n: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    ratio: float = 1.0,
    sides: int = 2,
    explained: float = 0.0,
    down: bool = False,
) -> float:
    """The minimal detectable effect: the smallest one that n control units find with that power.

    power_of(metric, δ, n) = power, solved for δ

    Args:
      metric: what is measured.
      n: units of the control arm, > 0.
      power, alpha, ratio, sides, explained: as for `sample_size`.
      down: whether the effect is a decrease; for a proportion that is another size.

    Returns:
      δ, absolute, in the metric's unit; negative if `down`.

    Raises:
      ExperimentError: for values outside their ranges, or if no possible effect is large enough.
    """
    from scipy.optimize import brentq

    _check_power(power, alpha)
    sign = -1.0 if down else 1.0

    def missing(size: float) -> float:
        found = power_of(
            metric, sign * size, n, alpha=alpha, ratio=ratio, sides=sides, explained=explained
        )
        return float(found) - power

    largest = metric.largest(down) * (1 - 1e-12)
    shift = metric.shift(sign * min(largest, 1.0) / 2, ratio)
    high = min(largest, 4 * max(shift.null, shift.alternative) / np.sqrt(n))
    while missing(high) < 0 and high < largest:
        high = min(largest, 2 * high)
    if missing(high) < 0:
        raise ExperimentError(
            f"{n:g} units find not even the largest possible effect ({sign * high:g}) with power "
            f"{power:g}. Plan for more units, or take a metric that varies less."
        )
    return sign * float(brentq(missing, 0.0, high, xtol=1e-15, rtol=1e-12))


def rule_of_16(metric: Metric, effect: float) -> int:
    """The rule of thumb for 80 % power at α = 0.05: n = 16 σ² / δ² units in each arm.

    It rounds 2 (1.96 + 0.84)² = 15.7 up; σ² is the variance halfway between the arms.

    Args:
      metric: what is measured.
      effect: absolute, not 0.

    Source: Lehr 1992; van Belle 2008, §2.1.
    """
    if isinstance(metric, Proportion):
        metric = Proportion(metric.base, "pooled")
    variance = metric.shift(effect, 1.0).null ** 2 / 2
    return _up(16 * variance / effect**2)


def _welch_df(parts: tuple[float, float], n: Numbers, ratio: float) -> Numbers:
    """Degrees of freedom of Welch's test at the planned variances."""
    a, b = parts
    return 1 / (a**2 / (n - 1) + b**2 / (ratio * n - 1))


def _t_power(away: Numbers, df: Numbers, alpha: float, sides: int) -> Numbers:
    """P(T > c) + P(T < −c) of a noncentral t; the second is nothing far away, where it has no
    accurate value."""
    c = stdtrit(df, 1 - alpha / sides)
    above = 1 - np.nan_to_num(nctdtr(df, away, c))
    return above + np.where(away < 9, np.nan_to_num(nctdtr(df, away, -c)), 0.0) * (sides == 2)


def _check_power(power: float, alpha: float) -> None:
    if not alpha < power < 1:
        raise ExperimentError(
            f"power is {power:g}; give a value between alpha ({alpha:g}) and 1, such as 0.8."
        )


def _check(alpha: float, ratio: float, sides: int, explained: float) -> None:
    check_share("alpha", alpha, 0.05)
    check_positive("ratio", ratio)
    if sides not in (1, 2):
        raise ExperimentError(f"sides is {sides}; give 1 or 2.")
    if not 0 <= explained < 1:
        raise ExperimentError(
            f"explained is {explained:g}; give the share of the variance that is explained, "
            "0 or more and below 1: a correlation ρ explains ρ²."
        )


def _up(n: float) -> int:
    """Rounded up, but not for the last digit's sake."""
    return int(np.ceil(n * (1 - 1e-12)))
