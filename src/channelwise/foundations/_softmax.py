"""softmax and log_softmax, accurate from the largest entry to the smallest."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from channelwise.foundations._elementary import Values, distance, exp_times, log1p, widen


def softmax(x: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """e^x_i / sum_j e^x_j along `axis`."""
    return _softmax(widen(x), axis).astype(x.dtype)


def log_softmax(x: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """x_i - log sum_j e^x_j along `axis`."""
    return _log_softmax(widen(x), axis).astype(x.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
@partial(jax.jit, static_argnums=1)
def _softmax(x: Values, axis: int) -> Values:
    _, _, e = _exponentials(x, axis)
    return e / jnp.sum(e, axis, keepdims=True)


@_softmax.defjvp
def _softmax_rule(axis, primals, tangents):
    (x,), (dx,) = primals, tangents
    y = _softmax(x, axis)
    return y, y * _centered(dx, x, y, axis)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
@partial(jax.jit, static_argnums=1)
def _log_softmax(x: Values, axis: int) -> Values:
    d, d_low, e = _exponentials(x, axis)
    # log(1 + rest), not log(sum): a rest of 1e-9 would vanish in the sum.
    rest = jnp.sum(jnp.where(_largest(x, axis), jnp.zeros_like(e), e), axis, keepdims=True)
    log_sum = jnp.where(rest <= 1, log1p(jnp.minimum(rest, 1)), jnp.log(1 + rest))
    return (d - log_sum) + d_low


@_log_softmax.defjvp
def _log_softmax_rule(axis, primals, tangents):
    (x,), (dx,) = primals, tangents
    return _log_softmax(x, axis), _centered(dx, x, _softmax(x, axis), axis)


def _exponentials(x: Values, axis: int) -> tuple[Values, Values, Values]:
    """(d, d_low, e^(d + d_low)) with d + d_low = x - max(x), all digits kept."""
    m = jnp.max(x, axis, keepdims=True)
    d = jnp.where(x == m, jnp.zeros_like(x), x - m)  # inf - inf is 0 here: a tie
    v = d - x
    low = (x - (d - v)) - (m + v)
    low = jnp.where(jnp.abs(low) < 1, low, jnp.zeros_like(x))  # NaN and beyond e^-200: no matter
    return d, low, exp_times(jnp.ones_like(x), -distance(d), low)


def _largest(x: Values, axis: int) -> Bool[Array, "*shape"]:
    """True at the first largest entry along `axis`."""
    index = jnp.arange(x.shape[axis])
    index = jnp.expand_dims(index, [i for i in range(x.ndim) if i != axis % x.ndim])
    return index == jnp.argmax(x, axis, keepdims=True)


@partial(jax.jit, static_argnums=3)
def _centered(dx: Values, x: Values, y: Values, axis: int) -> Values:
    """dx - sum_j y_j dx_j, reckoned from the largest entry: 1 - y would cancel when y is near 1."""
    zero = jnp.zeros_like(dx)
    largest = _largest(x, axis)
    pivot = jnp.sum(jnp.where(largest, dx, zero), axis, keepdims=True)
    u = jnp.where(largest, zero, dx - pivot)
    return u - jnp.sum(y * u, axis, keepdims=True)
