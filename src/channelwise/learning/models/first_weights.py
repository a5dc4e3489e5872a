"""Where first weights come from: drawn with NumPy, so that nothing is compiled for them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class FirstWeights:
    """Normal matrices and constant vectors, one after another from one seed.

    W ~ N(0, σ²)

    Args:
      seed: ≥ 0, the same seed draws the same numbers on every machine; None gives zeros at once,
        for weights that are read from a file right after.
      deviation: σ > 0.
    """

    def __init__(self, seed: int | None, deviation: float):
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.deviation = np.float32(deviation)

    def normal(self, rows: int, columns: int) -> Float[Array, "rows columns"]:
        """A matrix of independent normal numbers."""
        if self.rng is None:
            return jnp.asarray(np.zeros((rows, columns), np.float32))
        return jnp.asarray(self.rng.standard_normal((rows, columns), np.float32) * self.deviation)

    def constant(self, size: int, value: float) -> Float[Array, " size"]:
        """A vector of one number."""
        return jnp.asarray(np.full(size, value, np.float32))
