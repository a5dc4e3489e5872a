"""The plans that are allowed: a box and linear limits, each limit with a name.

Before anything is optimized, one linear program (HiGHS, within scipy) finds a plan with room to
every limit that leaves any, and tells which limits leave none. Where no plan is allowed at all,
the limits in conflict are named.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from channelwise.decisions.budget.constraints import ConstraintError

_MOST = 1e6  # a limit that leaves less than a millionth of its size counts as an equality


@dataclass(frozen=True, eq=False)
class Polytope:
    """{x : lower ≤ x ≤ upper, A x ≤ b}.

    Attributes:
      lower: of each variable, finite.
      upper: of each variable, finite, at least `lower` unless there is no plan.
      matrix: A, sparse, one row a limit.
      limit: b.
      names: what each row is called in a message; rows may share a name.
      bounds: what the box is called.
    """

    lower: Float[np.ndarray, " variable"]
    upper: Float[np.ndarray, " variable"]
    matrix: sparse.csr_array
    limit: Float[np.ndarray, " row"]
    names: tuple[str, ...]
    bounds: str = "the bounds of single periods"

    @property
    def slacks(self) -> int:
        """Rows, and two sides of the box for each variable."""
        return len(self.limit) + 2 * len(self.lower)

    def slack(self, x: Float[np.ndarray, " variable"]) -> Float[np.ndarray, " slack"]:
        """b − A x, x − lower and upper − x: how much room a plan leaves to each limit."""
        return np.concatenate([self.limit - self.matrix @ x, x - self.lower, self.upper - x])

    def holds(self, x: Float[np.ndarray, " variable"], tolerance: float = 0.0) -> bool:
        """Whether a plan meets every limit, up to a tolerance relative to the limit's size."""
        size = np.concatenate([self._row_size, self._width, self._width])
        return bool((self.slack(x) >= -tolerance * size).all())

    @property
    def _width(self) -> Float[np.ndarray, " variable"]:
        return np.maximum(np.abs(self.lower), np.abs(self.upper)) + 1e-300

    @property
    def _row_size(self) -> Float[np.ndarray, " row"]:
        """The most a row's terms can amount to."""
        return np.abs(self.limit) + abs(self.matrix) @ self._width + 1e-300

    def scaled(self, unit: float) -> "Polytope":
        """The same plans, measured in units of `unit`."""
        parts = (self.lower / unit, self.upper / unit, self.matrix, self.limit / unit)
        return Polytope(*parts, self.names, self.bounds)


@dataclass(frozen=True, eq=False)
class Inside:
    """A plan with room, and the limits that leave none to any plan."""

    x: Float[np.ndarray, " variable"]
    tight: Bool[np.ndarray, " slack"]


def inside(polytope: Polytope) -> Inside:
    """A plan as far inside as one linear program finds, and the limits always met with equality.

    max Σ t_i   over   a_i·x + t_i ≤ κ b_i,   0 ≤ t_i ≤ 1,   κ ≥ 1

    At its optimum t_i is 0 for exactly the limits that every allowed plan meets with equality, and
    1 for the others; x/κ is the plan.

    Args:
      polytope: in a unit in which typical amounts are around 1.

    Returns:
      The plan, and per slack (rows, lower, upper) whether it is tight.

    Raises:
      ConstraintError: if there is no plan, with the names of limits in conflict.

    Source: Freund, Roundy, Todd 1985, Identifying the set of always-active constraints in a system
    of linear inequalities by a single linear program.
    """
    P, n = polytope, len(polytope.lower)
    eye = sparse.eye_array(n, format="csr")
    A = sparse.vstack([P.matrix, -eye, eye], format="csr")
    b = np.concatenate([P.limit, -P.lower, P.upper])
    size = np.maximum(np.sqrt(np.asarray(A.multiply(A).sum(axis=1))).ravel(), 1e-300)
    A, b = sparse.diags_array(1 / size) @ A, b / size
    k = len(b)
    rows = sparse.hstack([A, sparse.csr_array(-b[:, None]), sparse.eye_array(k)], format="csr")
    cost = np.concatenate([np.zeros(n + 1), -np.ones(k)])
    box = [(None, None)] * n + [(1.0, _MOST)] + [(0.0, 1.0)] * k
    found = _program(cost, rows, np.zeros(k), box)
    if found is None:
        raise ConstraintError(
            f"No plan keeps {' and '.join(conflict(polytope))} together: relax one of them."
        )
    x, scale, room = found[:n], found[n], found[n + 1 :]
    return Inside(x / scale, room < 0.5)


def pulled_in(
    polytope: Polytope, inner: Inside, x: Float[np.ndarray, " variable"], back: float = 0.01
) -> Float[np.ndarray, " variable"]:
    """A plan moved towards the inside until it has room to every limit that leaves any.

    Args:
      polytope: the limits.
      inner: from `inside`.
      x: any plan, also one that breaks limits.
      back: the share of the way, from x or where the limits cut it off, that is left.
    """
    room, move = polytope.slack(inner.x), polytope.slack(x)
    falls = ~inner.tight & (move < room)
    far = np.where(falls, room / np.maximum(room - move, 1e-300), np.inf).min(initial=np.inf)
    return inner.x + min(1.0, far) * (1 - back) * (x - inner.x)


def conflict(polytope: Polytope) -> tuple[str, ...]:
    """The names of limits that contradict each other, none of which can be left out.

    A limit is dropped for good whenever the others still contradict each other without it.

    Args:
      polytope: without any plan.
    """
    kept = list(dict.fromkeys((polytope.bounds, *polytope.names)))
    for name in list(kept):
        fewer = [k for k in kept if k != name]
        if fewer and not _feasible(polytope, set(fewer)):
            kept = fewer
    rows = [name for name in kept if name != polytope.bounds]
    return tuple(rows + [name for name in kept if name == polytope.bounds])


def _feasible(polytope: Polytope, names: set[str]) -> bool:
    kept = np.array([name in names for name in polytope.names], bool)
    most = np.abs(polytope.upper).max() + np.abs(polytope.limit).max() + 1.0
    boxed = polytope.bounds in names
    lower = polytope.lower if boxed else np.zeros_like(polytope.lower)
    upper = polytope.upper if boxed else np.full_like(polytope.upper, most)
    if (lower > upper).any():
        return False
    box = np.stack([lower, upper], axis=1)
    cost = np.zeros(len(lower))
    return _program(cost, polytope.matrix[kept], polytope.limit[kept], box) is not None


def _program(cost, rows, limit, box) -> np.ndarray | None:
    """min cost·x over rows x ≤ limit and the box; None if there is no such x."""
    from scipy.optimize import linprog

    found = linprog(cost, A_ub=rows, b_ub=limit, bounds=box, method="highs")
    return found.x if found.status == 0 else None


def best_multipliers(
    polytope: Polytope, gradient: Float[np.ndarray, " variable"]
) -> Float[np.ndarray, " row"]:
    """Prices y ≥ 0 of the rows at which no plan is worth more than the best one, along a gradient.

    The dual solution of max g·x; zeros where HiGHS gives up, which still make a valid bound.
    """
    from scipy.optimize import linprog

    box = np.stack([polytope.lower, polytope.upper], axis=1)
    found = linprog(
        -gradient, A_ub=polytope.matrix, b_ub=polytope.limit, bounds=box, method="highs"
    )
    if found.status != 0:
        return np.zeros(len(polytope.limit))
    return np.maximum(-found.ineqlin.marginals, 0.0)


def linear_bound(
    polytope: Polytope,
    gradient: Float[np.ndarray, " variable"],
    prices: Float[np.ndarray, " row"],
) -> float:
    """An upper bound of g·x over all allowed x, by weak duality.

    g·x ≤ y·b + Σ_j max((g − A'y)_j lower_j, (g − A'y)_j upper_j)   for any y ≥ 0

    The prices only decide how tight the bound is, never whether it holds.

    Args:
      polytope: the allowed plans.
      gradient: g.
      prices: y; negative ones count as 0.
    """
    y = np.maximum(prices, 0.0)
    rest = gradient - polytope.matrix.T @ y
    return float(
        y @ polytope.limit + np.maximum(rest * polytope.lower, rest * polytope.upper).sum()
    )
