"""A plan: everything about a run that is known, and checked, before anything is written."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from channelwise.notebook.parameters import Schema
from channelwise.notebook.values import Parameter
from channelwise.runs import hashes
from channelwise.runs.errors import UsageError
from channelwise.runs.locate import Project, check_name
from channelwise.runs.values import read_yaml


@dataclass(frozen=True)
class Plan:
    """One run to be made.

    Attributes:
        notebook: The notebook's file.
        source: The same, as shown to readers.
        schema: Its parameters cell.
        parameters: Every parameter, in its own type.
        parameter_set: The parameter file, as the user gave it.
        base: The folder that holds the notebook's runs.
        name: The run's name, its folder in `base`.
        command: The command line that makes this run again.
    """

    notebook: Path
    source: str
    schema: Schema
    parameters: dict[str, Any]
    parameter_set: str | None
    base: Path
    name: str
    command: str

    @property
    def label(self) -> str:
        """How the run is called in messages."""
        return f"{self.notebook.stem}/{self.name}"

    @cached_property
    def overrides(self) -> dict[str, Any]:
        """The parameters that differ from the notebook's defaults, as JSON values."""
        return overrides(self.schema, self.parameters)

    @cached_property
    def book(self) -> dict[str, Any]:
        """The notebook's JSON."""
        return read_book(self.notebook)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """The hashes of all that the run depends on."""
        return hashes.fingerprint(self.book, self.parameters, self.notebook.parent)


def make_plan(
    project: Project,
    notebook: Path,
    assignments: Mapping[str, Any],
    *,
    set_text: str | None = None,
    name: str | None = None,
) -> Plan:
    """Checks what the user asked for, without starting or writing anything.

    Args:
        project: The folders.
        notebook: The notebook's file.
        assignments: Parameters as text; they win over the parameter set.
        set_text: A parameter file, or the bare name of one of the notebook's sets.
        name: The run's name; by default `default`, the set's name, or a hash of the parameters.

    Raises:
        UsageError: for anything wrong outside the parameters.
        ParameterError: for a parameter the notebook does not allow.
    """
    schema = read_schema(notebook)
    set_file = project.parameter_set(set_text, notebook) if set_text else None
    parameters = _check(schema, assignments, set_file)
    changed = overrides(schema, parameters)
    chosen = check_name(name) if name else _name(set_file, bool(assignments), changed)
    words = ["channelwise", "run", project.word(notebook)]
    words += ["-f", set_text] if set_text else []
    given = assignments if set_text else changed
    words += [w for key in given for w in ("-p", f"{key}={spell(parameters[key])}")]
    words += ["--name", name] if name else []
    return Plan(
        notebook=notebook,
        source=project.shown(notebook),
        schema=schema,
        parameters=parameters,
        parameter_set=project.shown(set_file) if set_file else None,
        base=project.reports / notebook.stem,
        name=chosen,
        command=shlex.join(words),
    )


def read_book(notebook: Path) -> dict[str, Any]:
    """A notebook's JSON.

    Raises:
        UsageError: if the file is no notebook of format 4.
    """
    try:
        book = json.loads(notebook.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{notebook} cannot be read: {error.strerror}; check its path.") from error
    except ValueError as error:
        raise UsageError(
            f"{notebook} is no notebook ({error}); save it from JupyterLab."
        ) from error
    if not isinstance(book, dict) or book.get("nbformat") != 4 or "cells" not in book:
        raise UsageError(
            f"{notebook} is no notebook of format 4; open it in JupyterLab and save it."
        )
    return book


def read_schema(notebook: Path) -> Schema:
    """A notebook's parameters.

    Raises:
        UsageError: if the file is no notebook.
        ParameterError: if it has no parameters cell.
    """
    read_book(notebook)
    return Schema.from_notebook(notebook)


def overrides(schema: Schema, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that differ from the defaults, as JSON values."""
    return {
        p.name: hashes.jsonable(parameters[p.name])
        for p in schema.parameters
        if parameters[p.name] != p.default
    }


def spell(value: Any) -> str:
    """A parameter's value as text that `-p` reads back as the same value."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(spell(item) for item in value) + "]"
    return str(value)


def describe(parameter: Parameter, value: Any) -> dict[str, Any]:
    """A parameter as the manifest's `schema` lists it."""
    return {
        "name": parameter.name,
        "type": parameter.kind,
        "range": parameter.range,
        "choices": hashes.jsonable(parameter.choices) or None,
        "default": hashes.jsonable(parameter.default),
        "value": hashes.jsonable(value),
        "changed": value != parameter.default,
        "meaning": parameter.meaning,
    }


def _check(schema: Schema, assignments: Mapping[str, Any], set_file: Path | None) -> dict[str, Any]:
    given = {**(read_yaml(set_file) if set_file else {}), **assignments}
    parameters = schema.validate(given)
    folders = [Path.cwd()] + ([set_file.resolve().parent] if set_file else [])
    return {
        name: _located(name, value, folders) if name in given else value
        for name, value in parameters.items()
    }


def _located(name: str, value: Any, folders: list[Path]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_located(name, item, folders) for item in value)
    if not isinstance(value, Path):
        return value
    for folder in folders:
        if (folder / value.expanduser()).exists():
            return (folder / value.expanduser()).resolve()
    raise UsageError(
        f"{name} = {value} does not exist; check the path (a relative one starts in {folders[0]})."
    )


def _name(set_file: Path | None, assigned: bool, changed: dict[str, Any]) -> str:
    if set_file is None:
        return hashes.of_json(changed)[:8] if changed else "default"
    stem = set_file.name.removesuffix(set_file.suffix)
    return check_name(f"{stem}-{hashes.of_json(changed)[:6]}" if assigned else stem)
