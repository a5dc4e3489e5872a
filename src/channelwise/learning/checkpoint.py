"""Saved training runs that resume bit for bit, written by orbax."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


class CheckpointError(ValueError):
    """A checkpoint cannot be resumed; the message says why and what to do."""


class Checkpoints:
    """The saves of one run in one folder: the newest two, and the run they belong to.

    A save is written beside and renamed when it is whole, so an interruption leaves the one before.

    Args:
      folder: made if absent.
      fingerprint: what a save must share with this run to be resumed, as plain JSON values.
      every: epochs between two saves, ≥ 1.
    """

    def __init__(self, folder: Path | str, fingerprint: dict[str, Any], every: int):
        from orbax import checkpoint as orbax

        if every < 1:
            raise CheckpointError(f"checkpoint_every must be at least 1, got {every}.")
        self._args = orbax.args
        self._fingerprint = fingerprint
        self._every = every
        self._folder = Path(folder).absolute()
        options = orbax.CheckpointManagerOptions(
            max_to_keep=2, create=True, enable_async_checkpointing=False
        )
        self._manager = orbax.CheckpointManager(self._folder, options=options)

    def restore(self, state: Any, history: Any) -> tuple[Any, Any]:
        """The newest save as (state, history), or what was given if there is none yet.

        Raises:
          CheckpointError: if the save belongs to other data or settings, or cannot be read.
        """
        newest = self._manager.latest_step()
        if newest is None:
            return state, history
        try:
            notes = self._read(newest, notes=self._args.JsonRestore())["notes"]
            self._check(notes["fingerprint"])
            leaves, tree = jax.tree.flatten(state)
            like = [_plain(leaf) for leaf in leaves]
            saved = self._read(newest, state=self._args.StandardRestore(like))["state"]
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(
                f"The checkpoint {self._folder / str(newest)} cannot be read ({error}). "
                "Delete that folder to go on from the save before it, or name another folder."
            ) from error
        restored = [_like(new, old) for new, old in zip(saved, leaves, strict=True)]
        seen = {name: _array_or_value(value) for name, value in notes["history"].items()}
        return jax.tree.unflatten(tree, restored), history._replace(**seen)

    def is_due(self, epoch: int, *, last: bool) -> bool:
        """Whether the state after this epoch is to be saved."""
        return last or epoch % self._every == 0

    def save(self, state: Any, history: Any, *, epoch: int) -> None:
        """Save the state after an epoch."""
        seen = {name: _list_or_value(value) for name, value in history._asdict().items()}
        notes = {"fingerprint": self._fingerprint, "history": seen}
        leaves = [_plain(leaf) for leaf in jax.tree.leaves(state)]
        self._manager.save(
            epoch,
            args=self._args.Composite(
                state=self._args.StandardSave(leaves), notes=self._args.JsonSave(notes)
            ),
        )

    def close(self) -> None:
        """Give the folder back."""
        self._manager.close()

    def _read(self, epoch: int, **items: Any) -> Any:
        return self._manager.restore(epoch, args=self._args.Composite(**items))

    def _check(self, saved: dict[str, Any]) -> None:
        other = [name for name, value in self._fingerprint.items() if saved.get(name) != value]
        if other:
            raise CheckpointError(
                f"The checkpoint in {self._folder} belongs to another run: different "
                f"{', '.join(other)}. Name another folder, or delete this one to start again."
            )


def _list_or_value(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _array_or_value(value: Any) -> Any:
    return np.asarray(value, float) if isinstance(value, list) else value


def _plain(leaf: Any) -> Array:
    """Random keys as the numbers they hold; everything else as it is."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return leaf


def _like(saved: Array, leaf: Any) -> Array:
    """A saved array in the form it had: a random key again, and an owned buffer."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(saved, impl=jax.random.key_impl(leaf))
    return jax.device_put(np.array(saved))
