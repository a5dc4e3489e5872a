"""What is compiled for training: a model taken apart, one step, one epoch."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PyTree, Shaped

from channelwise.learning.models.pure import PureModel

EVALUATION_ROWS = 8192
"""Rows evaluated at once: enough to fill a machine, few enough to fit its memory."""


class Pure(NamedTuple):
    """How a `PureModel` is applied: it has no state beside its parameters."""

    apply: Callable[..., Array]

    def train(self, params: PyTree, rest: PyTree, x: Array) -> tuple[Array, PyTree]:
        return self.apply(params, x), rest

    def evaluate(self, params: PyTree, rest: PyTree, x: Array) -> Array:
        return self.apply(params, x)

    def rebuild(self, given: PureModel, params: PyTree, rest: PyTree) -> PureModel:
        return given._replace(params=params)


class Module(NamedTuple):
    """How an `nnx` module is applied: merged inside the compiled step, its state carried along."""

    training: Any
    evaluating: Any
    given: Any

    def train(self, params: PyTree, rest: PyTree, x: Array) -> tuple[Array, PyTree]:
        module = _nnx().merge(self.training, params, rest)
        outputs = module(x)
        return outputs, _split(module)[2]

    def evaluate(self, params: PyTree, rest: PyTree, x: Array) -> Array:
        return _nnx().merge(self.evaluating, params, rest)(x)

    def rebuild(self, given: Any, params: PyTree, rest: PyTree) -> Any:
        return _nnx().merge(self.given, params, rest)


def take_apart(model: Any) -> tuple[Pure | Module, PyTree, PyTree]:
    """A model as (how it is applied, its parameters, its other state); `nnx.split` happens once.

    Raises:
      TypeError: if the model is neither a `PureModel` nor a `flax.nnx` module.
    """
    if isinstance(model, PureModel):
        return Pure(model.apply), model.params, ()
    if not isinstance(model, _nnx().Module):
        raise TypeError(
            f"The model must be a flax.nnx module or a PureModel, got {type(model).__name__}: "
            "build one with MLP(...) or pure_mlp(...)."
        )
    given, params, rest = _split(model)
    training, evaluating = (_nnx().merge(given, params, rest) for _ in range(2))
    training.train()
    evaluating.eval()
    return Module(_split(training)[0], _split(evaluating)[0], given), params, rest


def _split(module: Any) -> tuple[Any, PyTree, PyTree]:
    """The module's structure, parameters and other state, the latter two as plain dictionaries."""
    nnx = _nnx()
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    return graph, nnx.to_pure_dict(params), nnx.to_pure_dict(rest)


def _nnx() -> Any:
    """Imported when the first module comes along: who trains a `PureModel` never waits for it."""
    from flax import nnx

    return nnx


class Program(NamedTuple):
    """Everything about a training run that is fixed when it is compiled.

    Attributes:
      model: how the model is applied.
      loss: a loss of `foundations.losses`.
      optimizer: the optax transformation.
    """

    model: Pure | Module
    loss: Callable[..., Array]
    optimizer: optax.GradientTransformation


class State(NamedTuple):
    """What training changes.

    Attributes:
      params: the parameters.
      rest: the model's other state (running means, random counters); () for a `PureModel`.
      moments: the optimizer's state.
      best: (params, rest) at the lowest validation loss; () without validation.
      best_loss: that loss, +∞ before the first epoch.
    """

    params: PyTree
    rest: PyTree
    moments: PyTree
    best: PyTree
    best_loss: Float[Array, ""]


class Rows(NamedTuple):
    """Inputs and targets, one row each, on the device."""

    x: Shaped[Array, "row ..."]
    y: Shaped[Array, "row ..."]


@partial(jax.jit, static_argnames=("program", "keep_best"))
def begin(program: Program, params: PyTree, rest: PyTree, keep_best: bool) -> State:
    """The state before the first epoch, in fresh buffers, so that it can be donated."""
    params, rest, best = jax.tree.map(jnp.copy, (params, rest, (params, rest)))
    moments = program.optimizer.init(params)
    return State(params, rest, moments, best if keep_best else (), jnp.float32(jnp.inf))


def step(
    program: Program,
    state: State,
    x: Shaped[Array, "batch ..."],
    y: Shaped[Array, "batch ..."],
    weights: Float[Array, " batch"],
) -> tuple[State, Float[Array, ""]]:
    """One step of the optimizer: θ ← θ + u(∇ Σ w_i l_i / Σ w_i).  Returns the batch's loss too."""

    def objective(params: PyTree) -> tuple[Array, PyTree]:
        outputs, rest = program.model.train(params, state.rest, x)
        return program.loss(outputs, y, weights=weights), rest

    (loss, rest), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer step counts
        updates, moments = program.optimizer.update(gradient, state.moments, state.params)
        params = optax.apply_updates(state.params, updates)
    return state._replace(params=params, rest=rest, moments=moments), loss


def sweep(
    program: Program,
    state: State,
    data: Rows,
    order: Int[Array, "step batch"],
    weights: Float[Array, "step batch"],
) -> tuple[State, Float[Array, ""]]:
    """One pass over the shuffled rows as one `lax.scan`; the mean loss of the rows as seen."""
    batches = jax.tree.map(lambda a: a[order.reshape(-1)].reshape(*order.shape, *a.shape[1:]), data)
    state, losses = lax.scan(lambda s, batch: step(program, s, *batch), state, (*batches, weights))
    shares = weights.sum(1) / weights.sum()
    return state, (losses * shares).sum()


def mean_loss(program: Program, params: PyTree, rest: PyTree, data: Rows) -> Float[Array, ""]:
    """Mean loss over all rows, evaluated in slices; the last slice counts only its new rows."""
    total = data.x.shape[0]
    size = min(total, EVALUATION_ROWS)

    def add(total_loss: Array, first: Array) -> tuple[Array, None]:
        start = jnp.minimum(first, total - size)
        x, y = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start, size), tuple(data))
        new = (start + jnp.arange(size) >= first).astype(jnp.float32)
        outputs = program.model.evaluate(params, rest, x)
        return total_loss + program.loss(outputs, y, weights=new, reduction="sum"), None

    loss, _ = lax.scan(add, jnp.float32(0), jnp.arange(0, total, size))
    return loss / total


def one_epoch(
    program: Program,
    state: State,
    data: Rows,
    validation: Rows | None,
    order: Int[Array, "step batch"],
    weights: Float[Array, "step batch"],
    min_delta: Float[Array, ""],
) -> tuple[State, tuple[Array, ...]]:
    """One epoch: every row once, then the validation loss, then the best parameters kept.

    Returns:
      The new state, and (training loss) or (training loss, validation loss, whether it improved).
    """
    state, loss = sweep(program, state, data, order, weights)
    if validation is None:
        return state, (loss,)
    validation_loss = mean_loss(program, state.params, state.rest, validation)
    better = validation_loss < state.best_loss - min_delta
    best = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), (state.params, state.rest), state.best
    )
    best_loss = jnp.where(better, validation_loss, state.best_loss)
    return state._replace(best=best, best_loss=best_loss), (loss, validation_loss, better)


epoch = partial(jax.jit, static_argnames="program", donate_argnames="state")(one_epoch)
"""`one_epoch`, compiled; the state given to it is used up."""
