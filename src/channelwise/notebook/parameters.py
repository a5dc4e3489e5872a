"""The parameters cell is the schema: what may be changed, its type, its range, its meaning.

A notebook states its parameters once, in the cell tagged `parameters`:

    depth: Annotated[int, Field(ge=1, le=200)] = 20  # layers stacked
    data: Path | None = None                         # your CSV; None = the built-in market

`Schema` reads that cell without running it. The runner checks values with it before a kernel
starts, `start` checks the live values inside the kernel, and `explore` builds its controls from it.
"""

import ast
import difflib
import io
import json
import math
import tokenize
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

ANNOTATION_NAMES = {
    "Annotated": Annotated,
    "Field": Field,
    "Literal": Literal,
    "None": None,
    "Path": Path,
    "bool": bool,
    "float": float,
    "int": int,
    "list": list,
    "str": str,
    "tuple": tuple,
}
"""All that an annotation in a parameters cell may name."""

_ANNOTATION_NODES = (
    ast.Expression,
    ast.BinOp,
    ast.BitOr,
    ast.Call,
    ast.Constant,
    ast.keyword,
    ast.Load,
    ast.Name,
    ast.Subscript,
    ast.Tuple,
    ast.UnaryOp,
    ast.USub,
)
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


class ParameterError(ValueError):
    """A value that a notebook's parameters cell does not allow; the message says what it allows."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence alone, not the library's inner frames."""
        return [f"ParameterError: {self}"]


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell.

    Attributes:
        name: The variable's name.
        annotation: Its evaluated type annotation.
        default: The value written in the cell.
        meaning: The comment behind it.
    """

    name: str
    annotation: Any
    default: Any
    meaning: str = ""

    @cached_property
    def _core(self) -> tuple[Any, bool]:
        """The annotation without `Annotated` and `| None`, and whether None is allowed."""
        inner, optional = _strip(self.annotation), False
        if get_origin(inner) in (Union, types.UnionType):
            members = [a for a in get_args(inner) if a is not type(None)]
            optional = len(members) < len(get_args(inner))
            inner = _strip(members[0]) if len(members) == 1 else Union[tuple(members)]  # noqa: UP007
        return inner, optional

    @property
    def base(self) -> Any:
        """The plain type: int, float, str, bool, Path, list, tuple or Literal."""
        return get_origin(self._core[0]) or self._core[0]

    @property
    def optional(self) -> bool:
        """Whether None is a value."""
        return self._core[1]

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a `Literal`, otherwise empty."""
        return get_args(self._core[0]) if self.base is Literal else ()

    def bound(self, *names: str) -> Any:
        """The first of the named `Field` constraints (`ge`, `gt`, `le`, …), or None."""
        for item in _metadata(self.annotation):
            for name in names:
                if getattr(item, name, None) is not None:
                    return getattr(item, name)
        return None

    @property
    def minimum(self) -> Any:
        """The lower end of the range, or None."""
        return self.bound("ge", "gt")

    @property
    def maximum(self) -> Any:
        """The upper end of the range, or None."""
        return self.bound("le", "lt")

    @property
    def kind(self) -> str:
        """The type in words: `whole number`, `number`, `text`, `choice`, `file`, …"""
        return allowed_type(self.annotation).removeprefix("a ")

    @property
    def range(self) -> str:
        """The range in words, such as `from 1 to 200` or `greater than 0`; empty if open."""
        if self.choices:
            return " | ".join(str(c) for c in self.choices)
        low, above = self.bound("ge"), self.bound("gt")
        high, below = self.bound("le"), self.bound("lt")
        if low is not None and high is not None:
            parts = [f"from {low} to {high}"]
        else:
            parts = [
                f"{word} {value}"
                for word, value in (
                    ("at least", low),
                    ("greater than", above),
                    ("at most", high),
                    ("less than", below),
                )
                if value is not None
            ]
        step, pattern = self.bound("multiple_of"), self.bound("pattern")
        shortest, longest = self.bound("min_length"), self.bound("max_length")
        parts += [f"a multiple of {step}"] * (step is not None)
        parts += [f"matching {pattern}"] * (pattern is not None)
        unit = "characters" if self.base is str else "items"
        parts += [f"with at least {shortest} {unit}"] * (shortest is not None)
        parts += [f"with at most {longest} {unit}"] * (longest is not None)
        return " and ".join(parts)

    @property
    def allowed(self) -> str:
        """What the parameter may be, as the end of a sentence."""
        if self.choices:
            words = "one of " + ", ".join(repr(c) for c in self.choices)
        else:
            words = f"{allowed_type(self.annotation)} {self.range}".strip()
        return f"{words} or None" if self.optional else words

    def validate(self, value: Any) -> Any:
        """The value in the parameter's type.

        Args:
            value: A Python value, or a text that spells one (`"1e-3"`, `"1_000"`, `"true"`).

        Raises:
            ParameterError: naming the value and what is allowed.
        """
        try:
            # A whole float such as 1e3 is a whole number; papermill and YAML read it as float.
            return self._adapter.validate_python(convert(value, self.annotation))
        except (ValidationError, ValueError) as error:
            hint = _nearest(str(value), [str(c) for c in self.choices])
            raise ParameterError(
                f"{self.name} = {_short(value)} is not {self.allowed}{hint}; "
                f"the default is {_short(self.default)}."
            ) from error

    @cached_property
    def _adapter(self) -> TypeAdapter:
        return TypeAdapter(self.annotation, config=_STRICT)


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
        """Reads the text of a parameters cell.

        Raises:
            ParameterError: naming the line that is not an annotated assignment, the annotation
                that is not understood, or the default that breaks its own annotation.
        """
        comments = _comments(source)
        parameters = []
        for node in _parse(source, notebook).body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a text that explains the cell
            if not _is_parameter(node):
                raise ParameterError(
                    f"line {node.lineno} of the parameters cell of {notebook} is no parameter; "
                    "write each as `name: type = default  # meaning`."
                )
            parameters.append(
                Parameter(
                    name=node.target.id,
                    annotation=_annotation(node, notebook),
                    default=_default(node, notebook),
                    meaning=_meaning(node, comments),
                )
            )
        for parameter in parameters:
            parameter.validate(parameter.default)
        return cls(notebook, tuple(parameters))

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
                    f"{_short(name)} is no parameter of {self.notebook}"
                    f"{_nearest(name, self.names)}. It has: {has}."
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
    cells = [k for k, source in enumerate(history) if _is_parameters_cell(source)]
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


def convert(value: Any, annotation: Any) -> Any:
    """The value as the annotation's type where nothing is lost by it; otherwise as it came.

    Texts become numbers (`"1e-3"`, `"1_000"`), truth values, None, paths and lists; a float
    without fraction becomes an int. What it leaves alone, strict validation then refuses.
    """
    kind = _strip(annotation)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.strip().lower() in ("none", "null")):
            return None
        return convert(value, next(a for a in get_args(kind) if a is not type(None)))
    if origin in (list, tuple):
        return _convert_items(value, kind, origin)
    if origin is Literal:
        return next((c for c in get_args(kind) if str(c) == str(value)), value)
    if kind in (int, float):
        return _convert_number(value, kind)
    if kind is bool and isinstance(value, str):
        return _TRUTH.get(value.strip().lower(), value)
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    return value


def allowed_type(annotation: Any) -> str:
    """The annotation's type in words, with its article: `a whole number`, `a list of numbers`."""
    kind = _strip(annotation)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return allowed_type(next(a for a in get_args(kind) if a is not type(None)))
    if origin in (list, tuple):
        return f"a list, each item {allowed_type(get_args(kind)[0])}"
    if origin is Literal:
        return "a choice"
    return "a file" if kind is Path else _WORDS[kind]


def _convert_items(value: Any, kind: Any, origin: type) -> Any:
    if isinstance(value, str):
        value = [item.strip() for item in value.strip("[]() ").split(",") if item.strip()]
    if not isinstance(value, list | tuple):
        return value
    return origin(convert(item, get_args(kind)[0]) for item in value)


def _convert_number(value: Any, kind: type) -> Any:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _strip(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _metadata(annotation: Any) -> list[Any]:
    """The constraints of every `Annotated` layer: annotated_types objects inside a FieldInfo."""
    if get_origin(annotation) is Annotated:
        inner, *infos = get_args(annotation)
        own = [m for info in infos for m in getattr(info, "metadata", ())]
        return own + _metadata(inner)
    if get_origin(annotation) in (Union, types.UnionType):
        return [m for member in get_args(annotation) for m in _metadata(member)]
    return []


def _parse(source: str, notebook: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise ParameterError(
            f"the parameters cell of {notebook} is not valid Python (line {error.lineno}: "
            f"{error.msg}); write each parameter as `name: type = default  # meaning`."
        ) from error


def _is_parameter(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.value is not None
    )


def _is_parameters_cell(source: str) -> bool:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return (
        bool(body)
        and all(_is_parameter(n) or isinstance(n, ast.Expr) for n in body)
        and any(_is_parameter(n) for n in body)
    )


def _annotation(node: ast.AnnAssign, notebook: str) -> Any:
    tree = ast.Expression(node.annotation)
    for part in ast.walk(tree):
        known = not isinstance(part, ast.Name) or part.id in ANNOTATION_NAMES
        if not isinstance(part, _ANNOTATION_NODES) or not known:
            raise ParameterError(
                f"the type of {node.target.id} in {notebook}, `{ast.unparse(node.annotation)}`, "
                f"is not understood; use {', '.join(sorted(ANNOTATION_NAMES))}."
            )
    return eval(compile(tree, "<annotation>", "eval"), {"__builtins__": {}}, ANNOTATION_NAMES)


def _default(node: ast.AnnAssign, notebook: str) -> Any:
    value = node.value
    is_path = isinstance(value, ast.Call) and ast.unparse(value.func) == "Path" and value.args
    try:
        return Path(ast.literal_eval(value.args[0])) if is_path else ast.literal_eval(value)
    except ValueError as error:
        raise ParameterError(
            f"the default of {node.target.id} in {notebook}, `{ast.unparse(value)}`, is not a "
            "plain value; write a number, a text, True, False, None, a list, or Path('…')."
        ) from error


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _meaning(node: ast.AnnAssign, comments: dict[int, str]) -> str:
    """The comments behind the lines of a parameter, which a formatter may have wrapped."""
    lines = range(node.lineno, node.end_lineno + 1)
    return " ".join(comments[line] for line in lines if line in comments)


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, Path) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
