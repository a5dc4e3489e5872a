"""The commands that have to do with runs, as the command line calls them."""

import json
import re
import sys
import textwrap
from argparse import Namespace
from pathlib import Path
from typing import Any

from channelwise.runs import manifest
from channelwise.runs.errors import UsageError
from channelwise.runs.folder import writing
from channelwise.runs.locate import Project
from channelwise.runs.plan import make_plan, read_schema, spell
from channelwise.runs.printed import in_columns, tables
from channelwise.runs.run import Outcome, make_runs
from channelwise.runs.values import parse_assignments, parse_grid

FIT_CHAPTER = "11_channel_response"
FIT_TABLE = "ROI and marginal ROI"
"""How the caption of the table begins that `channelwise fit` prints."""

SWEEP_JOBS = 2
"""Points that a sweep runs at a time on this machine, unless --jobs says otherwise."""

_FORBIDDEN = re.compile(r"[^A-Za-z0-9._-]")


def run(options: Namespace) -> int:
    """`channelwise run`."""
    project = _project(options, *options.notebooks_to_run)
    notebooks = _chosen(project, options.notebooks_to_run, options.all)
    assignments = parse_assignments(options.parameters)
    plans = [
        make_plan(project, notebook, assignments, set_text=options.set, name=options.name)
        for notebook in notebooks
    ]
    outcomes = make_runs(plans, jobs=options.jobs, timeout=options.timeout, force=options.force)
    _write_index(project)
    return _exit_code(len(plans), outcomes)


def fit(options: Namespace, roles: dict[str, Any]) -> int:
    """`channelwise fit`: the chapter of channel response on a file of the user's.

    Args:
        options: As for `run`.
        roles: The file and what its columns are, as parameters of the chapter; None: not said.
    """
    project = _project(options)
    assignments = parse_assignments(options.parameters)
    for name in roles.keys() & assignments.keys():
        raise UsageError(f"{name} is an option of its own here; leave out -p {name}=….")
    said = {name: value for name, value in roles.items() if value is not None}
    name = options.name or _FORBIDDEN.sub("_", Path(roles["data"]).stem).lstrip(".-") or "fit"
    notebook = project.notebook(FIT_CHAPTER)
    plan = make_plan(project, notebook, assignments | said, set_text=options.set, name=name)
    outcomes = make_runs([plan], timeout=options.timeout, force=options.force)
    _write_index(project)
    for outcome in outcomes:
        _print_fit(outcome)
    return _exit_code(1, outcomes)


def sweep(options: Namespace) -> int:
    """`channelwise sweep`."""
    from channelwise.runs import report
    from channelwise.runs.sweep import make_sweep

    project = _project(options, options.notebook)
    grid = parse_grid(options.grid)
    if not grid:
        raise UsageError("a sweep needs a grid; add one with -g, such as -g seed=0..4.")
    folder, record, outcomes = make_sweep(
        project,
        project.notebook(options.notebook),
        grid,
        fixed=parse_assignments(options.parameters),
        set_text=options.set,
        name=options.name,
        jobs=options.jobs or (None if options.scheduler else SWEEP_JOBS),
        timeout=options.timeout,
        force=options.force,
        scheduler=options.scheduler,
    )
    with writing(folder):
        report.render_sweep(folder)
    _write_index(project)
    print(f"{record['status']:<11} {folder.parent.name}/{folder.name}  {folder / 'report.html'}")
    if record["error"]:
        print(f"            {record['error']['message']}")
    return _exit_code(len(record["points"]), outcomes)


def report(options: Namespace) -> int:
    """`channelwise report`."""
    project = _project(options)
    if not project.reports.is_dir():
        raise UsageError(
            f"there are no reports in {project.reports}; make some with `channelwise run --all`."
        )
    _write_index(project)
    print(project.reports / "index.html")
    return 0


def list_runs(options: Namespace) -> int:
    """`channelwise list`."""
    project = _project(options)
    found = manifest.find(project.reports)
    for notebook in project.all_notebooks():
        runs = [(f, m) for f, m in found if m["notebook"] == notebook.stem]
        print(notebook.stem if runs else f"{notebook.stem}\n  not run yet")
        for folder, record in runs:
            _print_run(folder, record)
    known = {notebook.stem for notebook in project.all_notebooks()}
    for folder, record in found:
        if record["notebook"] not in known:
            print(record["notebook"])
            _print_run(folder, record)
    return 0


def describe(options: Namespace) -> int:
    """`channelwise describe`."""
    project = _project(options, options.notebook)
    notebook = project.notebook(options.notebook)
    schema = read_schema(notebook)
    print(f"{notebook.stem} has these parameters; set one with -p NAME=VALUE.\n")
    for parameter in schema.parameters:
        kind = parameter.kind + (" or none" if parameter.optional else "")
        allowed = f", {parameter.range}" if parameter.range else ""
        print(f"  {parameter.name} = {spell(parameter.default)}")
        print(textwrap.indent(f"{kind}{allowed}\n{parameter.meaning}".rstrip(), " " * 6))
    sets = project.parameter_sets(notebook)
    if sets:
        print("\nParameter sets; use one with -f NAME.\n")
        for path in sets:
            print(f"  {path.stem:<16}{_first_comment(path)}".rstrip())
    return 0


def refresh(options: Namespace) -> int:
    """`channelwise refresh`."""
    from channelwise.runs.refresh import refresh_notebooks

    project = _project(options, *options.notebooks_to_run)
    notebooks = _chosen(project, options.notebooks_to_run, not options.notebooks_to_run)
    good = refresh_notebooks(notebooks, jobs=options.jobs, timeout=options.timeout)
    return 0 if good else 1


def _project(options: Namespace, *texts: str) -> Project:
    """The project; around the notebook itself if that is given by its path."""
    files = [Path(t) for t in texts if t.endswith(".ipynb") and Path(t).is_file()]
    notebooks = options.notebooks or (files[0].parent if files else None)
    return Project.find(notebooks, options.out)


def _chosen(project: Project, texts: list[str], everything: bool) -> list[Path]:
    if everything and texts:
        raise UsageError("give either notebooks or --all, not both.")
    if everything:
        notebooks = project.all_notebooks()
        if not notebooks:
            raise UsageError(f"there are no notebooks in {project.notebooks}; see --notebooks.")
        return notebooks
    if not texts:
        raise UsageError("name a notebook, such as 01_activations, or give --all.")
    return list(dict.fromkeys(project.notebook(text) for text in texts))


def _write_index(project: Project) -> None:
    from channelwise.runs import report

    with writing(project.reports / "index.html"):
        report.render_index(project.reports)


def _exit_code(planned: int, outcomes: list[Any]) -> int:
    if len(outcomes) < planned or any(o.status == "interrupted" for o in outcomes):
        print(
            "channelwise: interrupted; the reports of before are still in place.", file=sys.stderr
        )
        return 130
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _print_run(folder: Path, record: dict[str, Any]) -> None:
    seconds = (record.get("cost") or {}).get("wall_s")
    took = f"{seconds:.1f} s" if seconds else ""
    print(f"  {record['status']:<12} {record['name']:<20} {record['started']}  {took}".rstrip())
    if record["error"]:
        print(f"               {record['error']['message']}")


def _print_fit(outcome: Outcome) -> None:
    """The table of ROI, or in full why there is none."""
    if outcome.good:
        book = json.loads((outcome.folder / "notebook.ipynb").read_text(encoding="utf-8"))
        for stored in tables(book["cells"]):
            if stored["caption"].startswith(FIT_TABLE):
                print(f"\n{stored['caption']}\n\n{in_columns(stored)}")
        return
    error = manifest.read(outcome.folder)["error"] or {}
    if "\n" in (error.get("evalue") or ""):
        print(f"\n{error['evalue']}")
    page = outcome.folder / "report.html"
    if page.is_file():
        print(f"\nWhat was found up to there: {page}")


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), "")
