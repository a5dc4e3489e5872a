"""The interior-point method and its bound against corners, closed forms and other solvers."""

import itertools

import numpy as np
import pytest
from scipy import optimize, sparse

from channelwise.decisions.budget.constraints import ConstraintError
from channelwise.decisions.periods.interior import Derivatives, Objective, maximize
from channelwise.decisions.periods.polytope import (
    Polytope,
    best_multipliers,
    conflict,
    inside,
    linear_bound,
)


def polytope(lower, upper, rows=(), limit=(), names=None) -> Polytope:
    n = len(lower)
    A = sparse.csr_array(np.asarray(rows, float).reshape(-1, n))
    names = tuple(names or (f"row {i}" for i in range(A.shape[0])))
    parts = np.asarray(lower, float), np.asarray(upper, float), A, np.asarray(limit, float)
    return Polytope(*parts, names)


def random_polytope(rng, n=6, rows=5) -> Polytope:
    A = rng.normal(size=(rows, n))
    middle = rng.uniform(0.2, 0.8, n)
    return polytope(np.zeros(n), np.ones(n), A, A @ middle + rng.uniform(0.05, 1, rows))


def root_objective(b: np.ndarray) -> Objective:
    """Σ b_i √x_i."""

    def derivatives(x):
        return Derivatives(float(b @ np.sqrt(x)), b / 2 / np.sqrt(x), np.diag(b / 4 * x**-1.5))

    return Objective(lambda x: float(b @ np.sqrt(x)), derivatives)


def quadratic(Q: np.ndarray, c: np.ndarray) -> Objective:
    def derivatives(x):
        return Derivatives(float(c @ x - x @ Q @ x / 2), c - Q @ x, Q.copy())

    return Objective(lambda x: float(c @ x - x @ Q @ x / 2), derivatives)


def best(objective: Objective, P: Polytope):
    found = inside(P)
    return maximize(objective, P, found.x, found.tight)


def bound_at(objective: Objective, P: Polytope, optimum) -> float:
    state = objective.derivatives(optimum.x)
    return (
        state.value + linear_bound(P, state.gradient, optimum.prices) - state.gradient @ optimum.x
    )


def test_roots_share_a_budget_by_the_squares_of_their_strength():
    b, B = np.array([3.0, 2.0, 1.0]), 100.0
    P = polytope(np.zeros(3), np.full(3, B), np.ones((1, 3)), [B])
    objective = root_objective(b)
    found = best(objective, P)
    np.testing.assert_allclose(found.x, B * b**2 / 14, rtol=1e-9)
    assert objective.value(found.x) == pytest.approx(np.sqrt(14 * B), rel=1e-12)
    assert bound_at(objective, P, found) == pytest.approx(np.sqrt(14 * B), rel=1e-11)


@pytest.mark.parametrize("seed", range(10))
def test_a_concave_quadratic_is_solved_as_by_another_solver(seed):
    rng = np.random.default_rng(seed)
    P, M = random_polytope(rng), rng.normal(size=(6, 6))
    Q, c = M @ M.T / 6 * (seed % 3 > 0), rng.normal(size=6)  # every third is linear
    objective = quadratic(Q, c)
    found = best(objective, P)
    rows = P.matrix.toarray()
    other = optimize.minimize(
        lambda x: -objective.value(x),
        inside(P).x,
        jac=lambda x: -objective.derivatives(x).gradient,
        bounds=np.stack([P.lower, P.upper], 1),
        constraints={"type": "ineq", "fun": lambda x: P.limit - rows @ x, "jac": lambda x: -rows},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert objective.value(found.x) >= -other.fun - 1e-9
    assert bound_at(objective, P, found) == pytest.approx(objective.value(found.x), abs=1e-9)
    assert P.holds(found.x, 1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_optimality_conditions_hold_at_the_end(seed):
    rng = np.random.default_rng(100 + seed)
    P, M = random_polytope(rng), rng.normal(size=(6, 6))
    objective = quadratic(M @ M.T, rng.normal(size=6))
    found = best(objective, P)
    rest = objective.derivatives(found.x).gradient - P.matrix.T @ found.prices
    free = (found.x > 1e-6) & (found.x < 1 - 1e-6)
    assert np.abs(rest[free]).max(initial=0) < 1e-6
    assert (rest[found.x <= 1e-6] <= 1e-6).all() and (rest[found.x >= 1 - 1e-6] >= -1e-6).all()
    assert np.abs(found.prices * (P.limit - P.matrix @ found.x)).max() < 1e-9


def test_any_prices_bound_a_linear_objective_over_all_corners():
    rng = np.random.default_rng(1)
    for _ in range(20):
        P, g = random_polytope(rng, n=3, rows=2), rng.normal(size=3)
        grid = np.array(list(itertools.product(np.linspace(0, 1, 21), repeat=3)))
        allowed = grid[(P.matrix @ grid.T <= P.limit[:, None]).all(axis=0)]
        for prices in (np.zeros(2), rng.uniform(0, 3, 2), best_multipliers(P, g)):
            assert linear_bound(P, g, prices) >= (allowed @ g).max() - 1e-12
        rows = {"A_ub": P.matrix, "b_ub": P.limit, "bounds": [(0, 1)] * 3}
        exact = -optimize.linprog(-g, **rows).fun
        assert linear_bound(P, g, best_multipliers(P, g)) == pytest.approx(exact, abs=1e-9)


def test_a_plan_inside_has_room_to_every_limit_that_leaves_any():
    rng = np.random.default_rng(2)
    for _ in range(10):
        P = random_polytope(rng)
        found = inside(P)
        assert not found.tight.any()
        assert (P.slack(found.x) > 1e-4).all()


def test_limits_that_leave_no_room_are_found():
    P = polytope([0, 0, 2], [10, 10, 2], [[1, 1, 1], [-1, -1, 0]], [5, -3])  # x1 + x2 = 3, x3 = 2
    found = inside(P)
    assert found.tight.tolist() == [True, True, False, False, True, False, False, True]
    assert found.x[:2].sum() == pytest.approx(3) and (found.x[:2] > 0.1).all()


def test_the_best_plan_on_an_equality_is_found_and_proven():
    P = polytope([0, 0, 2], [10, 10, 2], [[1, 1, 1], [-1, -1, 0]], [5, -3])
    objective = root_objective(np.array([2.0, 1.0, 1.0]))
    found = best(objective, P)
    np.testing.assert_allclose(found.x, [3 * 4 / 5, 3 / 5, 2], rtol=1e-7)
    state = objective.derivatives(found.x)
    prices = best_multipliers(P, state.gradient)
    bound = state.value + linear_bound(P, state.gradient, prices) - state.gradient @ found.x
    assert bound == pytest.approx(state.value, rel=1e-8)


def test_a_single_allowed_plan_is_returned():
    P = polytope([1, 2], [1, 5], [[1, 1]], [3])
    found = best(root_objective(np.ones(2)), P)
    np.testing.assert_allclose(found.x, [1, 2])


def test_limits_in_conflict_are_named_and_no_others():
    names = ("the budget", "the least of tv", "the least of radio", "the most of search")
    rows = [[1, 1, 1], [-1, 0, 0], [0, -1, 0], [0, 0, 1]]
    P = polytope(np.zeros(3), np.full(3, 100.0), rows, [100, -60, -50, 7], names)
    assert set(conflict(P)) == {"the budget", "the least of tv", "the least of radio"}
    with pytest.raises(ConstraintError, match="the budget and the least of tv and the least of ra"):
        inside(P)


def test_a_limit_in_conflict_with_the_box_names_the_box():
    P = polytope([0, 0], [1, 1], [[-1, -1]], [-3], ("the least of both",))
    assert conflict(P) == ("the least of both", "the bounds of single periods")


def test_a_convex_objective_is_climbed_to_a_corner():
    """Where f is not concave the method must not end at a saddle or a minimum."""
    P = polytope(np.zeros(2), np.ones(2), [[1, 1]], [1.5])

    def derivatives(x):
        return Derivatives(float(x @ x), 2 * x, np.zeros((2, 2)))

    found = maximize(
        Objective(lambda x: float(x @ x), derivatives),
        P,
        np.array([0.4, 0.5]),
        inside(P).tight,
        barrier=1e-3,
    )
    assert found.x @ found.x == pytest.approx(1.25, abs=1e-9)
