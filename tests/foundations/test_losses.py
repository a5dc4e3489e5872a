"""The losses against high-precision references, closed-form gradients, limits and invariances."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelwise.foundations import losses
from channelwise.foundations.reduction import reduce_losses

BIG = np.float32(3.4e38)
INF = np.float32(np.inf)
TINY = np.finfo(np.float32).tiny
"""Smallest normal number: below it XLA flushes to zero."""

LOGITS = np.concatenate(
    [
        np.linspace(-87, 87, 4001, dtype=np.float32),
        np.geomspace(1e-30, 1e-2, 200, dtype=np.float32),
        -np.geomspace(1e-30, 1e-2, 200, dtype=np.float32),
        np.float32([0, 88, 100, 1e4, 1e19, BIG, INF]),
        -np.float32([88, 100, 1e4, 1e19, BIG, INF]),
    ]
)
REGRESSION = [losses.squared_error, losses.absolute_error, losses.huber, losses.pinball]
BINARY = [losses.binary_cross_entropy, losses.focal, losses.hinge]
EVERY = [
    *((f, (np.float32([0.5, -2, 3.25]), np.float32([1, 1, 2]))) for f in REGRESSION),
    *((f, (np.float32([0.5, -2, 3]), np.float32([1, 1, 0]))) for f in BINARY),
    (
        losses.binary_cross_entropy_probabilities,
        (np.float32([0.5, 0.2, 0.9]), np.float32([1, 1, 0])),
    ),
    (losses.softmax_cross_entropy, (np.eye(3, 4, dtype=np.float32), np.array([0, 3, 2]))),
    (losses.kl_divergence, (np.eye(3, 4, dtype=np.float32), np.full((3, 4), 0.25, np.float32))),
]
every_loss = pytest.mark.parametrize(
    ("loss", "arguments"), EVERY, ids=lambda v: getattr(v, "__name__", "")
)


@partial(jax.jit, static_argnums=(0, 1))
def compiled(loss, options, answer, truth):
    one = lambda a: loss(a, truth, reduction="none", **dict(options))  # noqa: E731
    value, pull = jax.vjp(one, answer)
    return value, pull(jnp.ones_like(value))[0]


def single(loss, **options):
    """The loss of each sample, and its derivative with respect to the model's answer."""

    def value_and_slope(answer, truth):
        found = compiled(loss, tuple(options.items()), jnp.asarray(answer), jnp.asarray(truth))
        return [np.asarray(v, np.float64) for v in found]

    return value_and_slope


def sigmoid64(z):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def softplus64(z):
    return np.logaddexp(0, np.asarray(z, np.float64))


# --- values and slopes -------------------------------------------------------------------------


def test_squared_absolute_huber_and_pinball_match_their_equations_worked_by_hand():
    y_hat, y = np.float32([1, 4, -2]), np.float32([3, 3.5, 3])  # errors -2, 0.5, -5
    cases = {
        losses.squared_error: ([4, 0.25, 25], [-4, 1, -10]),
        losses.absolute_error: ([2, 0.5, 5], [-1, 1, -1]),
        losses.huber: ([1.5, 0.125, 4.5], [-1, 0.5, -1]),
        losses.pinball: ([1, 0.25, 2.5], [-0.5, 0.5, -0.5]),
    }
    for loss, (value, slope) in cases.items():
        found_value, found_slope = single(loss)(y_hat, y)
        np.testing.assert_allclose(found_value, value, rtol=1e-6)
        np.testing.assert_allclose(found_slope, slope, rtol=1e-6)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_binary_cross_entropy_keeps_its_digits_from_minus_to_plus_infinity(label):
    s = 2 * label - 1
    value, slope = single(losses.binary_cross_entropy)(LOGITS, np.full_like(LOGITS, label))
    np.testing.assert_allclose(value, softplus64(-s * LOGITS), rtol=1e-6, atol=TINY)
    np.testing.assert_allclose(slope, -s * sigmoid64(-s * LOGITS), rtol=2e-6, atol=TINY)


def test_binary_cross_entropy_of_soft_labels_is_the_mixture_of_both_labels():
    z, y = np.meshgrid(LOGITS[np.isfinite(LOGITS)], np.float32([1e-6, 0.1, 0.25, 0.5, 0.9]))
    value, slope = single(losses.binary_cross_entropy)(z, y)
    y64 = y.astype(np.float64)
    expected = y64 * softplus64(-z) + (1 - y64) * softplus64(z)
    np.testing.assert_allclose(value, expected, rtol=2e-6, atol=TINY)
    np.testing.assert_allclose(slope, sigmoid64(z) - y64, rtol=2e-6, atol=2e-7)


def test_binary_cross_entropy_has_the_right_limits_at_infinite_logits():
    z, y = np.float32([INF, INF, -INF, -INF]), np.float32([1, 0, 1, 0])
    value, slope = single(losses.binary_cross_entropy)(z, y)
    np.testing.assert_array_equal(value, [0, INF, INF, 0])
    np.testing.assert_array_equal(slope, [0, 1, -1, 0])


def test_a_label_has_the_slope_minus_z_even_when_it_is_hard():
    z, y = jnp.array([3.0, -2.0]), jnp.array([0.0, 1.0])
    slope = jax.grad(lambda y: losses.binary_cross_entropy(z, y, reduction="sum"))(y)
    np.testing.assert_allclose(slope, [-3, 2], rtol=1e-6)


def test_cross_entropy_of_probabilities_matches_its_equation_and_its_limits():
    p = np.float32([1e-30, 1e-10, 0.3, 0.5, 1 - 6e-8, 0, 1])
    for label in (0.0, 1.0):
        value, slope = single(losses.binary_cross_entropy_probabilities)(p, np.full_like(p, label))
        p64 = p.astype(np.float64)
        with np.errstate(divide="ignore"):
            expected = -np.log(p64) if label else -np.log1p(-p64)
            expected_slope = -1 / p64 if label else 1 / (1 - p64)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        np.testing.assert_allclose(slope, expected_slope, rtol=1e-6)


def test_a_probability_outside_zero_and_one_has_no_loss():
    p = jnp.array([-0.1, 1.1])
    assert np.isnan(
        losses.binary_cross_entropy_probabilities(p, jnp.array([1.0, 0.0]), reduction="none")
    ).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_focal_loss_keeps_its_digits_from_minus_to_plus_infinity(gamma, label):
    t = (2 * label - 1) * LOGITS.astype(np.float64)
    value, slope = single(losses.focal, gamma=gamma)(LOGITS, np.full_like(LOGITS, label))
    miss = sigmoid64(-t)
    with np.errstate(invalid="ignore"):
        expected = miss**gamma * softplus64(-t)
        fade = np.where(np.isneginf(t), 0, sigmoid64(t) * softplus64(-t))
    expected_slope = -(2 * label - 1) * miss**gamma * (gamma * fade + miss)
    np.testing.assert_allclose(value, expected, rtol=5e-6, atol=TINY)
    np.testing.assert_allclose(slope, expected_slope, rtol=5e-6, atol=2 * TINY)


def test_hinge_is_the_distance_to_the_margin_and_flat_beyond_it():
    z = np.float32([0.5, 1.0, 2.0, -3.0, BIG, -BIG, INF, -INF])
    value, slope = single(losses.hinge)(z, np.ones_like(z))
    np.testing.assert_array_equal(value, np.maximum(0, np.float32(1) - z))
    np.testing.assert_array_equal(slope, [-1, 0, 0, -1, 0, -1, 0, -1])
    np.testing.assert_array_equal(single(losses.hinge)(-z, np.zeros_like(z))[0], value)


def hard_rows():
    """Logits whose losses span 1e-37 to 1e38: random, tied, far apart and with one far ahead."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=4) * scale for scale in (1e-3, 1, 10, 40) for _ in range(8)]
    rows += [[gap, 0, 0, 0] for gap in (0, 5, 17, 20, 60, 85)]
    rows += [[1000 + gap, 1000, 999, -1000] for gap in (0, 20, 60)]
    rows += [[BIG, -BIG, 0, 1], [-BIG, -BIG, -BIG, -BIG], [BIG, BIG, 0, 0]]
    return np.asarray(rows, np.float32)


def softmax_reference(row, y):
    """Cross-entropy, divergence and slope of one row in 60 digits."""
    with mpmath.workdps(60):
        z, y = [mpmath.mpf(float(v)) for v in row], [mpmath.mpf(float(v)) for v in y]
        top = max(z)
        e = [mpmath.exp(v - top) for v in z]
        total = mpmath.fsum(e)
        nll = [mpmath.log(total) - (v - top) for v in z]
        p = [v / total for v in e]
        cross = mpmath.fsum(a * b for a, b in zip(y, nll, strict=True))
        entropy = -mpmath.fsum(a * mpmath.log(a) for a in y if a)
        slope = [a * mpmath.fsum(y) - b for a, b in zip(p, y, strict=True)]
        return float(cross), float(cross - entropy), [float(s) for s in slope]


@pytest.mark.parametrize("label", range(4))
def test_softmax_cross_entropy_keeps_its_digits_for_every_row_and_class(label):
    z = hard_rows()
    value, slope = single(losses.softmax_cross_entropy)(z, np.full(len(z), label))
    reference = [softmax_reference(row, np.eye(4)[label]) for row in z]
    with np.errstate(over="ignore"):  # 6.8e38 is infinite in float32
        expected = np.float32([r[0] for r in reference])
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=TINY)
    # A difference of logits of 87 is itself rounded by up to 3.8e-6, and so is its exponential.
    np.testing.assert_allclose(slope, [r[2] for r in reference], rtol=5e-6, atol=TINY)


def test_softmax_cross_entropy_and_divergence_of_soft_labels_match_sixty_digits():
    z = hard_rows()[:-3]
    y = np.float32([[0.5, 0.25, 0.125, 0.125], [0, 0, 0.5, 0.5], [0.25] * 4])
    for target in y:
        reference = [softmax_reference(row, target) for row in z]
        truth = np.broadcast_to(target, z.shape)
        cross, slope = single(losses.softmax_cross_entropy)(z, truth)
        excess, same_slope = single(losses.kl_divergence)(z, truth)
        np.testing.assert_allclose(cross, [r[0] for r in reference], rtol=1e-6)
        np.testing.assert_allclose(excess, [r[1] for r in reference], rtol=2e-6, atol=1e-9)
        np.testing.assert_allclose(slope, [r[2] for r in reference], rtol=2e-6, atol=2e-7)
        np.testing.assert_array_equal(slope, same_slope)


def test_a_softmax_loss_far_below_the_rounding_of_one_is_not_lost():
    z = jnp.array([[60.0, 0.0, 0.0]])
    found = losses.softmax_cross_entropy(z, jnp.array([0]))
    np.testing.assert_allclose(found, 2 * np.exp(-60), rtol=1e-6)
    assert optax.softmax_cross_entropy_with_integer_labels(z, jnp.array([0]))[0] == 0


def test_softmax_cross_entropy_has_the_right_limits_at_infinite_logits():
    z = np.float32([[INF, 0, 1], [-INF, 0, 0], [INF, INF, 0], [0, -INF, -INF], [-INF] * 3])
    value, slope = single(losses.softmax_cross_entropy)(z, np.zeros(5, int))
    np.testing.assert_allclose(value, [0, INF, np.log(2), 0, np.log(3)], rtol=1e-6)
    expected = [[0, 0, 0], [-1, 0.5, 0.5], [-0.5, 0.5, 0], [0, 0, 0], [-2 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_a_masked_class_of_probability_zero_costs_nothing():
    z = jnp.array([[1.0, -jnp.inf, 1.0]])
    y = jnp.array([[0.5, 0.0, 0.5]])
    for loss, expected in ((losses.softmax_cross_entropy, np.log(2)), (losses.kl_divergence, 0)):
        value, slope = single(loss)(z, y)
        np.testing.assert_allclose(value, [expected], atol=1e-7)
        np.testing.assert_allclose(slope, [[0, 0, 0]], atol=1e-7)


def test_the_divergence_of_nearly_equal_distributions_keeps_its_digits():
    z = np.log(np.float64([0.2, 0.3, 0.5]))
    for gap in (1e-1, 1e-2, 1e-3):
        moved = (z + gap * np.array([1, -1, 0])).astype(np.float32)
        y = np.float32([0.2, 0.3, 0.5])
        expected = softmax_reference(moved, y)[1] - (float(y.astype(float).sum()) - 1)
        found = losses.kl_divergence(jnp.asarray(moved), jnp.asarray(y))
        np.testing.assert_allclose(found, expected, rtol=3e-7 / gap)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=4, max_size=4),
    st.floats(0, 1, width=32),
)
def test_no_logit_makes_a_loss_or_a_slope_nan(logits, label):
    z = np.float32(logits)
    for loss, y in itertools.product(BINARY, (0.0, 1.0)):
        assert not np.isnan(single(loss)(z, np.full_like(z, y))).any()
    assert not np.isnan(single(losses.binary_cross_entropy)(z, np.full_like(z, label))).any()
    for loss in (losses.softmax_cross_entropy, losses.kl_divergence):
        value, slope = single(loss)(z, np.eye(len(z), dtype=np.float32)[0])
        assert value >= 0
        assert not np.isnan(slope).any()


@every_loss
def test_every_gradient_agrees_with_finite_differences(loss, arguments):
    answer, truth = arguments
    with jax.enable_x64(True):
        x = jnp.asarray(answer, jnp.float64)
        f = lambda x: loss(x, jnp.asarray(truth))  # noqa: E731
        slope, h = np.asarray(jax.grad(f)(x)), 1e-6
        for k in np.ndindex(x.shape):
            ahead, behind = f(x.at[k].add(h)), f(x.at[k].add(-h))
            np.testing.assert_allclose(slope[k], (ahead - behind) / (2 * h), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("loss", [losses.softmax_cross_entropy, losses.kl_divergence])
def test_second_derivatives_are_those_of_the_softmax(loss):
    z, y = jnp.array([1.0, 0.0, 2.0]), jnp.array([0.2, 0.3, 0.5])
    p = jax.nn.softmax(z)
    np.testing.assert_allclose(
        jax.hessian(lambda z: loss(z, y))(z), jnp.diag(p) - jnp.outer(p, p), atol=1e-7
    )


def test_derivatives_by_the_labels_are_the_log_likelihood_and_the_log_ratio():
    z, y = jnp.array([1.0, 0.0, 2.0]), jnp.array([0.2, 0.3, 0.5])
    nll = -jax.nn.log_softmax(z)
    cross = jax.grad(lambda y: losses.softmax_cross_entropy(z, y))(y)
    excess = jax.grad(lambda y: losses.kl_divergence(z, y))(y)
    np.testing.assert_allclose(cross, nll, rtol=1e-6)
    np.testing.assert_allclose(excess, jnp.log(y) + nll, rtol=1e-5, atol=1e-6)


# --- what each loss asks for -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "options", "functional"),
    [
        (losses.squared_error, {}, np.mean),
        (losses.absolute_error, {}, np.median),
        (losses.pinball, {"level": 0.5}, np.median),
        (losses.pinball, {"level": 0.9}, lambda y: np.quantile(y, 0.9)),
        (losses.huber, {"delta": 1e3}, np.mean),
        (losses.huber, {"delta": 1e-3}, np.median),
    ],
)
def test_the_best_constant_is_the_statistic_the_loss_is_known_for(loss, options, functional):
    y = jnp.asarray(np.random.default_rng(0).exponential(size=1001), jnp.float32)
    grid = jnp.linspace(0, 4, 4001)
    total = jax.vmap(lambda a: loss(jnp.full_like(y, a), y, **options))(grid)
    np.testing.assert_allclose(grid[total.argmin()], functional(np.asarray(y)), atol=4e-3)


def test_the_best_logit_is_the_log_odds_for_cross_entropy_and_a_timid_one_for_focal_loss():
    grid, y = jnp.linspace(-6, 6, 12001), jnp.asarray([1.0, 0.0, 0.0, 0.0, 0.0])
    best = {}
    for loss in BINARY:
        total = jax.vmap(lambda z, loss=loss: loss(jnp.full_like(y, z), y))(grid)
        best[loss] = float(jax.nn.sigmoid(grid[total.argmin()]))
    assert best[losses.binary_cross_entropy] == pytest.approx(0.2, abs=1e-3)
    assert 0.3 < best[losses.focal] < 0.4
    assert best[losses.hinge] == pytest.approx(float(jax.nn.sigmoid(-1.0)), abs=1e-3)


@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.3])
def test_smoothing_makes_the_best_logits_finite(smoothing):
    classes = 5
    best = np.log(1 + classes * (1 - smoothing) / smoothing)
    z = jnp.zeros(classes).at[2].set(best)
    slope = jax.grad(lambda z: losses.softmax_cross_entropy(z, jnp.array(2), smoothing=smoothing))(
        z
    )
    np.testing.assert_allclose(slope, 0, atol=2e-7)
    assert jax.nn.softmax(z)[2] == pytest.approx(1 - smoothing + smoothing / classes, rel=1e-6)


def test_no_smoothing_changes_nothing_and_full_smoothing_forgets_the_label():
    y = jnp.eye(4, dtype=jnp.float32)
    np.testing.assert_array_equal(losses.smooth_labels(y, 0.0), y)
    np.testing.assert_allclose(losses.smooth_labels(y, 1.0), 0.25)
    with pytest.raises(ValueError, match=r"smoothing must lie in \[0, 1\], got 1.5"):
        losses.smooth_labels(y, 1.5)


# --- identities and invariances ----------------------------------------------------------------


def test_two_classes_of_a_softmax_are_one_sigmoid():
    z = jnp.asarray(LOGITS)
    pair = jnp.stack([jnp.zeros_like(z), z], -1)
    for label in (0, 1):
        a = losses.softmax_cross_entropy(pair, jnp.full(z.shape, label), reduction="none")
        b = losses.binary_cross_entropy(z, jnp.full(z.shape, label), reduction="none")
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=TINY)


@pytest.mark.parametrize("loss", BINARY)
def test_renaming_the_classes_turns_the_logit_around(loss):
    z, y = jnp.asarray(LOGITS), jnp.asarray(LOGITS > 0.3, jnp.float32)
    np.testing.assert_array_equal(loss(z, y, reduction="none"), loss(-z, 1 - y, reduction="none"))


def test_a_common_shift_and_a_reordering_of_the_classes_change_no_softmax_loss():
    rng = np.random.default_rng(1)
    z = jnp.asarray(rng.integers(-9, 9, (50, 6)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 6, 50))
    order = rng.permutation(6)
    moved = jnp.asarray(np.argsort(order))[y]
    base = losses.softmax_cross_entropy(z, y, reduction="none")
    shifted = losses.softmax_cross_entropy(z + 1024, y, reduction="none")
    renamed = losses.softmax_cross_entropy(z[:, order], moved, reduction="none")
    np.testing.assert_array_equal(shifted, base)
    np.testing.assert_allclose(renamed, base, rtol=1e-6)


def test_class_numbers_and_one_hot_rows_give_the_same_loss_and_the_same_slope():
    z, y = hard_rows(), np.arange(len(hard_rows())) % 4
    hot = np.eye(4, dtype=np.float32)[y]
    loss = single(losses.softmax_cross_entropy)
    for a, b, c in zip(loss(z, y), loss(z, hot), loss(z, hot.astype(int)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_known_members_of_a_family_coincide():
    y_hat, y = jnp.asarray(LOGITS[:4001]), jnp.asarray(LOGITS[4000::-1])
    label = jnp.asarray(LOGITS[:4001] > 0, jnp.float32)
    none = {"reduction": "none"}
    pairs = [
        (losses.pinball(y_hat, y, **none), losses.absolute_error(y_hat, y, **none) / 2),
        (losses.huber(y_hat, y, delta=1e3, **none), losses.squared_error(y_hat, y, **none) / 2),
        (losses.focal(y, label, gamma=0.0, **none), losses.binary_cross_entropy(y, label, **none)),
    ]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_probabilities_and_logits_give_the_same_cross_entropy():
    z = np.linspace(-15, 15, 301, dtype=np.float32)
    y = (z > 1).astype(np.float32)
    p = sigmoid64(z).astype(np.float32)
    a = losses.binary_cross_entropy_probabilities(jnp.asarray(p), y, reduction="none")
    b = losses.binary_cross_entropy(jnp.asarray(z), y, reduction="none")
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (losses.binary_cross_entropy, optax.sigmoid_binary_cross_entropy),
        (losses.focal, optax.sigmoid_focal_loss),
        (losses.hinge, lambda z, y: optax.hinge_loss(z, 2 * y - 1)),
        (losses.squared_error, optax.squared_error),
        (losses.huber, optax.huber_loss),
    ],
)
def test_values_agree_with_optax_where_optax_is_right(ours, theirs):
    rng = np.random.default_rng(2)
    z = jnp.asarray(rng.normal(size=500) * 4, jnp.float32)
    y = jnp.asarray(rng.integers(0, 2, 500), jnp.float32)
    np.testing.assert_allclose(ours(z, y, reduction="none"), theirs(z, y), rtol=2e-5, atol=1e-7)


def test_softmax_values_agree_with_optax_where_optax_is_right():
    rng = np.random.default_rng(3)
    z = jnp.asarray(rng.normal(size=(200, 7)) * 2, jnp.float32)
    number = jnp.asarray(rng.integers(0, 7, 200))
    soft = jnp.asarray(rng.dirichlet(np.ones(7), 200), jnp.float32)
    none = {"reduction": "none"}
    np.testing.assert_allclose(
        losses.softmax_cross_entropy(z, number, **none),
        optax.softmax_cross_entropy_with_integer_labels(z, number),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        losses.softmax_cross_entropy(z, soft, **none),
        optax.softmax_cross_entropy(z, soft),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        losses.kl_divergence(z, soft, **none),
        optax.kl_divergence(jax.nn.log_softmax(z), soft),
        rtol=1e-5,
        atol=1e-6,
    )


# --- reductions, weights, guards ---------------------------------------------------------------


@every_loss
def test_every_loss_reduces_as_asked(loss, arguments):
    each = loss(*arguments, reduction="none")
    assert each.shape == (3,)
    w = np.float32([1, 0, 3])
    np.testing.assert_allclose(loss(*arguments), each.mean(), rtol=1e-6)
    np.testing.assert_allclose(loss(*arguments, reduction="sum"), each.sum(), rtol=1e-6)
    weighted = loss(*arguments, weights=w, reduction="none")
    np.testing.assert_allclose(weighted, each * w, rtol=1e-6)
    np.testing.assert_allclose(loss(*arguments, weights=w), (w * each).sum() / 4, rtol=1e-6)
    np.testing.assert_allclose(
        loss(*arguments, weights=w, reduction="sum"), (w * each).sum(), rtol=1e-6
    )


@every_loss
def test_a_whole_weight_is_a_repeated_sample_and_weights_have_no_scale(loss, arguments):
    w = np.array([2, 1, 3])
    repeated = [np.repeat(a, w, axis=0) for a in arguments]
    np.testing.assert_allclose(loss(*arguments, weights=w), loss(*repeated), rtol=1e-6)
    np.testing.assert_allclose(
        loss(*arguments, weights=w * np.float32(1e-20)), loss(*arguments, weights=w), rtol=1e-6
    )


@every_loss
def test_every_loss_compiles_and_maps_over_seeds(loss, arguments):
    answer, truth = arguments
    stacked = jnp.stack([jnp.asarray(answer), jnp.asarray(answer) / 2])
    found = jax.jit(jax.vmap(lambda a: loss(a, truth)))(stacked)
    np.testing.assert_allclose(found[0], loss(answer, truth), rtol=1e-6)
    np.testing.assert_allclose(found[1], loss(answer / 2, truth), rtol=1e-6)


@every_loss
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_every_loss_stays_in_the_precision_it_was_given(loss, arguments, dtype):
    found = loss(jnp.asarray(arguments[0], dtype), arguments[1])
    assert found.dtype == dtype
    np.testing.assert_allclose(np.float32(found), loss(*arguments), rtol=5e-2)


@every_loss
def test_predictions_that_are_whole_numbers_are_refused_with_a_remedy(loss, arguments):
    with pytest.raises(Exception, match=r"int") as error:
        loss(np.zeros(arguments[0].shape, int), arguments[1])
    assert error.type.__name__ in ("TypeError", "TypeCheckError")


def test_the_sentence_about_whole_numbers_says_how_to_convert_them():
    from channelwise.foundations.reduction import floating

    with pytest.raises(TypeError, match=r"Logits must be floating-point numbers, got int32"):
        floating("logits", jnp.arange(3))


@pytest.mark.parametrize("loss", [*REGRESSION, *BINARY, losses.binary_cross_entropy_probabilities])
@pytest.mark.parametrize("shape", [(4,), (3, 1), (1,), ()])
def test_nothing_is_broadcast_in_silence(loss, shape):
    with pytest.raises(ValueError, match=r"must have the same shape: got \(3,\) and \(") as error:
        loss(jnp.full(3, 0.5), jnp.zeros(shape))
    assert str(shape) in str(error.value)


def test_class_labels_that_do_not_fit_are_refused_with_both_shapes():
    z = jnp.zeros((5, 3))
    with pytest.raises(ValueError, match=r"got \(5, 3\) and \(4,\)"):
        losses.softmax_cross_entropy(z, jnp.zeros(4, int))
    with pytest.raises(ValueError, match=r"got \(5, 3\) and \(5, 1\)"):
        losses.softmax_cross_entropy(z, jnp.zeros((5, 1), int))
    with pytest.raises(TypeError, match="Class numbers must be integers, got float32"):
        losses.softmax_cross_entropy(z, jnp.zeros(5))


def test_a_class_number_out_of_range_is_not_a_loss_of_zero():
    z = jnp.zeros((3, 3))
    found = losses.softmax_cross_entropy(z, jnp.array([-1, 1, 3]), reduction="none")
    np.testing.assert_allclose(found, [np.nan, np.log(3), np.nan], rtol=1e-6)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"got \(3,\) and \(2,\)"):
        losses.squared_error(jnp.zeros(3), jnp.zeros(3), weights=jnp.ones(2))


def test_an_unknown_reduction_and_an_empty_mean_are_refused():
    with pytest.raises(ValueError, match="Unknown reduction 'median': use 'mean', 'sum' or 'none'"):
        reduce_losses.__wrapped__(jnp.ones(3), None, "median")
    with pytest.raises(ValueError, match=r"The mean of no losses .* shape \(0,\)"):
        losses.squared_error(jnp.zeros(0), jnp.zeros(0))
    assert losses.squared_error(jnp.zeros(0), jnp.zeros(0), reduction="sum") == 0


def test_a_weight_of_zero_takes_out_even_an_infinite_or_undefined_loss():
    z = jnp.array([jnp.inf, 0.0, jnp.nan])
    y, w = jnp.zeros(3), jnp.array([0.0, 2.0, 0.0])
    assert losses.binary_cross_entropy(z, y, weights=w) == pytest.approx(np.log(2), rel=1e-6)


def test_a_mean_of_huge_losses_does_not_overflow():
    z = jnp.full(1000, BIG)
    value, slope = jax.value_and_grad(losses.binary_cross_entropy)(z, jnp.zeros(1000))
    assert value == pytest.approx(BIG, rel=1e-5)
    np.testing.assert_allclose(slope, 1e-3, rtol=1e-6)


def test_the_slope_by_a_weight_is_the_excess_of_its_loss_over_the_mean():
    each, w = jnp.array([1.0, 2.0, 6.0]), jnp.array([1.0, 0.0, 1.0])
    slope = jax.grad(lambda w: reduce_losses(each, w))(w)
    np.testing.assert_allclose(slope, (each - 3.5) / 2, rtol=1e-6)


def test_one_sample_without_axes_is_a_batch_too():
    assert losses.squared_error(2.0, 5.0) == 9
    assert losses.softmax_cross_entropy(jnp.zeros(8), 3) == pytest.approx(np.log(8), rel=1e-6)
