"""A look at a Dask cluster before a sweep is sent to it.

Does a scheduler answer? Would its workers compute just what this machine would? What data do they
lack? Whatever stands in the way is said before anything is run or written.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from channelwise.runs import hashes, remote
from channelwise.runs.errors import UsageError
from channelwise.runs.plan import Plan

CONNECT_S = 5.0
"""Seconds to wait for a scheduler to answer."""

LARGEST_SENT = 256 * 2**20
"""Bytes of data that are sent along; more has to be on the workers."""

Data = dict[str, tuple[str, str | None]]
"""For each path among the parameters: where it is on this machine, and the hash of its content."""


def connect(address: str) -> Any:
    """Dask's client of a scheduler.

    Raises:
        UsageError: if `distributed` is not installed, or no scheduler answers at the address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "a sweep on a Dask cluster needs the package `distributed`; install it with "
            "`pip install channelwise[dask]`."
        ) from error
    try:
        with warnings.catch_warnings():
            # We compare what decides the numbers ourselves, and refuse where Dask only warns.
            warnings.filterwarnings("ignore", message="Mismatched versions found")
            return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address}; check the address, such as "
            "tcp://host:8786, and that `dask scheduler` is running there."
        ) from error


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Dask's own log is turned off: what matters of it is told here, in sentences."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)


def data_of(plans: Sequence[Plan]) -> Data:
    """The data that runs read, each path looked at once."""
    places = {
        str(path): (plan.notebook.parent / path).resolve()
        for plan in plans
        for value in plan.parameters.values()
        for path in paths_in(value)
    }
    return {text: (str(place), hashes.of_path(place)) for text, place in places.items()}


def data_to_send(data: Data, seen: dict[str, Any]) -> remote.Sent:
    """The data that not every worker has.

    Raises:
        UsageError: if it is too large to be sent.
    """
    lacking = {}
    for text, (place, digest) in data.items():
        workers = [worker for worker, found in seen.items() if found["data"][place] != digest]
        if digest and (workers or not seen):
            lacking[text] = workers
    files = {text: _files(Path(data[text][0])) for text in lacking}
    size = sum(file.stat().st_size for found in files.values() for file in found.values())
    if size > LARGEST_SENT:
        text, workers = next(iter(lacking.items()))
        who = f"the worker {workers[0]} has" if workers else "a worker may have"
        raise UsageError(
            f"{who} another {data[text][0]} than this machine, or none, and {size / 2**20:.0f} "
            f"MiB are too much to send (at most {LARGEST_SENT / 2**20:.0f}); put the same data "
            "under the same path on every worker."
        )
    return {text: {k: f.read_bytes() for k, f in found.items()} for text, found in files.items()}


def survey(client: Any, data: Data) -> dict[str, Any]:
    """What each worker has, by its address.

    Raises:
        UsageError: if one has other software than this machine.
    """
    seen = {}
    paths = [place for place, _ in data.values()]
    for worker, found in client.run(remote.survey, paths, on_error="return").items():
        if isinstance(found, OSError):
            continue  # it has just ended
        if isinstance(found, Exception):
            raise UsageError(
                f"the worker {worker} cannot run channelwise ({found}); install channelwise "
                f"{hashes.versions()['channelwise']} there and start the worker again."
            )
        unlike = remote.difference(worker, found["software"], remote.software())
        if unlike:
            raise UsageError(unlike)
        seen[worker] = found
    return seen


def paths_in(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from paths_in(item)


def _files(place: Path) -> dict[str, Path]:
    """The files of a folder by their names in it; a file by itself has the name ''."""
    if place.is_file():
        return {"": place}
    return {f.relative_to(place).as_posix(): f for f in sorted(place.rglob("*")) if f.is_file()}
