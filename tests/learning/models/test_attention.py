"""Attention against its formula written plainly, and its gradient against autodiff's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.learning.models.attention import attention

ROWS, LENGTH, HEADS, WIDTH = 3, 5, 2, 8


def numbers(scale=1.0, seed=0):
    return np.random.default_rng(seed).normal(0, scale, (ROWS * LENGTH, 3 * WIDTH)).astype("f")


def some_mask():
    mask = np.ones((ROWS, LENGTH), bool)
    mask[1, 3:], mask[2, 1:] = False, False
    return jnp.asarray(mask)


@jax.jit
def plain(qkv, mask, keep=None):
    """Softmax attention from its definition."""
    q, k, v = (x.reshape(ROWS, LENGTH, HEADS, -1) for x in jnp.split(qkv, 3, axis=1))
    S = jnp.einsum("bqhe,bkhe->bhqk", q, k) / np.sqrt(WIDTH / HEADS, dtype=np.float32)
    P = jax.nn.softmax(jnp.where(mask[:, None, None, :], S, -1e30), axis=-1)
    P = P if keep is None else P * keep
    return jnp.einsum("bhqk,bkhe->bqhe", P, v).reshape(ROWS * LENGTH, WIDTH)


@jax.jit
def both(qkv, mask, keep=None, seen=1.0):
    """Ours and its gradient."""
    value, back = jax.vjp(lambda x: attention(x, mask, keep, HEADS), qkv)
    return value, back(jnp.broadcast_to(seen, value.shape).astype(value.dtype))[0]


def kept(seed=1):
    draws = np.random.default_rng(seed).random((ROWS, HEADS, LENGTH, LENGTH))
    return jnp.asarray((draws > 0.3) / 0.7, jnp.float32)


@pytest.mark.parametrize("keep", [None, kept()], ids=["all kept", "some dropped"])
def test_value_and_gradient_are_those_of_the_definition(keep):
    qkv, mask = jnp.asarray(numbers()), some_mask()
    seen = jnp.asarray(np.random.default_rng(2).normal(size=(ROWS * LENGTH, WIDTH)), jnp.float32)
    ours, gradient = both(qkv, mask, keep, seen)
    theirs, back = jax.vjp(lambda x: plain(x, mask, keep), qkv)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(gradient, back(seen)[0], atol=3e-6)


def test_the_gradient_is_the_slope_of_the_value():
    qkv, mask = numbers().astype(np.float64), some_mask()
    rng = np.random.default_rng(3)
    direction, seen = rng.normal(size=qkv.shape), rng.normal(size=(ROWS * LENGTH, WIDTH))
    with jax.enable_x64(True):

        def total(x):
            return float((np.asarray(both(jnp.asarray(x), mask)[0]) * seen).sum())

        slope = (total(qkv + 1e-6 * direction) - total(qkv - 1e-6 * direction)) / 2e-6
        gradient = np.asarray(both(jnp.asarray(qkv), mask, None, jnp.asarray(seen))[1])
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-8)


def test_what_is_masked_changes_nothing_and_gets_no_gradient():
    mask, qkv = some_mask(), numbers()
    other = qkv.reshape(ROWS, LENGTH, 3, WIDTH).copy()
    other[~np.asarray(mask), 1:] = 1e6  # keys and values of padding
    first, _ = both(jnp.asarray(qkv), mask)
    second, gradient = both(jnp.asarray(other.reshape(qkv.shape)), mask)
    np.testing.assert_array_equal(first, second)
    gradient = np.asarray(gradient).reshape(other.shape)
    assert not gradient[~np.asarray(mask), 1:].any()


def test_a_row_of_padding_alone_is_the_mean_of_its_values_with_a_finite_gradient():
    mask = some_mask().at[0].set(False)
    qkv = jnp.asarray(numbers())
    out, gradient = both(qkv, mask)
    np.testing.assert_allclose(out[0], qkv[:LENGTH, 2 * WIDTH :].mean(0), atol=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [1e-20, 1e3, 1e9])
def test_tiny_and_huge_scores_stay_finite(scale):
    qkv = numbers()
    qkv[:, : 2 * WIDTH] *= np.float32(scale)
    out, gradient = both(jnp.asarray(qkv), some_mask())
    np.testing.assert_allclose(out, plain(jnp.asarray(qkv), some_mask()), atol=1e-5)
    assert np.isfinite(gradient).all()


def test_half_precision_keeps_its_type_and_about_its_digits():
    qkv = jnp.asarray(numbers())
    narrow, gradient = both(qkv.astype(jnp.bfloat16), some_mask(), kept())
    assert narrow.dtype == gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        narrow.astype(jnp.float32), plain(qkv, some_mask(), kept()), atol=0.03, rtol=0.03
    )
