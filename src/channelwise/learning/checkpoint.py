"""Saved training runs that resume bit for bit, written by orbax beside the training."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from channelwise.learning.history import Log


class CheckpointError(ValueError):
    """A checkpoint cannot be resumed; the message says why and what to do."""


class CheckpointWarning(UserWarning):
    """A save was refused and an older one used."""


class Checkpoints:
    """The saves of one run in one folder: the newest few, and the run they belong to.

    A save is written beside and renamed when it is whole, so an interruption leaves the one
    before. The state is copied before `save` returns; the writing goes on while training does.

    Args:
      folder: made if absent.
      fingerprint: what a save must share with this run to be resumed, as plain JSON values.
      every: epochs between two saves, ≥ 1.
      steps: at most these many steps between two saves; instead of `every`.
      keep: saves kept, ≥ 1.
    """

    def __init__(
        self,
        folder: Path | str,
        fingerprint: dict[str, Any],
        every: int,
        steps: int | None = None,
        keep: int = 2,
    ):
        from orbax import checkpoint as orbax

        if every < 1:
            raise CheckpointError(f"checkpoint_every must be at least 1, got {every}.")
        self._args = orbax.args
        self._fingerprint = fingerprint
        self._every, self._steps = every, steps
        self._folder = Path(folder).absolute()
        self._saved_at = 0
        options = orbax.CheckpointManagerOptions(
            max_to_keep=keep, create=True, cleanup_tmp_directories=True
        )
        self._manager = orbax.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def restore(self, state: Any, log: Log) -> Any:
        """The newest save that is whole and of this run; what was given if there is none yet.

        A save that cannot be used is named in a warning and set aside, and the one before is used.

        Raises:
          CheckpointError: if there are saves, but none can be used.
        """
        refused: list[tuple[int, CheckpointError]] = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                state, notes = self._read(step, state)
            except CheckpointError as error:
                refused.append((step, error))
                continue
            log.go_on_from(notes)
            self._saved_at = log.steps
            self._set_aside(refused, step)
            return state
        if refused:
            raise refused[0][1]
        return state

    def is_due(self, log: Log) -> bool:
        """Whether the state after this epoch is to be saved."""
        due = self._steps is not None or log.epoch % self._every == 0
        return log.over or due

    def is_due_within(self, log: Log, steps: int) -> bool:
        """Whether the state inside an epoch is to be saved, when pieces have `steps` steps."""
        if self._steps is None:
            return False
        log.settle()
        return log.steps + steps - self._saved_at > self._steps

    def save(self, state: Any, log: Log) -> None:
        """Save the state after what the log has heard."""
        log.settle()
        leaves = [np.array(_plain(leaf)) for leaf in jax.tree.leaves(state)]
        notes = {"fingerprint": self._fingerprint, "log": log.notes(), "sha256": _digest(leaves)}
        self._manager.save(
            log.steps,
            args=self._args.Composite(
                state=self._args.StandardSave(leaves), notes=self._args.JsonSave(notes)
            ),
        )
        self._saved_at = log.steps

    def _read(self, step: int, state: Any) -> tuple[Any, dict[str, Any]]:
        try:
            notes = self._item(step, notes=self._args.JsonRestore())["notes"]
            self._check(step, notes["fingerprint"])
            leaves, tree = jax.tree.flatten(state)
            like = [np.empty(_plain(leaf).shape, _plain(leaf).dtype) for leaf in leaves]
            saved = self._item(step, state=self._args.StandardRestore(like))["state"]
            if _digest(saved) != notes["sha256"]:
                raise ValueError("its arrays are not those that were saved")
        except CheckpointError:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise CheckpointError(
                f"The checkpoint {self._folder / str(step)} cannot be read ({reason}). "
                "Delete that folder to go on from the save before it, or name another folder."
            ) from error
        restored = [_like(new, old) for new, old in zip(saved, leaves, strict=True)]
        return jax.tree.unflatten(tree, restored), notes["log"]

    def _item(self, step: int, **items: Any) -> Any:
        return self._manager.restore(step, args=self._args.Composite(**items))

    def _check(self, step: int, saved: dict[str, Any]) -> None:
        other = [name for name, value in self._fingerprint.items() if saved.get(name) != value]
        if other:
            raise CheckpointError(
                f"The checkpoint {self._folder / str(step)} belongs to another run: different "
                f"{', '.join(other)}. Name another folder, or delete this one to start again."
            )

    def _set_aside(self, refused: list[tuple[int, CheckpointError]], used: int) -> None:
        """Refused saves out of the way of the new ones, under another name; nothing is deleted."""
        for step, error in refused:
            (self._folder / str(step)).rename(self._folder / f"refused-{step}")
            warnings.warn(
                f"{error} It was renamed to refused-{step}; the run goes on from step {used}.",
                CheckpointWarning,
                stacklevel=4,
            )
        if refused:
            self._manager.reload()


def _digest(leaves: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for leaf in leaves:
        digest.update(np.ascontiguousarray(leaf).view(np.uint8))
    return digest.hexdigest()


def _plain(leaf: Any) -> Array:
    """Random keys as the numbers they hold; everything else as it is."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return leaf


def _like(saved: np.ndarray, leaf: Any) -> Array:
    """A saved array in the form it had: a random key again, and an owned buffer."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(saved, impl=jax.random.key_impl(leaf))
    return jax.device_put(np.array(saved))
