"""The page of a sweep: what was varied against what came out, as a table and a figure."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from channelwise.runs import manifest as manifests
from channelwise.runs.pages import write_page
from channelwise.runs.pictures import address, is_filled
from channelwise.runs.prose import Prose
from channelwise.runs.sweepfigure import draw

MOST_FIGURES = 6


def render_sweep(sweep_dir: Path) -> None:
    """Writes a sweep's `report.html` from its `manifest.json`.

    Args:
      sweep_dir: The folder of one sweep.

    Raises:
      ManifestError: The folder has no readable manifest.
    """
    sweep = manifests.read(sweep_dir)
    names = _result_names(sweep)
    moved = [name for name in names if _moves(_numbers(sweep, name), names[name])]
    write_page(
        sweep_dir / "report.html",
        "sweep.html",
        sweep=sweep,
        title=Prose(strict=False).render_line(sweep["title"]),
        varied={name: all(map(is_number, values)) for name, values in sweep["grid"].items()},
        names=names,
        points=[_row(sweep_dir, point, names) for point in sweep["points"]],
        good=sum(point["status"] == "succeeded" for point in sweep["points"]),
        figures=[_figure(sweep, name, names[name]["unit"]) for name in moved[:MOST_FIGURES]],
        undrawn=moved[MOST_FIGURES:],
        still=[name for name in names if _numbers(sweep, name) and name not in moved],
        home="../../index.html",
        ledger="../../ledger.html",
    )


def _result_names(sweep: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every recorded result, in the order recorded, as the first point that has it stated it."""
    names: dict[str, dict[str, Any]] = {}
    for point in sweep["points"]:
        for result in point["results"] or ():
            names.setdefault(result["name"], result)
    return names


def _moves(numbers: list[tuple[dict[str, Any], float]], result: Mapping[str, Any]) -> bool:
    """Whether a result differs between the points by more than its tolerance."""
    values = [number for _, number in numbers]
    size = max(map(abs, values), default=0.0)
    return bool(values) and max(values) - min(values) > result["atol"] + result["rtol"] * size


def _row(sweep_dir: Path, point: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    page = f"{point['folder']}/report.html"
    values = {result["name"]: result["value"] for result in point["results"] or ()}
    return {
        "parameters": point["parameters"],
        "values": [values.get(name) for name in names],
        "status": point["status"],
        "message": point["message"],
        "href": quote(page) if (sweep_dir / page).exists() else "",
        "wall_s": (point["cost"] or {}).get("wall_s"),
    }


def _numbers(sweep: Mapping[str, Any], name: str) -> list[tuple[dict[str, Any], float]]:
    """The parameters and the value of each good point that recorded this result as a number."""
    return [
        (point["parameters"], float(result["value"]))
        for point in sweep["points"]
        if point["status"] == "succeeded"
        for result in point["results"] or ()
        if result["name"] == name and is_number(result["value"])
    ]


def is_number(value: Any) -> bool:
    """A finite number; truth values are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _figure(sweep: Mapping[str, Any], name: str, unit: str) -> dict[str, Any]:
    png, alt = draw(sweep["grid"], _numbers(sweep, name), name=name, unit=unit)
    data = base64.b64encode(png).decode()
    return {"source": address(data), "alt": alt, "filled": is_filled(data)}
