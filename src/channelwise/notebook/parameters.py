"""The parameters cell is the schema: what may be changed, its type, its range, its meaning.

A notebook states its parameters once, in the cell tagged `parameters`:

    depth: Annotated[int, Field(ge=1, le=200)] = 20  # layers stacked
    data: Path | None = None                         # your CSV; None = the built-in market

`Schema` reads that cell without running it. The runner checks values with it before a kernel
starts, `start` checks the live values inside the kernel, and `explore` builds its controls from it.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channelwise.notebook.cell import is_parameters_cell, read_parameters
from channelwise.notebook.values import Parameter, ParameterError, nearest, short


@dataclass(frozen=True)
class Schema:
    """The parameters of one notebook, in the order of its parameters cell."""

    notebook: str
    parameters: tuple[Parameter, ...]

    @classmethod
    def from_notebook(cls, path: Path) -> "Schema":
        """Reads the cell tagged `parameters` of a notebook file, without running it.

        Raises:
            ParameterError: if there is no such cell, or it holds more than annotated assignments.
        """
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            if "parameters" in cell.get("metadata", {}).get("tags", ()):
                return cls.from_source("".join(cell["source"]), path.stem)
        raise ParameterError(
            f"{path.name} has no parameters cell; tag the cell that holds its parameters "
            "with `parameters` (an empty cell will do)."
        )

    @classmethod
    def from_source(cls, source: str, notebook: str = "this notebook") -> "Schema":
        """Reads the text of a parameters cell; raises as `read_parameters`."""
        return cls(notebook, read_parameters(source, notebook))

    def __getitem__(self, name: str) -> Parameter:
        self.check_names([name])
        return next(p for p in self.parameters if p.name == name)

    @property
    def names(self) -> list[str]:
        """The parameters' names in the cell's order."""
        return [p.name for p in self.parameters]

    def check_names(self, names: list[str]) -> None:
        """Refuses names the notebook does not know, offering the nearest one it does."""
        for name in names:
            if name not in self.names:
                has = ", ".join(self.names) or "none"
                raise ParameterError(
                    f"{short(name)} is no parameter of {self.notebook}"
                    f"{nearest(name, self.names)}. It has: {has}."
                )

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters: the given values checked, the others at their defaults.

        Args:
            values: Some of the parameters, as Python values or as texts that spell them.

        Returns:
            Every parameter in the cell's order, each in its own type.

        Raises:
            ParameterError: one sentence for each unknown name, or else for each bad value.
        """
        self.check_names(list(values))
        checked, problems = {}, []
        for parameter in self.parameters:
            try:
                checked[parameter.name] = parameter.validate(
                    values.get(parameter.name, parameter.default)
                )
            except ParameterError as error:
                problems.append(str(error))
        if problems:
            raise ParameterError("\n".join(problems))
        return checked


def start(namespace: dict[str, Any]) -> None:
    """Checks the live parameters of a running notebook and sets the figures' style.

    Call it as `start(globals())` right behind the parameters cell. It covers what the runner
    cannot see: plain papermill, and values edited by hand. Values that arrive as text
    (`"1e-3"` from a YAML file) are written back in their own type.

    Args:
        namespace: The notebook's `globals()`.

    Raises:
        ParameterError: as `Schema.validate`.
    """
    from channelwise.notebook import figures

    schema, injected = live_schema(namespace)
    schema.check_names(injected)
    namespace.update(schema.validate({name: namespace[name] for name in schema.names}))
    figures.apply_style()


def live_schema(namespace: Mapping[str, Any]) -> tuple[Schema, list[str]]:
    """The schema of the notebook that is running, and the names papermill injected into it."""
    history = [source for source in namespace.get("In", ()) if source.strip()]
    cells = [k for k, source in enumerate(history) if is_parameters_cell(source)]
    if not cells and namespace.get("__annotations__"):
        return _schema_without_history(namespace), []
    if not cells:
        raise ParameterError(
            "no parameters cell has run yet; run the cells above this one first, "
            "each parameter written as `name: type = default  # meaning`."
        )
    injected = [
        target.id
        for source in history[cells[-1] + 1 :]
        if source.startswith("# Parameters\n")
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return Schema.from_source(history[cells[-1]]), injected


def _schema_without_history(namespace: Mapping[str, Any]) -> Schema:
    """The types of the live values, where cells run without leaving a history, as under nbval."""
    annotated = namespace["__annotations__"].items()
    return Schema(
        "this notebook",
        tuple(Parameter(name, kind, namespace[name]) for name, kind in annotated),
    )
