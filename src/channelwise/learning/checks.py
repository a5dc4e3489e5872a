"""Refusals before training starts: data and settings that nothing can be learnt from."""

import jax
import numpy as np
from jaxtyping import ArrayLike, PyTree, Shaped

from channelwise.learning.program import Rows

Pair = tuple[PyTree, PyTree]
"""Inputs and targets: arrays, or trees of arrays, with one row each."""


class TrainingError(ValueError):
    """Training cannot start or go on; the message says why and what to change."""


def groups_of(data: Pair | list[Pair], name: str) -> tuple[Rows, ...]:
    """(x, y), or a list of such pairs, as rows on the device."""
    if isinstance(data, tuple):
        return (rows_of(data, name),)
    if not data:
        raise TrainingError(f"{name}: an empty list. Give at least one pair (x, y).")
    return tuple(rows_of(pair, f"{name}[{i}]") for i, pair in enumerate(data))


def rows_of(data: Pair, name: str) -> Rows:
    """(x, y) on the device, or a sentence that says why they cannot be trained on."""
    x, y = (as_inputs(part) for part in data)
    if len({len(a) for a in jax.tree.leaves((x, y))}) > 1:
        raise TrainingError(
            f"{name}: {row_count(x)} rows of inputs but {row_count(y)} targets. "
            "Give one target for each row."
        )
    if row_count(x) == 0:
        raise TrainingError(f"{name}: no rows. Check the filter or the split that made it.")
    for what, part in (("inputs", x), ("targets", y)):
        for a in jax.tree.leaves(part):
            _check_finite(a, what, name)
    return Rows(*jax.device_put((x, y)))


def _check_finite(a: np.ndarray, what: str, name: str) -> None:
    if np.issubdtype(a.dtype, np.floating) and not np.isfinite(a).all():
        row = int(np.argwhere(~np.isfinite(a))[0][0])
        raise TrainingError(
            f"{name}: the {what} hold NaN or infinity, first in row {row}. "
            "Fill missing values before training (see learning.data.preparation)."
        )


def as_inputs(tree: PyTree) -> PyTree:
    """A tree of arrays, or one array; lists count as arrays."""
    return jax.tree.map(as_input, tree, is_leaf=lambda node: isinstance(node, list))


def row_count(tree: PyTree) -> int:
    """Rows of the first array of a tree."""
    return len(jax.tree.leaves(tree)[0])


def as_input(a: ArrayLike) -> Shaped[np.ndarray, "row ..."]:
    """float32, except whole numbers (class or token numbers), which become int32."""
    a = np.asarray(a)
    return a.astype(np.int32 if np.issubdtype(a.dtype, np.integer) else np.float32, copy=False)


def check_engine(
    precision: str,
    microbatches: int,
    average: float | None,
    checkpoint_steps: int | None,
    checkpoint_keep: int,
) -> None:
    """Settings of how the steps are computed and saved."""
    least = {
        "microbatches": microbatches,
        "checkpoint_steps": 1 if checkpoint_steps is None else checkpoint_steps,
        "checkpoint_keep": checkpoint_keep,
    }
    for name, value in least.items():
        if not value >= 1:
            raise TrainingError(f"{name} must be at least 1, got {value}.")
    if precision not in ("float32", "bfloat16"):
        raise TrainingError(f"precision must be float32 or bfloat16, got {precision!r}.")
    if average is not None and not 0 < average < 1:
        raise TrainingError(
            f"average must lie between 0 and 1 (0.999 averages about the last thousand steps), "
            f"got {average}."
        )


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
