"""What pages need to know of an executed notebook: its cells and its first figure."""

import json
from pathlib import Path
from typing import Any

from channelwise.runs import pictures


def cells_of(run_dir: Path) -> list[dict[str, Any]]:
    """The cells of a run's notebook; none if the run ended before one was saved."""
    try:
        return json.loads((run_dir / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []


def thumbnail(run_dir: Path) -> dict[str, Any] | None:
    """The first figure of a run, made small.

    Returns:
      Its data address, its description and whether colour fills it; None if there is no figure.
    """
    for cell in cells_of(run_dir):
        for output in cell.get("outputs", ()):
            png = "".join(output.get("data", {}).get("image/png", ""))
            if png:
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                return {
                    "source": pictures.thumbnail(png),
                    "alt": alt or "The first figure of this run.",
                    "filled": pictures.is_filled(png),
                }
    return None
