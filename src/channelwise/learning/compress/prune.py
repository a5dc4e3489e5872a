"""Magnitude pruning: the smallest weights are set to zero, and kept there while tuning on."""

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, PyTree

from channelwise.learning.compress.weights import weight_mask, weights_of, with_weights


def prune(model: Any, sparsity: float, *, scope: str = "global") -> Any:
    """Set the share `sparsity` of the weights, the smallest in magnitude, to zero.

    W ← W ⊙ [|W| > t],   t so that ⌊sparsity · n⌋ of n weights fall

    Args:
      model: a `flax.nnx` module, a `PureModel`, or a tree of arrays; it is not changed.
      sparsity: in [0, 1).
      scope: "global" compares the weights of all layers with each other, "layer" prunes every
        layer by the same share. Biases and norms are left alone.

    Returns:
      A model of the same kind. Train it on with `keep_zeros(optimizer)`.

    Raises:
      ValueError: if the sparsity is outside [0, 1) or the scope is unknown.

    Numerical note: the arrays stay dense. A zero is multiplied like any other number: sparsity
      makes a compressed file smaller (`storage.to_file(…, deflate=True)`), not a matrix product
      faster.

    Source: Han, Pool, Tran, Dally 2015, §3.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be in [0, 1), the share of weights to drop: {sparsity}.")
    if scope not in ("global", "layer"):
        raise ValueError(f"Unknown scope {scope!r}: choose 'global' or 'layer'.")
    return with_weights(model, lambda params: _pruned(params, sparsity, scope))


def sparsity(model: Any) -> float:
    """The share of a model's weights, biases and norms aside, that are zero."""
    matrices = weights_of(model)
    return 1 - sum(map(np.count_nonzero, matrices)) / max(1, sum(a.size for a in matrices))


class KeptZeros(NamedTuple):
    """The state of `keep_zeros`.

    Attributes:
      inner: of the optimizer inside.
      alive: which weights are free to move.
    """

    inner: optax.OptState
    alive: PyTree[Bool[Array, "..."]]


def keep_zeros(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimizer that leaves every weight at zero that is zero when training begins.

    g ← g ⊙ M,   u ← u(g) ⊙ M,   M = [W₀ ≠ 0] for weights, 1 for biases and norms

    Args:
      optimizer: the one that moves the others, such as `optax.adam(1e-3)`.

    Numerical note: the gradient is masked before the optimizer sees it, so that pruned weights
      weigh nothing in a clipped norm; the mask is state, made from the parameters themselves.
    """

    def init(params: PyTree) -> KeptZeros:
        return KeptZeros(optimizer.init(params), _alive(params))

    def update(
        gradient: PyTree, state: KeptZeros, params: PyTree | None = None
    ) -> tuple[PyTree, KeptZeros]:
        updates, inner = optimizer.update(_where(state.alive, gradient), state.inner, params)
        return _where(state.alive, updates), KeptZeros(inner, state.alive)

    return optax.GradientTransformation(init, update)


def _pruned(params: PyTree, share: float, scope: str) -> PyTree:
    leaves, form = jax.tree.flatten(params)
    places = np.flatnonzero(jax.tree.leaves(weight_mask(params))).tolist()
    groups = [places] if scope == "global" else [[i] for i in places]
    for group in groups:
        for i, mask in zip(group, _masks([leaves[i] for i in group], share), strict=True):
            leaves[i] = np.where(mask, np.asarray(leaves[i]), 0).astype(leaves[i].dtype)
    return form.unflatten(leaves)


def _masks(matrices: list, share: float) -> list[Bool[np.ndarray, "..."]]:
    """False for the smallest ⌊share · n⌋ of all weights of these matrices together."""
    magnitude = np.concatenate([np.abs(np.asarray(a, np.float32)).ravel() for a in matrices])
    falls = int(share * magnitude.size + 1e-9)
    keep = np.ones(magnitude.size, bool)
    keep[np.argpartition(magnitude, falls)[:falls]] = False
    ends = np.cumsum([0, *(np.size(a) for a in matrices)])
    return [
        keep[a:b].reshape(np.shape(m)) for (a, b), m in zip(pairwise(ends), matrices, strict=True)
    ]


def _alive(params: PyTree) -> PyTree[Bool[Array, "..."]]:
    return jax.tree.map(
        lambda leaf, weighs: jnp.asarray(leaf) != 0 if weighs else jnp.ones(leaf.shape, bool),
        params,
        weight_mask(params),
    )


def _where(alive: PyTree, tree: PyTree) -> PyTree:
    return jax.tree.map(lambda keep, a: jnp.where(keep, a, jnp.zeros_like(a)), alive, tree)
