"""The recipe: its schedule by closed form, its step against the paper's equations."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from channelwise.foundations import losses
from channelwise.learning.fit import fit
from channelwise.learning.fit_many import fit_many
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.optimizer import adamw, warmup_cosine


def expected_rate(t, peak, T, warmup, end):
    w = int(warmup * T)
    if t < w:
        return peak * (t + 1) / w
    progress = min(1.0, (t - w) / max(1, T - 1 - w))
    return peak * (end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress)))


@pytest.mark.parametrize(
    ("steps", "warmup", "end"), [(100, 0.1, 0.0), (37, 0.3, 0.1), (1, 0.0, 0.0), (50, 0.0, 1.0)]
)
def test_the_schedule_is_a_line_and_half_a_cosine(steps, warmup, end):
    rate = warmup_cosine(3e-3, steps, warmup=warmup, end=end)
    t = np.arange(steps + 5)
    expected = [expected_rate(i, 3e-3, steps, warmup, end) for i in t]
    np.testing.assert_allclose(rate(t), expected, atol=1e-9, rtol=1e-5)


def test_the_first_step_moves_the_peak_is_reached_and_the_last_step_is_the_end():
    rate = warmup_cosine(1.0, 100, warmup=0.1, end=0.05)
    assert rate(0) == pytest.approx(0.1)
    assert rate(9) == rate(10) == 1
    assert rate(99) == pytest.approx(0.05)


def reference_steps(theta, gradients, peak, T, clip, decay):
    """Algorithm 2 of the AdamW paper, clipping before it, in float64."""
    m = {k: 0.0 for k in theta}
    v = {k: 0.0 for k in theta}
    for t, g in enumerate(gradients):
        norm = math.sqrt(sum((a**2).sum() for a in g.values()))
        g = {k: a * min(1.0, clip / norm) for k, a in g.items()}
        rate = expected_rate(t, peak, T, 0.1, 0.0)
        for k in theta:
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
            step = (m[k] / (1 - 0.9 ** (t + 1))) / (np.sqrt(v[k] / (1 - 0.999 ** (t + 1))) + 1e-8)
            pull = decay * theta[k] if theta[k].ndim >= 2 else 0.0
            theta[k] = theta[k] - rate * (step + pull)
    return theta


def test_a_step_is_the_papers_with_a_clipped_gradient_and_no_decay_of_biases():
    rng = np.random.default_rng(0)
    theta = {"kernel": rng.normal(size=(4, 3)), "bias": rng.normal(size=3)}
    gradients = [
        {k: 10.0 ** rng.uniform(-3, 2) * rng.normal(size=a.shape) for k, a in theta.items()}
        for _ in range(20)
    ]
    recipe = adamw(0.01, 20, clip=1.0, decay=0.1)
    params = jax.tree.map(jnp.float32, theta)
    state = recipe.init(params)
    for g in gradients:
        with jax.numpy_dtype_promotion("standard"):
            updates, state = recipe.update(jax.tree.map(jnp.float32, g), state, params)
        params = optax.apply_updates(params, updates)
    expected = reference_steps(theta, gradients, 0.01, 20, 1.0, 0.1)
    for k, value in expected.items():
        np.testing.assert_allclose(params[k], value, rtol=2e-5, atol=1e-6)


def test_the_last_step_size_can_be_read_from_the_state():
    recipe = adamw(0.01, 50)
    params = {"W": jnp.ones((2, 2))}
    state = recipe.init(params)
    assert optax.tree_utils.tree_get(state, "learning_rate") == pytest.approx(0.002)
    for t in range(8):
        with jax.numpy_dtype_promotion("standard"):
            _, state = recipe.update(params, state, params)
        found = optax.tree_utils.tree_get(state, "learning_rate")
        assert found == pytest.approx(expected_rate(t, 0.01, 50, 0.1, 0.0))


X = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
Y = X[:, 0] - 2 * X[:, 1]


def test_a_model_is_trained_by_it():
    recipe = adamw(0.05, 30 * 4, decay=0.0)
    _, history = fit(
        pure_mlp((3, 1)), losses.squared_error, (X, Y), optimizer=recipe, epochs=30, batch_size=16
    )
    assert history.train_loss[-1] < 1e-3


def test_its_peak_can_differ_from_member_to_member():
    def recipe(peak):
        return adamw(peak, 40)

    many = fit_many(
        lambda seed: pure_mlp((3, 1), seed=seed),
        losses.squared_error,
        (X, Y),
        seeds=[0, 0],
        settings={"peak": [1e-4, 1e-1]},
        optimizer=recipe,
        epochs=10,
        batch_size=16,
    )
    assert many.train_loss[1, -1] < many.train_loss[0, -1]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"peak": 0.0}, "peak must be a step size > 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"warmup": 1.0}, "warmup must be a share"),
        ({"end": 2.0}, "end must be a share"),
        ({"clip": 0.0}, "clip must be > 0"),
        ({"decay": -1.0}, "decay must be ≥ 0"),
        ({"eps": 0.0}, "eps must be > 0"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting, says):
    with pytest.raises(ValueError, match=says):
        adamw(**({"peak": 1e-3, "steps": 10} | setting))
