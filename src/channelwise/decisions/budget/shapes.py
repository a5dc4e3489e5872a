"""The forms of saturation with two derivatives, elementwise: φ(z) through w = zⁿ.

    φ′ = n w φ_w / z,   φ″ = φ′ (n − 1 − 2 n κ)/z,   κ = −½ w φ_ww / φ_w

    hill    φ = w/(1 + w)   κ = φ
    tanh    φ = tanh w      κ = w φ
    power   φ = w           κ = 0

Written with κ, nothing cancels as z → 0.
"""

from typing import NamedTuple

import numpy as np

TINY = 1e-100
"""Stands for no media at all where a slope is needed."""


class Form(NamedTuple):
    """φ, and what its derivatives are made of."""

    value: np.ndarray
    first: np.ndarray  # w φ_w
    kappa: np.ndarray


def _hill(w: np.ndarray) -> Form:
    phi = w / (1 + w)
    return Form(phi, phi / (1 + w), phi)


def _tanh(w: np.ndarray) -> Form:
    phi, w = np.tanh(w), np.minimum(w, 350.0)  # beyond it the slope is 0 to the last digit
    return Form(phi, w / np.cosh(w) ** 2, w * phi)


def _linear(w: np.ndarray) -> Form:
    return Form(w, w, np.zeros_like(w))


FORMS = {"hill": _hill, "tanh": _tanh, "power": _linear}
"""Each form as a function of w = zⁿ."""


def value(form: str, z: np.ndarray, n: np.ndarray) -> np.ndarray:
    """φ(z; n).

    Args:
      form: one of `FORMS`.
      z: media ≥ 0 over the scale of the curve.
      n: the power, > 0, broadcast against z.
    """
    return FORMS[form](_power(z, n)).value


def shape(form: str, z: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """φ, φ′ and φ″ at z; arguments as in `value`."""
    z = np.maximum(z, TINY)
    phi, first, kappa = FORMS[form](_power(z, n))
    first = n * first / z
    return phi, first, first * ((n - 1 - 2 * n * kappa) / z)


def _power(z: np.ndarray, n: np.ndarray) -> np.ndarray:
    if (n == 1).all():
        return z
    with np.errstate(divide="ignore"):
        return np.exp(np.minimum(n * np.log(z), 700))
