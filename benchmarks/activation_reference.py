"""High-precision activations and first derivatives.

Written from the definitions, not from the formulas of the library: the two share no code. Every
function takes float64 or 80-bit long double inputs and returns (value, derivative) in that type
(the normal tail of gelu has float64 digits). Neither form cancels, except for a derivative within
1e-8 of its root, so float64 is exact to far below a float32 unit in the last place. With
`xp = jax.numpy` the same definitions run compiled in float64, for the exhaustive check.
"""

from collections.abc import Callable
from math import pi, sqrt
from types import ModuleType

import jax
import numpy as np
from scipy.special import erfc

Array = np.ndarray | jax.Array
Pair = tuple[Array, Array]
SMALLEST, LARGEST = 2.0**-126, 2.0**128 - 2.0**103  # what rounds to a normal float32
SELU_SCALE = np.longdouble("1.0507009873554804934193349852946")
SELU_ALPHA = np.longdouble("1.6732632423543772848170429916717")


def _gates(x: Array, xp: ModuleType = np) -> Pair:
    """sigmoid(x) and sigmoid(-x)."""
    z = xp.exp(-xp.abs(x))
    large = 1 / (1 + z)
    small = z * large
    return xp.where(x >= 0, large, small), xp.where(x >= 0, small, large)


def _softplus(x: Array, xp: ModuleType = np) -> Array:
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def sigmoid(x: Array, xp: ModuleType = np) -> Pair:
    s, r = _gates(x, xp)
    return s, s * r


def log_sigmoid(x: Array, xp: ModuleType = np) -> Pair:
    return -_softplus(-x, xp), _gates(x, xp)[1]


def softplus(x: Array, xp: ModuleType = np) -> Pair:
    return _softplus(x, xp), _gates(x, xp)[0]


def tanh(x: Array, xp: ModuleType = np) -> Pair:
    s, r = _gates(2 * x, xp)
    return xp.tanh(x), 4 * s * r


def hard_tanh(x: Array, xp: ModuleType = np) -> Pair:
    return xp.clip(x, -1, 1), (xp.abs(x) <= 1).astype(x.dtype)


def relu(x: Array, xp: ModuleType = np) -> Pair:
    return xp.maximum(x, 0), (x > 0).astype(x.dtype)


def leaky_relu(
    x: Array, xp: ModuleType = np, negative_slope: float = float(np.float32(0.01))
) -> Pair:
    slope = xp.where(x > 0, 1, x.dtype.type(negative_slope))
    return slope * x, slope


def elu(x: Array, xp: ModuleType = np, alpha: float = 1.0) -> Pair:
    a = xp.minimum(x, 0)
    return xp.where(x > 0, x, alpha * xp.expm1(a)), xp.where(x > 0, 1, alpha * xp.exp(a))


def selu(x: Array, xp: ModuleType = np) -> Pair:
    scale, alpha = x.dtype.type(SELU_SCALE), x.dtype.type(SELU_ALPHA)
    value, slope = elu(x, xp, alpha)
    return scale * value, scale * slope


def silu(x: Array, xp: ModuleType = np) -> Pair:
    s, r = _gates(x, xp)
    return x * s, s * (1 + x * r)


def _erfc(x: Array, xp: ModuleType) -> Array:
    return erfc(x) if xp is np else jax.lax.erfc(x)


def gelu(x: Array, xp: ModuleType = np) -> Pair:
    x = xp.clip(x, -1e3, None)
    cdf = 0.5 * _erfc(-x.astype(np.float64) * sqrt(0.5), xp).astype(x.dtype)
    t = xp.minimum(xp.abs(x), 1e3)
    return x * cdf, cdf + xp.sign(x) * t * xp.exp(-t * t / 2) / x.dtype.type(sqrt(2 * pi))


def gelu_tanh(x: Array, xp: ModuleType = np) -> Pair:
    c = 2 * xp.sqrt(x.dtype.type(2) / xp.arccos(x.dtype.type(-1)))
    cube = x.dtype.type(np.longdouble("0.044715"))
    x2 = x * x
    w = c * x * (1 + cube * x2)
    s, r = _gates(w, xp)
    dw = xp.where(r * s > 0, c * x * (1 + 3 * cube * x2), 0)
    return x * s, s * (1 + dw * r)


def mish(x: Array, xp: ModuleType = np) -> Pair:
    p = _softplus(x, xp)
    t = xp.tanh(p)
    s, r = _gates(2 * p, xp)
    return x * t, t + x * (4 * s * r) * _gates(x, xp)[0]


def softsign(x: Array, xp: ModuleType = np) -> Pair:
    r = 1 / (1 + xp.abs(x))
    return x * r, r * r


REFERENCES: dict[str, Callable[..., Pair]] = {
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
    size = np.abs(true)
    with np.errstate(all="ignore"):
        unit = (size.view(np.int64) & np.int64(0x7FF0000000000000)).view(np.float64)
        error = np.abs(got - true) / (unit * 2.0**-23)
        if not error.max(initial=0.0) < np.inf:
            error = np.where(np.isnan(error), np.inf, error)
        if not (size.min(initial=1.0) >= SMALLEST and size.max(initial=1.0) < LARGEST):
            error = np.where((size >= SMALLEST) & (size < LARGEST), error, 0.0)
    return error


def stratified_float32(count: int, seed: int = 0) -> np.ndarray:
    """One float32 from each of `count` equal intervals of bit patterns: every binade alike."""
    step = 2**32 // count
    offset = np.random.default_rng(seed).integers(0, step, count)
    patterns = (np.arange(count, dtype=np.uint64) * step + offset.astype(np.uint64)).astype(
        np.uint32
    )
    return patterns.view(np.float32)
