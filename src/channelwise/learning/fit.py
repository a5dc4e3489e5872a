"""Training: `fit` a model to data that stays on the device, a few compiled calls an epoch."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from channelwise.learning.batches import Layout, Piece, layout
from channelwise.learning.checks import (
    Pair,
    TrainingError,
    as_inputs,
    check_engine,
    check_settings,
    groups_of,
    row_count,
)
from channelwise.learning.history import History, Log
from channelwise.learning.models.apart import Module, Pure, take_apart
from channelwise.learning.parallel import everywhere, on_this_device
from channelwise.learning.program import (
    Program,
    Rows,
    State,
    advance,
    begin,
    current,
    evaluation_rows,
)


def fit(
    model: Any,
    loss: Callable[..., Array],
    data: Pair | list[Pair],
    *,
    validation: Pair | list[Pair] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    patience: int | None = None,
    min_delta: float = 0.0,
    augment: Callable[..., tuple[PyTree, PyTree]] | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    microbatches: int = 1,
    average: float | None = None,
    mesh: Mesh | None = None,
    report: Callable[[str], object] | None = None,
    report_every: int = 1,
    checkpoint: Path | str | None = None,
    checkpoint_every: int = 10,
    checkpoint_steps: int | None = None,
    checkpoint_keep: int = 2,
) -> tuple[Any, History]:
    """Train a model by minibatch gradient steps and return it with its history.

    θ ← θ + u_t(∇_θ Σ_i w_i l(f(x_i; θ), y_i) / Σ_i w_i)   for each batch of each epoch

    Every epoch visits every row once, in an order drawn from (seed, epoch). A last batch that is
    not full is filled up with rows of weight zero, so its step is the mean over its own rows.

    Args:
      model: a `flax.nnx` module or a `PureModel`; it is not changed.
      loss: a loss of `foundations.losses`: called with outputs, targets and `weights`.
      data: (x, y), arrays or trees of arrays with one row each; kept on the device during
        training. A list of such pairs holds rows of several shapes (texts bucketed by length):
        each batch is of one of them, and batches of all are mixed.
      validation: the same form; decides when to stop and whose best parameters are returned.
      optimizer: an optax transformation; Adam with step size 1e-3 if None.
      epochs: most passes over the data, ≥ 1.
      batch_size: rows a step, ≥ 1; more than there are rows means all of them.
      seed: of the orders of the rows and of the augmentation, ≥ 0.
      patience: epochs without improvement before stopping; None never stops. Needs `validation`.
      min_delta: how much lower than the best validation loss counts as an improvement, ≥ 0.
      augment: (key, x, y) to (x, y), applied to each training batch on the device.
      precision: of the computation inside the model; parameters, loss and steps stay float32.
      microbatches: parts of a batch whose gradients are added up one after the other, ≥ 1: the
        same step with less memory. Normalization by batch sees each part alone.
      average: decay in (0, 1) of a moving average of the parameters, which is then what is
        validated and returned; None keeps none.
      mesh: devices that share each batch (`learning.parallel.mesh`); the same steps to rounding.
      report: called with one line each `report_every` epochs, such as `print`.
      report_every: epochs between two lines, ≥ 1.
      checkpoint: a folder: the run is saved there, and a rerun with the same settings goes on
        from the last whole save to the same bits as if never interrupted. The optimizer's step
        sizes may be others: after a loss that broke one goes on with smaller ones.
      checkpoint_every: epochs between two saves, ≥ 1.
      checkpoint_steps: at most these many steps between two saves, ≥ 1; instead of
        `checkpoint_every`.
      checkpoint_keep: saves kept, the newest, ≥ 1.

    Returns:
      A trained model of the kind given, with the best parameters if there is validation data and
      the last ones if not, and the history.

    Raises:
      TrainingError: if the data or the settings cannot be trained with, the loss stops being
        finite (with the step and the learning rate), or a batch does not fit into memory.
      CheckpointError: if the checkpoint belongs to another run or no save can be read.

    Numerical note: the loss is checked at the end of every epoch and before every save. The
    average starts without bias: its weights add up to one from the first step on.

    Source: accumulation and averaging: Polyak and Juditsky 1992; Kingma and Ba 2015, §7.2.
    """
    check_settings(epochs, batch_size, seed, patience, min_delta, validation, report_every)
    check_engine(precision, microbatches, average, checkpoint_steps, checkpoint_keep)
    groups = groups_of(data, "data")
    held_out = () if validation is None else groups_of(validation, "validation")
    how, params, rest = take_apart(model)
    program = Program(
        *(how, loss, optimizer or default_optimizer()),
        *(augment, precision, microbatches, average, mesh),
    )
    shards = microbatches * (1 if mesh is None else mesh.size)
    plan = layout([_extent(g) for g in groups], batch_size, shards, checkpoint_steps)
    state, groups, held_out = everywhere(
        mesh, (begin(program, params, rest, bool(held_out)), groups, held_out)
    )
    run = _Run(program, groups, held_out, plan, seed, min_delta)
    size = 1e-3 if optimizer is None else np.nan
    log = Log(epochs, patience, bool(held_out), report, report_every, size)
    with _in_sentences(batch_size, microbatches):
        if checkpoint is None:
            state = run.train(state, log, None)
        else:
            saves = _checkpoints(
                *(checkpoint, run.fingerprint(state)),
                *(checkpoint_every, checkpoint_steps, checkpoint_keep),
            )
            with saves:
                state = everywhere(mesh, saves.restore(state, log))
                state = run.train(state, log, saves)
    final = state.best if held_out else (current(program, state), state.rest)
    return how.rebuild(model, *on_this_device(mesh, final)), log.history()


@cache
def default_optimizer() -> optax.GradientTransformation:
    """Adam with step size 1e-3; the same object every time, so that `jit` knows it."""
    return optax.adam(1e-3)


class _Run(NamedTuple):
    """The parts of a run that stay the same from step to step."""

    program: Program
    groups: tuple[Rows, ...]
    validation: tuple[Rows, ...]
    plan: Layout
    seed: int
    min_delta: float

    def train(self, state: State, log: Log, saves: Any) -> State:
        """All epochs that are left; the orders of the next one are drawn while one runs."""
        pieces = self.plan.epoch(self.seed, log.epoch)
        while not log.over:
            for piece in pieces[log.pieces : -1]:
                state = self._advance(state, piece, (), log)
                if saves is not None and saves.is_due_within(log, len(piece.order)):
                    saves.save(state, log)
            state = self._advance(state, pieces[-1], self.validation, log)
            pieces = self.plan.epoch(self.seed, log.epoch + 1)
            log.close()
            if saves is not None and saves.is_due(log):
                saves.save(state, log)
        return state

    def _advance(self, state: State, piece: Piece, validation: tuple[Rows, ...], log: Log) -> State:
        order, weights, seed, min_delta = everywhere(
            self.program.mesh,
            (piece.order, piece.weights, np.uint32(self.seed), np.float32(self.min_delta)),
        )
        data = self.groups[piece.group]
        state, told = advance(
            self.program, state, data, validation, order, weights, seed, min_delta
        )
        log.hear(told, float(piece.weights.sum()), len(piece.order))
        return state

    def fingerprint(self, state: State) -> dict[str, Any]:
        """What a checkpoint must share with this run for the run to go on from it."""
        arrays = jax.tree.leaves((self.groups, self.validation))
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(np.ascontiguousarray(array))
        program = self.program
        return {
            "data": digest.hexdigest(),
            "state": hashlib.sha256(_shapes(state).encode()).hexdigest(),
            "loss": _spelled(program.loss),
            "augment": _spelled(program.augment),
            "batch_size": self.plan.batch_size,
            "pieces": self.plan.steps,
            "seed": self.seed,
            "min_delta": self.min_delta,
            "precision": program.compute,
            "microbatches": program.microbatches,
            "average": program.average,
        }


def predict(
    model: Any, x: PyTree, *, batch_size: int | None = None
) -> Float[np.ndarray, "row *output"]:
    """A model's outputs for every row: logits of a classifier, values of a regression.

    Args:
      model: a `flax.nnx` module or a `PureModel`; dropout and the like are off.
      x: inputs, an array or a tree of arrays with one row each; may be empty.
      batch_size: rows at once, ≥ 1; None chooses by the width of a row.

    Returns:
      float32, one entry a row.
    """
    how, params, rest = take_apart(model)
    x = as_inputs(x)
    batch_size = batch_size or evaluation_rows(x)
    starts = range(0, max(row_count(x), 1), batch_size)
    slices = [jax.tree.map(lambda a: a[i : i + batch_size], x) for i in starts]  # noqa: B023
    return np.concatenate([np.asarray(_outputs(how, params, rest, part)) for part in slices])


@partial(jax.jit, static_argnames="how")
def _outputs(how: Pure | Module, params: PyTree, rest: PyTree, x: PyTree) -> Array:
    return how.evaluate(params, rest, x)


def _checkpoints(*args: Any) -> Any:
    """Imported only where it is used: orbax takes longer to import than most tables to train."""
    from channelwise.learning.checkpoint import Checkpoints

    return Checkpoints(*args)


@contextmanager
def _in_sentences(batch_size: int, microbatches: int) -> Iterator[None]:
    """What the device reports as a fault, as a sentence: too little memory, a machine that left."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        smaller = 1 << max((batch_size - 1).bit_length() - 1, 0)
        sentences = {
            "RESOURCE_EXHAUSTED": f"A batch of {batch_size} rows in {microbatches} part(s) does "
            f"not fit into memory. Try batch_size={smaller}, or microbatches={2 * microbatches}, "
            "which takes the same steps.",
            "Gloo": "Another process of the group has ended, and this one cannot go on alone. "
            "Start all of them again: a run with a checkpoint goes on from its last save.",
        }
        told = [sentence for fault, sentence in sentences.items() if fault in str(error)]
        if not told:
            raise
        raise TrainingError(told[0]) from error


def _extent(rows: Rows) -> tuple[int, int]:
    """How many rows, and the bytes of one."""
    count = rows.count
    return count, sum(a.nbytes for a in jax.tree.leaves(tuple(rows))) // count


def _shapes(state: State) -> str:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return "\n".join(f"{jax.tree_util.keystr(k)} {a.shape} {a.dtype}" for k, a in leaves)


def _spelled(function: Any) -> str:
    """A function by its name (and, where some arguments are bound, by them), without addresses."""
    if isinstance(function, partial):
        bound = [*map(_spelled, function.args), *map(str, sorted(function.keywords.items()))]
        return f"{_spelled(function.func)}({', '.join(bound)})"
    return getattr(function, "__qualname__", None) or repr(function)
