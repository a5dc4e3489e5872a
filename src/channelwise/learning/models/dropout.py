"""Dropout whose masks depend on a seed and the number of the step, and on nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray, UInt


class Noise(nnx.Module):
    """A source of random keys in training, and of none in evaluation.

    Every call in training counts one up, so the masks of step t depend on (seed, t) alone; the
    count is part of the model's state: it is saved in checkpoints and a resumed run goes on with
    the masks it would have had. The keys are of the "rbg" kind, which fills masks several times
    as fast as the default on a CPU, and is native to accelerators.

    Args:
      seed: ≥ 0.

    Attributes:
      deterministic: true gives no keys; set by `train()` and `eval()`, true at first.
    """

    def __init__(self, seed: int):
        self.seed_and_step = nnx.Variable(_beginning(seed))
        self.deterministic = True

    def reseed(self, seed: int) -> None:
        """Begin again at step 0 of another seed."""
        self.seed_and_step[...] = _beginning(seed)

    def __call__(self) -> PRNGKeyArray | None:
        """The key of the next step, or None in evaluation."""
        if self.deterministic:
            return None
        seed, step = self.seed_and_step[...]
        self.seed_and_step[...] = jnp.stack([seed, step + 1])
        return jax.random.fold_in(jax.random.key(seed, impl="rbg"), step)


def _beginning(seed: int) -> UInt[Array, "2"]:
    return jnp.asarray(np.array([seed, 0], np.uint32))


def split(key: PRNGKeyArray | None, parts: int) -> list[PRNGKeyArray | None]:
    """As many keys as parts; all None if there is no key."""
    return [None] * parts if key is None else list(jax.random.split(key, parts))


def kept(
    key: PRNGKeyArray | None, share: float, shape: tuple[int, ...], dtype: jnp.dtype
) -> Float[Array, "..."] | None:
    """What to multiply with: 0 with probability `share`, else 1 / (1 − share).

    Args:
      key: None drops nothing.
      share: in [0, 1); 0 drops nothing.
      shape, dtype: of the result.

    Returns:
      The factors, whose mean is 1; None if nothing is dropped.

    Source: Srivastava et al. 2014, §10 (inverted dropout).
    """
    if key is None or share == 0:
        return None
    bits = jax.random.bits(key, shape, jnp.uint16)
    limit = round(share * 2**16)
    return (bits >= limit).astype(dtype) * jnp.asarray(2**16 / (2**16 - limit), dtype)


def drop(
    key: PRNGKeyArray | None, share: float, x: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """x with a share of its entries set to 0 and the others raised to keep the mean."""
    factors = kept(key, share, x.shape, x.dtype)
    return x if factors is None else x * factors
