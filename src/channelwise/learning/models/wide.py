"""The type in which numbers of a given type are added up."""

import jax.numpy as jnp
from jaxtyping import Array


def wide(x: Array) -> jnp.dtype:
    """float32 for the half-precision types, the type of x itself otherwise."""
    return jnp.dtype(jnp.float32) if x.dtype.itemsize < 4 else x.dtype
