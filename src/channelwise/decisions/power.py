"""How large an experiment must be, and what it can see.

All questions rest on one approximation. An estimate whose shift is δ has a standard deviation
s₁/√n, and s₀/√n if there were no effect; n counts the units of the control arm, and r n those of
the treatment. The test rejects beyond z s₀/√n with z = Φ⁻¹(1 − α/2), so that

    power = Φ((δ√n − z s₀) / s₁) + Φ((−δ√n − z s₀) / s₁),   n = ((z s₀ + Φ⁻¹(power) s₁) / δ)²

A covariate or strata that explain a share ρ² of the variance scale s₀ and s₁ by √(1 − ρ²), and n by
1 − ρ².
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from channelwise.decisions.arms import ExperimentError, check_positive, check_share


class Shift(NamedTuple):
    """An effect on the scale of the test.

    Attributes:
      effect: δ ≥ 0.
      null: s₀, √n times the standard deviation of its estimate without an effect.
      alternative: s₁, with it.
    """

    effect: float
    null: float
    alternative: float


@dataclass(frozen=True)
class Proportion:
    """A conversion rate, compared with a rate that differs by the effect.

    | method | δ | s₀² | s₁² |
    |---|---|---|---|
    | unpooled | p_B − p_A | s₁² | p_A q_A + p_B q_B / r |
    | pooled | p_B − p_A | p̄ q̄ (1 + 1/r), p̄ = (p_A + r p_B)/(1 + r) | p_A q_A + p_B q_B / r |
    | arcsine | 2 asin √p_B − 2 asin √p_A | 1 + 1/r | 1 + 1/r |

    Args:
      base: p_A, the rate without the treatment, in (0, 1).
      method: how the variance is written; "pooled" is the test `compare` makes of two `Counts`.

    Raises:
      ExperimentError: for a base rate outside (0, 1), or an unknown method.

    Source: Fleiss, Levin, Paik 2003, ch. 4 (pooled); Cohen 1988, ch. 6 (arcsine).
    """

    base: float
    method: str = "pooled"

    def __post_init__(self):
        check_share("base", self.base, 0.05)
        if self.method not in ("unpooled", "pooled", "arcsine"):
            raise ExperimentError(
                f"method is {self.method!r}; there are unpooled, pooled and arcsine."
            )

    def shift(self, effect: float, ratio: float) -> Shift:
        """The shift an absolute effect makes, with `ratio` treated units for each control unit."""
        p, q = self.base, self.base + effect
        if not 0 < q < 1:
            raise ExperimentError(
                f"effect is {effect:g} on a base of {p:g}, a rate of {q:g}; "
                f"give an absolute effect between {-p:g} and {1 - p:g}."
            )
        if self.method == "arcsine":
            h = 2 * abs(np.arcsin(np.sqrt(q)) - np.arcsin(np.sqrt(p)))
            return Shift(float(h), *[float(np.sqrt(1 + 1 / ratio))] * 2)
        s1 = np.sqrt(p * (1 - p) + q * (1 - q) / ratio)
        mean = (p + ratio * q) / (1 + ratio)
        s0 = np.sqrt(mean * (1 - mean) * (1 + 1 / ratio)) if self.method == "pooled" else s1
        return Shift(abs(effect), float(s0), float(s1))

    def largest(self, down: bool) -> float:
        """The largest effect there can be: up to a rate of 0 or 1."""
        return self.base if down else 1 - self.base


@dataclass(frozen=True)
class Mean:
    """A measured outcome; the ratio metric of `ratio_moments` is one too, with sd = √variance.

    δ = μ_B − μ_A,   s₀² = s₁² = σ_A² + σ_B² / r

    Args:
      sd: σ_A, of one unit's outcome, > 0.
      sd_treatment: σ_B > 0; None for σ_A.

    Raises:
      ExperimentError: for a standard deviation that is not a finite number above 0.

    Numerical note: normal, so a little optimistic for few units; with 20 in each arm the t test
    has 2 points less power than this says, with 50 not quite 1.
    """

    sd: float
    sd_treatment: float | None = None

    def __post_init__(self):
        check_positive("sd", self.sd)
        check_positive("sd_treatment", self.sd if self.sd_treatment is None else self.sd_treatment)

    def shift(self, effect: float, ratio: float) -> Shift:
        """The shift an absolute effect makes, with `ratio` treated units for each control unit."""
        treatment = self.sd if self.sd_treatment is None else self.sd_treatment
        s = float(np.sqrt(self.sd**2 + treatment**2 / ratio))
        return Shift(abs(effect), s, s)

    def largest(self, down: bool) -> float:
        """The largest effect there can be: there is none."""
        return float("inf")


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
      Units of each arm.

    Raises:
      ExperimentError: for values outside their ranges.

    Numerical note: leaves out rejections in the wrong direction, 1e-6 at a power of 0.8.
    """
    _check(alpha, ratio, explained, sides)
    if not alpha < power < 1:
        raise ExperimentError(
            f"power is {power:g}; give a value between alpha ({alpha:g}) and 1, such as 0.8."
        )
    if effect == 0:
        raise ExperimentError(
            "effect is 0: no experiment is large enough to find nothing. "
            "Give the smallest effect that would change what you do."
        )
    shift = metric.shift(effect, ratio)
    reach = ndtri(1 - alpha / sides) * shift.null + ndtri(power) * shift.alternative
    n = (1 - explained) * (reach / shift.effect) ** 2
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
    _check(alpha, ratio, explained, sides)
    if not np.all(np.asarray(n) > 0):
        raise ExperimentError(f"n is {n}; give a number of units above 0.")
    shift = metric.shift(effect, ratio)
    z = ndtri(1 - alpha / sides) * shift.null
    signal = shift.effect * np.sqrt(np.asarray(n) / (1 - explained))
    tails = [ndtr((sign * signal - z) / shift.alternative) for sign in (1, -1)[:sides]]
    return sum(tails) if np.ndim(n) else float(sum(tails))


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

    if not alpha < power < 1:
        raise ExperimentError(
            f"power is {power:g}; give a value between alpha ({alpha:g}) and 1, such as 0.8."
        )
    sign = -1.0 if down else 1.0

    def missing(size: float) -> float:
        found = power_of(
            metric, sign * size, n, alpha=alpha, ratio=ratio, sides=sides, explained=explained
        )
        return float(found) - power

    most = metric.largest(down) * (1 - 1e-12)
    if np.isinf(most):
        shift = metric.shift(1.0, ratio)
        most = 100 * (shift.null + shift.alternative) / np.sqrt(n)
    if missing(most) < 0:
        raise ExperimentError(
            f"{n:g} units find not even the largest possible effect ({sign * most:g}) with power "
            f"{power:g}. Plan for more units, or take a metric that varies less."
        )
    return sign * float(brentq(missing, 0.0, most, xtol=1e-15, rtol=1e-12))


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


def _check(alpha: float, ratio: float, explained: float, sides: int) -> None:
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
