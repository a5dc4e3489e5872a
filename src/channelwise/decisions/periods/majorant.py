"""Concave majorants of curves on an interval: the tightest concave function above a curve.

An S-shaped curve is replaced, from the interval's left end to where a straight line from there
touches it, by that line; the rest of it is concave already. A curve that counts negatively bends
the other way: it is followed up to where a line to the interval's right end touches it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

_HALVINGS = 50

Shape = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""φ, φ′ and φ″ at z."""


@dataclass(frozen=True, eq=False)
class Majorant:
    """A curve with a line in place of a part of it; to be multiplied by its signed amplitude.

    Attributes:
      touch: where line and curve meet.
      left: whether the line is on the left of it (else on the right).
      anchor: a point of the line: the interval's end on that side.
      height: of the line there.
      rise: slope of the line.
    """

    touch: Float[np.ndarray, "draw geo horizon"]
    left: Bool[np.ndarray, "draw geo #horizon"]
    anchor: Float[np.ndarray, "draw geo horizon"]
    height: Float[np.ndarray, "draw geo horizon"]
    rise: Float[np.ndarray, "draw geo horizon"]

    def values(self, z: np.ndarray, phi: np.ndarray) -> Float[np.ndarray, "draw geo horizon"]:
        """The majorant at z, where the curve is φ."""
        return np.where(self._on_line(z), self.height + self.rise * (z - self.anchor), phi)

    def derivatives(
        self, z: np.ndarray, phi: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The majorant and its derivatives at z, where those of the curve are given."""
        line = self._on_line(z)
        value = np.where(line, self.height + self.rise * (z - self.anchor), phi)
        return value, np.where(line, self.rise, first), np.where(line, 0.0, second)

    def _on_line(self, z: np.ndarray) -> np.ndarray:
        return np.where(self.left, z < self.touch, z > self.touch)


def majorant(
    shape: Shape,
    low: Float[np.ndarray, "draw geo horizon"],
    high: Float[np.ndarray, "draw geo horizon"],
    power: Float[np.ndarray, "draw geo horizon"],
    sign: Float[np.ndarray, "draw geo 1"],
) -> Majorant:
    """The concave majorant of sign · φ on [low, high], written as one of φ.

    φ is convex up to its inflection and concave from there (power n > 1), or concave (n ≤ 1).

    Args:
      shape: φ and its derivatives.
      low: left ends, ≥ 0.
      high: right ends, ≥ low.
      power: n.
      sign: 1, −1 or 0 of the amplitude.

    Numerical note: a point of touching that is wrong by δ leaves the line too low by O(δ²); with δ
    a 2⁻⁵⁰th of the interval that is below rounding.
    """
    left, bends = sign >= 0, power > 1
    inflection = _inflection(shape, low, high)
    end = np.where(left, low, high)
    at_end = shape(end)[0]
    near, far = np.where(left, inflection, low), np.where(left, high, inflection)
    for _ in range(_HALVINGS):
        p = 0.5 * (near + far)
        phi, first, _ = shape(p)
        beyond = phi + first * (end - p) > at_end  # the tangent at p passes above the end
        near, far = np.where(beyond, near, p), np.where(beyond, p, far)
    touch = np.where(bends, far, low)
    phi, first, _ = shape(touch)
    meets = touch == end
    rise = np.where(meets, first, (at_end - phi) / np.where(meets, 1.0, end - touch))
    return Majorant(touch, left, end, at_end, rise)


def _inflection(shape: Shape, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where φ turns from convex to concave within [low, high]: an end if it does not."""
    near, far = low.copy(), high.copy()
    for _ in range(_HALVINGS):
        p = 0.5 * (near + far)
        convex = shape(p)[2] > 0
        near, far = np.where(convex, p, near), np.where(convex, far, p)
    return far
