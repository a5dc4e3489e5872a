"""Elementary functions the activations are built from, accurate to about a unit in the last place.

XLA's own `exp`, `expm1`, `log1p`, `tanh` and `erfc` are off by 2 to 60 units in the last place in
float32 and return 0 as soon as a result leaves the normal range, even when the next factor would
bring it back. The versions here need nothing but additions, products, one division and a power of
two put together from its bits, so they cost about as much and hold on every backend. Polynomial
coefficients are minimax fits. In float64 the functions fall back to XLA's.
"""

from collections.abc import Callable
from functools import wraps

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693145751953125  # 15 bits: n * LN2_HIGH is exact for |n| < 512
LN2_LOW = 1.42860682030941723e-6
FARTHEST = 130.0  # e^-130 2^64 is below the smallest normal float32
FARTHEST_64 = 1000.0  # e^-1000 is 0 in float64

EXPM1_TAIL = (0.5, 0.166666672, 0.0416665189, 0.00833320711, 0.00139300677, 0.000199449627)
ATANH_TAIL = (0.666666687, 0.399992853, 0.28612712, 0.213975772, 0.246704593)
SQRT_2_PI = 2.5066282746310002
MILLS_TOP = (2.0, 1.25457108, 0.413367897, 0.0740057826, 0.00616350025)
MILLS_BOTTOM = (1.0, 1.08271515, 0.563164055, 0.169541314, 0.0295373872, 0.00245860894)
GELU_1 = 1.59576912160573071  # 2 sqrt(2 / pi)
GELU_3 = 0.0713548162726002488  # 0.044715 times that
GELU_1_PARTS = (1.595703125, 6.599660573071176e-05)  # their sums; the first parts have 12 bits
GELU_3_PARTS = (0.07135009765625, 4.718616350248776e-06)

Values = Float[Array, "*shape"]
Factor = Float[Array, "..."]  # the same shape, or one number


def elementwise(slope: Callable[[Values], Values]) -> Callable:
    """Make an activation of a float32 formula and the formula of its first derivative.

    The derivative rule serves forward and reverse mode and `vmap`, and is itself differentiable.
    float16 and bfloat16 inputs are computed in float32 and rounded once, at the end.
    """

    narrow_slope = jax.jit(lambda x: slope(widen(x)).astype(x.dtype))

    def decorate(value: Callable[[Values], Values]) -> Callable[[Values], Values]:
        @jax.custom_jvp
        @jax.jit
        @wraps(value)
        def activation(x):
            return value(widen(x)).astype(x.dtype)

        @activation.defjvp
        def rule(primals, tangents):
            (x,), (dx,) = primals, tangents
            return activation(x), narrow_slope(x) * dx

        return activation

    return decorate


def require_floating(x: Array) -> None:
    """Refuse integers and the like: their derivative would silently be nothing."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"activations need floating-point numbers, but x holds {x.dtype}; "
            "convert it first, as in x.astype(jnp.float32)."
        )


def widen(x: Values) -> Values:
    """float32 for the half-precision types, `x` itself otherwise."""
    require_floating(x)
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def polynomial(coefficients: tuple[float, ...], x: Values) -> Values:
    """c_0 + c_1 x + c_2 x^2 + ... by Horner's rule."""
    total = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + c
    return total


def near_root(x: Values, general: Values, root: float, coefficients: tuple[float, ...]) -> Values:
    """Replace `general` by a polynomial in x - root within 1/4 of a root, where it cancels.

    `root` is the float32 nearest to the true root, so x - root is exact; the first coefficient is
    the tiny value there. float64 keeps the general formula.
    """
    if x.dtype == jnp.float64:
        return general
    near = jnp.abs(x - root) < 0.25
    d = jnp.where(near, x - root, jnp.zeros_like(x))  # keeps inf out of second derivatives
    return jnp.where(near, polynomial(coefficients, d), general)


def distance(x: Values, farthest: float = FARTHEST, farthest_64: float = FARTHEST_64) -> Values:
    """|x|, cut off where e^-|x| has long been 0; NaN stays NaN.

    The cut keeps exponents in the range of `exp` and 0 * inf out of the formulas.
    """
    t = jnp.abs(x)
    limit = jnp.full_like(t, farthest_64 if x.dtype == jnp.float64 else farthest)
    return jnp.where(t > limit, limit, t)


def nonpositive(x: Values) -> Bool[Array, "*shape"]:
    """True for x <= 0, judged by the bits: XLA compares positive subnormal numbers as zeros."""
    return lax.bitcast_convert_type(x, jnp.dtype(f"int{8 * x.dtype.itemsize}")) <= 0


def scaled(c: Factor, x: Values) -> Values:
    """c x, right also where x is subnormal, which XLA takes for 0, and c x is normal."""
    product = c * x
    if x.dtype == jnp.float64:
        return product
    bits = lax.bitcast_convert_type(x, jnp.int32)
    mantissa = bits & 0x7FFFFFFF
    subnormal = mantissa < 0x00800000
    # x 2^126 is the integer mantissa over 2^23; c x follows by lowering the exponent by 126.
    grown = c * jnp.copysign(mantissa.astype(jnp.float32) * 2.0**-23, x)
    lowered = lax.bitcast_convert_type(grown, jnp.int32) - (126 << 23)
    exact = lax.bitcast_convert_type(lowered, jnp.float32)
    correction = jnp.where(subnormal & (jnp.abs(grown) >= 1), exact - product, jnp.zeros_like(x))
    return product + lax.stop_gradient(correction)


def exp(a: Values) -> Values:
    """e^a for -130 <= a <= 0."""
    return exp_times(jnp.ones_like(a), a, jnp.zeros_like(a))


@jax.custom_jvp
def exp_times(factor: Factor, a: Values, a_low: Values) -> Values:
    """factor e^(a + a_low) for -130 <= a <= 0, normal even where e^a alone underflows.

    `a_low` holds the digits that rounding `a` would lose: an error of half a unit in the last
    place of a = -80 is an error of 64 units in e^a. `factor` stays below 2^64.
    """
    if a.dtype == jnp.float64:
        return factor * jnp.exp(a + a_low)
    n, q = _reduced_expm1(a, a_low)
    return (factor + factor * q) * _power_of_two(n + 64) * 2.0**-64


@exp_times.defjvp
def _exp_times_rule(primals, tangents):
    (factor, a, a_low), (d_factor, d_a, d_low) = primals, tangents
    return exp_times(factor, a, a_low), exp_times(d_factor + factor * (d_a + d_low), a, a_low)


@jax.custom_jvp
def expm1(a: Values) -> Values:
    """e^a - 1 for -130 <= a <= 0."""
    if a.dtype == jnp.float64:
        return jnp.expm1(a)
    n, q = _reduced_expm1(a)
    power = _power_of_two(n + 64) * 2.0**-64
    return jnp.where(a > -1e-30, a, power * q + (power - 1))


@expm1.defjvp
def _expm1_rule(primals, tangents):
    return expm1(*primals), exp(*primals) * tangents[0]


@jax.custom_jvp
def log1p(z: Values) -> Values:
    """log(1 + z) for 0 <= z <= 1, as 2 artanh(s) with s = z / (2 + z)."""
    if z.dtype == jnp.float64:
        return jnp.log1p(z)
    s = z / (2 + z)
    u = s * s
    return z - s * (z - u * polynomial(ATANH_TAIL, u))


@log1p.defjvp
def _log1p_rule(primals, tangents):
    (z,), (dz,) = primals, tangents
    return log1p(z), dz / (1 + z)


@jax.custom_jvp
def mills(t: Values) -> Values:
    """Normal tail without its exponential, Phi(-t) e^(t^2 / 2), for 0 <= t < 37.5."""
    if t.dtype == jnp.float64:
        return 0.5 * lax.erfc(t * 0.5**0.5) * jnp.exp(0.5 * t * t)
    h = polynomial(MILLS_TOP, t) / polynomial(MILLS_BOTTOM, t)
    return 1 / (SQRT_2_PI * t + h)


@mills.defjvp
def _mills_rule(primals, tangents):
    (t,), (dt,) = primals, tangents
    m = mills(t)
    return m, (t * m - 1 / SQRT_2_PI) * dt


@jax.custom_jvp
def square(t: Values) -> tuple[Values, Values]:
    """t^2 as a sum of two floats, the first exact."""
    if t.dtype == jnp.float64:
        return t * t, jnp.zeros_like(t)
    high = leading_bits(t)
    return high * high, (t - high) * (t + high)


@square.defjvp
def _square_rule(primals, tangents):
    (t,), (dt,) = primals, tangents
    high, low = square(t)
    return (high, low), (2 * t * dt, jnp.zeros_like(low))


@jax.custom_jvp
def gelu_exponent(t: Values) -> tuple[Values, Values]:
    """t (GELU_1 + GELU_3 t^2) as a sum of two floats, the first exact."""
    if t.dtype == jnp.float64:
        return t * (GELU_1 + GELU_3 * t * t), jnp.zeros_like(t)
    t2, t2_low = square(t)
    t2_top = leading_bits(t2)
    cubic = GELU_3_PARTS[0] * t2_top
    rest = GELU_3_PARTS[0] * ((t2 - t2_top) + t2_low) + GELU_3_PARTS[1] * (t2 + t2_low)
    rest = rest + GELU_1_PARTS[1]
    q = GELU_1_PARTS[0] + (cubic + rest)
    q_top, t_top = leading_bits(q), leading_bits(t)
    q_low = ((GELU_1_PARTS[0] - q_top) + cubic) + rest
    return t_top * q_top, t_top * q_low + (t - t_top) * q


@gelu_exponent.defjvp
def _gelu_exponent_rule(primals, tangents):
    (t,), (dt,) = primals, tangents
    high, low = gelu_exponent(t)
    return (high, low), ((GELU_1 + 3 * GELU_3 * t * t) * dt, jnp.zeros_like(low))


def leading_bits(x: Values) -> Values:
    """The float32 `x` cut to its 12 leading bits: a product of two such numbers is exact."""
    bits = lax.bitcast_convert_type(x, jnp.int32) & -4096
    return lax.bitcast_convert_type(bits, jnp.float32)


def _reduced_expm1(a: Values, a_low: Values | float = 0.0) -> tuple[Int[Array, "*shape"], Values]:
    """(n, e^r - 1) with a + a_low = n ln 2 + r and |r| <= ln(2) / 2."""
    n = jnp.round((a + a_low) * LOG2_E)
    r = ((a - n * LN2_HIGH) + a_low) - n * LN2_LOW
    return n.astype(jnp.int32), r + r * r * polynomial(EXPM1_TAIL, r)


def _power_of_two(n: Int[Array, "*shape"]) -> Values:
    """2^n for an integer -127 < n < 128, put together from its bits."""
    return lax.bitcast_convert_type((n + 127) << 23, jnp.float32)
