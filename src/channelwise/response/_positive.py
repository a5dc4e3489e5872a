"""Keep a positive parameter so far above zero that its inverse square stays finite."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def positive(p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Raise a parameter to at least the fourth root of its type's smallest normal number.

    p ↦ max(p, tiny^¼), which is 1.2e-77 in float64 and 3.3e-10 in float32: 1/p² and the gradients
    that hold it stay finite, and below the floor the gradient is 0.

    Args:
      p: a parameter > 0 whose limit at 0 is meant, of any shape.

    Returns:
      The parameter, bounded below.
    """
    return jnp.maximum(p, float(jnp.finfo(p.dtype).tiny) ** 0.25)
