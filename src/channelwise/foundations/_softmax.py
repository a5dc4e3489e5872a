"""softmax and log_softmax, accurate from the largest entry to the smallest."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from channelwise.foundations._elementary import (
    Values,
    distance,
    exp_times,
    log1p,
    require_floating,
    widen,
)


def softmax(x: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """Softmax: probabilities whose log-odds are the differences of the logits.

    p_i = e^x_i / Σ_j e^x_j,   ∂p_i/∂x_j = p_i (δ_ij − p_j)

    Args:
      x: logits, any shape with at least one entry along `axis`, ±inf included.
      axis: the axis of the classes.

    Returns:
      Probabilities that sum to 1 along `axis`, the shape and type of x. Logits of +inf share the
      probability evenly, and so do entries that are all −inf.

    Raises:
      TypeError: if x does not hold floating-point numbers.
      ValueError: if x has no such axis or no entry along it.

    Numerical note: the difference to the largest logit is kept in two floats, so a probability of
    1e-35 has as many right digits as one of 0.5. The derivative is reckoned from the largest entry
    and does not vanish where its probability rounds to 1.

    Source: Bridle 1990; Goodfellow, Bengio, Courville 2016, §4.1.
    """
    _require_entries(x, axis)
    return _softmax(widen(x), axis).astype(x.dtype)


def log_softmax(x: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """Logarithm of the softmax: the log-likelihood of every class.

    log p_i = x_i − log Σ_j e^x_j,   ∂log p_i/∂x_j = δ_ij − p_j

    Args:
      x: logits, any shape with at least one entry along `axis`, ±inf included.
      axis: the axis of the classes.

    Returns:
      Values ≤ 0, the shape and type of x.

    Raises:
      TypeError: if x does not hold floating-point numbers.
      ValueError: if x has no such axis or no entry along it.

    Numerical note: the largest entry is −log1p(Σ of the others), so that a certainty of 1 − 1e-9
    gives −1e-9 and not 0; its derivative is the others' probability, not 1 − p.

    Source: Goodfellow, Bengio, Courville 2016, §4.1.
    """
    _require_entries(x, axis)
    return _log_softmax(widen(x), axis).astype(x.dtype)


def _require_entries(x: Array, axis: int) -> None:
    """A sentence where XLA would speak of reductions without identity."""
    require_floating(x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"axis must be one of the {x.ndim} axes of x, whose shape is {x.shape}; got {axis}."
        )
    if x.shape[axis] == 0:
        raise ValueError(f"softmax needs at least one class, but x has shape {x.shape}.")


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
