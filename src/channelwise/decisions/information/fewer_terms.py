"""Curves of few terms that stand for curves of many.

A market's curve has a term for every period and geo. Terms of about the same scale are alike, so
that a dozen groups of equal amplitude say nearly the same at a tenth of the cost:

    Σ_{j in group} a_j φ((x/k_j)ⁿ)  ≈  a φ((x/k)ⁿ),   a = Σ a_j,   k⁻ⁿ = Σ a_j k_j⁻ⁿ / a

It is exact where φ is linear (little spend, or the power form) and where it is flat (much of it).
"""

from dataclasses import replace

import numpy as np

from channelwise.decisions.budget.curves import Curves


def fewer_terms(curves: Curves, terms: int = 12) -> Curves:
    """The same draws with at most so many terms each.

    Args:
      curves: of amplitudes ≥ 0; returned as they are if a term is negative, or if there are few.
      terms: groups, at least 1.

    Numerical note: on a simulated market of 156 weeks and 5 channels, 12 terms change a single
    draw's value by 4 % at most (Hill: 9 %), and the plan that is best for them is worth 4e-7 (Hill:
    2e-6) of its gain over today's spend less than the best one.
    """
    a, k, n = curves.amplitude, curves.scale, curves.slope[:, :, None]
    if a.shape[2] <= terms or (a < 0).any():
        return curves
    order = np.argsort(k, axis=2)
    a, k = np.take_along_axis(a, order, axis=2), np.take_along_axis(k, order, axis=2)
    total = a.sum(axis=2, keepdims=True)
    below = np.cumsum(a, axis=2) - a / 2
    group = np.minimum(terms * below / np.where(total > 0, total, 1.0), terms - 1).astype(int)
    unit = k[:, :, :1]  # the least: no power of k / unit overflows
    weight = a * (k / unit) ** -n
    amplitude, reach = (_summed(x, group, terms) for x in (a, weight))
    ratio = np.where(amplitude > 0, reach, 1.0) / np.where(amplitude > 0, amplitude, 1.0)
    return replace(curves, amplitude=amplitude, scale=unit * ratio ** (-1 / n))


def _summed(x: np.ndarray, group: np.ndarray, terms: int) -> np.ndarray:
    """Sums over the members of each group, (channel, draw, group)."""
    rows = x.shape[0] * x.shape[1]
    at = (np.arange(rows)[:, None] * terms + group.reshape(rows, -1)).ravel()
    return np.bincount(at, x.ravel(), rows * terms).reshape(*x.shape[:2], terms)
