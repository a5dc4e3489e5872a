"""Figures carry a title and an alt text, and stay small."""

import io

import pytest
from PIL import Image

from channelwise.notebook import figures


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
