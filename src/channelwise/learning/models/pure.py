"""A model as a function and its parameters, for which nothing but JAX has to be imported."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PyTree, Shaped


class PureModel(NamedTuple):
    """A model without an object: `apply(params, x)` gives the outputs.

    Importing `flax.nnx` costs more than training a small table, so the command line, and whoever
    trains thousands of small models, use this form. `fit` and `predict` take both.

    Attributes:
      apply: a pure function of (params, x).
      params: a tree of float32 arrays.
      config: what `learning.persist` writes down to build the model again.
    """

    apply: Callable[..., Array]
    params: PyTree
    config: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never written to

    def __call__(self, x: PyTree[Shaped[ArrayLike, "row ..."]]) -> Array:
        return self.apply(self.params, jax.tree.map(jnp.asarray, x))
