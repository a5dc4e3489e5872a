"""Many budget decisions at once, on one grid of money: the best plan for each set of weights.

The budget above all lower bounds is cut into equal steps. For values E_kc(x) of channel c in case k
the best division of j steps is built up channel by channel (dynamic programming),

    best_k(j) = max_i  best'_k(j − i) + E_kc(lower_c + i h),

within each group first. It is the best plan on the grid whatever the shape of the curves.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from channelwise.decisions.budget.constraints import Limits
from channelwise.decisions.budget.curves import Curves


class Grid(NamedTuple):
    """Spend and value of every channel on a grid of money."""

    spend: Float[np.ndarray, "channel step"]  # currency
    value: Float[np.ndarray, "channel draw step"]  # currency
    allowed: Bool[np.ndarray, "channel step"]  # where the channel's own constraints let it be
    group: Int[np.ndarray, " channel"]  # index of its group, −1 for none
    limits: Int[np.ndarray, "group 2"]  # fewest and most steps of a group, above lower bounds

    def best(self, weights: Float[np.ndarray, "case draw"]) -> Int[np.ndarray, "case channel"]:
        """The best plan of every case, as steps of each channel."""
        expected = np.where(self.allowed[:, None], weights @ self.value, -np.inf)
        return _divided(list(expected), self.group, self.limits)

    def worth(self, plans: Int[np.ndarray, "case channel"]) -> Float[np.ndarray, "case draw"]:
        """The value of every plan under every draw."""
        return sum(self.value[c][:, plans[:, c]].T for c in range(len(self.spend)))


def grid_of(curves: Curves, limits: Limits, margin: float, price: float, steps: int = 256) -> Grid:
    """The grid for curves under limits, its value margin · outcome − price · spend.

    Args:
      curves: draws of what each channel brings.
      limits: bounds, least spends if used, groups and budget; a target ROI is not looked at.
      margin: share of the outcome that is kept.
      price: of a unit of spend.
      steps: of the budget above the lower bounds.
    """
    above = max(limits.budget - limits.lower.sum(), 0.0)
    spend = limits.lower[:, None] + above / steps * np.arange(steps + 1)
    close = 1e-9 * limits.budget
    idle = (limits.lower == 0)[:, None] & (np.arange(steps + 1) == 0)
    allowed = (spend <= limits.upper[:, None] + close) & (
        idle | (spend >= limits.if_used[:, None] - close)
    )
    value = np.stack([margin * curves.values(x) for x in spend.T], axis=2).swapaxes(0, 1)
    members = [limits.group == g for g in range(len(limits.group_lower))]
    least = np.array([limits.lower[m].sum() for m in members])
    unit = above / steps or 1.0
    low = np.ceil((limits.group_lower - least - close) / unit)
    high = np.floor((limits.group_upper - least + close) / unit)
    bounds = np.clip(np.stack([low, high], axis=1), 0, steps).astype(int)
    value = np.ascontiguousarray(value - price * spend[:, None])
    return Grid(spend, value, allowed, limits.group, bounds)


def _divided(expected: list[np.ndarray], group: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Steps of each channel in each case: groups first, then all of them together."""
    steps = np.arange(expected[0].shape[1])
    parts = [([c], expected[c], []) for c in np.flatnonzero(group < 0)]
    for g, (low, high) in enumerate(limits):
        members = [([c], expected[c], []) for c in np.flatnonzero(group == g)]
        channels, best, splits = _joined(members)
        parts.append((channels, np.where((steps >= low) & (steps <= high), best, -np.inf), splits))
    channels, best, splits = _joined(parts)
    plans = np.zeros((len(best), len(expected)), int)
    _assign(plans, channels, splits, best.argmax(axis=1))
    return plans


def _joined(parts: list) -> tuple:
    """Several parts of the budget as one: channels, best value of each total, how it is split."""
    whole = parts[0]
    for part in parts[1:]:
        best, split = _convolved(whole[1], part[1])
        whole = (whole[0] + part[0], best, [whole, part, split])
    return whole


def _assign(plans: np.ndarray, channels: list, splits: list, total: np.ndarray) -> None:
    """Walks the splits back from the totals to the channels."""
    if not splits:
        plans[:, channels[0]] = total
        return
    first, second, split = splits
    own = split[np.arange(len(total)), total]
    _assign(plans, first[0], first[2], own)
    _assign(plans, second[0], second[2], total - own)


def _convolved(
    a: Float[np.ndarray, "case step"], b: Float[np.ndarray, "case step"]
) -> tuple[Float[np.ndarray, "case step"], Int[np.ndarray, "case step"]]:
    """max_i a(i) + b(j − i), and the i."""
    n = a.shape[1]
    rest = np.arange(n)[:, None] - np.arange(n)
    both = a[:, None, :] + np.where(rest >= 0, b[:, np.maximum(rest, 0)], -np.inf)
    at = both.argmax(axis=2)
    return np.take_along_axis(both, at[:, :, None], axis=2)[:, :, 0], at
