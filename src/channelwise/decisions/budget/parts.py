"""Where a channel's best spend can lie at a price: on its concave parts, and at a few points.

At a price p a channel wants the x that maximizes f(x) − p x. On a convex part that is an end; on a
concave one it is where f′(x) = p. In a cell where the bend is unknown f is at most

    m ((r − l)/l)² / 8,   m ≥ |x² f″|,

above its chord from l to r, which shrinks as the interval does. The most over all parts is proven
but for the error of the table.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.decisions.budget.table import Table


class Parts(NamedTuple):
    """The parts of every channel's curve, padded to the same number."""

    table: Table
    least: Float[np.ndarray, " channel"]  # of the spend if there is any
    first: np.ndarray  # (channel, run): first node of a concave run, −1 for none
    last: np.ndarray  # (channel, run): its last node
    x: Float[np.ndarray, "channel point"]
    value: Float[np.ndarray, "channel point"]  # f(x) or a bound; −inf for no point
    begin: Float[np.ndarray, "channel unknown"]  # where a cell of unknown bend begins,
    end: Float[np.ndarray, "channel unknown"]  # where it ends,
    steepest: Float[np.ndarray, "channel unknown"]  # and its m
    edges: tuple[np.ndarray, ...]  # by channel: spends at which one part becomes another


class Choice(NamedTuple):
    """What each channel does at each price."""

    spend: Float[np.ndarray, "price channel"]
    surplus: Float[np.ndarray, "price channel"]  # bound on max f(x) − p x


def parts_of(table: Table, least: Float[np.ndarray, " channel"], may_stop: np.ndarray) -> Parts:
    """Cuts tabulated curves into parts.

    Args:
        table: the curves.
        least: of each channel's spend if there is any.
        may_stop: (channel,) bool, whether a channel may spend nothing.
    """
    runs, points, unknown, edges = [], [], [], []
    for c in range(len(table.step)):
        own_runs, own_points, own_unknown, own_edges = _cut(table, c)
        begin = table.nodes[c, 0]
        if may_stop[c]:
            own_points.append((0.0, 0.0))
            own_edges.append(begin if least[c] == 0 else least[c] / 2)
        if may_stop[c] and least[c] == 0 and not table.convex_below[c]:
            own_points.append((0.0, table.below[c]))
        runs.append(own_runs)
        points.append(own_points)
        unknown.append(own_unknown)
        edges.append(np.array(own_edges))
    ends = _padded(runs, (-1, -1)).astype(int)
    at = np.moveaxis(_padded(points, (0.0, -np.inf)), 2, 0)
    cells = np.moveaxis(_padded(unknown, (1.0, 0.0, 0.0)), 2, 0)
    return Parts(table, least, ends[..., 0], ends[..., 1], *at, *cells, edges=tuple(edges))


def choose(
    parts: Parts,
    price: Float[np.ndarray, "price channel"],
    low: Float[np.ndarray, " channel"],
    high: Float[np.ndarray, " channel"],
) -> Choice:
    """The best spend of each channel within an interval, at each price."""
    within = np.maximum(low, np.where(low > 0, parts.least, 0.0))
    ends = np.stack([within, np.where(high >= parts.least, high, 0.0)], axis=1)
    at_ends = evaluate(parts.table, ends)
    fits = (parts.x >= within[:, None]) & (parts.x <= ends[:, 1:])
    unknown = _in_unknown(parts, *ends.T)
    x = np.concatenate([parts.x, ends, unknown[0]], axis=1)
    value = np.where(fits, parts.value, -np.inf)
    surplus = np.concatenate([value, at_ends, unknown[1]], axis=1) - price[..., None] * x
    x = np.broadcast_to(x, surplus.shape)
    on_runs = _on_runs(parts, price, within, ends[:, 1])
    x = np.concatenate([x, on_runs[0]], axis=2)
    surplus = np.concatenate([surplus, on_runs[1]], axis=2)
    best = surplus.argmax(axis=2)[..., None]
    return Choice(*(np.take_along_axis(part, best, axis=2)[..., 0] for part in (x, surplus)))


def _in_unknown(parts: Parts, low, high):
    """Both ends of every cell of unknown bend within the interval, with bounds on f between."""
    left = np.maximum(parts.begin, low[:, None])
    right = np.minimum(parts.end, high[:, None])
    some = left < right
    width = np.where(some, right / np.where(some, left, 1.0) - 1, 0.0)
    x = np.concatenate([left, right], axis=1)
    rise = np.where(some, parts.steepest * width**2 / 8, -np.inf)
    value = evaluate(parts.table, x) + np.concatenate([rise, rise], axis=1)
    return np.where(np.tile(some, 2), x, low[:, None]), value


def _on_runs(parts: Parts, price, low, high):
    """The best spend on every concave run, and its surplus (−inf outside of the interval)."""
    table, (a, b) = parts.table, (parts.first, parts.last)
    rows = np.arange(len(a))[:, None]
    begin = np.maximum(table.nodes[rows, a], low[:, None])
    end = np.minimum(table.nodes[rows, b], high[:, None])
    cell = _cell(table, price, a, b)
    coefficients = table.poly[rows, cell]
    t = _stationary(coefficients, table, price, rows, cell)
    u = table.start[:, None] + table.step[:, None] * (cell + t)
    x = np.clip(np.exp(u), begin, end)
    surplus = evaluate(table, x) - price[..., None] * x
    return x, np.where((a >= 0) & (begin <= end), surplus, -np.inf)


def _cell(table: Table, price, a, b) -> np.ndarray:
    """The cell of each concave run in which the slope falls to the price, by bisection."""
    rows = np.arange(len(a))[:, None]
    low = np.broadcast_to(a, (*price.shape, a.shape[1])).copy()
    high = np.broadcast_to(b, low.shape).copy()
    for _ in range(int(np.ceil(np.log2(table.nodes.shape[1]))) + 1):
        middle = (low + high) // 2
        above = table.slope[rows, middle] > price[..., None]
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.clip(low, 0, table.nodes.shape[1] - 2)


def _stationary(coefficients, table: Table, price, rows, cell):
    """t in [0, 1] where df/du = p x, by Newton's method from the middle of the cell."""
    t = np.full(cell.shape, 0.5)
    h = table.step[rows]
    for _ in range(5):
        first, second = _derivatives(coefficients, t)
        paid = price[..., None] * np.exp(table.start[:, None] + h * (cell + t)) * h
        slope = second - paid * h
        step = np.where(slope < 0, (first - paid) / np.where(slope < 0, slope, -1.0), 0.0)
        t = np.clip(t - step, 0.0, 1.0)
    return t


def _derivatives(c, t):
    first = c[..., 1] + t * (
        2 * c[..., 2] + t * (3 * c[..., 3] + t * (4 * c[..., 4] + t * 5 * c[..., 5]))
    )
    second = 2 * c[..., 2] + t * (6 * c[..., 3] + t * (12 * c[..., 4] + t * 20 * c[..., 5]))
    return first, second


def evaluate(table: Table, x: Float[np.ndarray, "*batch channel at"]) -> np.ndarray:
    """f at some spends of each channel; in front of the table its bound there, at 0 nothing."""
    rows = np.arange(len(table.step))[:, None]
    s = (np.log(np.maximum(x, 1e-300)) - table.start[:, None]) / table.step[:, None]
    cell = np.clip(s, 0, table.nodes.shape[1] - 2).astype(int)
    t = np.clip(s - cell, 0.0, 1.0)
    c = table.poly[rows, cell]
    value = c[..., 5]
    for k in (4, 3, 2, 1, 0):
        value = value * t + c[..., k]
    inside = x >= table.nodes[:, :1] * (1 - 1e-12)
    return np.where(inside, value, np.where(x > 0, table.below[:, None], 0.0))


def _cut(table: Table, c: int):
    """Concave runs, points, cells of unknown bend and edges of one channel's table."""
    bend, x, f = table.bend[c], table.nodes[c], table.value[c]
    cuts = np.flatnonzero(np.diff(bend)) + 1
    runs, points, unknown = [], [], []
    for a, b in zip([0, *cuts], [*cuts, len(bend)], strict=True):  # cells a … b − 1, nodes a … b
        points += [(x[i], f[i]) for i in (a, b)]
        if bend[a] < 0:
            runs.append((a, b))
        elif bend[a] == 0:
            unknown += [(x[k], x[k + 1], table.steepest[c, k]) for k in range(a, b)]
    return runs, points, unknown, [float(x[a]) for a in cuts]


def _padded(rows: list[list[tuple]], empty: tuple) -> np.ndarray:
    width = max([1, *map(len, rows)])
    return np.array([[*r, *[empty] * (width - len(r))] for r in rows], float)
