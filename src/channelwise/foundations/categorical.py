"""Softmax likelihoods of whole rows, value and slope, without cancellation.

The cores of `losses.softmax_cross_entropy` and `losses.kl_divergence`: z are logits and y the
labels' distribution, both with the classes on the last axis. Each is compiled, so that a call
outside of any `jit` costs one compilation instead of twenty.
"""

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from channelwise.foundations.reduction import times


@jax.custom_jvp
@jax.jit
def cross_entropy(
    z: Float[Array, "*batch class"], y: Float[Array, "*batch class"]
) -> Float[Array, "*batch"]:
    """−Σ_j y_j ln p_j with p = softmax(z)."""
    return times(y, softmax_parts(z)[0]).sum(-1)


@jax.custom_jvp
@jax.jit
def divergence(
    z: Float[Array, "*batch class"], y: Float[Array, "*batch class"]
) -> Float[Array, "*batch"]:
    """Σ_j y_j ln(y_j / p_j) + p_j − y_j with p = softmax(z): a sum of terms ≥ 0."""
    nll, p, _ = softmax_parts(z)
    r = jnp.log(y) + nll
    near = jnp.abs(r) < 0.5
    far = times(y, r) + (p - y)
    return jnp.where(near, y * _excess(jnp.where(near, r, 0)), far).sum(-1)


@jax.jit
def softmax_parts(
    z: Float[Array, "*batch class"],
) -> tuple[
    Float[Array, "*batch class"], Float[Array, "*batch class"], Float[Array, "*batch class"]
]:
    """−ln p, p and 1 − p of p = softmax(z), each with a small relative error.

    With m = z_k the largest logit, e_j = e^{z_j − m} and S = Σ_{j≠k} e_j:
    −ln p_j = (m − z_j) + ln(1 + S),   p_j = e_j / (1 + S),   1 − p_k = S / (1 + S).
    """
    m = jax.lax.stop_gradient(z.max(-1, keepdims=True))
    largest = jax.nn.one_hot(z.argmax(-1), z.shape[-1], dtype=bool)
    below = jnp.where((z == m) & jnp.isinf(z), 0, m - z)
    e = jnp.exp(-below)
    S = jnp.where(largest, 0, e).sum(-1, keepdims=True)
    total = e.sum(-1, keepdims=True)
    return below + jnp.log1p(S), e / total, jnp.where(largest, S, total - e) / total


@jax.jit
def _slope(z: Array, y: Array) -> Array:
    """∂/∂z_j = p_j Σ_{i≠j} y_i − y_j (1 − p_j), which is p_j Σ_i y_i − y_j, term by term."""
    _, p, rest = softmax_parts(z)
    return p * (y.sum(-1, keepdims=True) - y) - y * rest


def _excess(r: Array) -> Array:
    """r + e^{−r} − 1 = r²/2 (1 − r/3 (1 − r/4 (1 − …))), for |r| < ½."""
    series = jnp.zeros_like(r)
    for n in range(12, 2, -1):
        series = (1 - r * series) / n
    return r * r / 2 * (1 - r * series)


def _tangent(z: Array, y: Array, dz: Array | SymbolicZero, dy: Array | SymbolicZero, slope_y):
    """Σ_j (∂/∂z_j dz_j + ∂/∂y_j dy_j); a constant argument adds nothing, not 0 · ∞."""
    tangent = jnp.zeros(z.shape[:-1], z.dtype)
    if not isinstance(dz, SymbolicZero):
        tangent = tangent + (_slope(z, y) * dz).sum(-1)
    if not isinstance(dy, SymbolicZero):
        tangent = tangent + (slope_y() * dy).sum(-1)
    return tangent


def _cross_entropy_jvp(primals, tangents):
    z, y = primals
    return cross_entropy(z, y), _tangent(z, y, *tangents, lambda: softmax_parts(z)[0])


def _divergence_jvp(primals, tangents):
    z, y = primals
    log_ratio = lambda: jnp.log(y) + softmax_parts(z)[0]  # noqa: E731
    return divergence(z, y), _tangent(z, y, *tangents, log_ratio)


cross_entropy.defjvp(_cross_entropy_jvp, symbolic_zeros=True)
divergence.defjvp(_divergence_jvp, symbolic_zeros=True)
