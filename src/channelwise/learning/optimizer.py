"""The usual recipe of training: AdamW, a clipped gradient, a warm-up, a cosine to the end."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Int, PyTree, Shaped

from channelwise.learning.compress.weights import weight_mask

Schedule = Callable[[Shaped[ArrayLike, "..."]], Float[Array, "..."]]


def adamw(
    peak: Float[ArrayLike, ""],
    steps: int,
    *,
    warmup: float = 0.1,
    end: float = 0.0,
    clip: float | None = 1.0,
    decay: float = 0.01,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> optax.GradientTransformation:
    """AdamW with a clipped gradient and a warm-up and cosine schedule.

    g ← g min(1, clip / ‖g‖),   θ ← θ − η_t (m̂ / (√v̂ + ε) + λ θ)     λ θ for weights only

    Args:
      peak: the largest step size, > 0.
      steps: T, of the whole training: epochs × ⌈rows / batch⌉.
      warmup: share of the steps in which the step size rises, [0, 1).
      end: step size of the last step as a share of the peak, [0, 1].
      clip: the largest norm of the whole gradient, > 0; None never clips.
      decay: λ ≥ 0, biases and norms are not pulled to zero (`compress.weights`).
      b1: memory of the gradient's mean.
      b2: memory of its square.
      eps: ε > 0.

    Returns:
      An optax transformation whose state holds the last step size: read it with
      `optax.tree_utils.tree_get(state, "learning_rate")`. Make it once and use it again: `fit`
      compiles anew for each transformation made.

    Raises:
      ValueError: if a setting is out of its range.

    Source: Loshchilov, Hutter 2019, alg. 2; Pascanu, Mikolov, Bengio 2013, alg. 1 (clipping).
    """
    for name, value in {"clip": math.inf if clip is None else clip, "eps": eps}.items():
        if not value > 0:
            raise ValueError(f"{name} must be > 0, got {value}.")
    if not decay >= 0:
        raise ValueError(f"decay must be ≥ 0, got {decay}.")
    return optax.chain(
        optax.identity() if clip is None else optax.clip_by_global_norm(clip),
        optax.scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(decay, mask=weight_mask),
        paced(warmup_cosine(peak, steps, warmup=warmup, end=end)),
    )


def warmup_cosine(
    peak: Float[ArrayLike, ""], steps: int, *, warmup: float = 0.1, end: float = 0.0
) -> Schedule:
    """The step size over training: up in a straight line, down along half a cosine.

    η_t = peak (t + 1) / w                                             t < w = ⌊warmup · T⌋
    η_t = peak (e + (1 − e) (1 + cos(π (t − w) / (T − 1 − w))) / 2)    t = w … T − 1

    so that the first step already moves, and the last one is made with `end · peak`.

    Args:
      peak: the largest step size, > 0.
      steps: T ≥ 1.
      warmup: share of the steps, [0, 1).
      end: e in [0, 1].

    Returns:
      A function of the step number t = 0, 1, …; after the last step it stays at the end.

    Raises:
      ValueError: if a setting is out of its range.

    Source: Loshchilov, Hutter 2017, eq. 5; Goyal et al. 2017, §2.2 (warm-up).
    """
    _check_schedule(peak, steps, warmup, end)
    w = int(warmup * steps)
    falling = max(1, steps - 1 - w)

    def rate(step: Shaped[ArrayLike, "..."]) -> Float[Array, "..."]:
        t = jnp.asarray(step, jnp.float32)
        rising = (t + 1) / max(1, w)
        progress = jnp.clip((t - w) / falling, 0, 1)
        cosine = end + (1 - end) * (1 + jnp.cos(jnp.pi * progress)) / 2
        return peak * jnp.where(t < w, rising, cosine)

    return rate


class Paced(NamedTuple):
    """The state of `paced`.

    Attributes:
      count: steps made.
      learning_rate: step size of the last one; before the first, the one it will have.
    """

    count: Int[Array, ""]
    learning_rate: Float[Array, ""]


def paced(schedule: Schedule) -> optax.GradientTransformation:
    """u ← −η_t u, with η_t kept in the state, where an error message or a figure can read it.

    Args:
      schedule: step size of the step t = 0, 1, …
    """

    def init(params: PyTree) -> Paced:
        return Paced(jnp.int32(0), jnp.float32(schedule(0)))

    def update(updates: PyTree, state: Paced, params: PyTree | None = None) -> tuple:
        rate = jnp.float32(schedule(state.count))
        moved = jax.tree.map(lambda u: -rate.astype(u.dtype) * u, updates)
        return moved, Paced(state.count + 1, rate)

    return optax.GradientTransformation(init, update)


def _check_schedule(peak: Float[ArrayLike, ""], steps: int, warmup: float, end: float) -> None:
    if isinstance(peak, float | int) and not 0 < peak < math.inf:
        raise ValueError(f"peak must be a step size > 0, got {peak}.")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}: epochs × batches of an epoch.")
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup must be a share of the steps in [0, 1), got {warmup}.")
    if not 0 <= end <= 1:
        raise ValueError(f"end must be a share of the peak in [0, 1], got {end}.")
