"""The best spend on a few channels with a proof: branch and bound on boxes of spend."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float, Int

from channelwise.decisions.channels.channel_value import ChannelValue
from channelwise.decisions.channels.strength import require_budget

_ROUNDING = 1e-13
"""Allowance for rounding in every bound, relative: about 500 units in the last place."""


class Best(NamedTuple):
    """The best spend that was found, and a proof of how much better any other can be.

    Attributes:
      spend: x, currency per period.
      worth: its value, less the spend if that was asked for, currency per period.
      bound: no spend allowed is worth more than this.
      boxes: boxes of spend that were looked into.
      gap: (bound − worth) / scale, where the scale is the worth, or the budget where it is larger.
      proven: whether the gap is within the tolerance that was asked for.
    """

    spend: Float[np.ndarray, " channel"]
    worth: float
    bound: float
    boxes: int
    gap: float
    proven: bool


class _Boxes(NamedTuple):
    lower: Float[np.ndarray, "box channel"]
    upper: Float[np.ndarray, "box channel"]
    bound: Float[np.ndarray, " box"]
    split: Int[np.ndarray, " box"]  # channel to divide


def best_spend(
    value: ChannelValue,
    budget: float,
    *,
    upper: Float[ArrayLike, "channel"] | Sequence[float] | float = np.inf,
    keep: bool = True,
    tolerance: float = 1e-9,
    most_boxes: int = 300_000,
) -> Best:
    """The best spend under a budget, over all local optima, with a proven bound.

    max V(x) − Σ x   over   0 ≤ x ≤ u, Σ x ≤ B

    Boxes [l, h] of spend are bounded from both corners with the range [g, G] of ∂V/∂x inside them,

    V(x) ≤ V(l) + G·(x − l)   and   V(x) ≤ V(h) − g·(h − x),

    each maximized over the part of the box within the budget (a fractional knapsack, whose solution
    is also tried as a spend). A box whose bound does not exceed the best spend is dropped; the
    others are halved where ∂V/∂x is known least.

    Args:
      value: what channels are worth.
      budget: B > 0, an upper limit, currency per period.
      upper: u ≥ 0, the most that each channel can take, currency per period.
      keep: money that is not spent is kept and counts (profit); otherwise only V counts.
      tolerance: gap at which to stop, at least 1e-12: a share of the worth, or of the budget where
        that is larger (if nothing pays, the worth is 0).
      most_boxes: when to give up; the bound reached until then is returned, and is still proven.

    Returns:
      The best spend with its bound.

    Raises:
      StrengthError: if the budget is not a positive number.

    Numerical note: the number of boxes grows quickly with the channels; up to 4 are a matter of a
    second. Bounds are computed in float64 and raised by 1e-13 of the value against rounding.

    Source: Horst, Tuy 1996, "Global optimization", §IV; the bound is the mean-value form of Moore.
    """
    require_budget(budget)
    cost, n = float(keep), len(value.channels)
    spend, worth = np.zeros(n), float(value.value(np.zeros(n)))
    boxes, looked_into, beaten = _start(np.minimum(upper, np.full(n, float(budget)))), 0, -np.inf
    while boxes.bound.size:
        boxes, tried = _bounded(value, boxes, budget, cost)
        looked_into += boxes.bound.size
        worths = value.value(tried) - cost * tried.sum(-1)
        if worths.max() > worth:
            spend, worth = tried[np.argmax(worths)], float(worths.max())
        enough = worth + tolerance * max(worth, budget)
        beaten = max(beaten, boxes.bound[boxes.bound <= enough].max(initial=-np.inf))
        boxes = _Boxes(*(part[boxes.bound > enough] for part in boxes))
        if looked_into >= most_boxes:
            break
        boxes = _halved(boxes)
    bound = float(max(beaten, boxes.bound.max(initial=-np.inf), worth))
    gap = (bound - worth) / max(worth, budget)
    return Best(spend, worth, bound, looked_into, gap, gap <= tolerance)


def _start(upper: Float[np.ndarray, " channel"]) -> _Boxes:
    return _Boxes(np.zeros((1, upper.size)), upper[None], np.full(1, np.inf), np.zeros(1, int))


def _bounded(
    value: ChannelValue, boxes: _Boxes, budget: float, cost: float
) -> tuple[_Boxes, Float[np.ndarray, "box channel"]]:
    """The boxes with their bounds, and the spends at which the two bounds are taken."""
    lower, upper = boxes.lower, boxes.upper
    left = budget - lower.sum(-1, keepdims=True)
    upper = np.minimum(upper, lower + left)
    width = upper - lower
    least, largest = value.marginal_within(lower, upper)
    at_low, at_high = value.value(lower), value.value(upper)
    from_low = _knapsack(largest - cost, width, left)
    from_high = _knapsack(least - cost, width, left)
    spent = cost * lower.sum(-1)
    bound_low = at_low + ((largest - cost) * from_low).sum(-1)
    bound_high = at_high - (least * width).sum(-1) + ((least - cost) * from_high).sum(-1)
    bound = np.minimum(bound_low, bound_high) + _ROUNDING * at_high - spent
    split = np.argmax((largest - least) * width, axis=-1)
    tried = np.concatenate([lower + from_low, lower + from_high])
    return _Boxes(lower, upper, bound, split), tried


def _knapsack(
    gain: Float[np.ndarray, "box channel"],
    width: Float[np.ndarray, "box channel"],
    left: Float[np.ndarray, "box 1"],
) -> Float[np.ndarray, "box channel"]:
    """argmax Σ gain y over 0 ≤ y ≤ width, Σ y ≤ left: the best first, until nothing is left."""
    order = np.argsort(-gain, axis=-1)
    size = np.take_along_axis(np.where(gain > 0, width, 0.0), order, -1)
    before = np.cumsum(size, axis=-1) - size
    y = np.empty_like(size)
    np.put_along_axis(y, order, np.clip(left - before, 0.0, size), -1)
    return y


def _halved(boxes: _Boxes) -> _Boxes:
    """Every box in two, divided on its channel."""
    row, split = np.arange(len(boxes.split)), boxes.split
    middle = (boxes.lower[row, split] + boxes.upper[row, split]) / 2
    lower, upper = boxes.lower.copy(), boxes.upper.copy()
    upper[row, split], lower[row, split] = middle, middle
    return _Boxes(
        np.concatenate([boxes.lower, lower]),
        np.concatenate([upper, boxes.upper]),
        *(np.concatenate([part, part]) for part in (boxes.bound, boxes.split)),
    )
