"""The best division of a budget over curves of any shape: branch and bound.

With a price on money every channel has a best spend of its own (`parts.choose`), and the price that
clears the budget bounds every division from above (Lagrange; Everett 1963). Where all channels ask
for spends on their concave parts, that division is the best and the bound is tight. An S-shaped
channel may instead jump at the clearing price, from little to much: then two problems are looked
at, in which that channel stays below, or above, a spend between the two. The problem with the
highest bound comes first; one whose bound is not above the best division found is dropped.

Source: spatial branch and bound, Falk and Soland 1969.
"""

import heapq
import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.concave import Division, held_by
from channelwise.decisions.budget.constraints import Limits
from channelwise.decisions.budget.curves import Curves
from channelwise.decisions.budget.parts import Parts, choose, evaluate, parts_of
from channelwise.decisions.budget.prices import Cleared, clear
from channelwise.decisions.budget.table import table

NODES = 2000
"""Most problems looked at; the gap that is left is then told by the certificate."""


_EAGER = 24
"""Problems around which a division is looked for; later, one in so many."""


class _Problem(NamedTuple):
    """Each channel within an interval of its own, relaxed by prices."""

    low: Float[np.ndarray, " channel"]
    high: Float[np.ndarray, " channel"]
    bound: float
    cleared: Cleared
    asked: Float[np.ndarray, "2 channel"]  # at prices just too low, and just high enough


def search(curves: Curves, limits: Limits, least: float, tolerance: float) -> Division:
    """Divides the budget over curves of any shape.

    Args:
        curves: of size about 1, as is the spend.
        limits: of the spend, in the same unit.
        least: what money is worth that is not spent.
        tolerance: relative gap at which to stop.

    Returns:
        The best division found, with a bound on all.
    """
    parts = _parts(curves, limits)
    slack = float(parts.table.error.sum())
    top = _relaxed(parts, limits.lower, limits.upper, limits, least)
    best = max(_divisions(parts, top, limits, least), key=lambda d: d[0])
    order, closed, seen = itertools.count(), -np.inf, 1
    open_ = [(-top.bound, next(order), top)]
    enough = lambda bound: bound - best[0] <= max(tolerance / 8, 1e-14) * max(abs(bound), 1e-6)  # noqa: E731
    while open_ and not enough(-open_[0][0]) and seen < NODES:
        problem = heapq.heappop(open_)[2]
        children = _halves(parts, problem, limits, least)
        if not children:
            closed = max(closed, problem.bound)
        for child in children:
            seen += 1
            if not enough(child.bound) and (seen < _EAGER or seen % _EAGER == 0):
                best = max([best, *_divisions(parts, child, limits, least)], key=lambda d: d[0])
            if enough(child.bound):
                closed = max(closed, child.bound)
            else:
                heapq.heappush(open_, (-child.bound, next(order), child))
    bound = max(best[0], closed, -open_[0][0] if open_ else -np.inf)
    x = best[1]
    value = float(curves.expected(x).sum() - least * x.sum())
    price, budget_price = best[2].price[1], best[2].budget
    return Division(x, price, budget_price, value, max(bound + slack, value), seen)


def _parts(curves: Curves, limits: Limits) -> Parts:
    stop = limits.lower == 0
    least = np.where(stop, limits.if_used, limits.lower)
    high = np.maximum(limits.upper, 1e-9)
    return parts_of(table(curves, np.minimum(least, high), high), least, stop)


def _relaxed(parts: Parts, low, high, limits: Limits, least: float) -> _Problem | None:
    """The problem within intervals; None if nothing in them keeps the limits."""
    if not _room(low, high, limits):
        return None
    demand = lambda p: choose(parts, p, low, high).spend  # noqa: E731
    steepest = float(parts.table.slope.max())
    top = max(steepest, 1.0, least) * 1e3
    cleared = clear(demand, limits, least, (1e-9 * min(1.0, top), top))
    chosen = choose(parts, cleared.price, low, high)
    bound = float(chosen.surplus[1].sum()) + held_by(cleared, limits, least)
    return _Problem(low, high, bound, cleared, chosen.spend)


def _jumps(problem: _Problem, limits: Limits) -> tuple[np.ndarray, int, float]:
    """What the channels get in the relaxed problem; which one only in part, and at which spend."""
    too_much, fits = problem.asked
    x, jump = fits.copy(), too_much - fits
    jumping = [int(c) for c in np.argsort(-jump) if jump[c] > 1e-9 * max(too_much[c], 1e-9)]
    part, at = -1, 0.0
    for c in jumping:  # what a group must spend at least
        lacks = _lacking(x, limits, c)
        if lacks > 1e-12:
            if jump[c] > lacks and part < 0:
                part, at = c, float(fits[c] + lacks)
            x[c] = too_much[c]
    for c in jumping:
        left = _left(x, limits, c)
        if x[c] == too_much[c] or left <= 0:
            continue
        if jump[c] <= left:
            x[c] = too_much[c]
        elif part < 0:
            part, at = c, float(fits[c] + left)
    return x, part, at


def _lacking(x, limits: Limits, c: int) -> float:
    """What the channel's group still has to spend."""
    g = limits.group[c]
    return 0.0 if g < 0 else float(limits.group_lower[g] - x[limits.group == g].sum())


def _left(x, limits: Limits, c: int) -> float:
    """What the budget and the channel's group still allow."""
    left, g = limits.budget - x.sum(), limits.group[c]
    return float(left if g < 0 else min(left, limits.group_upper[g] - x[limits.group == g].sum()))


def _room(low, high, limits: Limits) -> bool:
    """Whether some division within the intervals keeps the budget and every group's limits."""
    least, most = low[limits.group < 0].sum(), 1 + 1e-12
    for g, (lower, upper) in enumerate(zip(limits.group_lower, limits.group_upper, strict=True)):
        own = limits.group == g
        if low[own].sum() > upper * most or high[own].sum() * most < lower:
            return False
        least += max(low[own].sum(), lower)
    return bool(least <= limits.budget * most and (low <= high).all())


def _divisions(parts: Parts, problem: _Problem | None, limits: Limits, least: float) -> list:
    """Divisions close to the relaxed one that keep every limit: (value, spend, prices)."""
    if problem is None:
        return [(-np.inf, None, None)]
    x, part, at = _jumps(problem, limits)
    found = [_around(parts, x, limits, least, problem.cleared)]
    if part >= 0:
        full = np.where(np.arange(len(x)) == part, problem.asked[0], x)
        found += [_around(parts, full, limits, least, problem.cleared)]
        some = np.where(np.arange(len(x)) == part, at, x)
        found += [_worth(parts, some, limits, least, problem.cleared)]
    return found


def _around(parts: Parts, x, limits: Limits, least: float, cleared: Cleared):
    """The best division in which each channel stays on the part that it is on."""
    low, high = x.copy(), x.copy()
    table = parts.table
    for c in range(len(x)):
        begin = np.where(parts.first[c] >= 0, table.nodes[c, parts.first[c]], np.inf)
        end = table.nodes[c, parts.last[c]]
        on = np.flatnonzero((begin <= x[c] * (1 + 1e-9)) & (x[c] <= end * (1 + 1e-9)))
        if len(on):
            low[c] = np.clip(begin[on[0]], limits.lower[c], limits.upper[c])
            high[c] = np.clip(end[on[0]], limits.lower[c], limits.upper[c])
    inner = _relaxed(parts, low, high, limits, least)
    if inner is None:
        return (-np.inf, x, cleared)
    too_much, fits = inner.asked
    over, under = too_much.sum() - limits.budget, limits.budget - fits.sum()
    share = under / (over + under) if over > 0 and under > 0 else 0.0
    return _worth(parts, fits + (too_much - fits) * share, limits, least, inner.cleared)


def _worth(parts: Parts, x, limits: Limits, least: float, cleared: Cleared):
    """The value of a division, −inf if it breaks a limit."""
    keeps = x.sum() <= limits.budget * (1 + 1e-12)
    for g in range(len(limits.group_lower)):
        total = x[limits.group == g].sum()
        keeps &= limits.group_lower[g] * (1 - 1e-9) <= total <= limits.group_upper[g] * (1 + 1e-9)
    keeps &= bool(((x == 0) | (x >= parts.least * (1 - 1e-12)) | (limits.lower == x)).all())
    value = float(evaluate(parts.table, x[:, None]).sum() - least * x.sum())
    return (value if keeps else -np.inf, x, cleared)


def _raised(parts: Parts, problem: _Problem) -> tuple[int, float]:
    """The channel whose surplus is farthest above what it really gets, and where to split it."""
    chosen = choose(parts, problem.cleared.price, problem.low, problem.high)
    x = chosen.spend[1]
    real = evaluate(parts.table, x[:, None])[:, 0] - problem.cleared.price[1] * x
    c = int((chosen.surplus[1] - real).argmax())
    if problem.low[c] < x[c] < problem.high[c]:
        return c, float(x[c])
    return c, float(problem.low[c] + problem.high[c]) / 2


def _halves(parts: Parts, problem: _Problem, limits: Limits, least: float) -> list[_Problem]:
    """Two problems in place of one: the channel that jumps stays below a spend, or above it."""
    low, high = problem.low, problem.high
    _, c, at = _jumps(problem, limits)
    if c < 0:
        c, at = _raised(parts, problem)
    edges = parts.edges[c]
    inside = edges[(edges > low[c] * (1 + 1e-9)) & (edges < high[c] * (1 - 1e-9))]
    split = inside[np.abs(np.log(inside / at)).argmin()] if len(inside) else at
    if not low[c] < split < high[c]:
        return []
    below, above = high.copy(), low.copy()
    below[c] = above[c] = split
    if split < parts.least[c]:
        below[c], above[c] = 0.0, parts.least[c]
    halves = _relaxed(parts, low, below, limits, least), _relaxed(parts, above, high, limits, least)
    return [half for half in halves if half is not None]
