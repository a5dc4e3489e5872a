"""One parameter: its type, its range in words, and the values it allows.

A value may come as itself or as the text that spells it (`"1e-3"` from a YAML file, `"true"` from a
command line). It is converted where nothing is lost by it, and then held to its type strictly.
"""

import difflib
import math
import types
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

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
            hint = nearest(str(value), [str(c) for c in self.choices])
            raise ParameterError(
                f"{self.name} = {short(value)} is not {self.allowed}{hint}; "
                f"the default is {short(self.default)}."
            ) from error

    @cached_property
    def _adapter(self) -> TypeAdapter:
        return TypeAdapter(self.annotation, config=_STRICT)


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


def nearest(word: str, known: list[str]) -> str:
    """The known word a mistyped one resembles, as ` (did you mean …?)`; empty if none does."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""


def short(value: Any) -> str:
    """A value as an error names it: written out, and cut at 60 characters."""
    text = str(value) if isinstance(value, Path) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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
