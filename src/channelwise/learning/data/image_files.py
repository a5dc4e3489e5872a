"""Image files on disk: which there are, what they say about themselves, their pixels."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageOps

_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}
_ORIENTATION, _SIDEWAYS = 274, (5, 6, 7, 8)
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class ImageError(ValueError):
    """Images that cannot be used; the message says which, why and what to do."""


class Header(NamedTuple):
    """What an image file says before its pixels are read.

    Attributes:
      size: height and width, upright.
      colour: whether it has more than shades of grey.
      transparent: whether places can be seen through.
      frames: pictures in the file.
    """

    size: tuple[int, int]
    colour: bool
    transparent: bool
    frames: int


def members_of(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...], Int[np.ndarray, " row"]]:
    """The classes of a folder, the files of all of them in order, and the class of each file.

    Raises:
      ImageError: if there are not at least two classes with at least two files each.
    """
    advice = "Give a folder with one sub-folder for each class, such as cats/ and dogs/."
    if not folder.is_dir():
        kind = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise ImageError(f"{folder} {kind}. {advice}")
    inside = [path for path in sorted(folder.iterdir()) if not _hidden(path.name)]
    classes = [path for path in inside if path.is_dir()]
    if not classes:
        what = f"holds {len(inside)} files but no sub-folders" if inside else "is empty"
        raise ImageError(f"{folder} {what}. {advice}")
    if len(classes) == 1:
        raise ImageError(
            f"{folder} has one class only, {classes[0].name!r}: there is nothing to tell apart. "
            "Add a sub-folder with images of another class."
        )
    files = [_files_below(path) for path in classes]
    for path, own in zip(classes, files, strict=True):
        if len(own) < 2:
            found = f"one image, {own[0].name}" if own else "no images"
            raise ImageError(
                f"Class {path.name!r} has {found}: at least 2 are needed, one to train on and one "
                "to test on. Add images, or remove the folder."
            )
    y = np.repeat(np.arange(len(files), dtype=np.int32), [len(own) for own in files])
    names = tuple(path.relative_to(folder).as_posix() for own in files for path in own)
    return tuple(path.name for path in classes), names, y


def headers_of(folder: Path, files: tuple[str, ...]) -> list[Header]:
    """The header of each file, or one sentence about all that are no images."""
    return _each(folder, files, _header)


def decoded(
    folder: Path, files: tuple[str, ...], size: tuple[int, int], channels: int
) -> Float[np.ndarray, "row height width channel"]:
    """The pixels of each file from 0 to 1, or one sentence about all that are damaged."""
    x = np.empty((len(files), *size, channels), np.float32)
    rows = iter(x)

    def read(image: Image.Image) -> None:
        next(rows)[...] = _pixels(image, size, channels)

    _each(folder, files, read)
    return x


def _each(folder: Path, files: tuple[str, ...], use: Callable[[Image.Image], Any]) -> list:
    """What `use` makes of each opened file; what cannot be used is gathered and told at once."""
    results, wrong = [], []
    for file in files:
        try:
            results.append(_opened(folder / file, use))
        except ImageError as error:
            wrong.append(f"{file} {error}")
    if wrong:
        listed = "; ".join(wrong[:5]) + ("; …" if len(wrong) > 5 else "")
        raise ImageError(
            f"{len(wrong)} of {len(files)} files in {folder} cannot be used: {listed}. "
            "Remove or replace them."
        )
    return results


def _opened(path: Path, use: Callable[[Image.Image], Any]) -> Any:
    """`use` of an opened image; whatever Pillow has to say against it as half a sentence."""
    if path.stat().st_size == 0:
        raise ImageError("is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return use(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageError(
            f"claims more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels, which could "
            "fill the memory (shrink it with an image editor)"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError("is not an image that Pillow can read") from error
    except ImageError:
        raise
    except Exception as error:  # what a damaged file raises depends on the format and the damage
        raise ImageError(f"is damaged ({str(error).strip() or type(error).__name__})") from error


def _header(image: Image.Image) -> Header:
    width, height = image.size
    if image.mode == "F":
        raise ImageError("holds decimal numbers of unknown range (save it with 8 or 16 bits)")
    if image.getexif().get(_ORIENTATION) in _SIDEWAYS:
        width, height = height, width
    palette = image.getpalette() if image.mode in ("P", "PA") else None
    grey = image.mode in ("1", "L", "LA", "La", *_DEEP) or (palette and _is_grey(palette))
    frames = getattr(image, "n_frames", 1)
    return Header((height, width), not grey, image.has_transparency_data, frames)


def _is_grey(palette: list[int]) -> bool:
    red, green, blue = palette[::3], palette[1::3], palette[2::3]
    return red == green == blue


def _pixels(
    image: Image.Image, size: tuple[int, int], channels: int
) -> Float[np.ndarray, "height width channel"]:
    """Upright, of this size, transparent places white, as numbers from 0 to 1."""
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP:
        return _deep_pixels(image, size, channels)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32) / np.float32(255)
    return pixels.reshape(*size, channels)


def _deep_pixels(
    image: Image.Image, size: tuple[int, int], channels: int
) -> Float[np.ndarray, "height width channel"]:
    """Shades of grey with 16 bits, which Pillow's own conversions would cut off at 255."""
    values = np.asarray(image).astype(np.float32)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError("holds numbers outside 0 … 65535 (save it with 8 or 16 bits)")
    image = Image.fromarray(values / np.float32(65535))
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(image)[..., None], channels, axis=-1)


def _files_below(folder: Path) -> list[Path]:
    """All files at any depth, in the order of their paths; none that is hidden."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(map(_hidden, path.relative_to(folder).parts)))


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER
