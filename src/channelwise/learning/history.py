"""What happened in training: losses as they come in, the lines about them, and when to stop."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from channelwise.learning.checks import TrainingError
from channelwise.learning.program import Told


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


class Log:
    """Losses as they come in; mutable, and read out as a `History`.

    Args:
      epochs: most epochs.
      patience: epochs without improvement before stopping, or None.
      validated: whether every epoch ends with a validation loss.
      report: called with one line each `report_every` epochs, or None.
      report_every: epochs between two lines.
      step_size: the optimizer's, where it is known without asking the optimizer.
    """

    def __init__(
        self,
        epochs: int,
        patience: int | None,
        validated: bool,
        report: Callable[[str], object] | None,
        report_every: int,
        step_size: float = math.nan,
    ):
        self.limit, self.patience, self.validated = epochs, patience, validated
        self.report, self.report_every = report, report_every
        self.step_size = step_size
        self.train: list[float] = []
        self.validation: list[float] = []
        self.best: int | None = None
        self.seconds = 0.0
        self.started = time.perf_counter()
        self.steps = self.pieces = 0
        self._loss = self._weight = 0.0
        self._heard: list[tuple[Array, float, int]] = []

    @property
    def epoch(self) -> int:
        return len(self.train)

    @property
    def stopped_early(self) -> bool:
        return self.patience is not None and self.epoch - (self.best or 0) >= self.patience

    @property
    def over(self) -> bool:
        return self.epoch >= self.limit or self.stopped_early

    def hear(self, told: Float[Array, " told"], weight: float, steps: int) -> None:
        """Take down what a piece of an epoch tells (a `Told`), without waiting for the device."""
        self._heard.append((told, weight, steps))
        self.pieces += 1

    def settle(self) -> Told | None:
        """Wait for what was heard, and refuse to go on from a loss that is not finite."""
        heard, self._heard, last = self._heard, [], None
        for told, weight, steps in heard:
            last = Told(*np.asarray(told).tolist())
            if last.good < steps:
                self._refuse(self.steps + int(last.good) + 1, last.step_size)
            self._loss += last.loss * weight
            self._weight += weight
            self.steps += steps
        return last

    def close(self) -> None:
        """End an epoch with the piece last heard."""
        last = self.settle()
        self.train.append(self._loss / self._weight)
        self._loss, self._weight, self.pieces = 0.0, 0.0, 0
        if self.validated:
            self.validation.append(last.validation)
            if not math.isfinite(last.validation):
                raise TrainingError(
                    f"The validation loss is {last.validation} after epoch {self.epoch}, step "
                    f"{self.steps}: the training loss was still finite. {_REMEDY}"
                )
        if last.better:
            self.best = self.epoch
        if self.report is not None and (self.over or self.epoch % self.report_every == 0):
            self.report(self.line())

    def _refuse(self, step: int, step_size: float) -> None:
        size = self.step_size if math.isnan(step_size) else step_size
        rate = (
            "unknown here: make the optimizer with learning.optimizer or optax.inject_hyperparams "
            "to have it named"
            if math.isnan(size)
            else f"{size:.4g}"
        )
        raise TrainingError(
            f"The loss is no longer finite in epoch {self.epoch + 1}, step {step} "
            f"(learning rate {rate}). {_REMEDY}"
        )

    def line(self) -> str:
        line = f"epoch {self.epoch:{len(str(self.limit))}d}/{self.limit}  loss {self.train[-1]:.4f}"
        if self.validation:
            line += f"  validation {self.validation[-1]:.4f}"
        return line + f"  stopped: best was epoch {self.best}" * self.stopped_early

    def history(self) -> History:
        return History(
            np.asarray(self.train, np.float64),
            np.asarray(self.validation, np.float64),
            self.best,
            self.stopped_early and self.epoch < self.limit,
            self.seconds + time.perf_counter() - self.started,
        )

    def notes(self) -> dict[str, Any]:
        """Everything a resumed run must know, as plain JSON values."""
        return {
            "train": list(self.train),  # copies: the notes are written while training goes on
            "validation": list(self.validation),
            "best": self.best,
            "seconds": self.seconds + time.perf_counter() - self.started,
            "steps": self.steps,
            "within": [self.pieces, self._loss, self._weight],
        }

    def go_on_from(self, notes: dict[str, Any]) -> None:
        self.train, self.validation = list(notes["train"]), list(notes["validation"])
        self.best, self.seconds, self.steps = notes["best"], notes["seconds"], notes["steps"]
        self.pieces, self._loss, self._weight = notes["within"]


_REMEDY = (
    "Lower the learning rate, standardize the inputs, or clip the gradient "
    "(optax.chain(optax.clip_by_global_norm(1.0), ...)). A checkpoint keeps the last good state."
)
