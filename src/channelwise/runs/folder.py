"""The folder of one run: built hidden beside its place, renamed into it when it is whole.

    reports/<notebook>/<name>/            the last good run
    reports/<notebook>/<name>.failed/     the last attempt, if it did not succeed
    reports/<notebook>/.<name>.running/   being built
    reports/<notebook>/.<name>.lock       held while it is being built

A kill at any instant leaves the last good run in place; what else it leaves, the next run clears.
"""

import fcntl
import os
import shutil
from pathlib import Path

from channelwise.runs.errors import UsageError


class RunFolder:
    """The places of one run, and the lock that keeps two runs of one name apart.

    Attributes:
        final: Where a good run stands.
        failed: Where an attempt that did not succeed stands.
        running: Where a run is built.
    """

    def __init__(self, base: Path, name: str) -> None:
        self.base, self.name = base, name
        self.final = base / name
        self.failed = base / f"{name}.failed"
        self.running = base / f".{name}.running"
        self._old = base / f".{name}.old"
        self._lock_path = base / f".{name}.lock"
        self._lock: int | None = None

    def acquire(self) -> None:
        """Takes the lock, and puts right what a killed run may have left half done.

        Raises:
            UsageError: if another process holds the lock, or the folder cannot be written.
        """
        with writing(self.base):
            self.base.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
            if self._old.exists() and not self.final.exists():
                self._old.rename(self.final)
            _remove(self._old)

    def begin(self) -> None:
        """Makes the empty folder in which the run is built."""
        _remove(self.running)
        self.running.mkdir()

    def begin_from_final(self) -> None:
        """Begins with a copy of the last good run."""
        _remove(self.running)
        shutil.copytree(self.final, self.running)

    def keep(self) -> None:
        """Puts the finished run in the place of the last good one."""
        self._replace(self.final)
        _remove(self.failed)

    def keep_failed(self) -> None:
        """Puts an attempt that did not succeed beside the last good run."""
        self._replace(self.failed)

    def discard(self) -> None:
        """Removes what was being built."""
        _remove(self.running)

    def release(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock_path.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _replace(self, place: Path) -> None:
        _remove(self._old)
        if place.exists():
            place.rename(self._old)
        self.running.rename(place)
        _remove(self._old)

    def _take_lock(self) -> int:
        while True:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(lock)
                raise UsageError(
                    f"{self.final} is being run by another process right now; wait for it, "
                    "or give this run another name with --name."
                ) from error
            # The holder before us may have removed the file we opened; then it guards nothing.
            if _same_file(lock, self._lock_path):
                return lock
            os.close(lock)


class writing:  # noqa: N801  (reads as a word: `with writing(folder):`)
    """Turns a failure to write into a sentence.

    Args:
        place: The folder or file that is being written.
    """

    def __init__(self, place: Path) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise UsageError(cannot_write(self.place, error)) from error


def cannot_write(place: Path, error: OSError) -> str:
    """The sentence for a failure to write."""
    return (
        f"{place} cannot be written: {error.strerror or error}; free some space or permit writing "
        "there, or choose another folder with --out."
    )


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all: beside it first, then renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)
