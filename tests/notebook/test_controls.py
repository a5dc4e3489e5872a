"""Controls are built from the parameters cell's own types and ranges."""

import ipywidgets as widgets
import pytest

from channelwise.notebook import explore, figures
from channelwise.notebook.controls import control
from channelwise.notebook.parameters import Schema

CELL = """depth: Annotated[int, Field(ge=1, le=200)] = 20  # layers
gain: Annotated[float, Field(ge=0.5, le=3)] = 1.0  # weight scale
rate: Annotated[float, Field(ge=1e-5, le=1)] = 1e-3  # step
kind: Literal["relu", "tanh"] = "relu"  # activation
bias: bool = False  # with bias
seed: int = 0  # no range
"""


@pytest.fixture
def schema() -> Schema:
    return Schema.from_source(CELL)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("depth", 20, widgets.IntSlider),
        ("gain", 1.0, widgets.FloatSlider),
        ("rate", 1e-3, widgets.FloatLogSlider),
        ("kind", "relu", widgets.Dropdown),
        ("bias", False, widgets.Checkbox),
    ],
)
def test_the_control_fits_the_parameter(schema, name, value, expected):
    item = control(schema[name], value)
    assert type(item) is expected
    assert item.value == pytest.approx(value) if isinstance(value, float) else item.value == value


def test_a_parameter_without_range_has_no_control(schema):
    with pytest.raises(ValueError, match="seed has no range"):
        control(schema["seed"], 0)


def test_moving_a_control_redraws_the_figure():
    seen = []

    def draw(depth, kind):
        seen.append((depth, kind))
        figure, ax = figures.new()
        ax.plot([0, depth])
        return figure

    box = explore(draw, {"In": [CELL], "depth": 20, "kind": "relu"}, ["depth", "kind"])
    image = box.children[-1]
    before = image.value
    box.children[0].value = 30
    assert seen == [(20, "relu"), (30, "relu")]
    assert image.value != before
