"""The best that anyone could have done: plans made by someone who knows the market's truth.

    max_x  E[outcome from today to the end of the tail | x]
    x_qc ≥ 0 a week, even within a quarter,   Σ_c x_qc = Σ_c usual_c in every quarter q

The money of a quarter stays in it, and all quarters are planned at once. The search: first the
best plan that never changes, from many starts, then all quarters freely from there on. Derivatives
are central differences of the world's own expected outcome, every step a scenario of one run.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from channelwise.response.play import QUARTER, World

_STEP = 1e-5

Gain = Callable[[Float[np.ndarray, "scenario quarter channel"]], Float[np.ndarray, " scenario"]]
"""What shares of the budget bring over the usual plan, per currency of all budgets."""


def best_plan(
    world: World, quarters: int | None = None, *, starts: int = 8, seed: int = 0
) -> Float[np.ndarray, "quarter channel"]:
    """The oracle's spend, currency a week of every quarter.

    Args:
      world: at the day on which the plan is made.
      quarters: to plan; by default all that are left.
      starts: of the search for the plan that never changes, besides the usual one and the even
        one: each channel with half of the money, then random ones.
      seed: of the random starts.

    Numerical note: from every start the same optimum is found in concave worlds; elsewhere nothing
    proves that the best of all starts is the best there is, and regret is then at least what is
    shown.
    """
    quarters = world.quarters_left if quarters is None else quarters
    gain, C = _gain(world, quarters), len(world.usual)
    held = max(
        (_climb(gain, start[None], quarters) for start in _starts(world, starts, seed)),
        key=lambda shares: _held_gain(gain, shares, quarters),
    )
    free = _climb(gain, np.repeat(held, quarters, axis=0), quarters)
    return world.usual.sum() * free.reshape(quarters, C)


def best_within(
    world: World,
    today: Float[np.ndarray, " channel"],
    change: float,
) -> Float[np.ndarray, " channel"]:
    """The best weekly spend that may differ from today's by a share of each channel at most.

    Judged as if it were then held for all quarters left: what a planner who knows the truth does
    in a quarter that he may not leave in one step.
    """
    gain, quarters = _gain(world, world.quarters_left), world.quarters_left
    shares = today / world.usual.sum()
    limits = ((1 - change) * shares, (1 + change) * shares)
    starts = (shares, *(np.clip(s, *limits) for s in _starts(world, 4, 0)))
    found = [_climb(gain, start[None], quarters, limits) for start in starts]
    best = max(found, key=lambda shares: _held_gain(gain, shares, quarters))
    return world.usual.sum() * best[0]


def spread(plan: Float[np.ndarray, "quarter channel"]) -> Float[np.ndarray, "period channel"]:
    """A plan of quarters week by week."""
    return np.repeat(plan, QUARTER, axis=0)


def _gain(world: World, quarters: int) -> Gain:
    budget = world.usual.sum()
    usual = np.repeat(world.usual[None], quarters * QUARTER, axis=0)
    base = world.expected(usual[None])[0]

    def gain(shares):
        weekly = np.repeat(budget * shares, QUARTER, axis=1)
        return (world.expected(weekly) - base) / (budget * quarters * QUARTER)

    return gain


def _starts(world: World, starts: int, seed: int) -> list[Float[np.ndarray, " channel"]]:
    """Shares of the budget: the usual ones, even ones, half for each channel in turn, random."""
    C = len(world.usual)
    even = np.full(C, 1 / C)
    halves = 0.5 * even + 0.5 * np.eye(C)
    drawn = np.random.default_rng(seed).dirichlet(np.ones(C), max(0, starts - C))
    return [world.usual / world.usual.sum(), even, *halves[:starts], *drawn]


def _held_gain(gain: Gain, shares: Float[np.ndarray, "1 channel"], quarters: int) -> float:
    return float(gain(np.repeat(shares[None], quarters, axis=1))[0])


def _climb(
    gain: Gain,
    start: Float[np.ndarray, "planned channel"],
    quarters: int,
    limits: tuple[np.ndarray, np.ndarray] | None = None,
) -> Float[np.ndarray, "planned channel"]:
    """Up from one start; one row is a plan held in all quarters."""
    from scipy.optimize import LinearConstraint, minimize

    rows, C = start.shape
    low, high = (np.zeros(C), np.ones(C)) if limits is None else limits

    def values(points):
        plans = points.reshape(-1, rows, C)
        return gain(np.repeat(plans, quarters, axis=1) if rows == 1 else plans)

    def minus_gain(x):
        up, down = (np.maximum(x + step * np.eye(x.size), 0.0) for step in (_STEP, -_STEP))
        every = values(np.concatenate([x[None], up, down]))
        width = (up - down).diagonal()
        return -every[0], -(every[1 : x.size + 1] - every[x.size + 1 :]) / width

    each = np.kron(np.eye(rows), np.ones(C))
    found = minimize(
        minus_gain,
        start.ravel(),
        jac=True,
        bounds=list(zip(np.tile(low, rows), np.tile(high, rows), strict=True)),
        constraints=LinearConstraint(each, 1.0, 1.0),
        method="SLSQP",
        options={"maxiter": 300, "ftol": 1e-10},
    )
    shares = np.clip(found.x, 0.0, None).reshape(rows, C)
    return shares / shares.sum(axis=1, keepdims=True)
