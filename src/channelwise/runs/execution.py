"""A run in the making: its folder, its manifest, and what is still to be done to it."""

from pathlib import Path
from typing import Any

from channelwise.runs import manifest
from channelwise.runs.account import finish
from channelwise.runs.workers import Request, Result


class Execution:
    """One run between its beginning and its end, wherever its folder stands.

    Args:
        folder: Where it is built; it exists and is ours.
        record: Its manifest so far, kept up to date and written at every step.
        timeout: Seconds after which its execution is ended.
    """

    def __init__(self, folder: Path, record: dict[str, Any], timeout: float | None) -> None:
        self.folder, self.record, self.timeout = folder, record, timeout
        manifest.write(folder, record)

    def execute(self, notebook: Path, parameters: dict[str, Any], cwd: Path) -> Request:
        """The request to execute the notebook, with the parameters that differ from its own."""
        return {
            "do": "execute",
            "notebook": str(notebook),
            "to": str(self.folder / "notebook.ipynb"),
            "parameters": parameters,
            "cwd": str(cwd),
        }

    def render(self) -> Request:
        """The request to write the report."""
        return {"do": "render", "folder": str(self.folder)}

    def proceed(self, result: Result) -> Request | None:
        """What is to be done after a request has ended; None if the run is whole.

        Raises:
            OSError: if the manifest cannot be written.
        """
        if self.record["status"] == "running":
            finish(self.record, result, self.folder, self.timeout)
            manifest.write(self.folder, self.record)
            return None if result.status == "interrupted" else self.render()
        if result.status != "succeeded" and self.record["status"] == "succeeded":
            self._report_failed(result)
        return None

    def _report_failed(self, result: Result) -> None:
        """The numbers are there, but their report could not be written."""
        self.record["status"] = "interrupted" if result.status == "interrupted" else "failed"
        why = result.error.get("evalue") or result.error.get("words") or result.status
        self.record["error"] = manifest.failure(
            f"The report could not be written: {why}.",
            ename=result.error.get("ename"),
            evalue=result.error.get("evalue"),
        )
        manifest.write(self.folder, self.record)
