"""The figure of a sweep: one recorded result against the parameters that were varied.

One varied number becomes a line with points, one line for each choice of the other parameters;
two become a map; anything else a row of dots. Runs that differ in nothing but the seed are
repetitions: every one is drawn, and lines and maps go through their mean.
"""

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from channelwise.notebook import figures
from channelwise.notebook.outputs import short
from channelwise.runs.pages import value

Points = Sequence[tuple[Mapping[str, Any], float]]
MOST_LINES = len(figures.COLORS)


def draw(
    grid: Mapping[str, Sequence[Any]], points: Points, *, name: str, unit: str = ""
) -> tuple[bytes, str]:
    """Draws one result of a sweep.

    Args:
      grid: The values of each varied parameter, in the order typed.
      points: The parameters and the result of each good run; at least one.
      name: The result's name.
      unit: Its unit.

    Returns:
      The figure as a PNG, and its description.
    """
    figures.apply_style()
    varied = [key for key, values in grid.items() if len(values) > 1 and key != "seed"]
    if not varied:
        varied = [key for key, values in grid.items() if len(values) > 1] or list(grid)
    numeric = [key for key in varied if all(_is_number(item) for item in grid[key])]
    others = [key for key in varied if key not in numeric]
    label = f"{name} [{unit}]" if unit else name
    if len(numeric) == 1 and len(_groups(points, others)) <= MOST_LINES:
        figure, kind = _lines(points, numeric[0], others, label)
    elif len(numeric) == 2 and not others:
        figure, kind = _map(points, *numeric, label)
    else:
        figure, kind = _dots(points, varied, label)
    finding = _finding(points, varied, name)
    figure.suptitle(_plain("\n".join(textwrap.wrap(finding, 78))), x=0.01, ha="left")
    return figures.png(figure), f"{kind} of {label} against {', '.join(varied)}. {finding}."


def _lines(points: Points, key: str, others: Sequence[str], label: str) -> tuple[Any, str]:
    figure, ax = figures.new()
    for color, (group, members) in zip(
        figures.COLORS, _groups(points, others).items(), strict=False
    ):
        means = sorted(_groups(members, [key], mean=True).items())
        xs, ys = [x for (x,), _ in means], [y for _, y in means]
        ax.plot(xs, ys, marker="o", markersize=5, color=color, label=_plain(_name(others, group)))
        every_x, every_y = [p[key] for p, _ in members], [y for _, y in members]
        ax.scatter(every_x, every_y, s=12, alpha=0.4, color=color)
    if _spans([point[key] for point, _ in points], 50):
        ax.set_xscale("log")
    if _spans([result for _, result in points], 1000):
        ax.set_yscale("log")
    ax.set_xlabel(_plain(key))
    ax.set_ylabel(_plain(label))
    if others:
        ax.legend()
    return figure, "Line chart"


def _map(points: Points, x: str, y: str, label: str) -> tuple[Any, str]:
    import numpy as np

    means = _groups(points, [x, y], mean=True)
    xs, ys = sorted({a for a, _ in means}), sorted({b for _, b in means})
    cells = np.array([[means.get((a, b), np.nan) for a in xs] for b in ys])
    figure, ax = figures.new(height=1.6 + 0.5 * len(ys))
    image = ax.imshow(cells, cmap="cividis", aspect="auto", origin="lower")
    middle = (np.nanmin(cells) + np.nanmax(cells)) / 2
    for (row, column), cell in np.ndenumerate(cells):
        if np.isfinite(cell) and cells.size <= 100:
            ink = "white" if cell <= middle else "black"
            ax.text(column, row, short(cell, 3), ha="center", va="center", color=ink, fontsize=8.5)
    ax.set_xticks(range(len(xs)), [value(a) for a in xs])
    ax.set_yticks(range(len(ys)), [value(b) for b in ys])
    ax.set_xlabel(_plain(x))
    ax.set_ylabel(_plain(y))
    ax.grid(visible=False)
    figure.colorbar(image, ax=ax, label=_plain(label))
    return figure, "Map"


def _dots(points: Points, varied: Sequence[str], label: str) -> tuple[Any, str]:
    groups = _groups(points, varied)
    figure, ax = figures.new(height=min(1.4 + 0.28 * len(groups), 12))
    for row, members in enumerate(groups.values()):
        ax.scatter([y for _, y in members], [row] * len(members), s=26, color=figures.COLORS[0])
    names = [_plain(_name(varied, group)) for group in groups]
    ax.set_yticks(range(len(groups)), names, fontsize=8 if len(groups) < 30 else 6)
    ax.invert_yaxis()
    ax.set_xlabel(_plain(label))
    return figure, "Dots"


def _finding(points: Points, varied: Sequence[str], name: str) -> str:
    """The result's range and what its highest values have in common: the figure's title."""
    means = _groups(points, varied, mean=True)
    low, high = min(means.values()), max(means.values())
    if low == high:
        return f"{name} is {short(low)} everywhere"
    tops = [group for group, mean in means.items() if mean == high]
    where = ", ".join(
        f"{key}\u00a0=\u00a0{value(items[0])}"
        for key, *items in zip(varied, *tops, strict=True)
        if all(item == items[0] for item in items)
    )
    highest = f", highest at {where}" if where else ""
    return f"{name} runs from {short(low)} to {short(high)}{highest}"


def _groups(points: Points, keys: Sequence[str], *, mean: bool = False) -> dict[tuple, Any]:
    """The points by the values of some parameters: their list, or the mean of their results."""
    groups: dict[tuple, Any] = defaultdict(list)
    for parameters, result in points:
        groups[tuple(_hashable(parameters[key]) for key in keys)].append((parameters, result))
    if mean:
        return {at: sum(y for _, y in ys) / len(ys) for at, ys in groups.items()}
    return groups


def _name(keys: Sequence[str], group: Sequence[Any]) -> str:
    return ", ".join(f"{key} {value(item)}" for key, item in zip(keys, group, strict=True))


def _hashable(item: Any) -> Any:
    return tuple(item) if isinstance(item, list) else item


def _spans(values: Sequence[float], factor: float) -> bool:
    """Whether positive values span so wide a range that their logarithm is worth drawing."""
    return min(values) > 0 and max(values) / min(values) >= factor


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
