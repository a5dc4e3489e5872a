"""One style for every figure, and the one way to show it: with a title and an alt text.

Figures are drawn on white and stored as small palette PNGs, so that a chapter of ten figures
stays a page that loads at once.
"""

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

COLORS = [
    "#2a6fb0",  # blue
    "#d9622b",  # vermilion
    "#1f9e77",  # green
    "#b8479d",  # magenta
    "#e0a100",  # amber
    "#4cb0d9",  # sky
    "#6b4fa0",  # violet
    "#7a5230",  # brown
]
"""Eight line colours in order of use, told apart by colour-blind readers and visible on white."""
MUTED = "#8a8f98"
"""Grey for references, theory and guides."""

_DPI = 150
_STAMP_COLOR = "#b3261e"
_STAMP_LINE, _STAMP_LETTERS = 0.17, 13  # inches a line, letters an inch
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#b9bec7",
    "axes.grid": True,
    "axes.labelcolor": "#3b4049",
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.titlecolor": "#1b212b",
    "axes.titlesize": 11.5,
    "axes.titleweight": "normal",
    "figure.dpi": 100,
    "figure.titlesize": 12.5,
    "figure.titleweight": "normal",
    "font.size": 9.5,
    "grid.color": "#e6e8ec",
    "grid.linewidth": 0.8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "mathtext.fontset": "dejavusans",
    "xtick.color": "#59606b",
    "xtick.labelsize": 8.5,
    "ytick.color": "#59606b",
    "ytick.labelsize": 8.5,
}


def apply_style() -> None:
    """Sets the style for every figure drawn after it, and keeps figures from showing themselves."""
    import matplotlib
    from cycler import cycler

    matplotlib.use("agg")
    matplotlib.rcParams.update(_STYLE | {"axes.prop_cycle": cycler(color=COLORS)})


def new(
    ncols: int = 1, nrows: int = 1, *, width: float = 7.2, height: float = 3.6, **options: Any
) -> tuple["Figure", Any]:
    """An empty figure.

    Args:
        ncols: Panels side by side.
        nrows: Panels below each other.
        width: Width of the whole figure, inches.
        height: Height of the whole figure, inches.
        **options: Passed to `matplotlib.figure.Figure.subplots`, such as `sharey=True`.

    Returns:
        The figure and its axes: one, or an array of them as `subplots` gives it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(nrows, ncols, **options)


def show(figure: "Figure", *, alt: str, stamp: str = "") -> None:
    """Shows a figure as a PNG with an alternative text.

    Args:
        figure: A figure whose title states what it shows.
        alt: What one sees in it, in one or two sentences, for those who do not see it.
        stamp: A warning that belongs to the figure wherever it is copied to; it is written under
            the picture, in red, and behind the alternative text.

    Raises:
        ValueError: if the alternative text or the title is missing.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("figures.show: alt is empty; say in a sentence what the figure shows.")
    heading = title(figure)
    if not heading:
        raise ValueError("figures.show: the figure has no title; state its finding in one.")
    alt = f"{alt.strip()} {stamp}".strip()
    image = png(figure, stamp=stamp)
    width = round(figure.get_figwidth() * 100)
    display(
        {
            "image/png": base64.b64encode(image).decode(),
            "text/plain": f"Figure: {heading}",
        },
        metadata={"image/png": {"alt": alt, "width": width}},
        raw=True,
    )


def title(figure: "Figure") -> str:
    """The figure's title, or else the first title among its panels; empty if there is none."""
    candidates = [figure.get_suptitle()]
    for ax in figure.axes:
        candidates += [ax.get_title(loc) for loc in ("left", "center", "right")]
    return next((" ".join(c.split()) for c in candidates if c.strip()), "")


def png(figure: "Figure", *, dpi: int = _DPI, small: bool = True, stamp: str = "") -> bytes:
    """The figure as a palette PNG.

    Args:
        figure: The figure.
        dpi: Dots per inch.
        small: Take the time to choose the best 128 colours and pack tightly: a third of the size
            of a true-colour image. Otherwise the first good palette, in half the time.
        stamp: A warning to write under the figure.
    """
    import numpy as np
    from PIL import Image

    pixels = _pixels(figure, dpi)
    if stamp:
        below = _pixels(_strip(stamp, figure.get_figwidth()), dpi)
        pixels = np.concatenate([pixels, below[:, : pixels.shape[1]]])
    method = Image.Quantize.MEDIANCUT if small else Image.Quantize.FASTOCTREE
    image = Image.fromarray(pixels).quantize(128, method=method, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    image.save(packed, "png", optimize=small)
    return packed.getvalue()


def _pixels(figure: "Figure", dpi: int) -> "np.ndarray":
    """The figure as drawn: (row, column, colour)."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _strip(stamp: str, width: float) -> "Figure":
    """A figure of nothing but a warning, as high as its lines need."""
    import textwrap

    from matplotlib.figure import Figure

    lines = textwrap.wrap(stamp, int(width * _STAMP_LETTERS))
    figure = Figure(figsize=(width, _STAMP_LINE * (len(lines) + 1)))
    style = {"color": _STAMP_COLOR, "fontsize": 9, "fontweight": "bold", "va": "center"}
    figure.text(0.01, 0.5, "\n".join(lines), **style)
    return figure
