"""Images changed at random in ways that keep their class: one resampling, then a hole."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Images = Float[Array, "row height width channel"]
Strength = float | Float[Array, " row"]
"""One for all images, or one for each."""
Color = float | tuple[float, ...] | Float[Array, "row channel"]
"""One value for all channels, one for each channel, or these for each image."""


class Augmentation(NamedTuple):
    """Every image moved, turned, sized, mirrored and covered by its own draw: `augment=` of `fit`.

    y = cover(x ∘ A⁻¹),   A(u) = s R(θ) F u + t   about the centre;   u = (row, column)

    t ~ U(-shift, shift)², θ ~ U(-rotation, rotation), s ~ U(1 - scale, 1 + scale), F mirrors left
    and right with probability flip; all of it in one bilinear resampling. Then a square of
    `cutout` pixels, centred on a pixel drawn from the whole image, is covered. A strength of 0
    leaves the image as it is, bit for bit.

    Attributes:
      shift: most pixels in each direction, ≥ 0.
      rotation: most degrees to either side, 0 to 180.
      scale: largest change of size as a share, in [0, 0.9].
      flip: probability of a mirrored image, in [0, 1].
      cutout: side of the covered square in pixels, ≥ 0; parts of it may lie outside.
      fill: what covers the hole and comes in from outside: the value of black after normalization.

    Source: Simard, Steinkraus, Platt 2003; DeVries, Taylor 2017 (the hole).
    """

    shift: Strength = 0.0
    rotation: Strength = 0.0
    scale: Strength = 0.0
    flip: Strength = 0.0
    cutout: Strength = 0.0
    fill: Color = 0.0

    def __call__(self, key: PRNGKeyArray, x: Images, y: Any) -> tuple[Images, Any]:
        """(key, images, labels) to (changed images, the same labels); pure, for `jit` and `vmap`.

        Raises:
          ValueError: if a strength is out of its range.
        """
        self._check(x.shape[-1])
        u = jax.random.uniform(key, (7, x.shape[0]))
        if any(map(_may_act, self[:4])):
            x = resample(x, *self._places(u[:5], x.shape[1:3]), self.fill)
        if _may_act(self.cutout):
            x = cover(x, u[5:], _each(self.cutout, x.shape[0]), self.fill)
        return x, y

    def _places(
        self, u: Float[Array, "draw row"], size: tuple[int, int]
    ) -> tuple[Float[Array, "row height width"], Float[Array, "row height width"]]:
        """A⁻¹ of every pixel: the row and column of the old image that comes to lie there."""
        shift, rotation, scale, flip = (_each(s, u.shape[1]) for s in self[:4])
        down, right = (2 * u[:2] - 1) * shift[None]
        θ = jnp.deg2rad(rotation) * (2 * u[2] - 1)
        s = 1 + scale * (2 * u[3] - 1)
        mirror = jnp.where(u[4] < flip, -1.0, 1.0).astype(jnp.float32)
        cos, sin = _wide(jnp.cos(θ) / s), _wide(jnp.sin(θ) / s)
        middle = [(n - 1) / 2 for n in size]
        i = (jnp.arange(size[0], dtype=jnp.float32) - middle[0])[None, :, None] - _wide(down)
        j = (jnp.arange(size[1], dtype=jnp.float32) - middle[1])[None, None, :] - _wide(right)
        return middle[0] + cos * i + sin * j, middle[1] + _wide(mirror) * (cos * j - sin * i)

    def _check(self, channels: int) -> None:
        most = {"shift": math.inf, "rotation": 180, "scale": 0.9, "flip": 1, "cutout": math.inf}
        for name, highest in most.items():
            value = getattr(self, name)
            if isinstance(value, int | float):
                _check_range(name, value, highest)
        if isinstance(self.fill, tuple) and len(self.fill) != channels:
            raise ValueError(
                f"fill has {len(self.fill)} values for images with {channels} channels: give one "
                "for each, or one number for all."
            )


def resample(
    x: Images,
    i: Float[Array, "row height width"],
    j: Float[Array, "row height width"],
    fill: Color = 0.0,
) -> Images:
    """The images read at places between their pixels.

    y[n] = Σ_ab (1 - |i - a|)₊ (1 - |j - b|)₊ x[n, a, b],   a, b whole; x = fill outside

    Args:
      x: images.
      i: row to read for each pixel of the result; need not lie inside.
      j: column to read.
      fill: what lies outside.

    Returns:
      Images like x; exactly x where i and j are its own rows and columns.

    Numerical note: four neighbours are gathered, which is linear in the pixels at any size (17 µs
    for 50 images of 8 x 8 on one core).
    """
    rows, height, width, channels = x.shape
    outside = jnp.broadcast_to(_color(fill, x), (rows, height + 2, width + 2, channels))
    flat = outside.at[:, 1:-1, 1:-1].set(x).reshape(rows, -1, channels)
    top, left = jnp.floor(i), jnp.floor(j)
    down, right = ((a.astype(x.dtype))[..., None] for a in (i - top, j - left))

    def pixel(a: Array, b: Array) -> Array:
        a = jnp.clip(a.astype(jnp.int32) + 1, 0, height + 1)
        b = jnp.clip(b.astype(jnp.int32) + 1, 0, width + 1)
        place = (a * (width + 2) + b).reshape(rows, -1, 1)
        return jnp.take_along_axis(flat, place, axis=1).reshape(x.shape)

    above = (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
    below = (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
    return (1 - down) * above + down * below


def cover(
    x: Images,
    u: Float[Array, "direction row"],
    side: Float[Array, " row"],
    fill: Color = 0.0,
) -> Images:
    """A square of each image covered.

    Args:
      x: images.
      u: which pixel the square is centred on, as shares of height and width, in [0, 1).
      side: of the square in pixels.
      fill: its colour.
    """

    def within(pixels: int, u: Float[Array, " row"]) -> Array:
        first = jnp.floor(u * pixels) - jnp.floor(side / 2)
        at = jnp.arange(pixels, dtype=jnp.float32)[None]
        return (at >= first[:, None]) & (at < (first + side)[:, None])

    hidden = within(x.shape[1], u[0])[:, :, None] & within(x.shape[2], u[1])[:, None, :]
    return jnp.where(hidden[..., None], _color(fill, x), x)


def _may_act(strength: Strength) -> bool:
    """False for a plain 0; strengths that come with the images are known only when it runs."""
    return not isinstance(strength, int | float) or strength > 0


def _each(strength: Strength, rows: int) -> Float[Array, " row"]:
    return jnp.broadcast_to(jnp.asarray(strength, jnp.float32), (rows,))


def _wide(row: Float[Array, " row"]) -> Float[Array, "row 1 1"]:
    return row[:, None, None]


def _color(fill: Color, x: Images) -> Float[Array, "rows 1 1 color"]:
    color = jnp.asarray(fill, x.dtype)
    return color[:, None, None, :] if color.ndim == 2 else color.reshape(1, 1, 1, -1)


def _check_range(name: str, value: float, highest: float) -> None:
    if not 0 <= value <= highest:
        within = "0 or more" if highest == math.inf else f"from 0 to {highest}"
        raise ValueError(f"{name} must be {within}, got {value}.")
