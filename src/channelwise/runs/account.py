"""What a manifest tells of a run: all that is known before it, and what came of it."""

import json
import signal
from pathlib import Path
from typing import Any

from channelwise.runs import hashes, manifest
from channelwise.runs.folder import cannot_write
from channelwise.runs.notebooks import is_code
from channelwise.runs.plan import Plan, describe
from channelwise.runs.workers import Result


def begin(plan: Plan) -> dict[str, Any]:
    """The manifest of a run that begins: all that is known before."""
    return {
        "format": manifest.FORMAT,
        "kind": "run",
        "notebook": plan.notebook.stem,
        "source": plan.source,
        **manifest.headline(plan.book, plan.notebook.stem),
        "name": plan.name,
        "status": "running",
        "error": None,
        **manifest.runner(),
        "started": manifest.now(),
        "finished": None,
        "parameters": hashes.jsonable(plan.parameters),
        "overrides": plan.overrides,
        "parameter_set": plan.parameter_set,
        "schema": [describe(p, plan.parameters[p.name]) for p in plan.schema.parameters],
        "seed": plan.parameters.get("seed"),
        "cells": {"total": 0, "executed": 0},
        "results": [],
        "claims": [],
        "answer": None,
        "warnings": [],
        "versions": hashes.versions(),
        "device": manifest.machine(),
        "cost": {"wall_s": None, "cpu_s": None, "peak_memory_mb": None},
        "hashes": plan.fingerprint,
        "command": plan.command,
    }


def finish(record: dict[str, Any], result: Result, folder: Path, timeout: float | None) -> None:
    """Completes a manifest with what came of the run.

    Args:
        record: The manifest, changed in place.
        result: How the execution ended.
        folder: The run's folder, with what was saved of the notebook.
        timeout: The limit that applied, in seconds.
    """
    cells = _cells(folder)
    record["status"] = result.status
    record["error"] = explain(result, folder, timeout)
    record["finished"] = manifest.now()
    record["cells"] = {
        "total": sum(is_code(c) for c in cells),
        "executed": sum(is_code(c) and c.get("execution_count") is not None for c in cells),
    }
    record |= manifest.collect({"cells": cells})
    peaks = [p for p in (result.peak_memory_mb, result.probe.get("peak_memory_mb")) if p]
    record["cost"] = {
        "wall_s": result.wall_s,
        "cpu_s": result.probe.get("cpu_s"),
        "peak_memory_mb": max(peaks, default=None),
    }
    device = {k: result.probe[k] for k in ("platform", "kind", "count") if k in result.probe}
    record["device"] = {**record["device"], **device}


def explain(result: Result, folder: Path, timeout: float | None) -> dict[str, Any] | None:
    """The `error` of a manifest: where the run ended and why; None if it succeeded.

    Args:
        result: How the execution ended.
        folder: The run's folder, with what was saved of the notebook.
        timeout: The limit that applied, in seconds.
    """
    if result.status == "succeeded":
        return None
    error, cells = result.error, _cells(folder)
    index = error.get("cell", result.cell) if result.status == "failed" else result.cell
    section = manifest.section_above(cells, index) if index is not None else None
    where = f"in cell {index}" if index is not None else "before the first cell"
    where += f" (section “{section}”)" if section else ""
    ename, evalue = error.get("ename"), manifest.plain(error.get("evalue") or "")
    message = {
        "failed": lambda: _failed(where, index, ename, evalue, error, folder),
        "kernel_died": lambda: _died(where, error, result.peak_memory_mb),
        "timed_out": lambda: (
            f"The run was ended {where} after {timeout:g} seconds, its limit; raise --timeout, "
            "or ask less of the notebook."
        ),
        "interrupted": lambda: f"The run was interrupted {where}; run it again.",
    }[result.status]()
    return manifest.failure(
        message, cell=index, section=section, ename=ename, evalue=evalue or None
    )


def _failed(
    where: str, index: int | None, ename: str | None, evalue: str, error: dict, folder: Path
) -> str:
    if index is None and error.get("strerror"):
        return cannot_write(folder, OSError(0, error["strerror"]))
    first = evalue.strip().splitlines()[0] if evalue.strip() else "no message"
    return f"{where[0].upper()}{where[1:]}: {ename}: {first}"


def _died(where: str, error: dict[str, Any], peak: float | None) -> str:
    code, process = error.get("signal"), error.get("process", "kernel")
    by = f"was ended by {signal.Signals(-code).name}" if code and code < 0 else "ended by itself"
    memory = f" with {peak:.0f} MiB of memory in use" if peak else ""
    hint = "; often the system ends a process that needs too much memory" if code == -9 else ""
    words = f" ({error['words']})" if error.get("words") else ""
    return f"The {process} {by} {where}{memory}{hint}{words}."


def _cells(folder: Path) -> list[dict[str, Any]]:
    try:
        return json.loads((folder / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):
        return []
