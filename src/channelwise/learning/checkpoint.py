"""Saved training runs that resume bit for bit, written by orbax beside the training."""

import contextlib
import hashlib
import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from channelwise.learning.history import Log


class CheckpointError(ValueError):
    """A checkpoint cannot be resumed or written; the message says why and what to do.

    Attributes:
      why: the first half of the message.
    """

    def __init__(self, why: str, remedy: str = ""):
        super().__init__(f"{why} {remedy}".strip())
        self.why = why


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
        self._check_writable()
        options = orbax.CheckpointManagerOptions(
            max_to_keep=keep, create=True, cleanup_tmp_directories=True
        )
        self._manager = orbax.CheckpointManager(self._folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._manager.close()
        except Exception as problem:
            if error is None:  # else that one is told
                raise self._unwritten(problem) from problem

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
        packed = _packed(jax.tree.leaves(state))
        digest = hashlib.sha256(packed).hexdigest()
        notes = {"fingerprint": self._fingerprint, "log": log.notes(), "sha256": digest}
        items = self._args.Composite(
            state=self._args.StandardSave([packed]), notes=self._args.JsonSave(notes)
        )
        try:
            self._manager.save(log.steps, args=items)
        except Exception as error:  # of this save, or of the one before, written in the background
            raise self._unwritten(error) from error
        self._saved_at = log.steps

    def _check_writable(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise CheckpointError(
                f"Checkpoints cannot be written to {self._folder} ({error.strerror}).",
                "Name a folder that can be, or permit writing there.",
            ) from error

    def _unwritten(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"A checkpoint cannot be written to {self._folder} ({_reason(error)}).",
            "The saves before it are whole: free some space there, and run again to go on from "
            "the newest.",
        )

    def _read(self, step: int, state: Any) -> tuple[Any, dict[str, Any]]:
        try:
            notes = self._item(step, notes=self._args.JsonRestore())["notes"]
            self._check(step, notes["fingerprint"])
            leaves, tree = jax.tree.flatten(state)
            like = [np.empty(sum(_plain(leaf).nbytes for leaf in leaves), np.uint8)]
            (packed,) = self._item(step, state=self._args.StandardRestore(like))["state"]
            if hashlib.sha256(packed).hexdigest() != notes["sha256"]:
                raise ValueError("its arrays are not those that were saved")
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"The checkpoint {self._folder / str(step)} cannot be read ({_reason(error)}).",
                "Delete that folder to start again, or name another one.",
            ) from error
        return jax.tree.unflatten(tree, _unpacked(packed, leaves)), notes["log"]

    def _item(self, step: int, **items: Any) -> Any:
        return self._manager.restore(step, args=self._args.Composite(**items))

    def _check(self, step: int, saved: dict[str, Any]) -> None:
        other = [name for name, value in self._fingerprint.items() if saved.get(name) != value]
        if other:
            raise CheckpointError(
                f"The checkpoint {self._folder / str(step)} belongs to another run: different "
                f"{', '.join(other)}.",
                "Name another folder, or delete this one to start again.",
            )

    def _set_aside(self, refused: list[tuple[int, CheckpointError]], used: int) -> None:
        """Refused saves out of the way of the new ones, under another name; nothing is deleted."""
        for step, error in refused:
            free = next(name for name in _names(step) if not (self._folder / name).exists())
            with contextlib.suppress(FileNotFoundError):  # another process of a group was first
                (self._folder / str(step)).rename(self._folder / free)
            warnings.warn(
                f"{error.why} It is called {free} now, and the run goes on from step {used}.",
                CheckpointWarning,
                stacklevel=4,
            )
        if refused:
            self._manager.reload()


def _reason(error: Exception) -> str:
    """What went wrong, without the details that engines add for their makers."""
    text = str(error).partition("\n")[0].partition(" [")[0]
    return text if len(text) <= 200 else f"…{text[-200:]}"


def _names(step: int) -> Iterator[str]:
    """Names for a refused save: refused-18, refused-18-2, …"""
    yield f"refused-{step}"
    yield from (f"refused-{step}-{k}" for k in itertools.count(2))


def _packed(leaves: list[Array]) -> UInt8[np.ndarray, " byte"]:
    """A copy of all arrays as one: written in a fraction of the time that many take."""
    plain = (np.ascontiguousarray(_plain(leaf)) for leaf in leaves)
    return np.concatenate([leaf.reshape(-1).view(np.uint8) for leaf in plain])


def _unpacked(packed: UInt8[np.ndarray, " byte"], leaves: list[Array]) -> list[Array]:
    """The arrays again, in the forms of these; owned buffers, as the next step uses them up."""
    ends = np.cumsum([_plain(leaf).nbytes for leaf in leaves])
    parts = np.split(packed, ends[:-1])
    return [_like(part, leaf) for part, leaf in zip(parts, leaves, strict=True)]


def _plain(leaf: Any) -> Array:
    """Random keys as the numbers they hold; everything else as it is."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return leaf


def _like(saved: UInt8[np.ndarray, " byte"], leaf: Any) -> Array:
    """Saved bytes in the form they had: a random key again, or an array."""
    plain = _plain(leaf)
    array = jax.device_put(saved.copy().view(plain.dtype).reshape(plain.shape))
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
    return array
