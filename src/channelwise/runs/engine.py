"""Papermill's engine, in our kernel, with an event for each cell and a look at the kernel's end."""

import ast
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbclient.util import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from papermill.parameterize import parameterize_notebook

from channelwise.runs import hashes

_LONGEST_SOCKET = 90  # characters; systems allow 104 or 108, and the manager adds "-ipc-5"
Report = Callable[[dict[str, Any]], None]

_PROBE = "__import__('channelwise.runs.kernel', fromlist=['probe']).probe()"


def run_notebook(request: dict[str, Any], tell: Report) -> dict[str, Any]:
    """Executes a notebook without its `explore` cells.

    Args:
        request: `notebook` (the file), `to` (where the executed one goes), `parameters` (what
            papermill injects), `cwd` (the kernel's folder), `scratch` (a private folder).
        tell: Called with an event when the kernel has started and when a cell has begun.

    Returns:
        `status`, `error` (cell, ename, evalue) and `probe`.
    """
    book = nbformat.read(request["notebook"], as_version=4)
    book = nbformat.v4.upgrade(book)
    book.cells = [cell for cell in book.cells if "explore" not in hashes.tags(cell)]
    book.metadata["papermill"] = nbformat.NotebookNode()
    for cell in book.cells:
        cell.metadata.setdefault("tags", [])  # papermill expects them
    if request["parameters"]:
        book = parameterize_notebook(
            book, request["parameters"], kernel_name="python3", language="python"
        )
    record = _Manager(book, output_path=request["to"], progress_bar=False)
    client = _Client(record, Path(request["scratch"]), tell)
    client.nb_man.notebook_start()
    problem: dict[str, Any] | None = None
    try:
        client.execute(cwd=request["cwd"])
    except DeadKernelError:
        problem = {"status": "kernel_died", "error": {"cell": client.cell, "signal": client.ended}}
    finally:
        client.nb_man.notebook_complete()
    return {**(problem or _outcome(book)), "probe": client.probe}


def _outcome(book: nbformat.NotebookNode) -> dict[str, Any]:
    for index, cell in enumerate(book.cells):
        if cell.metadata.get("papermill", {}).get("exception"):
            errors = [o for o in cell.get("outputs", ()) if o.output_type == "error"]
            ename, evalue = (errors[-1].ename, errors[-1].evalue) if errors else ("Error", "")
            return {
                "status": "failed",
                "error": {"cell": index, "ename": ename, "evalue": evalue},
            }
    return {"status": "succeeded", "error": None}


class _Manager(NotebookExecutionManager):
    """Papermill's record of an execution, saved when a cell begins and at the end."""

    def save(self, **kwargs: Any) -> None:
        finished = self.end_time is not None
        text = json.dumps(self.nb, indent=1 if finished else None, ensure_ascii=False)
        Path(self.output_path).write_text(text + "\n", encoding="utf-8")

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        if cell.cell_type == "code":
            super().cell_start(cell, cell_index, **kwargs)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        save, self.save = self.save, lambda **kwargs: None  # the next cell's beginning saves it
        super().cell_complete(cell, cell_index, **kwargs)
        self.save = save


class _KernelManager(AsyncKernelManager):
    """Starts this Python's own kernel, whatever kernels the machine has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-P", "-m", "channelwise.runs.kernel", "-f", "{connection_file}"],
            display_name="Python 3 (ipykernel)",
            language="python",
        )


def _kernel_manager(scratch: Path) -> AsyncKernelManager:
    """A manager of one kernel, which it reaches by sockets in a folder no other user can enter.

    Unlike TCP ports, they cannot be taken by another process between their choice and their use.
    """
    file = scratch / f"{time.monotonic_ns()}.json"
    short = len(str(file)) < _LONGEST_SOCKET
    return _KernelManager(connection_file=str(file), transport="ipc" if short else "tcp")


class _Client(PapermillNotebookClient):
    """Papermill's client, telling what it does."""

    def __init__(self, record: NotebookExecutionManager, scratch: Path, tell: Report) -> None:
        super().__init__(record, km=_kernel_manager(scratch), startup_timeout=120)
        self.owns_km = True
        self.tell = tell
        self.code_cells = [
            k for k, c in enumerate(self.nb.cells) if c.cell_type == "code" and c.source.strip()
        ]
        self.cell: int | None = None
        self.ended: int | None = None
        self.probe: dict[str, Any] = {}

    def papermill_execute_cells(self) -> None:
        provisioner = self.km.provisioner
        self.tell({"event": "kernel", "pid": provisioner.pid})
        try:
            super().papermill_execute_cells()
        except DeadKernelError:
            self.ended = provisioner.process.returncode if provisioner.process else None
            raise
        self.probe = run_sync(self._ask)()

    def execute_cell(self, cell: Any, cell_index: int, **kwargs: Any) -> Any:
        if cell_index in self.code_cells:
            self.cell = cell_index
            done, total = self.code_cells.index(cell_index), len(self.code_cells)
            self.tell({"event": "cell", "index": cell_index, "done": done, "total": total})
        return super().execute_cell(cell, cell_index, **kwargs)

    async def _ask(self) -> dict[str, Any]:
        message = await self.kc.execute(
            "", silent=True, store_history=False, user_expressions={"probe": _PROBE}, reply=True
        )
        found = message["content"].get("user_expressions", {}).get("probe", {})
        return ast.literal_eval(found["data"]["text/plain"]) if "data" in found else {}
