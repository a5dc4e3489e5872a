"""The long short-term memory cell, and one scan over both directions with its own gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

GATES = 4
Cell = Float[Array, "direction row hidden"]
Inputs = Float[Array, "time direction row feature"]
Mask = Bool[Array, "time direction row 1"]
Weights = Float[Array, "direction feature_and_hidden gates"]
Biases = Float[Array, "direction gates"]


class Slopes(NamedTuple):
    """What one step leaves behind for the way back.

    Attributes:
      M: δz = (δc', δc', δc', δh) ∘ M, the derivatives of the four gates' parts.
      F: f and Q side by side: δc' = δc + δh ∘ Q and δc = δc' ∘ f.
    """

    M: Float[Array, "direction row gates"]
    F: Float[Array, "direction row f_and_Q"]


def gates(z: Float[Array, "direction row gates"]) -> tuple[Cell, Cell, Cell, Cell]:
    """i, f, o = σ(z_i), σ(z_f), σ(z_o) and g = tanh(z_g), in the order i, f, g, o of z.

    Numerical note: σ(z) = (1 + tanh(z/2)) / 2, so that the four are one pass of tanh over the
    whole array; right to 2e-7 absolute. Deep in the tails the sigmoid of
    `foundations.activations` keeps digits that this form rounds to 0 or 1; between them and a
    cell state they would be lost anyway.
    """
    half = jnp.asarray([0.5, 0.5, 1.0, 0.5], z.dtype)
    scale = jnp.repeat(half, z.shape[-1] // GATES)[None, None, :]
    i, f, g, o = jnp.split(jnp.tanh(z * scale) * scale + (1 - scale), GATES, axis=-1)
    return i, f, g, o


def _step(
    W: Weights, b: Biases, h: Cell, c: Cell, x: Float[Array, "direction row feature"], seen: Array
) -> tuple[Cell, Cell, Slopes, Array]:
    """c' = f c + i g, h' = o tanh(c'); where there is no token, h' = h and c' = c."""
    xh = jnp.concatenate([x, h], axis=-1)
    i, f, g, o = gates(jnp.einsum("drk,dkg->drg", xh, W) + b[:, None, :])
    c_new = f * c + i * g
    t = jnp.tanh(c_new)
    M = jnp.concatenate(
        [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)], axis=-1
    )
    nothing = jnp.zeros_like(c)
    F = [jnp.where(seen, f, nothing + 1), jnp.where(seen, o * (1 - t * t), nothing)]
    slopes = Slopes(jnp.where(seen, M, jnp.zeros_like(M)), jnp.concatenate(F, axis=-1))
    return jnp.where(seen, o * t, h), jnp.where(seen, c_new, c), slopes, xh


@jax.custom_vjp
def last_states(x: Inputs, seen: Mask, W: Weights, b: Biases) -> Cell:
    """The hidden state of an LSTM after the last token, for several directions at once.

    z = [x_t, h] W + b,   i, f, o = σ(z_i), σ(z_f), σ(z_o),   g = tanh(z_g)
    c ← f ∘ c + i ∘ g,    h ← o ∘ tanh(c)      for t = 0, 1, …, from h = c = 0

    A step without a token leaves h and c as they are, so it does not matter where padding stands,
    and the reversed direction starts at each row's own end.

    Args:
      x: inputs; direction 1 gets them from last to first.
      seen: where there is a token.
      W: input rows first, then hidden rows; columns i, f, g, o, each `hidden` wide.
      b: one bias a gate (frameworks with two biases add them).

    Returns:
      h after the last step.

    Numerical note: the gradient is written out (reverse mode only): every step saves the factors
    its way back needs, and the weights' gradient is one matrix product a direction after the scan
    instead of one a step.

    Source: Hochreiter, Schmidhuber 1997; Gers, Schmidhuber, Cummins 2000 (forget gate); Graves,
    Schmidhuber 2005 (both directions).
    """

    def step(state: tuple[Cell, Cell], at: tuple[Array, Array]) -> tuple[tuple[Cell, Cell], None]:
        return _step(W, b, *state, *at)[:2], None

    return lax.scan(step, _start(x, W), (x, seen))[0][0]


def _start(x: Inputs, W: Weights) -> tuple[Cell, Cell]:
    zero = jnp.zeros((*x.shape[1:3], W.shape[2] // GATES), W.dtype)
    return zero, zero


def _forward(x: Inputs, seen: Mask, W: Weights, b: Biases) -> tuple[Cell, tuple]:
    """`last_states`, and what each step leaves for the way back."""

    def step(state: tuple[Cell, Cell], at: tuple[Array, Array]):
        h, c, slopes, xh = _step(W, b, *state, *at)
        return (h, c), (slopes, tuple(xh))

    (h, _), (slopes, inputs) = lax.scan(step, _start(x, W), (x, seen))
    return h, (slopes, inputs, seen, W)


def _backward(saved: tuple, dh: Cell) -> tuple[Inputs, None, Weights, Biases]:
    """δc' = δc + δh Q, δz = (δc', δc', δc', δh) M, δc = δc' f, (δx, δh) = δz Wᵀ, δW = Σ [x, h]ᵀ δz.

    Without a token M = Q = 0 and f = 1, and δh is handed on as it came.

    Each δz takes the place of its M, one step late: XLA then knows that M is no longer read, and
    neither allocates nor clears a second array of this size, the largest of all.
    """
    (M, F), inputs, seen, W = saved
    W_T = jnp.swapaxes(W, 1, 2)

    def step(state: tuple, at: tuple) -> tuple[tuple, Array]:
        (dh, dc, M, dz_after), (t, F_t, seen_t) = state, at
        M = lax.dynamic_update_index_in_dim(M, dz_after, t + 1, 0)
        M_t = lax.dynamic_index_in_dim(M, t, 0, keepdims=False)
        f, Q = jnp.split(F_t, 2, axis=-1)
        dc_new = dc + dh * Q
        dz = jnp.concatenate([dc_new, dc_new, dc_new, dh], axis=-1) * M_t
        dx, dh_before = jnp.split(
            jnp.einsum("drg,dgk->drk", dz, W_T), [W.shape[1] - dh.shape[-1]], axis=-1
        )
        kept = jnp.where(seen_t, jnp.zeros_like(dh), dh)
        return (kept + dh_before, dc_new * f, M, dz), dx

    start = dh, jnp.zeros_like(dh), M, M[-1]  # after the last step there is nothing: M[-1] stays
    times = jnp.arange(M.shape[0])
    (_, _, M, dz_first), dx = lax.scan(step, start, (times, F, seen), reverse=True)
    dz = lax.dynamic_update_index_in_dim(M, dz_first, 0, 0)
    dW = [jnp.einsum("trk,trg->kg", xh, dz[:, d]) for d, xh in enumerate(inputs)]
    return dx, None, jnp.stack(dW), dz.sum((0, 2))


last_states.defvjp(_forward, _backward)
