"""A folder that holds a model, written whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(folder: Path, error: Callable[[str], Exception]) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its place if everything in the block succeeds.

    Args:
      folder: made if absent; what it held before is gone when the new one stands, not earlier.
      error: makes the exception from a sentence, if the disk refuses.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        yield beside
        _put_in_place(beside, folder)
    except OSError as refused:
        raise error(
            f"The model could not be saved in {folder} ({refused.strerror or refused}). "
            "Choose a folder you may write to, with free space."
        ) from refused
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put_in_place(new: Path, folder: Path) -> None:
    """Rename the finished folder; an earlier one steps aside until the new one stands."""
    if not folder.exists():
        new.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.old.{os.getpid()}")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
