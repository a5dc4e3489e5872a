"""Channel strength: what spend on a channel buys, and what its data teach the model.

Every formula is written with operators alone, so that the same lines serve NumPy (float64) and
compiled JAX.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import ArrayLike, Float, Shaped

STEEPEST = 10.0


class StrengthError(ValueError):
    """A market or a budget that cannot be meant; the message says which number and why."""


@dataclass(frozen=True, eq=False)
class Strength:
    """One kind of strength (η, β or γ) of every channel, as a saturating function of its spend.

    s_c(x) = S_c zⁿ / (1 + zⁿ),   z = x / k_c,   n = n_c

    Attributes:
      most: S, what endless spend would reach, in [0, 1).
      half: k > 0, currency per period: the spend at which half of it is reached.
      slope: n in [1, 10]: 1 is concave (Michaelis–Menten), above 1 the curve begins slowly (S).

    Raises:
      StrengthError: if a number lies outside its range.

    Source: Hill 1910; the three kinds are those of article 003 §4.1.
    """

    most: Float[ArrayLike, "channel"] | Sequence[float]
    half: Float[ArrayLike, "channel"] | Sequence[float]
    slope: Float[ArrayLike, "channel"] | Sequence[float]

    def __post_init__(self) -> None:
        for name in ("most", "half", "slope"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        sizes = {getattr(self, name).shape for name in ("most", "half", "slope")}
        if len(sizes) > 1:
            raise StrengthError(
                "most, half and slope need one value for each channel; they have "
                f"{self.most.size}, {self.half.size} and {self.slope.size}."
            )
        check("most", self.most, (self.most >= 0) & (self.most < 1), "from 0 to below 1")
        check("half", self.half, (self.half > 0) & np.isfinite(self.half), "above 0, in currency")
        steep = (self.slope >= 1) & (self.slope <= STEEPEST)
        check("slope", self.slope, steep, f"from 1 to {STEEPEST:g}")

    def at(self, x: Float[ArrayLike, "*batch channel"]) -> Shaped[ArrayLike, "*batch channel"]:
        """The strength that spend x buys, a share."""
        z = (x / self.half) ** self.slope
        return self.most * (z / (1 + z))

    def rise(self, x: Float[ArrayLike, "*batch channel"]) -> Shaped[ArrayLike, "*batch channel"]:
        """Its slope ds/dx = S (n/k) zⁿ⁻¹ / (1 + zⁿ)², per unit of currency."""
        z, n = x / self.half, self.slope
        return self.most * (n / self.half) * z ** (n - 1) / (1 + z**n) ** 2

    def rise_within(
        self,
        lower: Float[np.ndarray, "*batch channel"],
        upper: Float[np.ndarray, "*batch channel"],
    ) -> tuple[Float[np.ndarray, "*batch channel"], Float[np.ndarray, "*batch channel"]]:
        """The least and the largest slope between two spends.

        The slope rises up to zⁿ = (n − 1)/(n + 1) and falls beyond: its least value lies at an end.
        """
        n = self.slope
        steepest = self.half * ((n - 1) / (n + 1)) ** (1 / n)
        largest = self.rise(np.clip(steepest, lower, upper))
        return np.minimum(self.rise(lower), self.rise(upper)), largest


@dataclass(frozen=True)
class Precision:
    """How precise the model is after D examples a period: a power law of its error.

    p(D) = p₁ − (p₁ − p₀) (1 + D/D₀)^(−a)

    Attributes:
      untrained: p₀, share of tasks solved without data of one's own, in [0, 1].
      best: p₁ ≥ p₀, what endless data would reach, at most 1.
      examples: D₀ > 0, examples per period that count as much as what the model came with.
      power: a > 0; text, speech and vision models were measured at 0.07 to 0.35.

    Source: Hestness et al. 2017, "Deep learning scaling is predictable, empirically".
    """

    untrained: float
    best: float
    examples: float
    power: float

    def __post_init__(self) -> None:
        if not 0 <= self.untrained <= self.best <= 1:
            raise StrengthError(
                f"Precision: untrained = {self.untrained:g} and best = {self.best:g} are shares: "
                "give 0 ≤ untrained ≤ best ≤ 1."
            )
        check("examples", self.examples, self.examples > 0, "above 0")
        check("power", self.power, self.power > 0, "above 0")

    def at(self, data: Float[ArrayLike, "*batch"]) -> Shaped[ArrayLike, "*batch"]:
        """Share of tasks solved with this many examples a period."""
        return self.best - (self.best - self.untrained) * (1 + data / self.examples) ** -self.power

    def rise(self, data: Float[ArrayLike, "*batch"]) -> Shaped[ArrayLike, "*batch"]:
        """dp/dD, per example a period; it falls with D."""
        gap, a = self.best - self.untrained, self.power
        return gap * a / self.examples * (1 + data / self.examples) ** (-a - 1)


def require_budget(budget: float) -> None:
    """Raises a StrengthError unless the budget is a positive number."""
    check("budget", budget, budget > 0 and np.isfinite(budget), "above 0, in currency per period")


def check(name: str, value: object, fine: object, allowed: str) -> None:
    """Raises a StrengthError that names the value and the allowed range, unless all is fine."""
    if not np.all(fine):
        raise StrengthError(f"{name} = {_told(value)} must be {allowed}.")


def _told(value: object) -> str:
    return ", ".join(f"{x:g}" for x in np.atleast_1d(np.asarray(value, np.float64)))
