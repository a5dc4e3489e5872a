"""What one arm of an experiment brought: counts, or a mean with its variance."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

Whole = int | float | np.integer
"""A whole number, of whatever type a table gave it."""


class ExperimentError(ValueError):
    """An experiment that cannot be planned or analysed; the message says why and what to change."""


@dataclass(frozen=True)
class Counts:
    """An arm whose units each convert or do not.

    p = s / n,   variance of one unit p (1 − p)

    Args:
      successes: s, 0, …, n.
      trials: n ≥ 1, units such as visitors; each counts once.

    Raises:
      ExperimentError: for an empty arm, fractions, or successes outside 0, …, n.
    """

    successes: Whole
    trials: Whole

    def __post_init__(self):
        for name in ("successes", "trials"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        if self.trials < 1:
            raise ExperimentError(
                f"trials is {self.trials}; an arm needs at least 1 unit. "
                "Leave the arm out, or wait for its first visitors."
            )
        if not 0 <= self.successes <= self.trials:
            raise ExperimentError(
                f"{self.successes} successes in {self.trials} trials; give 0 to {self.trials}. "
                "If a unit can convert several times, analyse its count as a mean (Moments)."
            )

    @property
    def n(self) -> int:
        return self.trials

    @property
    def failures(self) -> int:
        return self.trials - self.successes

    @property
    def mean(self) -> float:
        return self.successes / self.trials

    @property
    def variance(self) -> float:
        return self.mean * (1 - self.mean)


@dataclass(frozen=True)
class Moments:
    """An arm with a measured outcome, such as revenue per visitor.

    Args:
      n: units, 2 or more.
      mean: of the outcome, in its unit.
      variance: of one unit's outcome (n − 1 in the denominator), 0 or more.

    Raises:
      ExperimentError: for fewer units, or numbers that are not finite.
    """

    n: Whole
    mean: float
    variance: float

    def __post_init__(self):
        object.__setattr__(self, "n", _whole("n", self.n))
        for name in ("mean", "variance"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.n < 2:
            raise ExperimentError(f"n is {self.n}; a variance needs at least 2 units in each arm.")
        if not (np.isfinite(self.mean) and np.isfinite(self.variance) and self.variance >= 0):
            raise ExperimentError(
                f"mean is {self.mean:g} and variance is {self.variance:g}; both must be finite, "
                "and the variance 0 or more."
            )

    @classmethod
    def of(cls, values: Shaped[np.ndarray, " unit"]) -> "Moments":
        """Moments of one value for each unit.

        Raises:
          ExperimentError: for fewer than 2 values, or values that are not finite numbers.
        """
        y = finite("values", values)
        if len(y) < 2:
            raise ExperimentError(
                f"{len(y)} values; a variance needs at least 2 units in each arm."
            )
        return cls(len(y), float(y.mean()), float(y.var(ddof=1)))


Arm = Counts | Moments
"""Either kind of arm: units `n`, their `mean` outcome, the `variance` of one unit's outcome."""


def ratio_moments(
    numerator: Shaped[np.ndarray, " unit"], denominator: Shaped[np.ndarray, " one_each"]
) -> Moments:
    """An arm whose metric is a ratio of sums, such as revenue per click when users are randomized.

    R = Σ_i y_i / Σ_i x_i,   variance of R = s² / n,   s² = Var((y_i − R x_i) / x̄)

    Clicks of one user resemble each other: a variance over clicks would be too small. The delta
    method makes one linear value of each user, the unit that was randomized.

    Args:
      numerator: y, one sum for each unit.
      denominator: x, one sum for each unit, 0 or more, not all 0.

    Returns:
      n units, R, and s².

    Raises:
      ExperimentError: if lengths differ, or the denominators' mean is not positive.

    Source: Deng, Knoblich, Lu 2018, "Applying the delta method in metric analytics", §2.
    """
    y, x = finite("numerator", numerator), finite("denominator", denominator)
    if len(y) != len(x):
        raise ExperimentError(
            f"{len(y)} numerators but {len(x)} denominators; give one of each for every unit."
        )
    if len(x) == 0 or x.mean() <= 0:
        raise ExperimentError(
            "the denominators sum to 0 or less, so the ratio has no value. "
            "Choose a denominator that every arm has, or analyse the numerator per unit."
        )
    ratio = y.sum() / x.sum()
    linear = Moments.of((y - ratio * x) / x.mean())
    return Moments(linear.n, float(ratio), linear.variance)


def finite(name: str, values: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The values as float64, or a sentence about the first that is no number."""
    try:
        x = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"{name} must be numbers: {error}.") from None
    bad = ~np.isfinite(x)
    if bad.any():
        where = int(np.argwhere(bad)[0][0])
        raise ExperimentError(
            f"{name} hold {bad.sum()} values that are not finite, first in row {where}. "
            "Decide what a missing outcome means (often 0) and fill it in both arms alike."
        )
    return x


def check_share(name: str, value: float, such_as: float) -> None:
    """Refuse a probability that is not strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ExperimentError(
            f"{name} is {value:g}; it must lie strictly between 0 and 1, such as {such_as:g}."
        )


def check_positive(name: str, value: float) -> None:
    """Refuse what is not a finite number above 0."""
    if not (np.isfinite(value) and value > 0):
        raise ExperimentError(f"{name} is {value:g}; give a finite number above 0.")


def nearest(kind: str, name: str, known: Iterable[str]) -> str:
    """A sentence about a name that is not known, with the one it resembles."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"no {kind} is called {name!r}{hint}; there are {', '.join(known)}."


def _whole(name: str, value: object) -> int:
    if not (isinstance(value, int | float | np.number) and float(value).is_integer()):
        raise ExperimentError(f"{name} is {value!r}; give a whole number of units.")
    return int(value)
