"""Sweeps: a grid of parameters, one run a point, one comparative report."""

import contextlib
import itertools
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from channelwise.runs import hashes, manifest
from channelwise.runs.errors import UsageError
from channelwise.runs.folder import writing
from channelwise.runs.locate import Project, check_name
from channelwise.runs.plan import Plan, describe, make_plan, spell
from channelwise.runs.progress import Progress
from channelwise.runs.run import Outcome, make_runs


def make_sweep(
    project: Project,
    notebook: Path,
    grid: Mapping[str, Sequence[str]],
    *,
    fixed: Mapping[str, Any],
    set_text: str | None = None,
    name: str | None = None,
    jobs: int | None = 1,
    timeout: float | None = None,
    force: bool = False,
    scheduler: str | None = None,
) -> tuple[Path, dict[str, Any], list[Outcome]]:
    """Runs a notebook at every point of a grid.

    A point that fails does not stop the others; a point whose inputs have not changed since the
    last sweep of this name is not run again.

    Args:
        project: The folders.
        notebook: The notebook's file.
        grid: For each parameter of the grid, its values as text.
        fixed: Parameters common to all points, as text.
        set_text: A parameter set common to all points.
        name: The sweep's name; by default `sweep-` and a hash of the grid.
        jobs: How many points to run at a time; None, on a cluster: as many as it can.
        timeout: Seconds after which a point is ended.
        force: Whether to run unchanged points again.
        scheduler: The address of a Dask scheduler, whose workers run the points then.

    Returns:
        The sweep's folder, its manifest, and the outcomes of its points.

    Raises:
        UsageError: if a parameter is both fixed and in the grid, or as `make_runs` and
            `cluster.connected`.
        ParameterError: if any point has a value that the notebook does not allow.
    """
    both = sorted(set(grid) & set(fixed))
    if both:
        raise UsageError(f"{both[0]} is given by -g and by -p; leave one of them out.")
    common = make_plan(project, notebook, fixed, set_text=set_text)
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    plans = [make_plan(project, notebook, {**fixed, **p}, set_text=set_text) for p in points]
    key = hashes.of_json([common.overrides, {k: list(v) for k, v in grid.items()}])[:8]
    folder = common.base / (check_name(name) if name else f"sweep-{key}")
    manifest.check_kind(folder, "sweep")
    plans = [_placed(plan, folder, grid) for plan in plans]
    record = _begin(common, folder.name, plans, grid, project.word(notebook), set_text, fixed)
    began = time.monotonic()
    with _elsewhere(scheduler, plans, jobs) as elsewhere:
        outcomes = make_runs(
            plans,
            jobs=jobs or 1,
            timeout=timeout,
            force=force,
            progress=Progress(len(plans)),
            elsewhere=elsewhere,
        )
    _finish(record, folder, plans, outcomes, grid, time.monotonic() - began)
    with writing(folder):
        manifest.write(folder, record)
    return folder, record, outcomes


def _elsewhere(
    scheduler: str | None, plans: Sequence[Plan], jobs: int | None
) -> contextlib.AbstractContextManager:
    if scheduler is None:
        return contextlib.nullcontext()
    from channelwise.runs.cluster import connected

    return connected(scheduler, plans, jobs)


def _placed(plan: Plan, folder: Path, grid: Mapping[str, Sequence[str]]) -> Plan:
    """The plan of a point, whose folder is named by its place in the grid."""
    here = {name: hashes.jsonable(plan.parameters[name]) for name in grid}
    return Plan(
        notebook=plan.notebook,
        source=plan.source,
        schema=plan.schema,
        parameters=plan.parameters,
        parameter_set=plan.parameter_set,
        base=folder / "points",
        name=hashes.of_json(here)[:8],
        command=plan.command,
    )


def _begin(
    common: Plan,
    name: str,
    plans: Sequence[Plan],
    grid: Mapping[str, Sequence[str]],
    word: str,
    set_text: str | None,
    fixed: Mapping[str, Any],
) -> dict[str, Any]:
    words = ["channelwise", "sweep", word]
    words += ["-f", set_text] if set_text else []
    words += [w for k in fixed for w in ("-p", f"{k}={spell(common.parameters[k])}")]
    words += [w for k, v in grid.items() for w in ("-g", f"{k}={','.join(v)}")]
    return {
        "format": manifest.FORMAT,
        "kind": "sweep",
        "notebook": common.notebook.stem,
        "source": common.source,
        **manifest.headline(common.book, common.notebook.stem),
        "name": name,
        "status": "running",
        "error": None,
        **manifest.runner(),
        "started": manifest.now(),
        "finished": None,
        "grid": {k: _distinct(p.parameters[k] for p in plans) for k in grid},
        "fixed": common.overrides,
        "schema": [describe(p, common.parameters[p.name]) for p in common.schema.parameters],
        "points": [],
        "versions": hashes.versions(),
        "device": manifest.machine(),
        "cost": {"wall_s": None, "cpu_s": None, "peak_memory_mb": None},
        "command": shlex.join(words),
    }


def _finish(
    record: dict[str, Any],
    folder: Path,
    plans: Sequence[Plan],
    outcomes: Sequence[Outcome],
    grid: Mapping[str, Sequence[str]],
    wall: float,
) -> None:
    ended = {outcome.plan.name: outcome for outcome in outcomes}
    record["points"] = [_point(folder, plan, ended.get(plan.name), grid) for plan in plans]
    record["finished"] = manifest.now()
    statuses = [point["status"] for point in record["points"]]
    bad = [p for p in record["points"] if p["status"] != "succeeded"]
    record["status"] = (
        "interrupted" if "interrupted" in statuses else "failed" if bad else "succeeded"
    )
    if bad:
        record["error"] = manifest.failure(
            f"{len(bad)} of {len(plans)} points did not succeed; the first: {bad[0]['message']}"
        )
    costs = [point["cost"] for point in record["points"] if point["cost"]]
    record["cost"] = {
        "wall_s": round(wall, 3),
        "cpu_s": round(sum(c["cpu_s"] or 0.0 for c in costs), 3),
        "peak_memory_mb": max((c["peak_memory_mb"] or 0.0 for c in costs), default=None),
    }


def _point(
    folder: Path, plan: Plan, outcome: Outcome | None, grid: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    point = {
        "name": plan.name,
        "folder": None,
        "parameters": {k: hashes.jsonable(plan.parameters[k]) for k in grid},
        "status": "interrupted",
        "message": "The sweep was interrupted before this point was made; run it again.",
        "results": [],
        "cost": None,
    }
    if outcome is None:
        return point
    point["folder"] = outcome.folder.relative_to(folder).as_posix()
    try:
        run = manifest.read(outcome.folder)
    except manifest.ManifestError:
        return {**point, "folder": None, "status": "failed", "message": outcome.message}
    return {
        **point,
        "status": run["status"],
        "message": run["error"]["message"] if run["error"] else None,
        "results": run["results"],
        "cost": run["cost"],
    }


def _distinct(values: Any) -> list[Any]:
    return list(dict.fromkeys(hashes.jsonable(value) for value in values))
