"""What a Dask worker does of a sweep: one point, in a folder of its own that goes back as bytes.

The worker's thread only watches. The notebook is executed as on the runner's own machine: in a
kernel with a process of its own, which ends when the time is up, when nobody waits for the point
any more, and when the worker itself ends, however it ends.
"""

import asyncio
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channelwise.runs import hashes, manifest
from channelwise.runs.execution import Execution
from channelwise.runs.progress import Progress
from channelwise.runs.workers import Pool, Request, Result

Sent = dict[str, dict[str, bytes]]
"""Data that travels: for each path, the files below it; a file by itself has the name ''."""


@dataclass(frozen=True)
class Order:
    """Everything a worker needs to make one point.

    Attributes:
        record: The point's manifest as it begins.
        notebook: The notebook's file name.
        book: Its content.
        paths: The parameters that hold paths, as JSON values.
        data: For each of those paths: where it is on the client, and the hash of what is there.
        timeout: Seconds after which the execution is ended.
        software: What the client computes with.
        topic: Where to tell how far the point is.
    """

    record: dict[str, Any]
    notebook: str
    book: bytes
    paths: dict[str, Any]
    data: dict[str, tuple[str, str | None]]
    timeout: float | None
    software: dict[str, str | None]
    topic: str


class ProblemError(Exception):
    """No worker can make the point; the message is a sentence."""


class RefusedError(Exception):
    """This worker cannot make the point, another one may; the message is a sentence."""


def software() -> dict[str, str | None]:
    """All on this machine that decides a run's numbers and how its report looks."""
    library = hashes.of_library.__wrapped__()  # kernels import what is there now
    found = {"library": library[:8], "reports": hashes.of_renderer()[:8]}
    return {**hashes.versions(), **found}


async def survey(paths: list[str]) -> dict[str, Any]:
    """What a worker computes with, and the hashes of what it has under the client's paths."""
    data = await asyncio.to_thread(lambda: {p: hashes.of_path(Path(p)) for p in paths})
    return {"software": software(), "data": data}


def difference(worker: str, theirs: dict[str, Any], ours: dict[str, Any]) -> str | None:
    """The sentence on a worker that would compute something else than the client; None if not."""
    other = [name for name in ours if theirs.get(name) != ours[name]]
    if not other:
        return None
    if {"channelwise", "library", "reports"} & set(other):
        name, (there, here) = "channelwise", map(_channelwise, (theirs, ours))
    else:
        name, there, here = other[0], theirs.get(other[0]), ours[other[0]]
    return (
        f"the worker {worker} has {name} {there or 'not installed'}, this machine has {here}; "
        "install the same there and start the worker again."
    )


def make_point(order: Order, sent: Sent) -> dict[str, Any]:
    """Makes one point on the worker that runs this.

    Returns:
        `worker` (its address) and one of: `files` (the run's folder by file name), `refused` (why
        another worker must do it), `problem` (why there is no folder), `stopped` (nobody waited).
    """
    from distributed import get_worker

    worker = get_worker()
    try:
        with tempfile.TemporaryDirectory(prefix="point-", dir=worker.local_directory) as folder:
            done = _make(order, sent, Path(folder), worker)
    except RefusedError as error:
        done = {"refused": str(error)}
    except ProblemError as error:
        done = {"problem": str(error)}
    except OSError as error:
        why = error.strerror or error
        done = {
            "problem": f"The worker {worker.address} cannot write to {worker.local_directory}: "
            f"{why}; free some space there, or start it with --local-directory."
        }
    return {**done, "worker": worker.address}


def _make(order: Order, sent: Sent, folder: Path, worker: Any) -> dict[str, Any]:
    unlike = difference(worker.address, software(), order.software)
    if unlike:
        raise RefusedError(unlike)
    places = {
        text: _place(folder / "data" / str(k), text, order, sent, worker.address)
        for k, text in enumerate(order.data)
    }
    point = _Point(order, folder, places)
    relay = _Relay(order, worker.log_event)
    whole = Pool(1, relay, _unwanted(worker)).run([point])
    if not whole:
        return {"stopped": True}
    return {"files": {file.name: file.read_bytes() for file in point.execution.folder.iterdir()}}


def _place(folder: Path, text: str, order: Order, sent: Sent, worker: str) -> str:
    """Where the data of a path is on this worker: as sent, or else under the same path."""
    place, digest = order.data[text]
    if text not in sent:
        there = hashes.of_path(Path(place))
        if there != digest:
            what = "no such file as" if there is None else "another file than this machine under"
            raise RefusedError(
                f"the worker {worker} has {what} {place}; put the same there, and start the "
                "sweep again."
            )
        return place
    for name, content in sent[text].items():
        file = folder / Path(place).name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    if hashes.of_path(folder / Path(place).name) != digest:
        raise ProblemError(f"{place} changed while the sweep began; start the sweep again.")
    return str(folder / Path(place).name)


class _Point:
    """The run as a task of the pool."""

    def __init__(self, order: Order, folder: Path, places: dict[str, str]) -> None:
        self.label, self.timeout = order.record["name"], order.timeout
        self.notebook = folder / "notebooks" / order.notebook
        self.notebook.parent.mkdir()
        self.notebook.write_bytes(order.book)
        self.parameters = {
            **order.record["overrides"],
            **{
                name: _moved(value, places)
                for name, value in order.paths.items()
                if _moved(value, places) != value
            },
        }
        # The report links to the pages above it as it will in its place: `…/points/<name>`.
        place = folder / "points" / self.label
        place.mkdir(parents=True)
        record = {**order.record, "started": manifest.now(), "device": manifest.machine()}
        self.execution = Execution(place, record, self.timeout)

    def start(self) -> Request:
        return self.execution.execute(self.notebook, self.parameters, self.notebook.parent)

    def proceed(self, result: Result) -> Request | None:
        return self.execution.proceed(result)


class _Relay(Progress):
    """Tells the client what its own bar shows."""

    def __init__(self, order: Order, log: Callable[[str, Any], None]) -> None:
        super().__init__(1, io.StringIO())
        self.point, self.topic, self.log = order.record["name"], order.topic, log

    def begin(self, label: str, request: dict[str, Any]) -> None:
        self.log(self.topic, {"point": self.point, "do": request["do"]})

    def cell(self, label: str, done: int, total: int) -> None:
        self.log(self.topic, {"point": self.point, "done": done, "total": total})


def _moved(value: Any, places: dict[str, str]) -> Any:
    """A path, or a list with paths in it, as this worker finds them."""
    if isinstance(value, list):
        return [_moved(item, places) for item in value]
    return places.get(value, value)


def _channelwise(found: dict[str, Any]) -> str | None:
    version = found.get("channelwise")
    return version and f"{version} (library {found['library']}, reports {found['reports']})"


def _unwanted(worker: Any) -> Callable[[], bool]:
    """Whether the client has gone or cancelled the point, or the worker is closing."""
    key = worker.get_current_task()

    def unwanted() -> bool:
        task = worker.state.tasks.get(key)
        ending = worker.status.name in ("closing", "closed", "failed")
        return ending or task is None or task.state == "cancelled"

    return unwanted
