"""A small pool of worker processes, and the clock over each task."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from channelwise.runs import kernel
from channelwise.runs.progress import Progress

Request = dict[str, Any]
_TICK = 0.2  # seconds between looks at the clock


@dataclass
class Result:
    """How a request ended.

    Attributes:
        status: `succeeded`, `failed`, `kernel_died`, `timed_out` or `interrupted`.
        error: What the worker knows of the error.
        cell: The last cell that began.
        probe: What the kernel said of itself.
        wall_s: Seconds since the request was sent.
        peak_memory_mb: The most memory the kernel was seen to use.
    """

    status: str
    error: dict[str, Any] = field(default_factory=dict)
    cell: int | None = None
    probe: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    peak_memory_mb: float | None = None


@runtime_checkable
class Task(Protocol):
    """Something for the pool to do, one request after the other."""

    label: str
    timeout: float | None

    def start(self) -> Request | None:
        """The first request; None if there is nothing to do."""

    def proceed(self, result: Result) -> Request | None:
        """The next request after one has ended; None at the end."""


class _Worker:
    """One worker process, and what is known of the request it serves."""

    def __init__(self) -> None:
        self.scratch = tempfile.TemporaryDirectory(prefix="channelwise-")
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "channelwise.runs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,  # Ctrl-C reaches the runner alone, which decides
            env=_environment(),
        )
        self.buffer = b""
        self.task: Task | None = None

    def send(self, task: Task, request: Request) -> None:
        self.task = task
        self.began = time.monotonic()
        self.deadline = (
            self.began + task.timeout if task.timeout and request["do"] == "execute" else None
        )
        self.kernel: int | None = None
        self.cell: int | None = None
        self.peak: float | None = None
        with contextlib.suppress(BrokenPipeError):  # its end is seen when it is read
            request = {**request, "scratch": self.scratch.name}
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()

    def events(self) -> Iterator[dict[str, Any] | None]:
        """The events that have arrived; None if the process has ended."""
        chunk = os.read(self.process.stdout.fileno(), 65536)
        if not chunk:
            yield None
        *lines, self.buffer = (self.buffer + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines)

    def look(self) -> None:
        """Notes how much memory the kernel uses."""
        if self.kernel:
            self.peak = kernel.peak_memory_mb(self.kernel) or self.peak

    def result(self, status: str, **known: Any) -> Result:
        return Result(
            status,
            cell=self.cell,
            wall_s=round(time.monotonic() - self.began, 3),
            peak_memory_mb=self.peak,
            **known,
        )

    def stop(self) -> None:
        """Ends the process, its kernel, and what the kernel's cells have started."""
        for pid in (self.kernel if self.task else None, self.process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid:
                    os.killpg(pid, signal.SIGKILL)
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.log):
            with contextlib.suppress(BrokenPipeError):
                file.close()
        self.scratch.cleanup()

    def last_words(self) -> str:
        """The last line the process wrote before it ended."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


class Pool:
    """Works off tasks in several processes at a time.

    Args:
        jobs: How many at a time, at least 1.
        progress: Where to show how far they are.
        stop: Asked several times a second; once it says yes, all ends as after Ctrl-C.
    """

    def __init__(
        self, jobs: int, progress: Progress, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.jobs, self.progress, self.stop = jobs, progress, stop
        self.idle: list[_Worker] = []
        self.busy: list[_Worker] = []

    def run(self, tasks: Sequence[Task]) -> bool:
        """Works off all tasks.

        Returns:
            False if it was interrupted. Tasks in progress have then been told so.
        """
        waiting = deque(tasks)
        with interrupts_raise(), selectors.DefaultSelector() as self.selector:
            try:
                while waiting or self.busy:
                    while waiting and len(self.busy) < self.jobs:
                        self._begin(waiting.popleft())
                    self._listen()
                    self._watch()
                return True
            except KeyboardInterrupt:
                ignore_interrupts()
                self._abandon()
                return False
            finally:
                self.progress.clear()
                for worker in self.idle + self.busy:
                    worker.stop()
                self.idle, self.busy = [], []

    def _begin(self, task: Task) -> None:
        request = task.start()
        if request is not None:
            self._give(task, request, self.idle.pop() if self.idle else self._hire())

    def _hire(self) -> _Worker:
        worker = _Worker()
        self.selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        return worker

    def _give(self, task: Task, request: Request, worker: _Worker) -> None:
        self.busy.append(worker)
        worker.send(task, request)
        self.progress.begin(task.label, request)

    def _listen(self) -> None:
        for key, _ in self.selector.select(timeout=_TICK):
            worker: _Worker = key.data
            for event in worker.events():
                if event is None:
                    self._lost(worker)
                elif event["event"] == "kernel":
                    worker.kernel = event["pid"]
                elif event["event"] == "cell":
                    worker.cell = event["index"]
                    self.progress.cell(worker.task.label, event["done"], event["total"])
                else:
                    known = {"error": event["error"] or {}, "probe": event.get("probe", {})}
                    self._proceed(worker, worker.result(event["status"], **known))

    def _watch(self) -> None:
        if self.stop():
            raise KeyboardInterrupt
        for worker in list(self.busy):
            worker.look()
            if worker.deadline and time.monotonic() > worker.deadline:
                result = worker.result("timed_out")
                self._dismiss(worker)
                self._proceed(worker, result)
        self.progress.draw()

    def _lost(self, worker: _Worker) -> None:
        """A worker has ended by itself, or something has killed it."""
        if worker in self.idle:
            self.idle.remove(worker)
            self.selector.unregister(worker.process.stdout)
            worker.stop()
            return
        code, words = worker.process.wait(), worker.last_words()
        result = worker.result(
            "kernel_died", error={"process": "worker", "signal": code, "words": words}
        )
        self._dismiss(worker)
        self._proceed(worker, result)

    def _dismiss(self, worker: _Worker) -> None:
        self.selector.unregister(worker.process.stdout)
        worker.stop()

    def _proceed(self, worker: _Worker, result: Result) -> None:
        task = worker.task
        self.busy.remove(worker)
        worker.task = None
        alive = worker.process.poll() is None
        request = task.proceed(result)
        if request is not None:
            self._give(task, request, worker if alive else self._hire())
            return
        self.progress.end(task.label)
        if alive:
            self.idle.append(worker)

    def _abandon(self) -> None:
        for worker in list(self.busy):
            result = worker.result("interrupted")
            self._dismiss(worker)
            worker.task.proceed(result)
            self.busy.remove(worker)


def _environment() -> dict[str, str]:
    """For workers and kernels. Several kernels share one GPU, so none takes all its memory."""
    return {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        **kernel.environment(),
        **kernel.cache_variables(),
        "CHANNELWISE_HEADLESS": "1",
    }


@contextlib.contextmanager
def interrupts_raise() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does; both work as before afterwards.

    Signals belong to a process's first thread; in any other nothing changes.
    """

    def raise_interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    first = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if first else ()
    before = {n: signal.signal(n, raise_interrupt) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interrupts() -> None:
    """From here to the end of `interrupts_raise`, what is being put in order is left alone."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
