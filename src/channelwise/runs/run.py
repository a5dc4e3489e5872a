"""Makes runs: each in its own hidden folder, put in its place when it is whole."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from channelwise.runs import hashes, manifest
from channelwise.runs.account import begin
from channelwise.runs.execution import Execution
from channelwise.runs.folder import RunFolder, cannot_write
from channelwise.runs.plan import Plan
from channelwise.runs.progress import Progress
from channelwise.runs.workers import Pool, Request, Result, Task


@dataclass(frozen=True)
class Outcome:
    """How a planned run ended.

    Attributes:
        plan: What was planned.
        status: The manifest's status, or `unchanged` if nothing had to be done.
        message: One sentence on what went wrong; empty if nothing did.
        folder: Where the result is.
        wall_s: Seconds it took.
    """

    plan: Plan
    status: str
    message: str
    folder: Path
    wall_s: float

    @property
    def good(self) -> bool:
        """Whether the report in place is a good one of these very inputs."""
        return self.status in ("succeeded", "unchanged")


@runtime_checkable
class Elsewhere(Protocol):
    """What makes runs in the place of the pool on this machine.

    Attributes:
        task: The kind of `RunTask` it works off.
    """

    task: Any

    def run(self, tasks: Sequence[Task], progress: Progress) -> bool:
        """Works off all tasks; False if the user interrupted it."""


def make_runs(
    plans: Sequence[Plan],
    *,
    jobs: int = 1,
    timeout: float | None = None,
    force: bool = False,
    progress: Progress | None = None,
    elsewhere: Elsewhere | None = None,
) -> list[Outcome]:
    """Executes planned runs and renders their reports.

    Args:
        plans: What to run; two plans for one place count once.
        jobs: How many to run at a time.
        timeout: Seconds after which a run is ended.
        force: Whether to run again what has not changed.
        progress: Where to show how far it is.
        elsewhere: What makes the runs, if not this machine.

    Returns:
        One outcome a plan, in the same order. After Ctrl-C the runs that had not begun are missing.

    Raises:
        UsageError: if a place cannot be written, or another process is running there. Nothing has
            been run then.
    """
    for plan in plans:
        manifest.check_kind(plan.base / plan.name, "run")
    progress = progress or Progress(len(plans))
    task = elsewhere.task if elsewhere else RunTask
    tasks = {
        plan.base / plan.name: task(plan, timeout, force, _announce(progress)) for plan in plans
    }
    with contextlib.ExitStack() as locks:
        for task in tasks.values():
            task.folder.acquire()
            locks.callback(task.folder.release)
        todo = list(tasks.values())
        if elsewhere:
            whole = elsewhere.run(todo, progress)
        else:
            whole = Pool(min(jobs, max(len(todo), 1)), progress).run(todo)
        if not whole:
            for task in tasks.values():
                task.interrupt()
    return [task.outcome for task in tasks.values() if task.outcome]


class RunTask:
    """One run: execute, then render, then take the place of the last one.

    Attributes:
        plan: What was planned.
        label: How messages call it.
        timeout: Seconds after which it is ended.
        folder: Its places.
        execution: The run in the making; None before it has begun.
        outcome: How it ended; None before.
    """

    def __init__(
        self,
        plan: Plan,
        timeout: float | None,
        force: bool,
        announce: Callable[[Outcome], None],
    ) -> None:
        self.plan, self.timeout, self.force, self.announce = plan, timeout, force, announce
        self.label = plan.label
        self.folder = RunFolder(plan.base, plan.name)
        self.execution: Execution | None = None
        self.outcome: Outcome | None = None

    def start(self) -> Request | None:
        """What is to be done first; None if these very inputs have a good run already."""
        self.began = time.monotonic()
        known = None if self.force else self._known()
        if known and known["hashes"]["report"] == hashes.of_renderer():
            self._end("unchanged", "", self.folder.final)
            return None
        try:
            return self._render_again(known) if known else self._execute()
        except OSError as error:
            self._give_up(error)
            return None

    def _execute(self) -> Request:
        self._begin(begin(self.plan))
        folder = self.plan.notebook.parent
        return self.execution.execute(self.plan.notebook, self.plan.overrides, folder)

    def _begin(self, record: dict[str, Any]) -> None:
        self.folder.begin()
        self.execution = Execution(self.folder.running, record, self.timeout)

    def _render_again(self, known: dict[str, Any]) -> Request:
        """The numbers stand, but reports look different by now."""
        self.folder.begin_from_final()
        known["hashes"]["report"] = hashes.of_renderer()
        self.execution = Execution(self.folder.running, known, self.timeout)
        return self.execution.render()

    def proceed(self, result: Result) -> Request | None:
        """The next request after one has ended; at the end the run takes its place."""
        try:
            request = self.execution.proceed(result)
            if request:
                return request
            self._settle()
        except OSError as error:
            self._give_up(error)
        return None

    def interrupt(self) -> None:
        """Ends the run if the user stopped it between two requests."""
        if self.execution and not self.outcome:
            self.proceed(Result("interrupted"))

    def _known(self) -> dict[str, Any] | None:
        """The manifest of the last good run, if it had just these inputs."""
        try:
            known = manifest.read(self.folder.final)
        except manifest.ManifestError:
            return None
        there = (self.folder.final / "report.html").is_file()
        same = manifest.same_inputs(known, self.plan.fingerprint, hashes.versions())
        return known if there and same else None

    def _settle(self) -> None:
        record = self.execution.record
        good = record["status"] == "succeeded"
        self.folder.keep() if good else self.folder.keep_failed()
        message = "" if good else record["error"]["message"]
        self._end(record["status"], message, self.folder.final if good else self.folder.failed)

    def _give_up(self, error: OSError) -> None:
        """Not even the manifest can be written; the last good run stays."""
        with contextlib.suppress(OSError):
            self.folder.discard()
        self._end("failed", cannot_write(self.folder.final, error), self.folder.final)

    def _end(self, status: str, message: str, place: Path) -> None:
        wall = time.monotonic() - self.began
        self.outcome = Outcome(self.plan, status, message, place, wall)
        self.announce(self.outcome)


def _announce(progress: Progress) -> Callable[[Outcome], None]:
    def announce(outcome: Outcome) -> None:
        took = "" if outcome.status == "unchanged" else f"  {outcome.wall_s:.1f} s"
        place = _shown(outcome.folder / "report.html" if outcome.good else outcome.folder)
        progress.say(f"{outcome.status:<11} {outcome.plan.label}{took}  {place}")
        if outcome.message:
            progress.say(f"            {outcome.message}")

    return announce


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
