"""Dataclasses of arrays and plain values as one .npz file, whole or not at all, without pickle.

The file holds each array under its path, such as `draws/roi`, and under `header` a JSON text with
everything else. `numpy.load` alone can read it.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np

_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError)
_DAMAGE += (RecursionError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class ArchiveError(ValueError):
    """A file that cannot be written or read; the message names it and says what to do."""


def save_archive(path: Path | str, value: Any, *, form: str, version: int) -> None:
    """Write a dataclass; an earlier file of the same form is replaced.

    Args:
      path: written beside and renamed, so that it is never half a file.
      value: of None, bools, numbers, texts, NumPy arrays, tuples, lists, mappings and dataclasses.
      form: what the file is, in words.
      version: of the form, raised when old programs could not read the file rightly.

    Raises:
      ArchiveError: if the path holds anything else, cannot be written, or a value is not plain.
    """
    path = Path(path)
    if path.exists() and _form_of(path) != form:
        raise ArchiveError(
            f"{path} exists and is no {form}: nothing was written. Choose another name."
        )
    arrays: dict[str, np.ndarray] = {}
    header = {"form": form, "version": version, "value": _pack(value, arrays, ())}
    text = json.dumps(header, ensure_ascii=False).encode()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            np.savez(file, header=np.frombuffer(text, np.uint8), **arrays)
        beside.replace(path)
    except OSError as error:
        raise ArchiveError(
            f"{path} could not be written ({error.strerror or error}). "
            "Choose a folder you may write to, with free space."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def load_archive(path: Path | str, kind: type, *, form: str, version: int) -> Any:
    """Read a dataclass; nothing in the file is executed.

    Args:
      path: of a file from `save_archive`.
      kind: the dataclass; only it and the dataclasses named in its annotations are made.
      form: what the file must be.
      version: the newest one this program reads.

    Raises:
      ArchiveError: if there is no such file, or it is damaged, foreign or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise ArchiveError(f"There is no file {path}. Give the path of a saved {form}.")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            known = header["form"] == form
            readable = known and header["version"] <= version
            if readable:
                arrays = {name: file[name] for name in file.files if name != "header"}
                return _checked(_unpack(header["value"], arrays, _dataclasses(kind)), kind)
    except _DAMAGE as error:
        raise ArchiveError(
            f"{path} is no {form}, or is damaged ({_first_line(error)}). Save it again."
        ) from error
    if not known:
        raise ArchiveError(f"{path} is a {header['form']}, not a {form}. Give another file.")
    raise ArchiveError(
        f"{path} has version {header['version']} of the {form}, this program reads versions up to "
        f"{version}. Update channelwise, or save it again."
    )


def _form_of(path: Path) -> str | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return json.loads(file["header"].tobytes())["form"]
    except _DAMAGE:
        return None


def _pack(value: Any, arrays: dict[str, np.ndarray], at: tuple[str, ...]) -> Any:
    """A value as JSON; its arrays move to `arrays`, one that is met twice only once."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.bool_ | np.number):
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return {"array": _stored(value, arrays, "/".join(at))}
    if isinstance(value, tuple | list):
        inner = [_pack(v, arrays, (*at, str(i))) for i, v in enumerate(value)]
        return {"tuple": inner} if isinstance(value, tuple) else inner
    if isinstance(value, Mapping):
        return {"mapping": [[k, _pack(v, arrays, (*at, str(k)))] for k, v in value.items()]}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
        inner = {name: _pack(v, arrays, (*at, name)) for name, v in inner.items()}
        return {"dataclass": type(value).__name__, "fields": inner}
    raise ArchiveError(
        f"{'.'.join(at)} is a {type(value).__name__}, which cannot be saved: "
        "use numbers, texts, NumPy arrays, tuples, mappings or dataclasses."
    )


def _unpack(packed: Any, arrays: Mapping[str, np.ndarray], kinds: Mapping[str, type]) -> Any:
    """The inverse of `_pack`."""
    if isinstance(packed, list):
        return [_unpack(v, arrays, kinds) for v in packed]
    if not isinstance(packed, dict):
        return packed
    if "array" in packed:
        return arrays[packed["array"]]
    if "tuple" in packed:
        return tuple(_unpack(packed["tuple"], arrays, kinds))
    if "mapping" in packed:
        return {k: _unpack(v, arrays, kinds) for k, v in packed["mapping"]}
    inner = {name: _unpack(v, arrays, kinds) for name, v in packed["fields"].items()}
    return kinds[packed["dataclass"]](**inner)


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"it holds a {type(value).__name__}")
    return value


def _stored(array: np.ndarray, arrays: dict[str, np.ndarray], name: str) -> str:
    for known, other in arrays.items():
        if other is array:
            return known
    while name in arrays or name == "header":
        name += "'"
    arrays[name] = array
    return name


def _dataclasses(hint: Any) -> dict[str, type]:
    """The dataclasses that a type is made of, itself included, by name."""
    own = is_dataclass(hint) and isinstance(hint, type)
    found = {hint.__name__: hint} if own else {}
    for inner in get_type_hints(hint).values() if own else get_args(hint):
        if inner is not hint:
            found |= _dataclasses(inner)
    return found


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
