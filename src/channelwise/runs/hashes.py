"""Fingerprints of all that a run depends on: notebook, parameters, library, data, versions."""

import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import channelwise

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "matplotlib",
    "pydantic",
    "papermill",
)


def fingerprint(notebook: dict[str, Any], parameters: Mapping[str, Any], base: Path) -> dict:
    """The `hashes` of a manifest: equal for two runs that must give the same numbers.

    Args:
        notebook: The notebook's JSON.
        parameters: All parameters, in their own types.
        base: The folder that a relative path in the notebook's own defaults starts from.
    """
    return {
        "notebook": of_source(notebook),
        "parameters": of_json(jsonable(dict(parameters))),
        "library": of_library(),
        "report": of_renderer(),
        "data": {
            name: {"path": str(value), "sha256": of_path(base / value)}
            for name, value in parameters.items()
            if isinstance(value, Path)
        },
    }


def of_source(notebook: dict[str, Any]) -> str:
    """The hash of what is executed and told: code and text, neither outputs nor metadata."""
    return of_json(
        [
            [cell["cell_type"], "".join(cell["source"]), "parameters" in tags(cell)]
            for cell in notebook["cells"]
            if "explore" not in tags(cell)
        ]
    )


def of_json(value: Any) -> str:
    """The hash of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@functools.cache
def of_library() -> str:
    """The hash of the modules that decide a run's numbers: all but this room and the roof."""
    package = Path(channelwise.__file__).parent
    return _of_files(
        package,
        (
            path
            for path in package.rglob("*.py")
            if path.relative_to(package).parts[0] not in ("runs", "cli.py")
        ),
    )


@functools.cache
def of_renderer() -> str:
    """The hash of the modules that decide how a report looks: this room."""
    room = Path(__file__).parent
    return _of_files(room, (p for p in room.rglob("*") if "__pycache__" not in p.parts))


def of_path(path: Path) -> str | None:
    """The hash of a data file, or of all files in a folder; None if there is nothing."""
    if path.is_dir():
        return _of_files(path, path.rglob("*"))
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def versions() -> dict[str, str | None]:
    """The versions of Python, Channelwise and the packages below it; None if not installed."""
    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "channelwise": channelwise.__version__,
    }
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def jsonable(value: Any) -> Any:
    """A parameter's value as JSON: paths as texts, tuples as lists."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def tags(cell: Mapping[str, Any]) -> list[str]:
    """The tags of a notebook cell."""
    return cell.get("metadata", {}).get("tags", [])


def _of_files(root: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in paths if p.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{of_path(path)}\0".encode())
    return digest.hexdigest()
