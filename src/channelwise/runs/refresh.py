"""Refreshes the committed notebooks: executed in place, without what changes from run to run."""

import copy
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from channelwise.runs import hashes
from channelwise.runs.account import explain
from channelwise.runs.folder import cannot_write, write_text
from channelwise.runs.plan import read_book, read_schema
from channelwise.runs.progress import Progress
from channelwise.runs.workers import Pool, Request, Result

_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_LANGUAGE = {"name": "python"}
_VOLATILE = ("papermill", "execution", "ExecuteTime", "collapsed", "scrolled", "trusted")


def refresh_notebooks(
    notebooks: Sequence[Path], *, jobs: int = 1, timeout: float | None = None
) -> bool:
    """Executes notebooks at their defaults and stores the outputs in them.

    Args:
        notebooks: The notebooks' files.
        jobs: How many at a time.
        timeout: Seconds after which one is given up.

    Returns:
        Whether all succeeded. A notebook that did not is left as it was.

    Raises:
        UsageError, ParameterError: if a file is no notebook with a parameters cell; nothing has
            been executed then.
    """
    progress = Progress(len(notebooks))
    for notebook in notebooks:
        read_schema(notebook)
    with tempfile.TemporaryDirectory(prefix="channelwise-") as scratch:
        tasks = [_RefreshTask(n, Path(scratch), timeout, progress) for n in notebooks]
        whole = Pool(jobs, progress).run(tasks)
    return whole and all(task.good for task in tasks)


class _RefreshTask:
    """One notebook: execute a copy, take over its outputs."""

    def __init__(
        self, notebook: Path, scratch: Path, timeout: float | None, progress: Progress
    ) -> None:
        self.notebook, self.timeout, self.progress = notebook, timeout, progress
        self.folder = scratch / notebook.stem
        self.label = notebook.stem
        self.good = False

    def start(self) -> Request | None:
        self.folder.mkdir()
        return {
            "do": "execute",
            "notebook": str(self.notebook),
            "to": str(self.folder / "notebook.ipynb"),
            "parameters": {},
            "cwd": str(self.notebook.parent),
        }

    def proceed(self, result: Result) -> None:
        message = ""
        if result.status == "succeeded":
            try:
                self._store()
            except OSError as error:
                message = cannot_write(self.notebook, error)
        else:
            message = explain(result, self.folder, self.timeout)["message"]
        self.good = not message
        status = result.status if self.good or result.status != "succeeded" else "failed"
        self.progress.say(f"{status:<11} {self.label}  {result.wall_s:.1f} s")
        if message:
            self.progress.say(f"            {message} The notebook is left as it was.")

    def _store(self) -> None:
        executed = json.loads((self.folder / "notebook.ipynb").read_text(encoding="utf-8"))
        book = refreshed(read_book(self.notebook), executed)
        text = json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if text != self.notebook.read_text(encoding="utf-8"):
            write_text(self.notebook, text)


def refreshed(book: dict[str, Any], executed: dict[str, Any]) -> dict[str, Any]:
    """A notebook with the outputs of its execution, and nothing that changes by itself.

    Args:
        book: The notebook as it is.
        executed: The same without its `explore` cells, executed.

    Returns:
        The notebook's own cells in its own order. Cells keep their ids; missing ones are derived
        from the cell's place and source. `explore` cells have no output.
    """
    book = copy.deepcopy(book)
    book["nbformat_minor"] = max(book.get("nbformat_minor", 0), 5)
    book["metadata"] = {"kernelspec": _KERNEL, "language_info": _LANGUAGE}
    outputs = iter(executed["cells"])
    for index, cell in enumerate(book["cells"]):
        done = None if "explore" in hashes.tags(cell) else next(outputs)
        cell.setdefault("id", _identity(index, cell))
        cell["source"] = _lines(cell["source"])
        for key in _VOLATILE:
            cell["metadata"].pop(key, None)
        if cell["cell_type"] == "code":
            cell["outputs"] = [_stable(o) for o in done["outputs"]] if done else []
            cell["execution_count"] = done["execution_count"] if done else None
    return book


def _stable(output: dict[str, Any]) -> dict[str, Any]:
    """An output with its texts in lines, as JupyterLab saves them."""
    output = copy.deepcopy(output)
    if "text" in output:
        output["text"] = _lines(output["text"])
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/") or kind == "image/svg+xml":
            output["data"][kind] = _lines(value)
    return output


def _lines(text: str | list[str]) -> list[str]:
    return "".join(text).splitlines(keepends=True)


def _identity(index: int, cell: dict[str, Any]) -> str:
    source = f"{index} {''.join(cell['source'])}"
    return hashlib.sha256(source.encode()).hexdigest()[:8]
