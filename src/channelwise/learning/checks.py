"""Refusals before training starts: data and settings that nothing can be learnt from."""

import jax
import numpy as np
from jaxtyping import ArrayLike, Shaped

from channelwise.learning.program import Rows


class TrainingError(ValueError):
    """Training cannot start or go on; the message says why and what to change."""


def rows_of(data: tuple[ArrayLike, ArrayLike], name: str) -> Rows:
    """(x, y) on the device, or a sentence that says why they cannot be trained on."""
    x, y = (as_input(a) for a in data)
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


def as_input(a: ArrayLike) -> Shaped[np.ndarray, "row ..."]:
    """float32, except whole numbers (class or token numbers), which become int32."""
    a = np.asarray(a)
    return a.astype(np.int32 if np.issubdtype(a.dtype, np.integer) else np.float32, copy=False)


def check_settings(
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
