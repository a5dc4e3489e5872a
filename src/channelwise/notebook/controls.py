"""Sliders and menus for a notebook's last cell, built from its own parameters cell.

A control is made from a parameter's type and range, so that what can be moved by hand is exactly
what can be set by the runner.
"""

import html
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from channelwise.notebook import figures
from channelwise.notebook.parameters import live_schema
from channelwise.notebook.values import Parameter

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

_STEPS = 200
_REDRAW_DPI = 100


def explore(
    draw: Callable[..., "Figure"], namespace: Mapping[str, Any], names: list[str]
) -> "ipywidgets.VBox":
    """Controls for some parameters, and a figure that is redrawn when one of them moves.

    Args:
        draw: Takes the named parameters as keywords and returns a figure. It should take less
            than 200 ms: call compiled functions in it.
        namespace: The notebook's `globals()`.
        names: Parameters to control; each has a range, a choice, or is true or false.

    Returns:
        The widget to show as the cell's result.

    Raises:
        ParameterError: if a name is not a parameter.
        ValueError: if a parameter has neither range nor choice to build a control from.
    """
    import ipywidgets as widgets

    schema, _ = live_schema(namespace)
    controls = {name: control(schema[name], namespace[name]) for name in names}
    image = widgets.Image(format="png")
    image.add_class("cw-explore")
    message = widgets.HTML()

    def redraw(_change: Any = None) -> None:
        try:
            figure = draw(**{name: c.value for name, c in controls.items()})
            image.value = figures.png(figure, dpi=_REDRAW_DPI, small=False)
            image.layout.max_width, message.value = "100%", ""
        except (ValueError, FloatingPointError) as error:
            message.value = f"<em>{html.escape(str(error))}</em>"

    for item in controls.values():
        item.observe(redraw, names="value")
    redraw()
    return widgets.VBox([*controls.values(), message, image])


def control(parameter: Parameter, value: Any) -> "ipywidgets.Widget":
    """The control that fits a parameter: slider, logarithmic slider, menu or check box.

    A range that spans more than two powers of ten is moved through on a logarithmic scale.
    """
    import ipywidgets as widgets

    style = {
        "description": parameter.name,
        "tooltip": parameter.meaning,
        "style": {"description_width": "9em"},
        "layout": widgets.Layout(width="34em", max_width="100%"),
    }
    if parameter.choices:
        return widgets.Dropdown(options=parameter.choices, value=value, **style)
    if parameter.base is bool:
        return widgets.Checkbox(value=value, indent=True, **style)
    low, high = parameter.minimum, parameter.maximum
    if parameter.base not in (int, float) or low is None or high is None or value is None:
        raise ValueError(
            f"explore: {parameter.name} has no range; give it one with "
            "`Annotated[…, Field(ge=…, le=…)]`, or leave it out of the controls."
        )
    if parameter.base is int:
        return widgets.IntSlider(value=value, min=low, max=high, continuous_update=False, **style)
    if low > 0 and high / low > 100:
        ends = {"min": math.log10(low), "max": math.log10(high)}
        return widgets.FloatLogSlider(
            value=value,
            step=(ends["max"] - ends["min"]) / _STEPS,
            readout_format=".3g",
            continuous_update=False,
            **ends,
            **style,
        )
    return widgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=(high - low) / _STEPS,
        readout_format=".3g",
        continuous_update=False,
        **style,
    )
