"""One style for every figure, and the one way to show it: with a title and an alt text.

Figures are drawn on white and stored as small palette PNGs, so that a chapter of ten figures
stays a page that loads at once.
"""

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    if stamp:
        _write_below(figure, stamp)
        alt = f"{alt.strip()} {stamp}"
    image = png(figure)
    width = round(figure.get_figwidth() * 100)
    display(
        {
            "image/png": base64.b64encode(image).decode(),
            "text/plain": f"Figure: {heading}",
        },
        metadata={"image/png": {"alt": alt.strip(), "width": width}},
        raw=True,
    )


def _write_below(figure: "Figure", stamp: str) -> None:
    """Lengthens a figure by the lines of a warning, so that nothing of it is covered."""
    import textwrap

    width, height = figure.get_size_inches()
    lines = textwrap.wrap(stamp, int(width * _STAMP_LETTERS))
    added = _STAMP_LINE * (len(lines) + 0.5)
    figure.set_size_inches(width, height + added)
    share = added / (height + added)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, share, 1, 1 - share))
    style = {"color": _STAMP_COLOR, "fontsize": 9, "fontweight": "bold", "in_layout": False}
    figure.text(0.01, share * 0.9, "\n".join(lines), va="top", **style)


def title(figure: "Figure") -> str:
    """The figure's title, or else the first title among its panels; empty if there is none."""
    candidates = [figure.get_suptitle()]
    for ax in figure.axes:
        candidates += [ax.get_title(loc) for loc in ("left", "center", "right")]
    return next((" ".join(c.split()) for c in candidates if c.strip()), "")


def png(figure: "Figure", *, dpi: int = _DPI, small: bool = True) -> bytes:
    """The figure as a palette PNG.

    Args:
        figure: The figure.
        dpi: Dots per inch.
        small: Take the time to choose the best 128 colours and pack tightly: a third of the size
            of a true-colour image. Otherwise the first good palette, in half the time.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    method = Image.Quantize.MEDIANCUT if small else Image.Quantize.FASTOCTREE
    image = Image.fromarray(pixels).quantize(128, method=method, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    image.save(packed, "png", optimize=small)
    return packed.getvalue()
