"""What is compiled for training: one step, one stretch of steps, the validation after it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree, Shaped

from channelwise.learning.models.apart import Module, Pure

EVALUATION_ROWS = 8192
"""Most rows evaluated at once: enough to fill a machine."""
EVALUATION_NUMBERS = 2**18
"""About as many numbers are evaluated at once, so that wide rows fit the memory."""
LEAST_ROWS = 64
"""Fewest rows evaluated at once, however wide."""
_WIDENING = 64
"""How many numbers a token or a pixel becomes inside a model, roughly."""


class Program(NamedTuple):
    """Everything about a training run that is fixed when it is compiled.

    Attributes:
      model: how the model is applied.
      loss: a loss of `foundations.losses`.
      optimizer: the optax transformation.
      augment: changes a batch: (key, x, y) to (x, y); None leaves it.
      compute: type of the numbers inside the model, "float32" or "bfloat16".
      microbatches: parts of a batch whose gradients are added up one after the other.
      average: decay a of the moving average of the parameters; None keeps none.
      mesh: the devices that share a batch, along one axis; None is one device.
    """

    model: Pure | Module
    loss: Callable[..., Array]
    optimizer: optax.GradientTransformation
    augment: Callable[..., tuple[PyTree, PyTree]] | None = None
    compute: str = "float32"
    microbatches: int = 1
    average: float | None = None
    mesh: Mesh | None = None


class State(NamedTuple):
    """What training changes.

    Attributes:
      params: the parameters.
      rest: the model's other state (running means, random counters); () for a `PureModel`.
      moments: the optimizer's state.
      average: Σ_s (1 − a) a^(t−s) θ_s over the steps s ≤ t; () if no average is kept.
      steps: t, steps taken.
      best: (params, rest) at the lowest validation loss; () without validation.
      best_loss: that loss, +∞ before the first epoch.
    """

    params: PyTree
    rest: PyTree
    moments: PyTree
    average: PyTree
    steps: Int[Array, ""]
    best: PyTree
    best_loss: Float[Array, ""]


class Rows(NamedTuple):
    """Inputs and targets, arrays or trees of arrays with one row each, on the device."""

    x: PyTree[Shaped[Array, "row ..."]]
    y: PyTree[Shaped[Array, "row ..."]]

    @property
    def count(self) -> int:
        """How many rows."""
        return jax.tree.leaves(self.y)[0].shape[0]


@partial(jax.jit, static_argnames=("program", "keep_best"))
def begin(program: Program, params: PyTree, rest: PyTree, keep_best: bool) -> State:
    """The state before the first epoch, in fresh buffers, so that it can be donated."""
    params, rest, best = jax.tree.map(jnp.copy, (params, rest, (params, rest)))
    with jax.numpy_dtype_promotion("standard"):  # schedules raise floats to integer step counts
        moments = program.optimizer.init(params)
    average = () if program.average is None else jax.tree.map(jnp.zeros_like, params)
    best = best if keep_best else ()
    return State(params, rest, moments, average, jnp.int32(0), best, jnp.float32(jnp.inf))


def current(program: Program, state: State) -> PyTree:
    """The parameters to evaluate: the last ones, or their moving average without its start bias.

    θ̄_t = Σ_s (1 − a) a^(t−s) θ_s / (1 − a^t)
    """
    if program.average is None:
        return state.params
    weight = 1 - jnp.float32(program.average) ** jnp.maximum(state.steps, 1).astype(jnp.float32)
    return jax.tree.map(lambda mean: mean / weight.astype(mean.dtype), state.average)


def step(
    program: Program,
    state: State,
    x: PyTree,
    y: PyTree,
    weights: Float[Array, " slot"],
    seed: Array,
) -> tuple[State, tuple[Float[Array, ""], Float[Array, ""]]]:
    """One step of the optimizer: θ ← θ + u(∇ Σ w_i l_i / Σ w_i).

    Returns:
      The new state; the batch's loss and the step size it was taken with (NaN if the optimizer
      does not keep one under the name `learning_rate`).
    """
    if program.augment is not None:
        x, y = program.augment(jax.random.fold_in(jax.random.key(seed), state.steps), x, y)
    loss, rest, gradient = _gradient(program, state, x, y, weights)
    with jax.numpy_dtype_promotion("standard"):
        updates, moments = program.optimizer.update(gradient, state.moments, state.params)
        params = optax.apply_updates(state.params, updates)
    average = _averaged(program.average, state.average, params)
    new = state._replace(
        params=params, rest=rest, moments=moments, average=average, steps=state.steps + 1
    )
    return new, (loss, _step_size(moments))


def _gradient(
    program: Program, state: State, x: PyTree, y: PyTree, weights: Float[Array, " slot"]
) -> tuple[Float[Array, ""], PyTree, PyTree]:
    """The batch's mean loss, the model's other state after it, and the gradient; part by part.

    The parts' gradients are of sums, divided by the weight of the whole batch: the same mean,
    however the rows of weight zero are spread over the parts.
    """
    loss_of = partial(_loss, program)
    if program.microbatches == 1:
        batch = _spread(program, (x, y, weights), 0)
        (loss, rest), gradient = jax.value_and_grad(loss_of, has_aux=True)(
            state.params, state.rest, *batch
        )
        return loss, rest, gradient
    parts = jax.tree.map(
        lambda a: a.reshape(program.microbatches, -1, *a.shape[1:]), (x, y, weights)
    )
    total = weights.sum()

    def add(seen: tuple[Array, PyTree, PyTree], part: PyTree) -> tuple[Any, None]:
        loss, rest, gradient = seen
        (more, rest), slope = jax.value_and_grad(loss_of, has_aux=True)(
            state.params, rest, *part, total
        )
        return (loss + more, rest, jax.tree.map(jnp.add, gradient, slope)), None

    zero = (jnp.float32(0), state.rest, jax.tree.map(jnp.zeros_like, state.params))
    return lax.scan(add, zero, _spread(program, parts, 1))[0]


def _loss(
    program: Program,
    params: PyTree,
    rest: PyTree,
    x: PyTree,
    y: PyTree,
    weights: Float[Array, " slot"],
    total: Float[Array, ""] | None = None,
) -> tuple[Float[Array, ""], PyTree]:
    """Mean loss of a batch, or a part's share of the mean of a batch of weight `total`."""
    narrow, wide = partial(_cast, jnp.dtype(program.compute)), partial(_cast, jnp.dtype("float32"))
    outputs, after = program.model.train(narrow(params), rest, narrow(x))
    after = jax.tree.map(lambda new, old: new.astype(old.dtype), after, rest)
    if total is None:
        return program.loss(wide(outputs), y, weights=weights), after
    return program.loss(wide(outputs), y, weights=weights, reduction="sum") / total, after


def _cast(to: jnp.dtype, tree: PyTree) -> PyTree:
    """Real numbers in another type; whole numbers and random keys as they are."""
    real = (jnp.float32, jnp.bfloat16)
    return jax.tree.map(lambda a: a.astype(to) if a.dtype in real else a, tree)


def _spread(program: Program, tree: PyTree, axis: int) -> PyTree:
    """The rows of a batch dealt out to the devices; XLA adds the gradients up."""
    if program.mesh is None:
        return tree
    (name,) = program.mesh.axis_names
    spread = NamedSharding(program.mesh, PartitionSpec(*[None] * axis, name))
    return jax.tree.map(lambda a: lax.with_sharding_constraint(a, spread), tree)


def _averaged(decay: float | None, average: PyTree, params: PyTree) -> PyTree:
    if decay is None:
        return average
    return jax.tree.map(lambda mean, new: decay * mean + (1 - decay) * new, average, params)


def _step_size(moments: PyTree) -> Float[Array, ""]:
    rates = optax.tree_utils.tree_get_all_with_path(moments, "learning_rate")
    return jnp.float32(rates[0][1]) if rates else jnp.float32(jnp.nan)


class Told(NamedTuple):
    """What a stretch of steps tells; on the device one array, so that one transfer brings it.

    Attributes:
      loss: mean loss of its rows, each as its batch was seen.
      good: steps before the first whose loss was not finite.
      step_size: the optimizer's at that step, or at the last; NaN if unknown.
      validation: mean loss of the validation rows after it; NaN if an epoch does not end here.
      better: 1 if that was an improvement, else 0.
    """

    loss: float
    good: float
    step_size: float
    validation: float = math.nan
    better: float = 0.0


def sweep(
    program: Program,
    state: State,
    data: Rows,
    order: Int[Array, "step slot"],
    weights: Float[Array, "step slot"],
    seed: Array,
) -> tuple[State, Float[Array, " told"]]:
    """The steps of an order as one `lax.scan` over rows that are gathered once before it.

    Numerical note: gathered batch by batch inside the scan, small rows took twice as long.
    """
    rows = order.reshape(-1)
    batches = jax.tree.map(lambda a: a[rows].reshape(*order.shape, *a.shape[1:]), tuple(data))
    state, (losses, sizes) = lax.scan(
        lambda s, batch: step(program, s, *batch, seed), state, (*batches, weights)
    )
    shares = weights.sum(1) / weights.sum()
    good = jnp.cumprod(jnp.isfinite(losses).astype(jnp.int32)).sum()
    size = sizes[jnp.minimum(good, len(sizes) - 1)]
    return state, jnp.stack([(losses * shares).sum(), good.astype(jnp.float32), size])


def evaluation_rows(x: PyTree) -> int:
    """Rows to evaluate at once: fewer, the more numbers a model makes of one row.

    A row of a table counts as it is; tokens and pixels are widened inside a model.
    """
    tables = [a.ndim == 2 and a.dtype == jnp.float32 for a in jax.tree.leaves(x)]
    sizes = [math.prod(a.shape[1:]) for a in jax.tree.leaves(x)]
    numbers = sum(
        size * (1 if table else _WIDENING) for size, table in zip(sizes, tables, strict=True)
    )
    return min(max(EVALUATION_NUMBERS // max(numbers, 1), LEAST_ROWS), EVALUATION_ROWS)


def mean_loss(program: Program, params: PyTree, rest: PyTree, data: Rows) -> Float[Array, ""]:
    """Mean loss over all rows, evaluated in slices; the last slice counts only its new rows."""
    total = data.count
    size = min(total, evaluation_rows(data.x))

    def add(total_loss: Array, first: Array) -> tuple[Array, None]:
        start = jnp.minimum(first, total - size)
        x, y = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start, size), tuple(data))
        new = (start + jnp.arange(size) >= first).astype(jnp.float32)
        outputs = program.model.evaluate(params, rest, x)
        return total_loss + program.loss(outputs, y, weights=new, reduction="sum"), None

    loss, _ = lax.scan(add, jnp.float32(0), jnp.arange(0, total, size))
    return loss / total


def validated(
    program: Program, state: State, validation: tuple[Rows, ...], min_delta: Float[Array, ""]
) -> tuple[State, Float[Array, " told"]]:
    """The best parameters kept; the mean loss of the validation rows and whether it improved."""
    params = current(program, state)
    counts = [part.count for part in validation]
    losses = [mean_loss(program, params, state.rest, part) for part in validation]
    loss = sum(n / sum(counts) * one for n, one in zip(counts, losses, strict=True))
    better = loss < state.best_loss - min_delta
    best = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), (params, state.rest), state.best
    )
    best_loss = jnp.where(better, loss, state.best_loss)
    return state._replace(best=best, best_loss=best_loss), jnp.stack(
        [loss, better.astype(jnp.float32)]
    )


def stretch(
    program: Program,
    state: State,
    data: Rows,
    validation: tuple[Rows, ...],
    order: Int[Array, "step slot"],
    weights: Float[Array, "step slot"],
    seed: Array,
    min_delta: Float[Array, ""],
) -> tuple[State, Float[Array, " told"]]:
    """Some steps, and after the last of an epoch the validation.

    Args:
      validation: the validation rows if an epoch ends here and there are any, else ().

    Returns:
      The new state, and what is told, in the order of `Told`.
    """
    state, told = sweep(program, state, data, order, weights, seed)
    if not validation:
        return state, told
    state, judged = validated(program, state, validation, min_delta)
    return state, jnp.concatenate([told, judged])


advance = partial(jax.jit, static_argnames="program", donate_argnames="state")(stretch)
"""`stretch`, compiled; the state given to it is used up."""
