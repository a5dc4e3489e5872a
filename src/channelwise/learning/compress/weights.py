"""Which tensors are compressed, in a model of either kind or a tree of arrays."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree, Shaped

from channelwise.learning.cost import tree_of
from channelwise.learning.models.apart import take_apart


def is_matrix(leaf: Shaped[Array | np.ndarray, "..."]) -> bool:
    """Whether a tensor is worth compressing: weights with two axes or more, no biases, no norms."""
    return np.ndim(leaf) >= 2


def with_weights(model: Any, change: Callable[[PyTree], PyTree]) -> Any:
    """A model of the same kind whose parameters are `change(parameters)`; a tree is its own.

    Args:
      model: a `flax.nnx` module, a `PureModel`, or a tree of arrays.
      change: a function of the tree of parameters.
    """
    try:
        how, params, rest = take_apart(model)
    except TypeError:  # neither a module nor a PureModel
        return change(model)
    return how.rebuild(model, change(params), rest)


def weights_of(model: Any) -> list[np.ndarray]:
    """The matrices of a model or a tree, in the order of the tree."""
    return [np.asarray(a) for a in jax.tree.leaves(tree_of(model)) if is_matrix(a)]
