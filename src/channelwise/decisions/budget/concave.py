"""The best division of a budget over concave curves, to the last digit.

At the best, the next unit of currency brings the same everywhere it is free to go (Gossen 1854):

    f_c′(x_c) = price_c   where lower_c < x_c < upper_c

The curves are means over thousands of draws, so each evaluation counts. Around x_c the slope is
taken for that of one simple curve, f_c′(y) ≈ f_c′(x_c) ((k + y)/(k + x_c))^(−r), with k such that
the bend is right: exact for one Michaelis–Menten curve (r = 2) and as good as Newton's method for
all. Under it the budget clears in closed form; a handful of such steps reaches the last digit.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.constraints import Limits
from channelwise.decisions.budget.curves import Curves, Moments
from channelwise.decisions.budget.prices import Cleared, clear

STEPS = 60
LEAST_SIZE = 1e-6
"""Below this share of what the best channel alone could bring, a value counts as nothing."""


class Division(NamedTuple):
    """A division of the budget, and what is proven of it."""

    spend: Float[np.ndarray, " channel"]
    price: Float[np.ndarray, " channel"]  # of money in each channel: λ, or its group's own
    budget_price: float  # λ: one more unit of the budget would bring λ − least
    value: float  # Σ f_c(x_c) − least Σ x_c
    bound: float  # on the value of every division
    nodes: int = 0  # of a search; 0 where none was needed

    @property
    def gap(self) -> float:
        """(bound − value) / |bound|, where that is not almost nothing."""
        return (self.bound - self.value) / max(abs(self.bound), LEAST_SIZE)


def divide(curves: Curves, limits: Limits, least: float, tolerance: float) -> Division:
    """Divides the budget over concave curves.

    Args:
        curves: concave in every draw; of size about 1, as is the spend.
        limits: of the spend, in the same unit.
        least: what money is worth that is not spent (0, or 1 in units of the outcome for profit).
        tolerance: relative gap at which to stop; steps go on while they still gain a digit.

    Returns:
        The division with the smallest proven gap.
    """
    at_ends = [curves.moments(x).slope for x in (limits.lower, limits.upper)]
    x, best = _start(limits), None
    for _ in range(STEPS):
        at = curves.moments(x)
        demand = _model(x, at, at_ends, limits)
        top = max(float(at.slope.max()), least)
        cleared = clear(demand, limits, least, (top * 1e-9, top * 1e9))
        if _keeps(x, limits):  # as the first one may not
            found = judged(x, at, cleared, limits, least)
            before = np.inf if best is None else best.gap
            best = found if found.gap < before else best
            if best.gap <= 1e-15 or (best.gap <= tolerance and best.gap >= before / 4):
                break
        x = _spent(demand, cleared.price, limits)
    return best


def judged(
    x: Float[np.ndarray, " channel"], at: Moments, cleared: Cleared, limits: Limits, least: float
) -> Division:
    """A division with its value and a bound by duality: tangents lie above concave curves.

    Σ f_c(y_c) − ν_0 Σ y_c ≤ Σ_c max_y (f_c(y) − p_c y) + (λ − ν_0) B + Σ_g (μ_g⁺ U_g − μ_g⁻ L_g)

    for every y within the limits, ν_0 = `least`, λ ≥ ν_0 and any p_c = λ + μ_g(c).
    """
    p = cleared.price[1]
    surplus = np.where(np.isfinite(at.slope), at.slope - p, 0.0)
    room = np.maximum(surplus * (limits.upper - x), surplus * (limits.lower - x))
    alone = float((at.value - p * x + room).sum())
    value = float(at.value.sum() - least * x.sum())
    return Division(x, p, cleared.budget, value, alone + held_by(cleared, limits, least))


def held_by(cleared: Cleared, limits: Limits, least: float) -> float:
    """What the budget and the groups' limits are worth at their prices."""
    worth = (cleared.budget - least) * limits.budget
    for g, (low, high) in enumerate(zip(limits.group_lower, limits.group_upper, strict=True)):
        own = cleared.price[1][limits.group == g][0] - cleared.budget
        worth += own * high if own > 0 else own * low
    return float(worth)


def _model(x, at: Moments, at_ends: list, limits: Limits):
    """What each channel asks for at a price, if its slope is s ((k + y)/(k + x))^(−r) around x.

    k makes the bend right. At the bounds the true slopes decide. A step changes a spend at most
    20-fold.
    """
    slope = np.maximum(at.slope, 1e-290)
    elasticity = np.clip(-x * at.bend / slope, 1e-9, 1e3)
    r = np.maximum(2.0, 1.05 * elasticity)
    k = x * (r / elasticity - 1)
    inside = limits.lower + 1e-6 * (limits.upper - limits.lower)
    low = np.where(x > limits.lower, np.maximum(x / 20, limits.lower), inside)
    high = np.minimum(np.maximum(20 * x, inside), limits.upper)

    def demand(price: Float[np.ndarray, "price channel"]) -> Float[np.ndarray, "price channel"]:
        with np.errstate(divide="ignore", over="ignore"):
            asked = np.clip((k + x) * (slope / price) ** (1 / r) - k, low, high)
        asked = np.where(price >= at_ends[0], limits.lower, asked)
        return np.where(price <= at_ends[1], limits.upper, asked)

    return demand


def _spent(demand, price: Float[np.ndarray, "2 channel"], limits: Limits):
    """What is asked for between the two ends of the bracket, so that every limit is met."""
    too_much, x = demand(price)
    more = np.maximum(too_much - x, 0.0)
    for g, (low, high) in enumerate(zip(limits.group_lower, limits.group_upper, strict=True)):
        own = limits.group == g
        lacks = low - x[own].sum()
        if lacks > 0 and more[own].sum() > 0:
            x[own] += more[own] * min(lacks / more[own].sum(), 1.0)
            more[own] = np.maximum(too_much[own] - x[own], 0.0)
        more[own] *= min(max(high - x[own].sum(), 0.0) / max(more[own].sum(), 1e-300), 1.0)
    left = limits.budget - x.sum()
    return x + more * min(max(left, 0.0) / max(more.sum(), 1e-300), 1.0)


def _keeps(x: Float[np.ndarray, " channel"], limits: Limits) -> bool:
    """Whether a division meets the groups' limits, to rounding."""
    totals = np.array([x[limits.group == g].sum() for g in range(len(limits.group_lower))])
    short, over = limits.group_lower - totals, totals - limits.group_upper
    return bool((np.maximum(short, over) <= 1e-9 * np.maximum(totals, 1e-3)).all())


def _start(limits: Limits) -> Float[np.ndarray, " channel"]:
    """Somewhere inside the bounds."""
    room = limits.upper - limits.lower
    share = min(1.0, (limits.budget - limits.lower.sum()) / max(room.sum(), 1e-300))
    return limits.lower + max(share, 0.0) * room
