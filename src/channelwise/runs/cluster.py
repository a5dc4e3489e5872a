"""Runs on a Dask cluster: planned and written here, made on the workers of a scheduler.

Every run is one Dask task. A worker that dies takes nothing with it: its runs are made again by
another. The finished folder of a run comes back as bytes and takes its place whole or not at all,
so machines share no file system. Data files are taken from the same path where every worker has
the same content there, and sent along otherwise.

A Dask scheduler and its workers run whatever code is sent to them, without asking who sends it:
keep them in a network you trust, or behind TLS (`tls://…`, configured in Dask's own files).
"""

import contextlib
import queue
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from channelwise.runs import hashes, manifest, remote
from channelwise.runs.account import begin
from channelwise.runs.execution import Execution
from channelwise.runs.plan import Plan
from channelwise.runs.preflight import (
    CONNECT_S,
    LARGEST_SENT,
    Data,
    connect,
    data_of,
    data_to_send,
    paths_in,
    silent,
    survey,
)
from channelwise.runs.progress import Progress
from channelwise.runs.run import RunTask
from channelwise.runs.workers import Pool, Request, Result, ignore_interrupts, interrupts_raise

_TICK = 0.2  # seconds between looks at the bar
_PAUSE = 1.0  # seconds before a point goes out again after it was refused or lost
_LOST_OFTEN = 4  # times a point may be lost before it is given up


class RemoteRun(RunTask):
    """A run that is made on another machine, and written here when it is whole."""

    def _execute(self) -> Request:
        return {"do": "execute"}  # its folder begins when it has arrived

    def order(self, data: Data, topic: str) -> remote.Order:
        """What a worker needs to know."""
        paths = {k: v for k, v in self.plan.parameters.items() if any(paths_in(v))}
        spelt = {str(path) for value in paths.values() for path in paths_in(value)}
        return remote.Order(
            record=begin(self.plan),
            notebook=self.plan.notebook.name,
            book=self.plan.notebook.read_bytes(),
            paths=hashes.jsonable(paths),
            data={text: found for text, found in data.items() if text in spelt},
            timeout=self.timeout,
            software=remote.software(),
            topic=topic,
        )

    def arrive(self, files: dict[str, bytes], worker: str) -> None:
        """Puts the folder a worker has made in its place."""
        try:
            self.folder.begin()
            for name, content in files.items():
                (self.folder.running / Path(name).name).write_bytes(content)
            record = manifest.read(self.folder.running)
            record["device"]["worker"] = worker
            self.began = time.monotonic() - (record["cost"]["wall_s"] or 0.0)
            self.execution = Execution(self.folder.running, record, self.timeout)
            self._settle()
        except OSError as error:
            self._give_up(error)

    def fail(self, status: str, message: str) -> Request | None:
        """Ends a run of which no worker has made a folder; its report remains to be written."""
        try:
            self.folder.begin()
            ended = {"status": status, "error": manifest.failure(message)}
            record = {**begin(self.plan), **ended, "finished": manifest.now()}
            self.execution = Execution(self.folder.running, record, self.timeout)
            return self.execution.render()
        except OSError as error:
            self._give_up(error)
            return None


@contextlib.contextmanager
def connected(address: str, plans: Sequence[Plan], at_once: int | None) -> Iterator["Cluster"]:
    """The cluster of a scheduler, after a look at whether its workers can make these runs.

    Args:
        address: The scheduler's, such as `tcp://host:8786`.
        plans: What is to be run.
        at_once: The most runs at a time; None for as many as the workers have threads.

    Raises:
        UsageError: if `distributed` is not installed, no scheduler answers, or a worker has other
            software, or lacks data that is too large to be sent.
    """
    with silent(), contextlib.closing(connect(address)) as client:
        data = data_of(plans)
        seen = survey(client, data)
        sent = data_to_send(data, seen)
        if not seen:
            _tell(
                f"the scheduler {address} has no worker yet; the points wait for the first "
                f"(start one with `dask worker {address}`)."
            )
        yield Cluster(client, address, data, sent, at_once)


class Cluster:
    """Works off runs on the workers of a scheduler.

    Args:
        client: Dask's.
        address: The scheduler's, as the user gave it.
        data: What the runs read.
        sent: The part of it that the workers lack.
        at_once: The most runs at a time; None for no limit of ours.
    """

    task = RemoteRun

    def __init__(
        self, client: Any, address: str, data: Data, sent: remote.Sent, at_once: int | None
    ) -> None:
        self.client, self.address, self.at_once = client, address, at_once
        self.data, self.sent = data, sent
        self.held: Any = {}
        self.topic = f"channelwise-{uuid.uuid4().hex}"
        self.news: queue.SimpleQueue = queue.SimpleQueue()
        self.out: dict[str, tuple[RemoteRun, Any]] = {}  # by the point's name, with its future
        self.waiting: deque[RemoteRun] = deque()
        self.later: list[tuple[float, RemoteRun]] = []
        self.here: list[_Rendering] = []
        self.lost: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self.count = 0

    def run(self, tasks: Sequence[RemoteRun], progress: Progress) -> bool:
        """Works off all runs.

        Returns:
            False if the user interrupted it. What has arrived by then stands; the rest is
            cancelled, and its kernels end.
        """
        self.progress = progress
        self.client.subscribe_topic(self.topic, lambda event: self.news.put(event[1]))
        with interrupts_raise():
            try:
                for task in tasks:
                    self._begin(task)
                if self.sent and self.waiting:
                    self._send_data()
                while self.waiting or self.later or self.out:
                    self._send_out()
                    self._listen()
                    progress.draw()
                return Pool(1, progress).run(self.here)
            except KeyboardInterrupt:
                ignore_interrupts()
                self._cancel()
                return False
            finally:
                progress.clear()

    def _begin(self, task: RemoteRun) -> None:
        request = task.start()
        if request and request["do"] == "execute":
            self.waiting.append(task)
        elif request:
            self.here.append(_Rendering(task, request))

    def _send_out(self) -> None:
        now = time.monotonic()
        due = [task for when, task in self.later if when <= now]
        self.later = [(when, task) for when, task in self.later if when > now]
        self.waiting.extend(due)
        while self.waiting and len(self.out) < (self.at_once or float("inf")):
            self._send(self.waiting.popleft())

    def _send(self, task: RemoteRun) -> None:
        self.count += 1
        future = self.client.submit(
            remote.make_point,
            task.order(self.data, self.topic),
            self.held,
            key=(self.topic, self.count),  # one group, so that workers take what they can run
            pure=False,
        )
        self.out[task.plan.name] = (task, future)
        future.add_done_callback(lambda done: self.news.put((task.plan.name, done)))

    def _send_data(self) -> None:
        """As a task of its own, whose result the scheduler can have made again if it is lost."""
        import dask

        limit = {"distributed.admin.large-graph-warning-threshold": 2 * LARGEST_SENT}
        with dask.config.set(limit):  # it is meant to be large
            self.held = self.client.submit(dict, self.sent, key=f"{self.topic}-data", pure=False)

    def _listen(self) -> None:
        """Waits a moment for news, and takes in all there is."""
        with contextlib.suppress(queue.Empty):
            self._take(self.news.get(timeout=_TICK))
            while True:
                self._take(self.news.get_nowait())
        if self.client.status in ("closing", "closed"):
            self._scheduler_lost()

    def _take(self, news: Any) -> None:
        if isinstance(news, tuple):
            name, future = news
            if name in self.out and self.out[name][1] is future:
                self._ended(name, future)
        elif news["point"] in self.out:
            label = self.out[news["point"]][0].label
            if "do" in news:
                self.progress.begin(label, news)
            else:
                self.progress.cell(label, news["done"], news["total"])

    def _ended(self, name: str, future: Any) -> None:
        task, _ = self.out.pop(name)
        if future.status == "error":
            self._failed(task, future.exception(timeout=CONNECT_S))
            return
        try:
            done = future.result(timeout=CONNECT_S)
        except Exception:  # cancelled by another, or the worker died while it handed it over
            self._again(task)
            return
        if "files" in done:
            task.arrive(done["files"], done["worker"])
            self.progress.end(task.label)
        elif "problem" in done:
            self._fail(task, "failed", done["problem"])
        elif "refused" in done:
            self._refused(task, done["worker"], done["refused"])
        else:
            self._again(task)

    def _again(self, task: RemoteRun) -> None:
        """The point goes out once more, unless it is lost time and again."""
        name = task.plan.name
        self.lost[name] = self.lost.get(name, 0) + 1
        if self.lost[name] < _LOST_OFTEN:
            self.later.append((time.monotonic() + _PAUSE, task))
        else:
            self._fail(task, "failed", f"The point was lost {_LOST_OFTEN} times; run it again.")

    def _refused(self, task: RemoteRun, worker: str, why: str) -> None:
        """Another worker makes it; told once for each worker."""
        if worker not in self.refused:
            self._note(why)
        self.refused[worker] = why
        if set(_workers(self.client)) <= set(self.refused):
            self._fail(task, "failed", f"{why[0].upper()}{why[1:]}")
        else:
            self.later.append((time.monotonic() + _PAUSE, task))

    def _failed(self, task: RemoteRun, error: Any) -> None:
        if type(error).__name__ != "KilledWorker":
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            self._fail(task, "failed", f"The point could not be made on the cluster: {text}")
            return
        deaths = error.allowed_failures + 1
        self._fail(
            task,
            "kernel_died",
            f"{deaths} worker{'s' * (deaths > 1)} ended while making this point, the last one "
            f"{error.last_worker.address}; often the system ends a process that needs too much "
            "memory. Look at the workers' logs, then run it again.",
        )

    def _fail(self, task: RemoteRun, status: str, message: str) -> None:
        request = task.fail(status, message)
        if request:
            self.here.append(_Rendering(task, request))

    def _scheduler_lost(self) -> None:
        left = [task for task, _ in self.out.values()] + [task for _, task in self.later]
        left += self.waiting
        self.out, self.later, self.waiting = {}, [], deque()
        for task in left:
            self._fail(
                task,
                "failed",
                f"The scheduler {self.address} ended before this point was made; start it again, "
                "and then the sweep: what is done is kept.",
            )

    def _cancel(self) -> None:
        if self.client.status == "running":
            self.client.cancel([future for _, future in self.out.values()], force=True)

    def _note(self, text: str) -> None:
        self.progress.clear()
        _tell(text)


class _Rendering:
    """The report of a run, written by a process of this machine."""

    timeout = None

    def __init__(self, task: RemoteRun, request: Request) -> None:
        self.task, self.request, self.label = task, request, task.label

    def start(self) -> Request:
        return self.request

    def proceed(self, result: Result) -> Request | None:
        return self.task.proceed(result)


def _tell(text: str) -> None:
    print(f"channelwise: {text}", file=sys.stderr, flush=True)


def _workers(client: Any) -> list[str]:
    return list(client.scheduler_info(n_workers=-1)["workers"])
