"""Which tensors are weights, to be decayed and compressed, and which are biases and norms."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from channelwise.learning.cost import tree_of
from channelwise.learning.models.apart import take_apart

_NO_WEIGHTS = ("bias", "scale", "shift", "norm")


def weight_mask(params: PyTree) -> PyTree:
    """True for tensors of two axes or more, unless they are called b, bias, scale, shift, norm.

    The name matters for layers that are stacked: the biases of two directions are one matrix.

    Args:
      params: a tree of arrays.
    """
    return jax.tree_util.tree_map_with_path(_is_weight, params)


def _is_weight(path: tuple, leaf: Any) -> bool:
    name = jax.tree_util.keystr(path[-1:], simple=True)
    return np.ndim(leaf) >= 2 and name != "b" and not any(word in name for word in _NO_WEIGHTS)


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
    """The weights of a model or a tree, biases and norms aside, in the order of the tree."""
    params = tree_of(model)
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(weight_mask(params)), strict=True)
    return [np.asarray(leaf) for leaf, weighs in pairs if weighs]
