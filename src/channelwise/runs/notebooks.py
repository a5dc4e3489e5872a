"""What pages need to know of an executed notebook: its cells, their kinds, its first figure."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from channelwise.runs import pictures
from channelwise.runs.printed import text_of


def cells_of(run_dir: Path) -> list[dict[str, Any]]:
    """The cells of a run's notebook; none if the run ended before one was saved."""
    try:
        return json.loads((run_dir / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []


def thumbnail(run_dir: Path) -> dict[str, Any] | None:
    """The first figure of a run, made small.

    Returns:
      Its data address, its description and whether colour fills it; None if there is none.
    """
    for cell in cells_of(run_dir):
        for output in cell.get("outputs", ()):
            png = "".join(output.get("data", {}).get("image/png", ""))
            small = pictures.thumbnail(png) if png else None
            if small:
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                return {
                    "source": small,
                    "alt": alt or "The first figure of this run.",
                    "filled": pictures.is_filled(png),
                }
    return None


def is_code(cell: Mapping[str, Any]) -> bool:
    """Whether a cell is code that a run executes."""
    tags = cell.get("metadata", {}).get("tags", [])
    return (
        cell["cell_type"] == "code"
        and "explore" not in tags
        and bool(text_of(cell["source"]).strip())
    )


def last_executed(cells: Sequence[Mapping[str, Any]]) -> int:
    """Index of the last cell that was executed; -1 if none was."""
    executed = [i for i, cell in enumerate(cells) if cell.get("execution_count") is not None]
    return max(executed, default=-1)


def last_setup_cell(cells: Sequence[Mapping[str, Any]]) -> int:
    """Index of the cell that calls `start`, else of the last parameters cell, else -1."""
    last = -1
    for index, cell in enumerate(cells):
        if not is_code(cell):
            continue
        tags = cell.get("metadata", {}).get("tags", [])
        if "parameters" in tags or "injected-parameters" in tags:
            last = index
        elif re.search(r"^start\(", text_of(cell["source"]), re.MULTILINE):
            return index
    return last
