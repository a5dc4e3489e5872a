"""Water-filling: the exact split of a budget over channels that do not touch each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float

from channelwise.decisions.channels.strength import StrengthError, require_budget


class Filled(NamedTuple):
    """A split in which no currency would do better elsewhere.

    Attributes:
      spend: x, currency per period.
      level: λ, what the next currency brings on every channel that is used; where nothing is
        spent it would bring at most this.
    """

    spend: Float[np.ndarray, " channel"]
    level: float


def water_filling(
    amplitude: Float[ArrayLike, "channel"] | Sequence[float],
    half: Float[ArrayLike, "channel"] | Sequence[float],
    budget: float,
    *,
    keep: bool = False,
) -> Filled:
    """The best split over separate, concave channels, in closed form.

    max Σ_c a_c x_c/(k_c + x_c)   over   x ≥ 0, Σ x ≤ B

    Where a channel is used its marginal value a k/(k + x)² is λ, so x_c = max(0, √(a k/λ) − k_c):
    spend fills every channel up to a common level. Channels enter by what their first currency
    brings, a/k; with the first n of them in, √λ = Σ √(a k) / (B + Σ k).

    It is what V becomes with brand and precision fixed, slope 1, and audiences that do not overlap:
    a_c = v m u K p · (most coverage of c).

    Args:
      amplitude: a > 0, currency per period that endless spend would bring.
      half: k > 0, spend at which half of it is brought, currency per period.
      budget: B > 0, currency per period.
      keep: money that brings back less than itself is kept: λ is at least 1.

    Returns:
      The split and its level.

    Raises:
      StrengthError: if a number is not positive.

    Numerical note: no iteration; the level is exact but for rounding.

    Source: Boyd, Vandenberghe 2004, example 5.2, with these curves.
    """
    a, k = np.asarray(amplitude, np.float64), np.asarray(half, np.float64)
    require_budget(budget)
    if not (a.min() > 0 and k.min() > 0):
        raise StrengthError(
            f"amplitude = {a.tolist()} and half = {k.tolist()} must be above 0, in currency."
        )
    first = np.argsort(-a / k)
    roots = np.cumsum(np.sqrt(a * k)[first]) / (budget + np.cumsum(k[first]))
    entered = np.sqrt(a / k)[first] > roots  # true for the first n, and for no other
    root = roots[np.count_nonzero(entered) - 1]
    root = max(root, 1.0) if keep else root
    return Filled(np.maximum(0.0, np.sqrt(a * k) / root - k), float(root**2))
