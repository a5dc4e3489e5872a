"""The affine map and its gradients, for narrow and wide outputs and in half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.learning.models.affine import affine


def case(inputs, outputs, kind=jnp.float32):
    rng = np.random.default_rng(0)
    shapes = ((7, inputs), (inputs, outputs), (outputs,), (7, outputs))
    return [jnp.asarray(rng.normal(size=s), kind) for s in shapes]


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (5, 3), (4, 4), (6, 1)])
def test_value_and_gradients_are_those_of_the_formula(inputs, outputs):
    x, W, b, seen = case(inputs, outputs)
    value, back = jax.vjp(affine, x, W, b)
    np.testing.assert_allclose(value, np.float64(x) @ np.float64(W) + np.float64(b), atol=1e-5)
    for found, expected in zip(back(seen), (seen @ W.T, x.T @ seen, seen.sum(0)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_half_precision_adds_up_in_float32():
    ones = jnp.full((1, 4096), 1, jnp.bfloat16)
    total = affine(ones, jnp.full((4096, 1), 0.001, jnp.bfloat16), jnp.zeros(1, jnp.bfloat16))
    assert float(total[0, 0]) == pytest.approx(4096 * float(jnp.bfloat16(0.001)), rel=1e-2)
    x, W, b, seen = case(5, 3, jnp.bfloat16)
    _, back = jax.vjp(affine, x, W, b)
    assert {g.dtype for g in back(seen)} == {jnp.dtype(jnp.bfloat16)}
