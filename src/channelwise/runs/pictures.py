"""Figures as pages need them: light, made small for the index, known to be lines or a filled area.

The notebooks hold PNGs. In a page a figure is a lossless WebP of 32 colours fitted to it, which
every browser since 2020 draws: a third less than the PNG, and to the eye the same.
"""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

COLORS = 32
THUMBNAIL_WIDTH = 608
PAPER = 240
"""A pixel whose every channel is above this is paper."""


def address(png: str) -> str:
    """A PNG in base64 as a data address that is as short as it can be without looking worse."""
    try:
        image = _opened(png)
    except (OSError, ValueError):
        return f"data:image/png;base64,{png}"
    return min(_webp(image), f"data:image/png;base64,{png}", key=len)


def thumbnail(png: str) -> str | None:
    """A PNG in base64 as the data address of a small picture; None if it cannot be read."""
    from PIL.Image import Resampling

    try:
        image = _opened(png)
    except (OSError, ValueError):
        return None
    image.thumbnail((THUMBNAIL_WIDTH, 2 * THUMBNAIL_WIDTH), Resampling.LANCZOS)
    return _webp(image)


def is_filled(png: str) -> bool:
    """Whether colour covers so much of a figure (a map, a photograph) that it must stay as it is.

    Lines on paper are inverted where the page is dark; the colours of a map would lose their order.
    """
    try:
        return _is_filled(_opened(png))
    except (OSError, ValueError):
        return False


def _is_filled(image: "Image") -> bool:
    image = image.copy()
    image.thumbnail((128, 128))
    pixels = image.tobytes()
    darkest = [min(pixels[i : i + 3]) for i in range(0, len(pixels), 3)]
    return sum(channel > PAPER for channel in darkest) < 0.62 * len(darkest)


def _webp(image: "Image") -> str:
    from PIL.Image import Dither

    if not _is_filled(image):
        image = image.quantize(COLORS, kmeans=2, dither=Dither.NONE).convert("RGB")
    packed = io.BytesIO()
    image.save(packed, "webp", lossless=True, quality=50, method=4)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()


def _opened(png: str) -> "Image":
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
