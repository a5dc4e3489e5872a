"""A parameters cell, read as text: nothing in it is run.

Each line is `name: type = default  # meaning`. The types are evaluated from a closed list of names.
"""

import ast
import io
import tokenize
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from channelwise.notebook.values import Parameter, ParameterError

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


def read_parameters(source: str, notebook: str) -> tuple[Parameter, ...]:
    """The parameters of a cell, in its order.

    Args:
        source: The cell's text.
        notebook: The notebook's name, for the errors.

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
    return tuple(parameters)


def is_parameters_cell(source: str) -> bool:
    """Whether a cell holds parameters and nothing else."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return (
        bool(body)
        and all(_is_parameter(n) or isinstance(n, ast.Expr) for n in body)
        and any(_is_parameter(n) for n in body)
    )


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
