"""Labelled images: scikit-learn's real digits, or any folder with one sub-folder for each class."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from channelwise.learning.data.image_files import (
    Header,
    ImageError,
    decoded,
    headers_of,
    members_of,
)
from channelwise.learning.data.splits import Split

if TYPE_CHECKING:
    import pandas as pd


class Images(NamedTuple):
    """Images of one size and the class of each.

    Attributes:
      name: what to call them.
      source: "real" or "yours".
      x: brightness, 0 to 1.
      y: number of the class of each image.
      labels: names of the classes.
      files: path of each image below its folder, in the order of the rows; () for built-in ones.
      notes: what was done to them, in sentences.
    """

    name: str
    source: Literal["real", "yours"]
    x: Float[np.ndarray, "row height width channel"]
    y: Int[np.ndarray, " row"]
    labels: tuple[str, ...]
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.y)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.x.shape[1:]

    def describe(self) -> "pd.DataFrame":
        """One row for each class: how many images, how bright, how many repeat another exactly."""
        import pandas as pd

        flat = self.x.reshape(self.rows, -1)
        _, first = np.unique(flat, axis=0, return_index=True)
        repeats = np.setdiff1d(np.arange(self.rows), first)
        return pd.DataFrame(
            {
                "class": self.labels,
                "images": [int((self.y == k).sum()) for k in range(len(self.labels))],
                "mean brightness": [flat[self.y == k].mean() for k in range(len(self.labels))],
                "repeated": [int((self.y[repeats] == k).sum()) for k in range(len(self.labels))],
            }
        )


def digits() -> Images:
    """1,797 handwritten digits, 8 x 8 pixels, in the order of the file.

    Neighbouring rows are often by the same hand: see `split_images(..., how="blocked")`.

    Source: Alpaydin, Kaynak 1998, Optical Recognition of Handwritten Digits (UCI, CC BY 4.0; the
    part by 13 writers kept for testing), by way of scikit-learn.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    x = (data.images / 16).astype(np.float32)[..., None]
    return Images("digits", "real", x, data.target.astype(np.int32), tuple("0123456789"))


def load_images(
    folder: Path | str, *, size: tuple[int, int] | None = None, channels: int | None = None
) -> Images:
    """The images of a folder whose sub-folders are the classes.

    Every file below a sub-folder is one image of its class, in the order of the paths; names that
    begin with a dot are passed over. Any format that Pillow reads will do; of several frames the
    first is taken. Photographs are turned upright as their camera noted (EXIF).

    Args:
      folder: such as `flowers`, with `flowers/daisy/1.jpg`, `flowers/rose/a.png`, …
      size: (height, width) to bring every image to; None = they all have the same already.
      channels: 1 (brightness) or 3 (red, green, blue); None = 3 if any image has colour.

    Returns:
      Brightness from 0 (black) to 1; 8 and 16 bits are understood, transparent places are white.

    Raises:
      ImageError: if files are not readable images, sizes differ, or the classes cannot be learnt.
    """
    folder = Path(folder)
    if channels not in (None, 1, 3):
        raise ImageError(f"channels must be 1 (brightness) or 3 (colour), got {channels}.")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ImageError(f"size must be (height, width) in pixels, at least 1 each, got {size}.")
    labels, files, y = members_of(folder)
    headers = headers_of(folder, files)
    target = size or _one_size(files, [header.size for header in headers])
    channels = channels or (3 if any(header.colour for header in headers) else 1)
    _check_memory(len(files), target, channels)
    x = decoded(folder, files, target, channels)
    notes = _notes(headers, target, channels)
    return Images(folder.resolve().name, "yours", x, y, labels, files, notes)


def split_images(
    images: Images,
    *,
    validation: float = 0.0,
    test: float = 0.3,
    how: Literal["random", "blocked"] = "random",
    seed: int = 0,
) -> Split:
    """Rows to train on, to choose by and to test on; every class keeps its share in each part.

    "random" draws the rows one by one. "blocked" cuts each class, in the order of the file or of
    the paths, into runs of neighbours, so that pictures taken together (one hand, one camera, one
    folder) stay on one side: the honest way when new pictures will come from elsewhere.

    Args:
      images: from `digits` or `load_images`.
      validation: share of each class that decides choices, in [0, 1).
      test: share of each class kept for the end, in (0, 1); both together below 1.
      how: "random" or "blocked".
      seed: which rows; of a blocked split, at which place of the order the test rows begin.

    Returns:
      Row numbers, sorted.

    Raises:
      ImageError: if a share is out of its range or leaves a class without an image to train on.
    """
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ImageError(
            f"validation = {validation} and test = {test} must be shares of the images that leave "
            "some to train on, such as 0 and 0.3."
        )
    if how not in ("random", "blocked"):
        raise ImageError(f"how must be 'random' or 'blocked', got {how!r}.")
    rng = np.random.default_rng(seed)
    turn = rng.random()
    parts = ([], [], [])
    for k, label in enumerate(images.labels):
        rows = np.flatnonzero(images.y == k)
        rows = rng.permutation(rows) if how == "random" else np.roll(rows, -int(turn * len(rows)))
        n_test = max(1, round(test * len(rows)))
        n_seen = n_test + (max(1, round(validation * len(rows))) if validation else 0)
        if n_seen >= len(rows):
            raise ImageError(
                f"Class {label!r} has {len(rows)} images: {n_seen} held out leave none to train "
                "on. Add images, or lower test and validation."
            )
        cut = (rows[n_seen:], rows[n_test:n_seen], rows[:n_test])
        for part, some in zip(parts, cut, strict=True):
            part.append(some)
    return Split(*(np.sort(np.concatenate(part)) for part in parts), how)


def subset(
    images: Images, rows: Int[np.ndarray, " row"], n: int, *, seed: int = 0
) -> Int[np.ndarray, " chosen"]:
    """n of these rows, drawn at random with the classes in turn, so that each has its n/K.

    A larger n with the same seed adds rows to a smaller one and takes none away. Classes that run
    out leave their turns to the others; with fewer than n rows all are given.

    Args:
      images: they belong to.
      rows: to draw from.
      n: how many, ≥ 1.
      seed: of the draw.
    """
    drawn = np.random.default_rng(seed).permutation(rows)
    turn = np.empty(len(drawn), np.int64)
    for k in range(len(images.labels)):
        own = images.y[drawn] == k
        turn[own] = np.arange(own.sum())
    return drawn[np.argsort(turn, kind="stable")][:n]


class Normalization(NamedTuple):
    """Centre and scale of each channel.

    Attributes:
      mean: of the training images.
      scale: their standard deviation; 1 where a channel never changes.
    """

    mean: Float[np.ndarray, " channel"]
    scale: Float[np.ndarray, " channel"]

    def apply(
        self, x: Float[np.ndarray, "row height width channel"]
    ) -> Float[np.ndarray, "row height width channel"]:
        """(x - mean) / scale, float32."""
        return ((x - self.mean) / self.scale).astype(np.float32)

    @property
    def black(self) -> tuple[float, ...]:
        """What brightness 0 becomes in each channel: `fill` of an `Augmentation`."""
        return tuple(float(value) for value in -self.mean / self.scale)


def fit_normalization(x: Float[np.ndarray, "row height width channel"]) -> Normalization:
    """Mean and standard deviation of each channel over these rows and all places.

    Give it the training rows only: what the test rows say about themselves must not be known.
    """
    mean, scale = x.mean((0, 1, 2), dtype=np.float64), x.std((0, 1, 2), dtype=np.float64)
    return Normalization(
        mean.astype(np.float32), np.where(scale > 1e-6, scale, 1).astype(np.float32)
    )


def _one_size(files: tuple[str, ...], sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """The size of all images, or a sentence about the first two that differ."""
    other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if other is None:
        return sizes[0]
    (h, w), (h2, w2) = sizes[0], sizes[other]
    least = tuple(int(n) for n in np.min(sizes, axis=0))
    raise ImageError(
        f"The images have {len(set(sizes))} sizes: {files[0]} is {h} x {w} pixels (height x width) "
        f"and {files[other]} is {h2} x {w2}. Bring them to one size, such as size={least}."
    )


def _check_memory(rows: int, size: tuple[int, int], channels: int, limit: float = 8e9) -> None:
    need = 4.0 * rows * size[0] * size[1] * channels
    if need > limit:
        raise ImageError(
            f"{rows} images of {size[0]} x {size[1]} pixels and {channels} channels need "
            f"{need / 1e9:.0f} GB of memory. Make them smaller, such as size=(64, 64)."
        )


def _notes(headers: list[Header], size: tuple[int, int], channels: int) -> tuple[str, ...]:
    count = len(headers)
    resized = sum(header.size != size for header in headers)
    grey = sum(not header.colour for header in headers)
    said = {
        f"{resized} of {count} images were resized to {size[0]} x {size[1]} pixels.": resized,
        f"{grey} of {count} images are grey and were given three equal channels.": (
            grey if channels == 3 else 0
        ),
        f"{count - grey} of {count} images lost their colour (channels=1).": (
            count - grey if channels == 1 else 0
        ),
        "Transparent places were made white.": any(header.transparent for header in headers),
        "Of files with several frames the first was taken.": any(h.frames > 1 for h in headers),
    }
    return tuple(sentence for sentence, applies in said.items() if applies)
