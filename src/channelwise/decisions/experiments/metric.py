"""What an experiment measures, and how far its estimate strays: rates and means."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from channelwise.decisions.experiments.arms import ExperimentError, check_positive, check_share


class Shift(NamedTuple):
    """An effect on the scale of the test.

    Attributes:
      effect: δ ≥ 0.
      null: s₀, √n times the standard deviation of its estimate without an effect.
      alternative: s₁, with it.
      parts: shares of s₁² that are estimated from control and treatment; None if s₁ is known.
    """

    effect: float
    null: float
    alternative: float
    parts: tuple[float, float] | None = None


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

    Source: for the power of the t test, Cohen 1988, ch. 2.
    """

    sd: float
    sd_treatment: float | None = None

    def __post_init__(self):
        check_positive("sd", self.sd)
        check_positive("sd_treatment", self.sd if self.sd_treatment is None else self.sd_treatment)

    def shift(self, effect: float, ratio: float) -> Shift:
        """The shift an absolute effect makes, with `ratio` treated units for each control unit."""
        treatment = self.sd if self.sd_treatment is None else self.sd_treatment
        square = self.sd**2 + treatment**2 / ratio
        parts = (self.sd**2 / square, treatment**2 / ratio / square)
        return Shift(abs(effect), *[float(np.sqrt(square))] * 2, parts)

    def largest(self, down: bool) -> float:
        """The largest effect there can be: there is none."""
        return float("inf")
