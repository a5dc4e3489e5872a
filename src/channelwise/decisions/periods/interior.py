"""Interior-point Newton method: the best plan within linear limits, for smooth objectives.

The step is that of the primal-dual system of the barrier problem max f(x) + μ Σ ln s_i(x), s the
slacks; it is kept only where it raises this merit, so that the method climbs on any smooth f. For a
concave f it ends at the maximum, and the multipliers prove it (`linear_bound`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import cho_factor, cho_solve, qr

from channelwise.decisions.periods.polytope import Polytope

Vector = Float[np.ndarray, " variable"]


class Derivatives(NamedTuple):
    """f at a point, its slope, and how it bends."""

    value: float
    gradient: Float[np.ndarray, " variable"]
    curvature: Float[
        np.ndarray, "variable variable"
    ]  # −Hessian, or a positive semidefinite stand-in


@dataclass(frozen=True, eq=False)
class Objective:
    """What is maximized: f alone, for the line search, and f with its derivatives."""

    value: Callable[[np.ndarray], float]
    derivatives: Callable[[np.ndarray], Derivatives]


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the method ended.

    Attributes:
      x: strictly inside all limits that leave room.
      prices: multipliers y ≥ 0 of the rows.
      residual: largest violation of the optimality conditions.
      steps: Newton steps taken.
    """

    x: Float[np.ndarray, " variable"]
    prices: Float[np.ndarray, " row"]
    residual: float
    steps: int


def maximize(
    objective: Objective,
    polytope: Polytope,
    start: Float[np.ndarray, " variable"],
    tight: Bool[np.ndarray, " slack"],
    *,
    barrier: float = 0.1,
    tolerance: float = 1e-12,
    most_steps: int = 150,
) -> Optimum:
    """Climb from a point inside to a maximum of f over the polytope.

    K dx = ∇f − A'(μ/s),   K = C + A' diag(y/s) A,   C the curvature (positive semidefinite)

    The barrier μ falls to tolerance/10 as fast as the steps allow (Fiacco, McCormick).

    Args:
      objective: in a unit in which typical slopes are around 1.
      polytope: in a unit in which typical amounts are around 1.
      start: with room to every limit that is not tight.
      tight: limits that hold with equality everywhere, from `inside`.
      barrier: the first μ; small keeps close to the start.
      tolerance: of the optimality conditions.
      most_steps: Newton steps at most.

    Returns:
      The point, a maximum for concave f, for others a local one as a rule.

    Source: Nocedal, Wright 2006, §19; Wächter, Biegler 2006, §2 (steps and safeguards).
    """
    room, E = ~tight, _independent(_rows(polytope)[tight])
    x, mu, last = start.copy(), barrier, tolerance / 10
    s = polytope.slack(x)[room]
    y, A = mu / s, _rows(polytope)[room]
    error, steps = np.inf, 0
    while steps < most_steps:
        steps += 1
        state = objective.derivatives(x)
        pull = _without(state.gradient - A.T @ y, E)
        error = max(np.abs(pull).max(initial=0.0), (s * y).max(initial=0.0))
        if error <= tolerance:
            break
        while mu > last and _error(pull, s * y, mu) <= 10 * mu:
            mu = max(last, min(0.2 * mu, mu**1.5))
        dx = _direction(state, A, E, s, y, mu)
        move = -(A @ dx)
        longest = min(1.0, _to_boundary(s, move, mu))
        taken = _search(objective, x, dx, longest, state, s, move, mu)
        dy = mu / s - y - y / s * move
        y = y + min(1.0, _to_boundary(y, dy, mu)) * dy
        x, s = x + taken * dx, s + taken * move  # from x alone, the least slacks would be rounding
        y = np.clip(y, 1e-10 * mu / s, 1e10 * mu / s)
        if taken == 0.0 and mu <= last:
            break
    prices = np.zeros(polytope.slacks)
    prices[room] = y
    return Optimum(x, prices[: len(polytope.limit)], float(error), steps)


def _rows(polytope: Polytope):
    """All limits as rows a with a·x ≤ b: A, −I, I."""
    from scipy import sparse

    eye = sparse.eye_array(len(polytope.lower), format="csr")
    return sparse.vstack([polytope.matrix, -eye, eye], format="csr")


def _independent(rows) -> Float[np.ndarray, "equality variable"]:
    """An orthonormal basis of the rows."""
    dense = rows.toarray()
    if not len(dense):
        return dense
    q, r, _ = qr(dense.T, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    return q[:, size > 1e-10 * size.max()].T


def _without(gradient: Vector, E: np.ndarray) -> Vector:
    """The part of a gradient along which plans can differ."""
    return gradient - E.T @ (E @ gradient)


def _error(pull: np.ndarray, product: np.ndarray, mu: float) -> float:
    return max(np.abs(pull).max(initial=0.0), np.abs(product - mu).max(initial=0.0))


def _direction(state: Derivatives, A, E: np.ndarray, s, y, mu: float) -> Vector:
    """The Newton step dx, with E dx = 0."""
    K = state.curvature + (A.T @ A.multiply((y / s)[:, None]).tocsr()).toarray()
    factor = _factor(K)
    right = state.gradient - A.T @ (mu / s)
    dx = cho_solve(factor, right)
    if len(E):
        back = cho_solve(factor, E.T)
        dx -= back @ np.linalg.solve(E @ back, E @ dx)
    return _without(dx, E)


def _factor(K: np.ndarray):
    """Cholesky's factor of K, of a slightly larger matrix where rounding left K indefinite."""
    scale, more = np.abs(np.diag(K)) + 1e-300, 1e-14
    while True:
        try:
            return cho_factor(K + np.diag(more * scale))
        except np.linalg.LinAlgError:
            more *= 100


def _to_boundary(value: np.ndarray, move: np.ndarray, mu: float) -> float:
    """The step that uses up all but a hundredth (less as μ falls) of the room."""
    falling = move < 0
    if not falling.any():
        return np.inf
    return max(0.99, 1 - mu) * float((value[falling] / -move[falling]).min())


def _search(objective, x, dx, step: float, state, s, move, mu: float) -> float:
    """The largest of step, step/2, step/4, … that raises the merit as its slope promises."""
    merit = state.value + mu * np.log(s).sum()
    slope = state.gradient @ dx + mu * (move / s).sum()
    rounding = 10 * np.finfo(float).eps * (1 + abs(merit))
    for _ in range(40):
        new = objective.value(x + step * dx) + mu * np.log(s + step * move).sum()
        if new >= merit + 1e-4 * step * slope - rounding:
            return step
        step /= 2
    return 0.0
