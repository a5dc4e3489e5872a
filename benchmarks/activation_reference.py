"""High-precision activations and first derivatives, in NumPy alone.

Written from the definitions, not from the formulas of the library: the two share no code. Every
function takes float64 or 80-bit long double inputs and returns (value, derivative) in that type
(the normal tail of gelu has float64 digits). Neither form cancels, except for a derivative within
1e-8 of its root, so float64 is exact to far below a float32 unit in the last place.
"""

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
from scipy.special import erfc

Pair = tuple[np.ndarray, np.ndarray]
SELU_SCALE = np.longdouble("1.0507009873554804934193349852946")
SELU_ALPHA = np.longdouble("1.6732632423543772848170429916717")


def _gates(x: np.ndarray) -> Pair:
    """sigmoid(x) and sigmoid(-x)."""
    z = np.exp(-np.abs(x))
    large = 1 / (1 + z)
    small = z * large
    return np.where(x >= 0, large, small), np.where(x >= 0, small, large)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: np.ndarray) -> Pair:
    s, r = _gates(x)
    return s, s * r


def log_sigmoid(x: np.ndarray) -> Pair:
    return -_softplus(-x), _gates(x)[1]


def softplus(x: np.ndarray) -> Pair:
    return _softplus(x), _gates(x)[0]


def tanh(x: np.ndarray) -> Pair:
    s, r = _gates(2 * x)
    return np.tanh(x), 4 * s * r


def hard_tanh(x: np.ndarray) -> Pair:
    return np.clip(x, -1, 1), (np.abs(x) <= 1).astype(x.dtype)


def relu(x: np.ndarray) -> Pair:
    return np.maximum(x, 0), (x > 0).astype(x.dtype)


def leaky_relu(x: np.ndarray, negative_slope: float = float(np.float32(0.01))) -> Pair:
    slope = np.where(x > 0, 1, x.dtype.type(negative_slope))
    return slope * x, slope


def elu(x: np.ndarray, alpha: float = 1.0) -> Pair:
    a = np.minimum(x, 0)
    return np.where(x > 0, x, alpha * np.expm1(a)), np.where(x > 0, 1, alpha * np.exp(a))


def selu(x: np.ndarray) -> Pair:
    scale, alpha = x.dtype.type(SELU_SCALE), x.dtype.type(SELU_ALPHA)
    value, slope = elu(x, alpha)
    return scale * value, scale * slope


def silu(x: np.ndarray) -> Pair:
    s, r = _gates(x)
    return x * s, s * (1 + x * r)


def gelu(x: np.ndarray) -> Pair:
    x = np.clip(x, -1e3, None)
    cdf = 0.5 * erfc(-x.astype(np.float64) * sqrt(0.5)).astype(x.dtype)
    t = np.minimum(np.abs(x), 1e3)
    return x * cdf, cdf + np.sign(x) * t * np.exp(-t * t / 2) / x.dtype.type(sqrt(2 * pi))


def gelu_tanh(x: np.ndarray) -> Pair:
    c = 2 * np.sqrt(x.dtype.type(2) / np.arccos(x.dtype.type(-1)))
    cube = x.dtype.type(np.longdouble("0.044715"))
    x2 = x * x
    w = c * x * (1 + cube * x2)
    s, r = _gates(w)
    dw = np.where(r * s > 0, c * x * (1 + 3 * cube * x2), 0)
    return x * s, s * (1 + dw * r)


def mish(x: np.ndarray) -> Pair:
    p = _softplus(x)
    t = np.tanh(p)
    s, r = _gates(2 * p)
    return x * t, t + x * (4 * s * r) * _gates(x)[0]


def softsign(x: np.ndarray) -> Pair:
    r = 1 / (1 + np.abs(x))
    return x * r, r * r


REFERENCES: dict[str, Callable[[np.ndarray], Pair]] = {
    f.__name__: f
    for f in (
        *(sigmoid, log_sigmoid, tanh, hard_tanh, relu, leaky_relu, elu, selu),
        *(softplus, silu, gelu, gelu_tanh, mish, softsign),
    )
}


def ulp_error(got: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Distance of float32 results from the truth (float64), in float32 units of the truth.

    A unit is 2^(e - 23) for 2^e <= |true| < 2^(e + 1). NaN, or an infinity where the truth is
    finite, is infinitely far. Where the truth is no normal float32 nothing is asked: distance 0.
    """
    power = np.abs(true).view(np.int64) & np.int64(0x7FF0000000000000)
    with np.errstate(all="ignore"):
        error = np.abs(got - true) / (power.view(np.float64) * 2.0**-23)
    error = np.where(np.isnan(error), np.inf, error)
    size = np.abs(true)
    return np.where((size >= 2.0**-126) & (size < 2.0**128 - 2.0**103), error, 0.0)


def stratified_float32(count: int, seed: int = 0) -> np.ndarray:
    """One float32 from each of `count` equal intervals of bit patterns: every binade alike."""
    step = 2**32 // count
    offset = np.random.default_rng(seed).integers(0, step, count)
    patterns = (np.arange(count, dtype=np.uint64) * step + offset.astype(np.uint64)).astype(
        np.uint32
    )
    return patterns.view(np.float32)
