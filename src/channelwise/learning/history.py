"""What happened in training: losses as they come in, the lines about them, and when to stop."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from channelwise.learning.checks import TrainingError


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
    """Losses as they come in; mutable, and read out as a `History`."""

    def __init__(
        self,
        epochs: int,
        patience: int | None,
        report: Callable[[str], object] | None,
        report_every: int,
    ):
        self.limit, self.patience = epochs, patience
        self.report, self.report_every = report, report_every
        self.train: list[float] = []
        self.validation: list[float] = []
        self.best: int | None = None
        self.seconds = 0.0
        self.started = time.perf_counter()

    @property
    def epoch(self) -> int:
        return len(self.train)

    @property
    def stopped_early(self) -> bool:
        return self.patience is not None and self.epoch - (self.best or 0) >= self.patience

    @property
    def over(self) -> bool:
        return self.epoch >= self.limit or self.stopped_early

    def add(self, train: float, validation: float | None = None, better: float = 0.0) -> None:
        self.train.append(train)
        if validation is not None:
            self.validation.append(validation)
        if better:
            self.best = self.epoch
        _check_finite(self.epoch, train, *self.validation[-1:])
        if self.report is not None and (self.over or self.epoch % self.report_every == 0):
            self.report(self.line())

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

    def go_on_from(self, history: History) -> None:
        self.train, self.validation = history.train_loss.tolist(), history.validation_loss.tolist()
        self.best, self.seconds = history.best_epoch, history.seconds


def _check_finite(number: int, *losses: float) -> None:
    if not all(map(math.isfinite, losses)):
        raise TrainingError(
            f"The loss is no longer finite in epoch {number}: {', '.join(map(str, losses))}. "
            "Lower the learning rate, standardize the inputs, or clip the gradient "
            "(optax.chain(optax.clip_by_global_norm(1.0), ...))."
        )
