"""Every activation against 80-bit references: value, derivative, limits, types, transformations."""

import importlib.util
import sys
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import mpmath
import numpy as np
import pytest

from channelwise.foundations import activations

ROOT = Path(__file__).parents[2]
VALUE_ULP = 4.0
SLOPE_ULP = 8.0
CHUNK = 2**19


def load_reference():
    """The references live beside the exhaustive check that shares them."""
    path = ROOT / "benchmarks" / "activation_reference.py"
    spec = importlib.util.spec_from_file_location("activation_reference", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


reference = load_reference()
NAMES = list(reference.REFERENCES)
SMOOTH = [n for n in NAMES if n not in ("relu", "leaky_relu", "hard_tanh", "elu", "selu")]


def function(name):
    if name == "gelu_tanh":
        return partial(activations.gelu, approximate=True)
    return getattr(activations, name)


def value_and_slope(f, x):
    y, pull = jax.vjp(f, x)
    return y, pull(jnp.ones_like(y))[0]


@cache
def inputs():
    """2^22 floats, one from each interval of bit patterns, and every special number."""
    tiny, small, big = np.finfo(np.float32).tiny, np.float32(1e-45), np.finfo(np.float32).max
    edges = [0.0, tiny, np.nextafter(tiny, np.float32(0)), small, big, 0.5, 1.0, 1.5]
    edges += [16.6, 8.0, 17.3, 4.87, 1.1e19, 87.33654, 88.72284, 89.0, 103.97, 104.0, 13.05]
    # where the derivatives of gelu, silu and mish cross zero
    edges += [0.75179154, 0.75246143, 1.2784646, 1.1924312]
    edges = np.array(edges, np.float32)
    edges = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, np.float32(2))])
    x = np.concatenate([reference.stratified_float32(2**22), edges, -edges])
    return x[np.isfinite(x)]


def truth(name, x):
    """Value and slope rounded from 80 bits to float64."""
    with np.errstate(all="ignore"):
        value, slope = reference.REFERENCES[name](x.astype(np.longdouble))
    return value.astype(np.float64), slope.astype(np.float64)


@cache
def compiled(name):
    return jax.jit(partial(value_and_slope, function(name)))


@cache
def second_derivative(name):
    return jax.jit(jax.vmap(jax.grad(jax.grad(function(name)))))


def check(name, x):
    """No error above the bounds anywhere in x; NaN counts as infinitely far."""
    got = compiled(name)(jnp.asarray(x))
    bounds = (VALUE_ULP, SLOPE_ULP)
    for what, g, true, bound in zip(("value", "slope"), got, truth(name, x), bounds, strict=True):
        g = np.asarray(g)
        assert not np.isnan(g).any(), f"{name}: NaN {what} at {x[np.isnan(g)][:3]}"
        error = reference.ulp_error(g, true)
        worst = error.argmax()
        assert error[worst] <= bound, (
            f"{name}: {what} at x = {x[worst]!r} is {g[worst]!r}, "
            f"{error[worst]:.2f} ulp from {true[worst]!r}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_value_and_slope_hold_for_four_million_floats_of_every_size(name):
    x = inputs()
    for start in range(0, x.size, CHUNK):
        check(name, x[start : start + CHUNK])


@pytest.mark.parametrize("name", NAMES)
def test_value_and_slope_hold_where_the_function_bends(name):
    dense = np.random.default_rng(1).uniform(-20, 20, CHUNK).astype(np.float32)
    check(name, dense)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_zero_a_nan_and_nine_ulp_would_be_caught(name):
    true = np.array([1e-37, 1.0, -3.0, 2.0, 1e-40])
    got = np.array([0.0, np.nan, -3.0 * (1 + 9 * 2**-23), 2.0, 0.0], np.float32)
    error = reference.ulp_error(got, true)
    assert error[0] > 1e6 and np.isinf(error[1]) and error[2] > SLOPE_ULP / 2
    assert error[3] == 0 and error[4] == 0
    value, _ = truth(name, np.float32([1.0]))
    wrong = np.nextafter(value.astype(np.float32), np.float32(9)) * np.float32(1 + 2e-6)
    assert reference.ulp_error(wrong, value)[0] > VALUE_ULP


DEFINITIONS = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log_sigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "tanh": mpmath.tanh,
    "hard_tanh": lambda x: min(mpmath.mpf(1), max(mpmath.mpf(-1), x)),
    "relu": lambda x: max(mpmath.mpf(0), x),
    "leaky_relu": lambda x: x if x > 0 else x * mpmath.mpf(float(np.float32(0.01))),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "selu": lambda x: (
        mpmath.mpf("1.0507009873554804934193349852946")
        * (x if x > 0 else mpmath.mpf("1.6732632423543772848170429916717") * mpmath.expm1(x))
    ),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
    "gelu_tanh": lambda x: (
        x / (1 + mpmath.exp(-2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)))
    ),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "softsign": lambda x: x / (1 + abs(x)),
}


def central(f, x):
    h = abs(x) * mpmath.mpf(10) ** -20
    return (f(x + h) - f(x - h)) / (2 * h)


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_equals_the_definition_in_60_digits(name):
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(-13, 13, 40), -np.exp(rng.uniform(-60, 0, 10))])
    x = x.astype(np.float32)
    value, slope = reference.REFERENCES[name](x.astype(np.longdouble))
    with mpmath.workdps(60):
        points = [mpmath.mpf(float(v)) for v in x]
        true = [DEFINITIONS[name](p) for p in points]
        true_slope = [central(DEFINITIONS[name], p) for p in points]
    np.testing.assert_allclose(value.astype(float), [float(v) for v in true], rtol=2e-13)
    np.testing.assert_allclose(slope.astype(float), [float(v) for v in true_slope], rtol=2e-12)


LIMITS = {  # value at -inf, value at +inf, slope at -inf, slope at +inf
    "sigmoid": (0, 1, 0, 0),
    "log_sigmoid": (-np.inf, 0, 1, 0),
    "tanh": (-1, 1, 0, 0),
    "hard_tanh": (-1, 1, 0, 0),
    "relu": (0, np.inf, 0, 1),
    "leaky_relu": (-np.inf, np.inf, 0.01, 1),
    "elu": (-1, np.inf, 0, 1),
    "selu": (-1.7580993408473766, np.inf, 0, 1.0507009873554805),
    "softplus": (0, np.inf, 0, 1),
    "silu": (0, np.inf, 0, 1),
    "gelu": (0, np.inf, 0, 1),
    "gelu_tanh": (0, np.inf, 0, 1),
    "mish": (0, np.inf, 0, 1),
    "softsign": (-1, 1, 0, 0),
}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_value_and_slope_reach_their_limits_at_infinity(name, jit):
    f = partial(value_and_slope, function(name))
    value, slope = (compiled(name) if jit else f)(jnp.array([-jnp.inf, jnp.inf]))
    np.testing.assert_allclose(value, LIMITS[name][:2], rtol=1e-6)
    np.testing.assert_allclose(slope, LIMITS[name][2:], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_nan(name):
    signed = np.array([0x7FC00000, 0xFFC00000, 0x7F800001], np.uint32).view(np.float32)
    assert np.isnan(function(name)(jnp.asarray(signed))).all()


@pytest.mark.parametrize("name", NAMES)
def test_forward_reverse_vmap_jit_and_eager_agree(name):
    f = function(name)
    x = jnp.array([-30.0, -3.0, -0.7, -1e-3, 0.0, 0.2, 1.0, 8.0, 40.0], jnp.float32)
    value, slope = compiled(name)(x)
    forward = jax.jvp(f, (x,), (jnp.full_like(x, 2.0),))
    one_by_one = jax.jit(jax.vmap(jax.value_and_grad(f)))(x)
    jacobian = jax.jit(jax.jacfwd(f))(x)
    for got, expected in (
        (forward[0], value),
        (forward[1], 2 * slope),
        (one_by_one[0], value),
        (one_by_one[1], slope),
        (jnp.diag(jacobian), slope),
        (f(x), value),
        (f(x.reshape(3, 3)).ravel(), value),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_scalars_and_empty_arrays_are_welcome(name):
    f = function(name)
    assert jax.grad(f)(0.5) == jax.grad(f)(jnp.float32(0.5))
    assert f(jnp.float32(0.5)).shape == ()
    assert f(jnp.zeros((0, 3), jnp.float32)).shape == (0, 3)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_follow_the_reference(name):
    x = np.float32([-9.0, -4.2, -1.2, -0.76, -0.3, 0.0, 0.1, 0.9, 3.3, 7.0])
    second = second_derivative(name)(jnp.asarray(x))
    h = 1e-6
    wide = x.astype(np.longdouble)
    slope = reference.REFERENCES[name]
    expected = ((slope(wide + h)[1] - slope(wide - h)[1]) / (2 * h)).astype(float)
    if name == "softsign":
        expected[x == 0] = -2.0  # the slope has a kink: its right side
    np.testing.assert_allclose(second, expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives_are_finite_everywhere(name):
    x = jnp.array([-jnp.inf, -3.4e38, -1e10, -100.0, 0.0, 100.0, 1e10, 3.4e38, jnp.inf])
    second = second_derivative(name)(x.astype(jnp.float32))
    assert np.isfinite(second).all(), second


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_float32_rounded_once(name, dtype):
    x = jnp.linspace(-12, 12, 401).astype(dtype)
    value, slope = compiled(name)(x)
    assert value.dtype == slope.dtype == dtype
    wide_value, wide_slope = compiled(name)(x.astype(jnp.float32))
    unit = float(jnp.finfo(dtype).eps)
    for got, expected in ((value, wide_value), (slope, wide_slope)):
        np.testing.assert_allclose(
            got.astype(jnp.float32), expected, rtol=unit, atol=float(jnp.finfo(dtype).tiny)
        )


@pytest.mark.parametrize("name", NAMES)
def test_float64_keeps_its_digits(name):
    with jax.enable_x64(True):
        x = np.random.default_rng(3).uniform(-20, 20, 2000)
        value, slope = compiled(name)(jnp.asarray(x))
        assert value.dtype == slope.dtype == jnp.float64
    if name == "leaky_relu":
        true = np.where(x > 0, x, 0.01 * x), np.where(x > 0, 1.0, 0.01)
    else:
        true = truth(name, x)
    np.testing.assert_allclose(value, true[0], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(slope, true[1], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("negative_slope", [0.0, 0.2, 3.0, -1.0])
def test_leaky_relu_takes_any_slope(negative_slope):
    x = inputs()[::64]
    f = partial(activations.leaky_relu, negative_slope=negative_slope)
    value, slope = jax.jit(partial(value_and_slope, f))(jnp.asarray(x))
    true = reference.leaky_relu(x.astype(np.float64), negative_slope=np.float32(negative_slope))
    assert reference.ulp_error(np.asarray(value), true[0]).max() <= 0.5
    assert reference.ulp_error(np.asarray(slope), true[1]).max() == 0
    at_infinity = f(jnp.array([-jnp.inf]))[0]
    assert at_infinity == (0 if negative_slope == 0 else -np.inf * negative_slope)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 5.0, 1e6])
def test_elu_takes_any_alpha(alpha):
    x = inputs()[::64]
    f = partial(activations.elu, alpha=alpha)
    value, slope = jax.jit(partial(value_and_slope, f))(jnp.asarray(x))
    with np.errstate(under="ignore"):
        true = reference.elu(x.astype(np.float64), alpha=float(np.float32(alpha)))
    assert reference.ulp_error(np.asarray(value), true[0]).max() <= VALUE_ULP
    assert reference.ulp_error(np.asarray(slope), true[1]).max() <= SLOPE_ULP
    assert f(jnp.array([-jnp.inf]))[0] == -np.float32(alpha)


def test_elu_and_leaky_relu_can_learn_their_parameter():
    by_alpha = jax.grad(activations.elu, argnums=1)(jnp.float32(-2.0), jnp.float32(0.7))
    np.testing.assert_allclose(by_alpha, np.expm1(-2.0), rtol=1e-6)
    by_slope = jax.grad(activations.leaky_relu, argnums=1)(jnp.float32(-2.0), jnp.float32(0.7))
    assert by_slope == -2.0


PLAIN = {activations.softmax: jax.nn.softmax, activations.log_softmax: jax.nn.log_softmax}


def rows():
    big = np.finfo(np.float32).max
    rng = np.random.default_rng(4)
    return [
        rng.normal(size=7).astype(np.float32) * 5,
        np.float32([0.0, -20.0, -25.0]),
        np.float32([88.0, 0.1, -40.3, 17.7]),
        np.float32([1000.125, 913.7, 912.3, 999.9]),
        np.float32([3.0, 3.0]),
        np.float32([-5.0]),
        np.float32([big, -big, 0.0]),
        np.float32([-big, -big, -big]),
        np.float32([big, big]),
        rng.uniform(-60, 60, 1000).astype(np.float32),
    ]


def softmax_truth(x):
    d = x.astype(np.longdouble) - x.max()
    e = np.exp(d)
    rest = np.delete(e, x.argmax()).sum()
    return (e / (1 + rest)).astype(float), (d - np.log1p(rest)).astype(float)


@pytest.mark.parametrize("x", rows(), ids=range(len(rows())))
def test_softmax_and_log_softmax_keep_their_digits_from_the_largest_entry_to_the_smallest(x):
    p, log_p = softmax_truth(x)
    assert reference.ulp_error(np.asarray(activations.softmax(jnp.asarray(x))), p).max() <= 8
    got = np.asarray(activations.log_softmax(jnp.asarray(x)))
    assert reference.ulp_error(got, log_p).max() <= 4
    np.testing.assert_allclose(activations.softmax(jnp.asarray(x)).sum(), 1.0, rtol=1e-6)


@pytest.mark.parametrize("x", rows(), ids=range(len(rows())))
@pytest.mark.parametrize("jacobian", [jax.jacfwd, jax.jacrev])
def test_softmax_jacobians_do_not_vanish_where_one_class_is_almost_certain(x, jacobian):
    x = x[:50]
    e = np.exp(x.astype(np.longdouble) - x.max())
    p = e / e.sum()
    others = np.array([np.delete(p, i).sum() for i in range(x.size)])
    of_log = np.where(np.eye(x.size, dtype=bool), others[:, None], -p)
    true = p[:, None] * of_log
    got = jax.jit(jacobian(activations.softmax))(jnp.asarray(x))
    got_log = jax.jit(jacobian(activations.log_softmax))(jnp.asarray(x))
    normal = np.abs(true) > 1e-30
    np.testing.assert_allclose(np.asarray(got)[normal], true.astype(float)[normal], rtol=3e-6)
    normal = np.abs(of_log) > 1e-30
    np.testing.assert_allclose(np.asarray(got_log)[normal], of_log.astype(float)[normal], rtol=3e-6)
    assert np.isfinite(got).all() and np.isfinite(got_log).all()


def test_log_softmax_sees_a_rest_of_one_in_a_billion():
    x = jnp.array([0.0, -20.723266], jnp.float32)
    assert activations.log_softmax(x)[0] == pytest.approx(-1e-9, rel=1e-5)
    assert jax.grad(lambda z: activations.log_softmax(z)[0])(x)[0] == pytest.approx(1e-9, rel=1e-5)


def test_softmax_splits_infinite_logits_evenly():
    inf = jnp.inf
    x = jnp.array([[inf, 0.0, -inf, inf], [-inf, -inf, -inf, -inf], [1.0, -inf, -inf, -inf]])
    expected = np.array([[0.5, 0, 0, 0.5], [0.25] * 4, [1, 0, 0, 0]])
    np.testing.assert_allclose(activations.softmax(x), expected)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(activations.log_softmax(x), np.log(expected), rtol=1e-6)
    for f in (activations.softmax, activations.log_softmax):
        gradient = jax.grad(lambda z, f=f: (f(z)[..., 0]).sum())(x)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("f", [activations.softmax, activations.log_softmax])
def test_softmax_forgets_shifts_and_follows_permutations(f):
    x = jnp.asarray(np.random.default_rng(5).integers(-9, 9, (4, 6)).astype(np.float32))
    np.testing.assert_array_equal(f(x + 1024.0), f(x))
    order = np.array([3, 0, 5, 1, 4, 2])
    np.testing.assert_allclose(f(x[:, order]), f(x)[:, order], rtol=1e-6)


@pytest.mark.parametrize("f", [activations.softmax, activations.log_softmax])
@pytest.mark.parametrize("axis", [0, 1, -1, -3])
def test_softmax_works_along_any_axis_under_vmap(f, axis):
    x = jnp.asarray(np.random.default_rng(6).normal(size=(3, 4, 5)).astype(np.float32))
    along_last = jnp.moveaxis(f(jnp.moveaxis(x, axis, -1)), -1, axis)
    np.testing.assert_allclose(f(x, axis=axis), along_last, rtol=1e-6)
    rows = jax.vmap(f)(x.reshape(12, 5))
    np.testing.assert_allclose(rows, f(x.reshape(12, 5)), rtol=1e-6)


@pytest.mark.parametrize("f", [activations.softmax, activations.log_softmax])
def test_softmax_has_the_right_second_derivatives(f):
    x = jnp.array([0.3, -1.2, 2.0, 0.0], jnp.float32)
    ours, plain = (jax.jit(jax.hessian(lambda z, g=g: (g(z) ** 2).sum()))(x) for g in (f, PLAIN[f]))
    np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("f", [activations.softmax, activations.log_softmax])
def test_softmax_keeps_the_type(f, dtype):
    x = jnp.asarray([[1.0, 2.0, -3.0], [0.5, 0.25, 9.0]], dtype)
    assert f(x).dtype == jax.grad(lambda z: f(z)[0, 0])(x).dtype == dtype
    np.testing.assert_array_equal(f(x), f(x.astype(jnp.float32)).astype(dtype))


def test_a_nan_spoils_its_own_row_alone():
    x = jnp.array([[1.0, jnp.nan], [1.0, 2.0]])
    assert np.isnan(activations.softmax(x)).tolist() == [[True, True], [False, False]]
    assert np.isnan(activations.log_softmax(x)).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("f", [*map(function, NAMES), activations.softmax])
def test_integers_are_refused_in_a_sentence(f):
    with pytest.raises((TypeError, jaxtyping.TypeCheckError)):
        f(jnp.arange(3))


def test_softmax_names_a_missing_axis_and_a_missing_class():
    with pytest.raises(ValueError, match=r"one of the 2 axes of x, whose shape is \(2, 3\); got 2"):
        activations.softmax(jnp.zeros((2, 3)), axis=2)
    with pytest.raises(ValueError, match=r"at least one class, but x has shape \(2, 0\)"):
        activations.log_softmax(jnp.zeros((2, 0)))
