"""Scaled dot-product attention with its gradient written out."""

from functools import partial
from math import sqrt

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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

    S = Q Kᵀ / √e,   P = softmax(S where attended to, −∞ elsewhere),   O = (P ∘ M) V

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
    """[token, parts · h · e] as [part, row, head, length, e]: what batched products want."""
    rows, length = mask.shape
    parts = qkv.reshape(rows, length, -1, heads, qkv.shape[1] // (3 * heads))
    return parts.transpose(2, 0, 3, 1, 4)


def _together(parts: Array) -> Array:
    """[part, row, head, length, e] as [token, parts · h · e]."""
    n, rows, heads, length, e = parts.shape
    return parts.transpose(1, 3, 0, 2, 4).reshape(rows * length, n * heads * e)


_product = partial(jnp.einsum, preferred_element_type=jnp.float32)


def _forward(qkv: Array, mask: Array, keep: Array | None, heads: int) -> tuple[Array, tuple]:
    q, k, v = _apart(qkv, mask, heads)
    S = _product("bhqe,bhke->bhqk", q, k) * (1 / sqrt(q.shape[-1]))
    P = jax.nn.softmax(jnp.where(mask[:, None, None, :], S, MASKED), axis=-1).astype(qkv.dtype)
    M = P if keep is None else P * keep
    O = _product("bhqk,bhke->bhqe", M, v).astype(qkv.dtype)  # noqa: E741 - the paper's letter
    return _together(O[None]), (q, k, v, P, O, mask, keep)


def _backward(heads: int, kept: tuple, dO: Array) -> tuple[Array, None, None]:
    q, k, v, P, O, mask, keep = kept  # noqa: E741
    rows, length = mask.shape
    dO = dO.reshape(rows, length, heads, -1).transpose(0, 2, 1, 3)
    M = P if keep is None else P * keep
    dv = _product("bhqk,bhqe->bhke", M, dO)
    dP = _product("bhqe,bhke->bhqk", dO, v)
    dP = dP if keep is None else dP * keep
    along = (dO * O).astype(jnp.float32).sum(-1, keepdims=True)
    dS = (P * (dP - along) * (1 / sqrt(q.shape[-1]))).astype(q.dtype)
    dq, dk = _product("bhqk,bhke->bhqe", dS, k), _product("bhqk,bhqe->bhke", dS, q)
    return _together(jnp.stack([dq, dk, dv]).astype(q.dtype)), None, None


attention.defvjp(_forward, _backward)
