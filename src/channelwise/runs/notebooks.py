"""What pages need to know of an executed notebook: its cells and its first figure."""

import base64
import io
import json
from pathlib import Path
from typing import Any

THUMBNAIL_WIDTH = 544


def cells_of(run_dir: Path) -> list[dict[str, Any]]:
    """The cells of a run's notebook; none if the run ended before one was saved."""
    try:
        return json.loads((run_dir / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []


def thumbnail(run_dir: Path) -> tuple[str, str] | None:
    """The first figure of a run, made small.

    Returns:
      A data address and the figure's description, or None if there is no figure.
    """
    for cell in cells_of(run_dir):
        for output in cell.get("outputs", ()):
            png = output.get("data", {}).get("image/png")
            if png:
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                return _small("".join(png)), alt or "The first figure of this run."
    return None


def _small(png: str) -> str:
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.thumbnail((THUMBNAIL_WIDTH, 2 * THUMBNAIL_WIDTH), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    image.quantize(64, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
