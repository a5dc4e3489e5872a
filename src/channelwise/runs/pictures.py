"""Figures as pages need them: made small for the index, and known to be lines or a filled area."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL_WIDTH = 608
PAPER = 240
"""A pixel whose every channel is above this is paper."""


def thumbnail(png: str) -> str:
    """A PNG in base64 as the data address of a small one."""
    from PIL import Image

    image = _opened(png)
    image.thumbnail((THUMBNAIL_WIDTH, 2 * THUMBNAIL_WIDTH), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    image.quantize(64, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()


def is_filled(png: str) -> bool:
    """Whether colour covers so much of a figure (a map, a photograph) that it must stay as it is.

    Lines on paper are inverted where the page is dark; the colours of a map would lose their order.
    """
    try:
        image = _opened(png)
    except (OSError, ValueError):
        return False
    image.thumbnail((128, 128))
    pixels = image.tobytes()
    darkest = [min(pixels[i : i + 3]) for i in range(0, len(pixels), 3)]
    return sum(channel > PAPER for channel in darkest) < 0.62 * len(darkest)


def _opened(png: str) -> "Image":
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
