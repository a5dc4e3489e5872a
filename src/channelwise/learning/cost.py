"""What a computation costs before it is run: parameters, floating-point operations, bytes."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import prod
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.interpreters import partial_eval
from jaxtyping import Array, PyTree, Shaped

from channelwise.learning.models.apart import take_apart
from channelwise.learning.operations import CostError, Work, operations

__all__ = ["CostError", "count", "forward", "parameters", "rule_of_thumb", "training_step"]


class Part(NamedTuple):
    """One tensor of a model.

    Attributes:
      name: its place, such as "layers/0/kernel".
      shape: of the tensor.
      bytes: it takes in memory.
    """

    name: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def size(self) -> int:
        return prod(self.shape)


class Parameters(NamedTuple):
    """The tensors of a model, each once."""

    parts: tuple[Part, ...]

    @property
    def total(self) -> int:
        """Numbers that training changes."""
        return sum(part.size for part in self.parts)

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def table(self, depth: int = 1) -> Any:
        """A data frame: parameters, share and bytes of each part, by the first `depth` names."""
        import pandas as pd

        rows = [("/".join(p.name.split("/")[:depth]), p.size, p.bytes) for p in self.parts]
        frame = pd.DataFrame(rows, columns=["part", "parameters", "bytes"])
        frame = frame.groupby("part", sort=False, as_index=False).sum()
        frame.insert(2, "share", frame["parameters"] / max(1, self.total))
        return frame


def parameters(model: Any) -> Parameters:
    """The parameters of a model or of any tree of arrays; a shared tensor counts once.

    Args:
      model: a `flax.nnx` module, a `PureModel`, or a tree of arrays.

    Returns:
      `.total`, `.bytes`, `.parts`, and `.table()` by part.

    Source: checks by closed form: affine n_in n_out + n_out; convolution k² C_in C_out + C_out;
      LSTM 4 (h (d + h) + h) (Hochreiter, Schmidhuber 1997; one bias a gate).
    """
    once = {id(leaf): (path, leaf) for path, leaf in reversed(_leaves(tree_of(model)))}
    return Parameters(
        tuple(
            Part(jax.tree_util.keystr(path, simple=True, separator="/"), a.shape, a.nbytes)
            for path, a in reversed(once.values())
        )
    )


def tree_of(model: Any) -> PyTree:
    """The parameters of a model; a tree of arrays is its own."""
    try:
        return take_apart(model)[1]
    except TypeError:  # neither a module nor a PureModel
        return model


def _leaves(tree: PyTree) -> list[tuple[Any, Array | np.ndarray]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    wrong = next((leaf for _, leaf in leaves if not hasattr(leaf, "nbytes")), None)
    if wrong is not None:
        raise CostError(
            f"Parameters are counted in a flax.nnx module, a PureModel or a tree of arrays, and "
            f"this holds a {type(wrong).__name__}."
        )
    return leaves


@dataclass(frozen=True)
class Cost:
    """What one call of a function costs.

    Attributes:
      matmul: floating-point operations of matrix products; a multiply-add counts as two.
      convolution: of convolutions.
      elementwise: of additions, multiplications and the like, and of reductions.
      transcendental: exp, log, tanh, square roots, counted as one each.
      bytes: arguments read once and results written once: no program can move less.
      uncounted: primitives that were met and have no rule here (a sort, a custom kernel).
    """

    matmul: int
    convolution: int
    elementwise: int
    transcendental: int
    bytes: int
    uncounted: tuple[str, ...] = ()

    @property
    def flops(self) -> int:
        """All floating-point operations."""
        return self.matmul + self.convolution + self.elementwise + self.transcendental

    @property
    def intensity(self) -> float:
        """FLOPs for each byte that must be moved: below a machine's ridge, memory is the limit."""
        return self.flops / max(1, self.bytes)


def count(function: Callable[..., Any], *args: Any, turns: int | None = None) -> Cost:
    """Operations and least bytes of `function(*args)`, read from its program without running it.

    A product of (m × k) with (k × n) counts 2 m n k; a convolution 2 k² C_in C_out H W for H × W
    places; whatever acts on elements, one for each element it produces. A `scan` counts as often
    as it turns, a `cond` as its dearest branch, and what no result needs counts nothing.

    Args:
      function: of arrays; traced, never run.
      args: arrays or `jax.ShapeDtypeStruct`s: only shapes and types are looked at.
      turns: how often to count the body of a `while`, whose end only a run could tell.

    Raises:
      CostError: if there is a `while` loop and `turns` is not given.

    Numerical note: integer and boolean work counts nothing. The bytes are those that enter and
      leave; a program whose intermediate arrays do not stay in the cache moves more.
    """
    traced, results = jax.make_jaxpr(function, return_shape=True)(*args)
    jaxpr, _ = partial_eval.dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
    work = operations(jaxpr, turns)
    numbers = {f.name: work.get(f.name, 0) for f in fields(Cost)[:4]}
    moved = sum(map(_bytes, jax.tree.leaves((args, traced.consts, results))))
    return Cost(**numbers, bytes=moved, uncounted=_uncounted(work))


def _bytes(leaf: Any) -> int:
    shape, dtype = np.shape(leaf), getattr(leaf, "dtype", np.dtype(np.float32))
    return prod(shape) * dtype.itemsize


def _uncounted(work: Work) -> tuple[str, ...]:
    numbers = {f.name for f in fields(Cost)}
    return tuple(sorted(set(work) - numbers))


def forward(model: Any, x: PyTree[Shaped[Array | np.ndarray, "..."]]) -> Cost:
    """The cost of a model's outputs for the inputs x; the parameters are read once.

    Args:
      model: a `flax.nnx` module or a `PureModel`.
      x: inputs, one row each.

    Raises:
      CostError: as `count`.
    """
    how, params, rest = take_apart(model)
    return count(how.evaluate, params, rest, x)


def training_step(
    model: Any,
    loss: Callable[..., Array],
    x: PyTree[Shaped[Array | np.ndarray, "..."]],
    y: PyTree[Shaped[Array | np.ndarray, "..."]],
    *,
    optimizer: optax.GradientTransformation | None = None,
) -> Cost:
    """The cost of one step of training on the rows x, y: forward, backward and the update.

    Args:
      model: a `flax.nnx` module or a `PureModel`.
      loss: a loss of `foundations.losses`.
      x: inputs of the batch.
      y: targets of the batch.
      optimizer: an optax transformation; Adam if None.

    Raises:
      CostError: as `count`.
    """
    how, params, rest = take_apart(model)
    optimizer = optimizer or optax.adam(1e-3)

    def step(params: PyTree, moments: PyTree, x: Array, y: Array) -> tuple[PyTree, ...]:
        def objective(params: PyTree) -> tuple[Array, PyTree]:
            outputs, changed = how.train(params, rest, x)
            return loss(outputs, y), changed

        (value, changed), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer step counts
            updates, moments = optimizer.update(gradient, moments, params)
            return optax.apply_updates(params, updates), moments, changed, value

    return count(step, params, jax.eval_shape(optimizer.init, params), x, y)


def rule_of_thumb(parameters: float, tokens: float) -> float:
    """FLOPs to train a transformer of N parameters on D tokens: 6 N D.

    Each parameter meets each token in one multiply-add forward (2) and two backward (4). Left out:
    attention between tokens, which adds a share of about T / (6 d) at length T and width d, and
    everything that acts on elements. Counted in error: embeddings, which are looked up.

    Args:
      parameters: N ≥ 0.
      tokens: D ≥ 0.

    Source: Kaplan et al. 2020, §2.1.
    """
    return 6.0 * parameters * tokens
