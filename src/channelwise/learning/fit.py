"""Training: `fit` a model to data that stays on the device, one compiled scan an epoch."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Int, PyTree

from channelwise.learning.checks import as_input, check_settings, rows_of
from channelwise.learning.history import History, Log
from channelwise.learning.program import (
    EVALUATION_ROWS,
    Module,
    Program,
    Pure,
    Rows,
    State,
    begin,
    epoch,
    take_apart,
)


def fit(
    model: Any,
    loss: Callable[..., Array],
    data: tuple[ArrayLike, ArrayLike],
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    patience: int | None = None,
    min_delta: float = 0.0,
    report: Callable[[str], object] | None = None,
    report_every: int = 1,
    checkpoint: Path | str | None = None,
    checkpoint_every: int = 10,
) -> tuple[Any, History]:
    """Train a model by minibatch gradient steps and return it with its history.

    θ ← θ + u_t(∇_θ Σ_i w_i l(f(x_i; θ), y_i) / Σ_i w_i)   for each batch of each epoch

    Every epoch visits every row once, in an order drawn from (seed, epoch). A last batch that is
    not full is filled up with rows of weight zero, so its step is the mean over its own rows.

    Args:
      model: a `flax.nnx` module or a `PureModel`; it is not changed.
      loss: a loss of `foundations.losses`: called with outputs, targets and `weights`.
      data: (x, y), one row each; kept on the device during training.
      validation: (x, y) that decide when to stop and whose best parameters are returned.
      optimizer: an optax transformation; Adam with step size 1e-3 if None.
      epochs: most passes over the data, ≥ 1.
      batch_size: rows a step, ≥ 1; more than there are rows means all of them.
      seed: of the orders of the rows, ≥ 0.
      patience: epochs without improvement before stopping; None never stops. Needs `validation`.
      min_delta: how much lower than the best validation loss counts as an improvement, ≥ 0.
      report: called with one line each `report_every` epochs, such as `print`.
      report_every: epochs between two lines, ≥ 1.
      checkpoint: a folder: the run is saved there every `checkpoint_every` epochs, and a rerun
        with the same settings goes on from the last save to the same bits as if never interrupted.
      checkpoint_every: epochs between two saves, ≥ 1.

    Returns:
      A trained model of the kind given, with the best parameters if there is validation data and
      the last ones if not, and the history.

    Raises:
      TrainingError: if the data or the settings cannot be trained with, the checkpoint belongs to
        another run, or the loss stops being finite.

    Numerical note: float32 throughout. The loss is checked after every epoch.
    """
    check_settings(epochs, batch_size, seed, patience, min_delta, validation, report_every)
    rows = rows_of(data, "data")
    held_out = None if validation is None else rows_of(validation, "validation")
    how, params, rest = take_apart(model)
    program = Program(how, loss, optimizer or default_optimizer())
    state = begin(program, params, rest, held_out is not None)
    run = _Run(program, rows, held_out, min(batch_size, len(rows.x)), seed, min_delta)
    log = Log(epochs, patience, report, report_every)
    saves = None
    if checkpoint is not None:
        saves = _checkpoints(checkpoint, run.fingerprint(state), checkpoint_every)
        state, seen = saves.restore(state, log.history())
        log.go_on_from(seen)
    steps = run.epochs(state, log.epoch)
    while not log.over:
        state, losses = next(steps)
        log.add(*losses)
        if saves is not None and saves.is_due(log.epoch, last=log.over):
            saves.save(state, log.history(), epoch=log.epoch)
    if saves is not None:
        saves.close()
    final = (state.params, state.rest) if held_out is None else state.best
    return how.rebuild(model, *final), log.history()


@cache
def default_optimizer() -> optax.GradientTransformation:
    """Adam with step size 1e-3; the same object every time, so that `jit` knows it."""
    return optax.adam(1e-3)


class _Run(NamedTuple):
    """The parts of a run that stay the same from epoch to epoch."""

    program: Program
    data: Rows
    validation: Rows | None
    batch_size: int
    seed: int
    min_delta: float

    def epochs(self, state: State, first: int) -> Iterator[tuple[State, list[float]]]:
        """The state and the losses after each epoch; the next order is drawn while one runs."""
        draw = partial(shuffled, len(self.data.x), self.batch_size, self.seed)
        order, min_delta = draw(first), np.float32(self.min_delta)
        for number in itertools.count(first + 1):
            state, losses = epoch(
                self.program, state, self.data, self.validation, *order, min_delta
            )
            order = draw(number)
            yield state, [float(value) for value in losses]

    def fingerprint(self, state: State) -> dict[str, Any]:
        """What a checkpoint must share with this run for the run to go on from it."""
        arrays = (*self.data, *(self.validation or ()))
        return {
            "data": hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in arrays)).hexdigest(),
            "state": hashlib.sha256(_shapes(state).encode()).hexdigest(),
            "loss": getattr(self.program.loss, "__qualname__", repr(self.program.loss)),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "min_delta": self.min_delta,
        }


def shuffled(
    rows: int, batch_size: int, seed: int, epoch: int
) -> tuple[Int[np.ndarray, "step batch"], Float[np.ndarray, "step batch"]]:
    """The rows of each batch of an epoch and their weights, drawn on the host.

    The order depends on (seed, epoch) alone, which is what makes a resumed run exact. The last
    batch is filled up with the first rows of the order, at weight zero.
    """
    steps = -(-rows // batch_size)
    order = np.random.default_rng((seed, epoch)).permutation(rows).astype(np.int32)
    weights = np.ones(steps * batch_size, np.float32)
    weights[rows:] = 0
    shape = (steps, batch_size)
    return np.resize(order, shape), weights.reshape(shape)


def predict(
    model: Any, x: ArrayLike, *, batch_size: int = EVALUATION_ROWS
) -> Float[np.ndarray, "row *output"]:
    """A model's outputs for every row: logits of a classifier, values of a regression.

    Args:
      model: a `flax.nnx` module or a `PureModel`; dropout and the like are off.
      x: inputs, one row each; may be empty.
      batch_size: rows at once, ≥ 1.

    Returns:
      float32, one entry a row.
    """
    how, params, rest = take_apart(model)
    x = as_input(x)
    slices = [x[i : i + batch_size] for i in range(0, max(len(x), 1), batch_size)]
    return np.concatenate([np.asarray(_outputs(how, params, rest, part)) for part in slices])


@partial(jax.jit, static_argnames="how")
def _outputs(how: Pure | Module, params: PyTree, rest: PyTree, x: Array) -> Array:
    return how.evaluate(params, rest, x)


def _checkpoints(folder: Path | str, fingerprint: dict[str, Any], every: int) -> Any:
    """Imported only where it is used: orbax takes longer to import than most tables to train."""
    from channelwise.learning.checkpoint import Checkpoints

    return Checkpoints(folder, fingerprint, every)


def _shapes(state: State) -> str:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return "\n".join(f"{jax.tree_util.keystr(k)} {a.shape} {a.dtype}" for k, a in leaves)
