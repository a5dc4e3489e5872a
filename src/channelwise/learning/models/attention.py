"""Scaled dot-product attention with its gradient written out."""

from functools import partial
from math import sqrt

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from channelwise.learning.models.wide import wide

MASKED = -1e30
"""A score of what must not be attended to: finite, so that a row of padding alone gives no NaN."""


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def attention(
    qkv: Float[Array, "token three_width"],
    mask: Bool[Array, "row length"],
    keep: Float[Array, "row head length length"] | None,
    heads: int,
) -> Float[Array, "token width"]:
    """Every token's mixture of the values of its row's tokens, head by head.

    S = (Q / √e) Kᵀ,   P = softmax(S where attended to, −∞ elsewhere),   O = (P ∘ M) V

    Backward, from Ō:   V̄ = (P ∘ M)ᵀ Ō,   P̄ = M ∘ (Ō Vᵀ),   S̄ = P ∘ (P̄ − rowsum(Ō ∘ O)),
    Q̄ = S̄ K / √e,   K̄ = S̄ᵀ Q / √e

    Args:
      qkv: queries, keys and values side by side, each `heads` · e wide; the tokens of all rows
        one below the other.
      mask: true where a token may be attended to.
      keep: M: 0 where an attention weight is dropped, 1 / (1 − share) elsewhere; None drops none.
      heads: h.

    Returns:
      O, the heads side by side, in the type of `qkv`.

    Numerical note: scores and softmax in float32 whatever the type of `qkv`. The largest score is
    subtracted before the exponential. A row in which nothing may be attended to gives the mean of
    its values.

    Source: Vaswani et al. 2017, §3.2.
    """
    return _forward(qkv, mask, keep, heads)[0]


def _apart(qkv: Array, mask: Array, heads: int) -> Array:
    """[token, 3 · h · e] as three of [row, head, length, e]: what batched products want."""
    rows, length = mask.shape
    parts = qkv.reshape(rows, length, 3, heads, qkv.shape[1] // (3 * heads))
    return parts.transpose(2, 0, 3, 1, 4)


def _lines(x: Array) -> Array:
    """[row, head, length, e] as [token, h · e]."""
    rows, heads, length, e = x.shape
    return x.transpose(0, 2, 1, 3).reshape(rows * length, heads * e)


def _product(sums: str, a: Array, b: Array) -> Array:
    """An `einsum` that adds up in float32 at least."""
    return jnp.einsum(sums, a, b, preferred_element_type=wide(a))


def _forward(qkv: Array, mask: Array, keep: Array | None, heads: int) -> tuple[Array, tuple]:
    q, k, v = _apart(qkv, mask, heads)
    q = q * (1 / sqrt(q.shape[-1]))  # rather than S, which is larger
    S = _product("bhqe,bhke->bhqk", q, k)
    S = S + jnp.where(mask, 0.0, MASKED).astype(S.dtype)[:, None, None, :]
    W = jnp.exp(S - S.max(-1, keepdims=True))
    r = 1 / W.sum(-1, keepdims=True)  # P = r W, but P itself is never needed
    W = W.astype(qkv.dtype)
    O = _product("bhqk,bhke->bhqe", _dropped(W, keep), v) * r  # noqa: E741 - the paper's letter
    O = O.astype(qkv.dtype)  # noqa: E741
    return _lines(O), (q, k, v, W, r, O, mask, keep)


def _backward(heads: int, kept: tuple, dO: Array) -> tuple[Array, None, None]:
    q, k, v, W, r, O, mask, keep = kept  # noqa: E741
    rows, length = mask.shape
    dO = dO.reshape(rows, length, heads, q.shape[3]).transpose(0, 2, 1, 3) * r.astype(dO.dtype)
    dv = _turned_product(dO, _dropped(W, keep))
    dP = _dropped(_product("bhqe,bhke->bhqk", dO, v), keep)
    along = (dO * O).astype(r.dtype).sum(-1, keepdims=True)
    dS = (W.astype(r.dtype) * (dP - along)).astype(q.dtype)
    dq, dk = _product("bhqk,bhke->bhqe", dS, k), _turned_product(q, dS)
    dq = dq * (1 / sqrt(q.shape[-1]))
    return jnp.concatenate([_lines(x.astype(q.dtype)) for x in (dq, dk, dv)], axis=1), None, None


def _dropped(weights: Array, keep: Array | None) -> Array:
    return weights if keep is None else weights * keep.astype(weights.dtype)


def _turned_product(x: Array, weights: Array) -> Array:
    """weightsᵀ x, with the narrower factor on the left, which is faster by a third."""
    turned = lax.optimization_barrier(_product("bhqe,bhqk->bhek", x, weights))
    return turned.swapaxes(2, 3)


attention.defvjp(_forward, _backward)
