"""The parameters cell as schema: what is read, what is converted, what is refused."""

import json
from pathlib import Path

import pytest

from channelwise.notebook.parameters import Schema, live_schema, start
from channelwise.notebook.values import ParameterError

CELL = '''"""What to study."""
depth: Annotated[int, Field(ge=1, le=200)] = 20          # layers stacked
activation: Literal["relu", "tanh"] = "relu"             # nonlinearity under study
learning_rate: Annotated[float, Field(gt=0)] = 1e-3      # Adam step size
data: Path | None = None                                 # your CSV; None = built in
shuffle: bool = True                                     # draw a new order each epoch
widths: Annotated[list[int], Field(min_length=1)] = [64] # units per layer
note: str = ""                                           # shown in the report
'''


@pytest.fixture
def schema() -> Schema:
    return Schema.from_source(CELL, "01_demo")


def test_the_cell_is_read_with_types_ranges_and_meanings(schema):
    rows = {p.name: (p.kind, p.range, p.default, p.meaning) for p in schema.parameters}
    assert rows["depth"] == ("whole number", "from 1 to 200", 20, "layers stacked")
    assert rows["activation"][:2] == ("choice", "relu | tanh")
    assert rows["learning_rate"][:3] == ("number", "greater than 0", 1e-3)
    assert rows["data"] == ("file", "", None, "your CSV; None = built in")
    assert rows["widths"][1] == "with at least 1 items"


def test_the_meaning_is_found_where_a_formatter_has_wrapped_the_line():
    source = "kappa: Annotated[float, Field(ge=1)] = (\n    100.0  # condition number\n)"
    (parameter,) = Schema.from_source(source).parameters
    assert (parameter.default, parameter.meaning) == (100.0, "condition number")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("depth", "1_0", 10),
        ("depth", 1e2, 100),
        ("depth", "1e2", 100),
        ("learning_rate", "1e-3", 1e-3),
        ("learning_rate", 1, 1.0),
        ("data", "my.csv", Path("my.csv")),
        ("data", "none", None),
        ("shuffle", "false", False),
        ("shuffle", "yes", True),
        ("widths", "8,16", [8, 16]),
        ("widths", (8, 16), [8, 16]),
        ("note", "12", "12"),
        ("note", "<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_values_and_the_texts_that_spell_them_get_their_type(schema, name, given, expected):
    found = schema.validate({name: given})[name]
    assert found == expected
    assert type(found) is type(expected) or isinstance(expected, Path)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"dpeth": 3}, "'dpeth' is no parameter of 01_demo (did you mean depth?)"),
        ({"depth": "deep"}, "depth = 'deep' is not a whole number from 1 to 200"),
        ({"depth": 0}, "depth = 0 is not a whole number from 1 to 200; the default is 20."),
        ({"depth": 2.5}, "depth = 2.5 is not"),
        ({"depth": True}, "depth = True is not"),
        ({"depth": [3]}, "depth = [3] is not a whole number"),
        ({"learning_rate": 0}, "learning_rate = 0 is not a number greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan is not a number"),
        ({"learning_rate": "NaN"}, "learning_rate = 'NaN' is not a number"),
        ({"learning_rate": "inf"}, "learning_rate = 'inf' is not a number"),
        ({"activation": "rely"}, "not one of 'relu', 'tanh' (did you mean relu?)"),
        ({"shuffle": 1}, "shuffle = 1 is not true or false"),
        ({"data": 3}, "data = 3 is not a file or None"),
        ({"data": ""}, "data = '' is not a file or None"),
        ({"widths": []}, "widths = [] is not a list"),
        ({"widths": [1, "x"]}, "widths = [1, 'x'] is not a list"),
        ({"note": 3}, "note = 3 is not a text"),
        ({"depth": None}, "depth = None is not a whole number"),
    ],
)
def test_bad_values_are_refused_in_a_sentence(schema, values, says):
    with pytest.raises(ParameterError) as caught:
        schema.validate(values)
    assert says in str(caught.value)


def test_every_bad_value_is_named_at_once(schema):
    with pytest.raises(ParameterError) as caught:
        schema.validate({"depth": 0, "shuffle": 3})
    assert "depth = 0" in str(caught.value)
    assert "shuffle = 3" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("depth = 3", "line 1 of the parameters cell of x is no parameter"),
        ("depth: int = compute()", "the default of depth in x, `compute()`"),
        ("depth: __import__('os').name = 3", "is not understood"),
        ("depth: Decimal = 3", "`Decimal`, is not understood"),
        ("depth: int = ", "not valid Python"),
        ("depth: Annotated[int, Field(ge=5)] = 3", "depth = 3 is not a whole number at least 5"),
        ("import os\ndepth: int = 3", "line 1"),
    ],
)
def test_a_parameters_cell_that_is_none_says_why(source, says):
    with pytest.raises(ParameterError) as caught:
        Schema.from_source(source, "x")
    assert says in str(caught.value)


def test_a_notebook_without_a_parameters_cell_is_refused(tmp_path):
    path = tmp_path / "plain.ipynb"
    path.write_text(json.dumps({"cells": [{"metadata": {}, "source": ["x: int = 3"]}]}))
    with pytest.raises(ParameterError, match=r"plain\.ipynb has no parameters cell; tag the cell"):
        Schema.from_notebook(path)


def test_start_writes_values_back_in_their_type():
    injected = '# Parameters\nlearning_rate = "1e-2"\n'
    namespace = {"In": ["", "import os", CELL, injected]}
    exec("from pathlib import Path; from typing import *; from pydantic import Field", namespace)
    exec(CELL, namespace)
    exec(injected, namespace)
    start(namespace)
    assert namespace["learning_rate"] == 1e-2


@pytest.mark.parametrize(("depth", "fails"), [(20, False), (0, True)])
def test_start_checks_live_values_where_cells_leave_no_history(depth, fails):
    kind = Schema.from_source(CELL)["depth"].annotation
    namespace = {"In": [""], "__annotations__": {"depth": kind}, "depth": depth}
    if not fails:
        return start(namespace)
    with pytest.raises(ParameterError, match="depth = 0 is not a whole number from 1 to 200"):
        start(namespace)


def test_start_refuses_a_name_that_plain_papermill_injected():
    namespace = {"In": ["", CELL, "# Parameters\ndpeth = 3\n"], "depth": 20}
    with pytest.raises(ParameterError, match="'dpeth' is no parameter"):
        start(namespace)


def test_without_a_parameters_cell_there_is_no_live_schema():
    with pytest.raises(ParameterError, match="run the cells above this one first"):
        live_schema({"In": ["", "x = 3"]})
