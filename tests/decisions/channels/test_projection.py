"""The nearest spend within a budget, against optax, a general solver, and its own conditions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax import projections
from scipy.optimize import minimize

from channelwise.decisions.channels.projection import project


def drawn(seed: int) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    upper = np.where(rng.random(5) < 0.3, np.inf, rng.uniform(0, 3, 5))
    return rng.normal(0, 3, 5), rng.uniform(0, 5), upper, rng.uniform(0.1, 5, 5)


@pytest.mark.parametrize("seed", range(20))
def test_it_is_optaxs_projection_on_the_simplex_where_the_budget_binds(seed):
    x, budget, _, _ = drawn(seed)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        expected = np.asarray(projections.projection_non_negative(jnp.asarray(x)))
        if expected.sum() > budget:
            expected = np.asarray(projections.projection_simplex(jnp.asarray(x), budget))
    assert np.allclose(project(x, budget), expected, atol=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_it_meets_the_conditions_that_only_the_nearest_point_meets(seed):
    x, budget, upper, weight = drawn(seed)
    y = project(x, budget, upper=upper, weight=weight)
    assert (y >= 0).all() and (y <= upper).all() and y.sum() <= budget + 1e-12
    pull = weight * (x - y)  # τ where y is free, less at 0, more at the upper limit
    free = (y > 0) & (y < upper)
    tau = pull[free].mean() if free.any() else max(0.0, pull.min() if (y > 0).all() else 0.0)
    assert tau >= -1e-12 and np.allclose(pull[free], tau, atol=1e-11)
    assert (pull[y <= 0] <= tau + 1e-11).all() and (pull[y >= upper] >= tau - 1e-11).all()
    assert tau < 1e-11 or y.sum() == pytest.approx(budget, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_general_solver_finds_the_same_point(seed):
    x, budget, upper, weight = drawn(seed)
    found = minimize(
        lambda y: float((weight * (y - x) ** 2).sum()),
        np.minimum(upper, budget / 5),
        jac=lambda y: 2 * weight * (y - x),
        bounds=list(zip(np.zeros(5), upper, strict=True)),
        constraints={
            "type": "ineq",
            "fun": lambda y: budget - y.sum(),
            "jac": lambda y: -np.ones(5),
        },
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    assert np.allclose(project(x, budget, upper=upper, weight=weight), found.x, atol=1e-6)


def test_what_keeps_the_budget_stays_where_it_is():
    x = np.array([0.1, 0.2, 0.0])
    assert np.array_equal(project(x, 1.0), x)
    assert np.array_equal(project(x, 0.0), np.zeros(3))


def test_compiled_and_mapped_it_gives_the_same():
    x, budget, upper, weight = drawn(1)
    with jax.enable_x64(True):
        compiled = jax.jit(lambda x: project(x, budget, upper=upper, weight=weight))
        assert np.allclose(
            compiled(jnp.asarray(x)), project(x, budget, upper=upper, weight=weight), atol=1e-14
        )


def test_equal_steps_on_all_channels_are_taken_back_whole():
    x = np.array([0.5, 0.2, 0.3])
    assert np.allclose(project(x + 0.01, 1.0), x, atol=1e-15)
