"""What a cautious person maximizes: numbers made of an outcome's draws, exact and smooth.

    CVaR_α(y)     = min E_q[y] over q ≤ p/α          the mean of the worst share α of the draws
    quantile_α(y) = min{v : P(y ≤ v) ≥ α}
    P(y > y₀)                                        y₀ what today's plan brings in the same draw

Each smooth form comes with its influence ∂/∂y_s, from which ascents take their slopes. For CVaR the
influence is a distribution q of the kind above: it is also what bounds CVaR from above.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Draws = Float[np.ndarray, " draw"]


class Smooth(NamedTuple):
    """A smooth form of a risk measure at some draws of the outcome."""

    value: float
    influence: Float[np.ndarray, " draw"]  # ∂value/∂y ≥ 0
    spread: Float[np.ndarray, " draw"]  # d: the second derivative is −diag(d) + d d′/Σd, or 0


Measure = Callable[[np.ndarray], Smooth]


def cvar(y: Draws, weights: Draws, level: float) -> float:
    """The mean of the worst share α of the draws.

    Args:
      y: outcomes.
      weights: p, of sum 1.
      level: α in (0, 1]; 1 is the mean.
    """
    return float(worst(y, weights, level) @ y)


def worst(y: Draws, weights: Draws, level: float) -> Draws:
    """The distribution q ≤ p/α under which the mean of y is least."""
    order = np.argsort(y, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    q = np.empty_like(y)
    q[order] = np.clip(level - before, 0.0, weights[order]) / level
    return q / q.sum()


def quantile(y: Draws, weights: Draws, level: float) -> float:
    """The least value that at least a share α of the draws does not exceed."""
    order = np.argsort(y, kind="stable")
    reached = np.cumsum(weights[order]) >= level * (1 - 1e-12)
    return float(y[order][np.argmax(reached)])


def probability(y: Draws, weights: Draws, today: Draws) -> float:
    """The share of the draws in which y is above what today's plan brings."""
    return float(weights @ (y > today))


def smooth_cvar(weights: Draws, level: float, share: float, width: float) -> Measure:
    """(1 − share) · mean + share · CVaR, the corner of max(t − y, 0) rounded over a width.

    CVaR_ε(y) = max_t t − Σ p h_ε(t − y)/α,   h_ε(z) = (z + √(z² + ε²))/2

    Args:
      weights: p.
      level: α.
      share: of the risk, in [0, 1].
      width: ε > 0, in units of y.
    """

    def measure(y: np.ndarray) -> Smooth:
        t = _level_point(y, weights, level, width)
        z = t - y
        root = np.sqrt(z * z + width * width)
        q = weights * 0.5 * (1 + z / root) / level
        q /= q.sum()
        value = t - float(weights @ (0.5 * (z + root))) / level
        bend = weights * (0.5 * width**2 / root**3) / level
        mean = float(weights @ y)
        influence = (1 - share) * weights + share * q
        return Smooth((1 - share) * mean + share * value, influence, share * bend)

    return measure


def _level_point(y: Draws, weights: Draws, level: float, width: float) -> float:
    """t with Σ p h′_ε(t − y) = α, by Newton's steps within a bracket, else halves of it."""
    reach = width / np.sqrt(min(level, 1 - level) + 1e-12)
    low, high = float(y.min()) - reach, float(y.max()) + reach
    t = 0.5 * (low + high)
    for _ in range(200):
        z = t - y
        root = np.sqrt(z * z + width * width)
        short = 2 * level - float(weights @ (1 + z / root))
        low, high = (t, high) if short > 0 else (low, t)
        slope = float(weights @ (width * width / root**3))
        new = t + short / slope if slope > 0 else low
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - t) <= 4e-16 * (abs(t) + width) or not low < new < high:
            return new
        t = new
    return t


def smooth_quantile(weights: Draws, level: float, width: float) -> Measure:
    """The quantile of y with noise of a small width added: t with Σ p h′_ε(t − y) = α."""

    def measure(y: np.ndarray) -> Smooth:
        t = _level_point(y, weights, level, width)
        z = t - y
        near = weights / np.sqrt(z * z + width * width) ** 3
        return Smooth(t, near / near.sum(), np.zeros_like(y))

    return measure


def smooth_probability(weights: Draws, today: Draws, width: float) -> Measure:
    """The share of draws that beat today's, each step rounded over a width: Σ p h′_ε(y − y₀)."""

    def measure(y: np.ndarray) -> Smooth:
        z = y - today
        root = np.sqrt(z * z + width * width)
        value = float(weights @ (0.5 * (1 + z / root)))
        return Smooth(value, weights * 0.5 * width**2 / root**3, np.zeros_like(y))

    return measure
