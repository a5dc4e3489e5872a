"""Figures carry a title and an alt text, and stay small."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from channelwise.notebook import figures


@pytest.fixture
def shown(monkeypatch) -> list[tuple[dict, dict]]:
    """What would be displayed: each output's data and metadata."""
    found = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, metadata, raw: found.append((data, metadata))
    )
    return found


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_a_figure_without_alt_text_or_title_is_refused():
    figure, ax = figures.new()
    with pytest.raises(ValueError, match="alt is empty"):
        figures.show(figure, alt=" ")
    with pytest.raises(ValueError, match="no title"):
        figures.show(figure, alt="A line.")
    ax.set_title("The line rises")
    assert figures.title(figure) == "The line rises"


@pytest.mark.parametrize("small", [True, False])
def test_a_png_is_a_small_palette_image_of_the_asked_size(small):
    figures.apply_style()
    figure, ax = figures.new(width=6, height=3)
    ax.plot([0, 1], [0, 1])
    data = figures.png(figure, dpi=100, small=small)
    image = Image.open(io.BytesIO(data))
    assert image.size == (600, 300)
    assert image.mode == "P"
    assert len(data) < 20_000


@pytest.mark.parametrize("words", [1, 60])
def test_a_stamp_is_written_under_the_picture_and_into_its_description(shown, words):
    figures.apply_style()
    figure, ax = figures.new(width=6, height=3)
    ax.set_title("The line rises")
    plain = pixels(figures.png(figure))
    stamp = "OVERRIDDEN: " + " ".join(["reason"] * words)
    figures.show(figure, alt="A line.", stamp=stamp)
    ((bundle, metadata),) = shown
    stamped = pixels(base64.b64decode(bundle["image/png"]))
    added = len(stamped) - len(plain)
    assert metadata["image/png"]["alt"] == f"A line. {stamp}"
    assert (stamped[-added:].std(axis=(0, 1)) > 5).all()  # something is written there,
    assert (stamped[-2:] == 255).all() and (stamped[:, -2:] == 255).all()  # none of it cut off
    assert np.abs(stamped[:-added] - plain).max() < 60  # and the picture stands as it stood
