"""Training: `fit` a model to data that stays on the device, one compiled scan an epoch."""

import hashlib
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Int, PyTree, Shaped

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


class History(NamedTuple):
    """What happened: losses with one entry an epoch, and how it ended.

    Attributes:
      train_loss: mean loss of the training rows as each batch was seen, before its step.
      validation_loss: mean loss of the validation rows after the epoch; empty without them.
      best_epoch: the epoch (from 1) whose parameters were kept; None without validation.
      stopped_early: whether patience ran out before the last epoch.
      seconds: wall time of the epochs, compilation included.
    """

    train_loss: Float[np.ndarray, " epoch"]
    validation_loss: Float[np.ndarray, " epoch"]
    best_epoch: int | None
    stopped_early: bool
    seconds: float

    @property
    def epochs(self) -> int:
        """Epochs that were run."""
        return len(self.train_loss)


_NOTHING_YET = History(np.zeros(0), np.zeros(0), None, False, 0.0)


class TrainingError(ValueError):
    """Training cannot start or go on; the message says why and what to change."""


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
    _check_settings(epochs, batch_size, seed, patience, min_delta, validation, report_every)
    rows = _rows(data, "data")
    held_out = None if validation is None else _rows(validation, "validation")
    how, params, rest = take_apart(model)
    program = Program(how, loss, optimizer or default_optimizer())
    state = begin(program, params, rest, held_out is not None)
    run = _Run(program, rows, held_out, min(batch_size, len(rows.x)), seed, min_delta, patience)
    history = _NOTHING_YET
    saves = None
    if checkpoint is not None:
        saves = _checkpoints(checkpoint, run.fingerprint(state), checkpoint_every)
        state, history = saves.restore(state, history)
    while history.epochs < epochs and not history.stopped_early:
        state, history = run.advance(state, history)
        last = history.epochs == epochs or history.stopped_early
        if report is not None and (last or history.epochs % report_every == 0):
            report(_line(history, epochs))
        if saves is not None:
            saves.save(state, history, epoch=history.epochs, last=last)
    if saves is not None:
        saves.close()
    final = (state.params, state.rest) if held_out is None else state.best
    return how.rebuild(model, *final), history


@cache
def default_optimizer() -> optax.GradientTransformation:
    """Adam with step size 1e-3; the same object every time, so that `jit` knows it."""
    return optax.adam(1e-3)


class _Run(NamedTuple):
    program: Program
    data: Rows
    validation: Rows | None
    batch_size: int
    seed: int
    min_delta: float
    patience: int | None

    def advance(self, state: State, history: History) -> tuple[State, History]:
        """One epoch."""
        started = time.perf_counter()
        order, weights = shuffled(len(self.data.x), self.batch_size, self.seed, history.epochs)
        min_delta = np.float32(self.min_delta)
        state, losses = epoch(
            self.program, state, self.data, self.validation, order, weights, min_delta
        )
        train, *rest = (float(value) for value in losses)
        number = history.epochs + 1
        _check_finite(number, train, *rest[:1])
        best = number if rest and rest[1] else history.best_epoch
        history = History(
            np.append(history.train_loss, train),
            np.append(history.validation_loss, rest[:1]),
            best,
            self.patience is not None and number - (best or 0) >= self.patience,
            history.seconds + time.perf_counter() - started,
        )
        return state, history

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
    x = _floats(x)
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


def _rows(data: tuple[ArrayLike, ArrayLike], name: str) -> Rows:
    """(x, y) on the device, or a sentence that says why they cannot be trained on."""
    x, y = (_floats(a) for a in data)
    if len(x) != len(y):
        raise TrainingError(
            f"{name}: {len(x)} rows of inputs but {len(y)} targets. Give one target for each row."
        )
    if len(x) == 0:
        raise TrainingError(f"{name}: no rows. Check the filter or the split that made it.")
    for what, a in (("inputs", x), ("targets", y)):
        if np.issubdtype(a.dtype, np.floating) and not np.isfinite(a).all():
            row = int(np.argwhere(~np.isfinite(a))[0][0])
            raise TrainingError(
                f"{name}: the {what} hold NaN or infinity, first in row {row}. "
                "Fill missing values before training (see learning.data.preparation)."
            )
    return Rows(*jax.device_put((x, y)))


def _floats(a: ArrayLike) -> Shaped[np.ndarray, "row ..."]:
    """float32, except whole numbers (class or token numbers), which become int32."""
    a = np.asarray(a)
    return a.astype(np.int32 if np.issubdtype(a.dtype, np.integer) else np.float32, copy=False)


def _check_settings(
    epochs: int,
    batch_size: int,
    seed: int,
    patience: int | None,
    min_delta: float,
    validation: object,
    report_every: int,
) -> None:
    least = {
        "epochs": (epochs, 1),
        "batch_size": (batch_size, 1),
        "seed": (seed, 0),
        "patience": (1 if patience is None else patience, 1),
        "min_delta": (min_delta, 0),
        "report_every": (report_every, 1),
    }
    for name, (value, lowest) in least.items():
        if not value >= lowest:
            raise TrainingError(f"{name} must be at least {lowest}, got {value}.")
    if patience is not None and validation is None:
        raise TrainingError(
            f"patience = {patience} needs validation data to watch: pass validation=(x, y), "
            "or patience=None to run every epoch."
        )


def _check_finite(number: int, *losses: float) -> None:
    if not np.isfinite(losses).all():
        raise TrainingError(
            f"The loss is no longer finite in epoch {number}: {', '.join(map(str, losses))}. "
            "Lower the learning rate, standardize the inputs, or clip the gradient "
            "(optax.chain(optax.clip_by_global_norm(1.0), ...))."
        )


def _line(history: History, epochs: int) -> str:
    line = f"epoch {history.epochs:{len(str(epochs))}d}/{epochs}  loss {history.train_loss[-1]:.4f}"
    if history.best_epoch is not None or len(history.validation_loss):
        line += f"  validation {history.validation_loss[-1]:.4f}"
    if history.stopped_early:
        line += f"  stopped: best was epoch {history.best_epoch}"
    return line
