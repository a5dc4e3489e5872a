"""`manifest.json`: what a run was, in a form that people, tests, sweeps and the index read."""

import json
import math
import os
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channelwise.notebook.outputs import ANSWER, CLAIMS, RECORD
from channelwise.runs import hashes
from channelwise.runs.errors import UsageError
from channelwise.runs.folder import write_text

FORMAT = 1

_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and movements
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # window titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # any other control character but tab and newline
)
_NEEDED = {"kind", "notebook", "name", "status", "error", "started", "versions", "cost"}
_LONGEST_WARNING = 2000


class ManifestError(Exception):
    """A folder without a readable manifest."""


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a run's or a sweep's folder.

    A run whose runner is no longer alive reads as interrupted, whatever it last wrote.

    Raises:
        ManifestError: if there is none, or it is not one of ours.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{folder} holds no readable manifest.json.") from error
    ours = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    if not ours or _NEEDED - set(manifest):
        raise ManifestError(f"{folder} holds a manifest.json of another kind.")
    if manifest["status"] == "running" and not _alive(manifest):
        manifest["status"] = "interrupted"
        manifest["error"] = failure("The runner was killed before the run ended; run it again.")
    return manifest


def write(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes a folder's manifest, whole or not at all."""
    text = json.dumps(_strict(manifest), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "manifest.json", text + "\n")


def check_kind(folder: Path, kind: str) -> None:
    """Refuses to put a sweep in the place of a run, or a run in the place of a sweep.

    Raises:
        UsageError: if the folder holds the other kind.
    """
    try:
        there = read(folder)["kind"]
    except ManifestError:
        return
    if there != kind:
        raise UsageError(f"{folder} holds a {there}; give this {kind} another name with --name.")


def find(reports: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every run and sweep below the folder of reports, without the points inside a sweep.

    Failed attempts, and the leftovers of a killed runner, are among them.
    """
    return list(_find(reports))


def _find(reports: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(reports.glob("*/*/manifest.json")):
        folder = path.parent
        hidden = folder.name.startswith(".")
        if folder.parent.name.startswith(".") or (hidden and folder.suffix != ".running"):
            continue
        try:
            found = read(folder)
        except ManifestError:
            continue
        if not hidden or found["status"] in ("running", "interrupted"):
            yield folder, found


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def runner() -> dict[str, Any]:
    """Who is writing: the process, and when it started, as its number may be given out again."""
    return {"pid": os.getpid(), "pid_started": _process_start(os.getpid())}


def failure(
    message: str,
    *,
    cell: int | None = None,
    section: str | None = None,
    ename: str | None = None,
    evalue: str | None = None,
) -> dict[str, Any]:
    """The `error` of a manifest.

    Args:
        message: One sentence for people.
        cell: Index of the cell in the run's notebook.
        section: The heading above that cell.
        ename: The exception's name.
        evalue: The exception's text.
    """
    return {
        "cell": cell,
        "section": section,
        "ename": ename,
        "evalue": evalue,
        "message": message,
    }


def headline(notebook: dict[str, Any], stem: str) -> dict[str, str | None]:
    """The notebook's title and question, read from its first texts."""
    texts = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown"]
    text = "\n\n".join(texts[:3])
    title = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    question = re.search(r"\*\*Question\.?\*\*\.?\s*(.+?)(?:\n\s*\n|\Z)", text, re.DOTALL)
    return {
        "title": title[1].strip() if title else stem,
        "question": " ".join(question[1].split()) if question else None,
    }


def section_above(cells: list[dict[str, Any]], index: int) -> str | None:
    """The last heading above a cell."""
    for cell in reversed(cells[:index]):
        if cell["cell_type"] == "markdown":
            found = re.findall(r"^#{1,6}\s+(.+)$", "".join(cell["source"]), re.MULTILINE)
            if found:
                return found[-1].strip()
    return None


def collect(notebook: dict[str, Any]) -> dict[str, Any]:
    """What the cells of an executed notebook stated: results, claims, answer, warnings."""
    results, claims, answer, warnings = [], [], None, []
    for index, cell in enumerate(notebook["cells"]):
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if RECORD in data:
                results.append({**data[RECORD], "cell": index})
            if CLAIMS in data:
                claims += [{**row, "cell": index} for row in data[CLAIMS]["claims"]]
            if ANSWER in data:
                answer = data[ANSWER]["markdown"]
            if output.get("name") == "stderr":
                text = plain("".join(output["text"]))[:_LONGEST_WARNING]
                warnings.append({"cell": index, "text": text})
    return {"results": results, "claims": claims, "answer": answer, "warnings": warnings}


def machine() -> dict[str, Any]:
    """The `device` of a manifest, as far as it is known without the kernel."""
    return {
        "platform": None,
        "kind": None,
        "count": None,
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def plain(text: str) -> str:
    """A text without what steers a terminal."""
    return _TERMINAL.sub("", text)


def same_inputs(manifest: dict[str, Any], fingerprint: dict, versions: dict) -> bool:
    """Whether a finished run had just these inputs, so that running it again tells nothing new."""
    known = manifest["hashes"]
    return (
        manifest["status"] == "succeeded"
        and all(known[k] == fingerprint[k] for k in ("notebook", "parameters", "library", "data"))
        and manifest["versions"] == hashes.jsonable(versions)
    )


def _strict(value: Any) -> Any:
    """JSON knows no NaN and no infinity; they become texts."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _alive(manifest: dict[str, Any]) -> bool:
    pid = manifest.get("pid")
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _process_start(pid) == manifest.get("pid_started")


def _process_start(pid: int) -> str | None:
    """When a process started, in a unit of the system's own; None where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in "ZX" else fields[19]
