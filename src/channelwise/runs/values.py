"""Parameter values as people write them: `-p key=value`, YAML files, grids.

Nothing here decides types. Every value stays the text that was written, and the notebook's
parameters cell alone says what it means, so `1e-3`, `1_000`, `no` and `2024-01-01` mean the same
in a YAML file, on the command line and in papermill.
"""

import re
from pathlib import Path
from typing import Any

from channelwise.runs.errors import UsageError

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_NONE = {"", "~", "null", "Null", "NULL"}
_MOST_POINTS = 10_000


def parse_assignment(text: str, option: str = "-p") -> tuple[str, str]:
    """Splits `key=value`.

    Raises:
        UsageError: if there is no `=`, or nothing before it.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(
            f"{option} {text} is no assignment; write {option} name=value, "
            f"such as {option} seed=1 (in quotes if the value has spaces)."
        )
    return key.strip(), value.strip()


def parse_assignments(texts: list[str], option: str = "-p") -> dict[str, str]:
    """Several `key=value`, each key once.

    Raises:
        UsageError: if a key is given twice.
    """
    values: dict[str, str] = {}
    for key, value in (parse_assignment(text, option) for text in texts):
        if key in values:
            raise UsageError(f"{option} {key} is given twice; leave one of them out.")
        values[key] = value
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """A parameter set: a YAML file of `name: value` lines.

    Returns:
        Texts, lists of texts, and None for an empty value or `null`.

    Raises:
        UsageError: if the file is missing, empty, no mapping, no YAML, or names a key twice.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the parameter file {path} cannot be read: {error.strerror}; check its path."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a UTF-8 text file; save it as plain UTF-8.") from error
    try:
        values = yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise UsageError(_yaml_problem(path, error)) from error
    if values is None:
        raise UsageError(f"{path} is empty; write lines such as `seed: 1`, or leave out -f.")
    if not isinstance(values, dict):
        raise UsageError(
            f"{path} holds a {_WORDS[type(values)]}, not parameters; write lines such as `seed: 1`."
        )
    return values


def parse_grid(texts: list[str]) -> dict[str, list[str]]:
    """Grids as `-g learning_rate=1e-4,1e-3 -g seed=0..4 -g hidden=[64,64],[128]`.

    A range `a..b` holds both ends.

    Raises:
        UsageError: if a value is missing, or the grid has more than 10,000 points.
    """
    grid = {key: _grid_values(key, text) for key, text in parse_assignments(texts, "-g").items()}
    points = 1
    for values in grid.values():
        points *= len(values)
    if points > _MOST_POINTS:
        raise UsageError(
            f"this grid has {points} points, more than {_MOST_POINTS}; give fewer values with -g."
        )
    return grid


def _grid_values(key: str, text: str) -> list[str]:
    values: list[str] = []
    for item in re.split(r",(?![^\[]*\])", text):
        ends = _RANGE.fullmatch(item.strip())
        if not ends:
            values.append(item.strip())
            continue
        first, last = int(ends[1]), int(ends[2])
        if not 0 <= last - first < _MOST_POINTS:
            raise UsageError(
                f"-g {key}={text}: the range {item.strip()} should rise from its first to its last "
                f"number and hold at most {_MOST_POINTS} values, such as 0..4."
            )
        values.extend(str(number) for number in range(first, last + 1))
    if "" in values:
        raise UsageError(
            f"-g {key}={text} lacks a value; separate values by commas, such as -g {key}=1,2."
        )
    return list(dict.fromkeys(values))


_WORDS = {str: "single text", list: "list"}


def _loader() -> type:
    """PyYAML's loader of plain texts, lists and mappings, which also refuses duplicate keys."""
    import yaml

    class Loader(yaml.BaseLoader):
        """Every scalar stays text, except an empty one and `null`."""

    def scalar(loader: Any, node: Any) -> str | None:
        return None if node.style is None and node.value in _NONE else node.value

    def mapping(loader: Any, node: Any) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a parameter's name must be a single word", key_node.start_mark
                )
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key_node.value} is given twice", key_node.start_mark
                )
            seen[key_node.value] = loader.construct_object(value_node, deep=True)
        return seen

    Loader.add_constructor("tag:yaml.org,2002:str", scalar)
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_constructor("tag:yaml.org,2002:seq", yaml.BaseLoader.construct_sequence)
    Loader.add_constructor(None, _refuse_tag)
    return Loader


def _refuse_tag(loader: Any, node: Any) -> Any:
    import yaml

    raise yaml.constructor.ConstructorError(
        None, None, f"the tag {node.tag} is not allowed here", node.start_mark
    )


def _yaml_problem(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" line {mark.line + 1}" if mark else ""
    what = getattr(error, "problem", None) or "it is no YAML"
    return f"{path}{where}: {what}; write each parameter once, as `name: value`."
