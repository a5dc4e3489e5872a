"""The saturation curves against their equations, derivatives in closed form and limits."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from channelwise.response import saturation

X = np.array([0.0, 1e-6, 0.03, 0.5, 1.0, 4.0, 1e3])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def exact_hill(x, k, s):
    return x**s / (k**s + x**s)


def exact_logistic(x, rate):
    return (1 - mpmath.exp(-rate * x)) / (1 + mpmath.exp(-rate * x))


hill, michaelis_menten, logistic, tanh, root, linear = map(
    jax.jit,  # one compilation for each shape, instead of one for each operation
    (
        saturation.hill,
        saturation.michaelis_menten,
        saturation.logistic,
        saturation.tanh,
        saturation.root,
        saturation.linear,
    ),
)
CURVES = {
    "hill": (hill, exact_hill, [(0.2, 0.5), (0.2, 1.0), (2.0, 3.0)]),
    "michaelis_menten": (michaelis_menten, lambda x, k: x / (k + x), [(0.2,), (3.0,)]),
    "logistic": (logistic, exact_logistic, [(0.5,), (4.0,)]),
    "tanh": (tanh, lambda x, c: mpmath.tanh(x / c), [(0.5,), (4.0,)]),
    "root": (root, lambda x, e: x**e, [(0.3,), (1.0,)]),
    "linear": (linear, lambda x: x, [()]),
}
CASES = [
    pytest.param(curve, exact, values, id=f"{name}-{'-'.join(map(str, values))}")
    for name, (curve, exact, cases) in CURVES.items()
    for values in cases
]
PARAMETERIZED = [case for case in CASES if case.values[2]]


@pytest.mark.parametrize(("curve", "exact", "values"), CASES)
def test_the_curve_is_its_equation_to_the_last_digits(curve, exact, values):
    with mpmath.workdps(40):
        expected = [float(exact(mpmath.mpf(x), *map(mpmath.mpf, values))) for x in X]
    np.testing.assert_allclose(curve(X, *values), expected, rtol=2e-14)


@pytest.mark.parametrize(("curve", "exact", "values"), CASES)
def test_nothing_spent_brings_nothing_and_more_never_brings_less(curve, exact, values):
    y = np.asarray(curve(np.linspace(0, 20, 400), *values))
    assert y[0] == 0
    assert (np.diff(y) >= -np.finfo(float).eps).all()


@pytest.mark.parametrize(("curve", "exact", "values"), PARAMETERIZED)
def test_all_but_the_root_rise_to_one(curve, exact, values):
    top = float(curve(np.array([1e300]), *values)[0])
    assert top > 1e80 if curve is root else top == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("k", [0.1, 1.0, 7.0])
def test_half_saturation_is_where_half_is_reached(k):
    np.testing.assert_allclose(michaelis_menten(np.array([k]), k), 0.5, rtol=1e-14)
    for s in (0.4, 1.0, 3.0):
        np.testing.assert_allclose(hill(np.array([k]), k, s), 0.5, rtol=1e-14)


def test_a_hill_curve_of_slope_one_is_michaelis_menten():
    curve = hill(X, 0.3, 1.0)
    np.testing.assert_allclose(curve, michaelis_menten(X, 0.3), rtol=1e-13)


def test_a_root_of_one_is_no_saturation():
    np.testing.assert_array_equal(root(X, 1.0), linear(X))


def test_for_little_media_a_curve_is_its_first_slope():
    x = np.array([1e-9])
    np.testing.assert_allclose(michaelis_menten(x, 0.2) / x, 1 / 0.2, rtol=1e-7)
    np.testing.assert_allclose(logistic(x, 3.0) / x, 3.0 / 2, rtol=1e-12)
    np.testing.assert_allclose(tanh(x, 0.2) / x, 1 / 0.2, rtol=1e-12)


@pytest.mark.parametrize(("curve", "exact", "values"), PARAMETERIZED)
def test_gradients_agree_with_high_precision_derivatives(curve, exact, values):
    x = X[1:]
    points = np.column_stack([x, np.tile(values, (len(x), 1))])
    numbers = tuple(range(points.shape[1]))
    slopes = jax.jit(jax.vmap(jax.grad(curve, argnums=numbers)))(*points.T)
    with mpmath.workdps(50):
        for i, row in itertools.product(numbers, range(len(x))):
            order = tuple(int(j == i) for j in numbers)
            expected = mpmath.diff(exact, tuple(map(mpmath.mpf, points[row])), order)
            np.testing.assert_allclose(slopes[i][row], float(expected), rtol=1e-9, atol=1e-14)


EXTREMES = {
    hill: [(k, s) for k in (0.0, 1e-300, 1e-30, 1.0, 1e30) for s in (0.1, 1.0, 8.0)],
    michaelis_menten: [(k,) for k in (0.0, 1e-300, 1e-30, 1.0, 1e30)],
    logistic: [(r,) for r in (0.0, 1e-30, 1.0, 1e30)],
    tanh: [(c,) for c in (0.0, 1e-300, 1e-30, 1.0, 1e30)],
    root: [(e,) for e in (0.0, 1e-30, 0.1, 1.0)],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("curve", EXTREMES, ids=lambda f: f.__name__)
def test_values_and_gradients_stay_finite_at_the_extremes(curve, dtype):
    media = [0.0, 1e-320, 1e-30, 1e-8, 1.0, 1e8]
    points = np.array([(x, *p) for x in media for p in EXTREMES[curve]], dtype)
    columns = tuple(points.T)
    numbers = tuple(range(len(columns)))

    @jax.jit
    @jax.vmap
    def everything(*p):
        return curve(*p), jax.jacfwd(curve, numbers)(*p), jax.jacrev(curve, numbers)(*p)

    value, forward, reverse = everything(*columns)
    for name, found in (("f", [value]), ("jacfwd", forward), ("jacrev", reverse)):
        bad = ~np.isfinite(found).all(axis=0)
        assert not bad.any(), f"{name} at {points[bad]}"


@pytest.mark.parametrize(("curve", "exact", "values"), PARAMETERIZED)
def test_parameters_of_nothing_spent_have_no_gradient(curve, exact, values):
    slopes = jax.grad(lambda *p: curve(jnp.zeros(3), *p).sum(), tuple(range(len(values))))(
        *map(jnp.float64, values)
    )
    assert all(float(slope) == 0 for slope in slopes)


@pytest.mark.parametrize(("curve", "exact", "values"), PARAMETERIZED)
def test_one_parameter_a_channel_is_each_channel_by_itself(curve, exact, values):
    x = np.random.default_rng(0).exponential(size=(2, 7, 3))
    columns = [np.array([v, 0.8 * v, 0.5 * v]) for v in values]
    together = curve(x, *columns)
    assert together.shape == x.shape
    for c in range(3):
        alone = curve(x[..., c], *(float(p[c]) for p in columns))
        np.testing.assert_allclose(together[..., c], alone, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("curve", "exact", "values"), CASES)
def test_the_curve_follows_the_type_of_the_media(curve, exact, values, dtype):
    assert curve(jnp.asarray(X, dtype), *values).dtype == dtype
