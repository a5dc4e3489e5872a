"""The nonlinearities of transformers, made for speed: value and slope found in one pass."""

from functools import partial
from math import pi, sqrt

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from channelwise.learning.models.wide import wide

SQRT_HALF, INVERSE_SQRT_2_PI = sqrt(0.5), 1 / sqrt(2 * pi)
TANH_1, TANH_3 = sqrt(2 / pi), 0.044715


def _gelu(x: Array) -> tuple[Array, Array]:
    """x Φ(x) and Φ(x) + x φ(x)."""
    Phi = 0.5 + 0.5 * lax.erf(x * SQRT_HALF)
    return x * Phi, Phi + x * (INVERSE_SQRT_2_PI * jnp.exp(-0.5 * jnp.square(x)))


def _gelu_tanh(x: Array) -> tuple[Array, Array]:
    """x (1 + tanh u) / 2 with u = √(2/π) (x + 0.044715 x³), and its slope."""
    squared = jnp.square(x)
    t = jnp.tanh(TANH_1 * x * (1 + TANH_3 * squared))
    du = TANH_1 * (1 + 3 * TANH_3 * squared)
    half = 0.5 + 0.5 * t
    return x * half, half + 0.5 * x * (1 - t * t) * du


def _relu(x: Array) -> tuple[Array, Array]:
    return jnp.maximum(x, 0), (x > 0).astype(x.dtype)


CURVES = {"gelu": _gelu, "gelu_new": _gelu_tanh, "gelu_pytorch_tanh": _gelu_tanh, "relu": _relu}


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def activate(x: Float[Array, "*shape"], name: str) -> Float[Array, "*shape"]:
    """A transformer's nonlinearity, f(x), whose backward pass is one product with f'(x).

    gelu: x Φ(x) · gelu_new: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 · relu: max(x, 0)

    Args:
      x: pre-activations.
      name: a key of `CURVES`, as in `hidden_act` of a `config.json`.

    Returns:
      The shape and type of x.

    Numerical note: to about 1e-6 absolutely, as in other libraries: Φ comes from erf, which loses
    the relative digits of values below x = −3. `foundations.activations.gelu` keeps them
    all, at twice the time. float16 and bfloat16 are computed in float32.

    Source: Hendrycks, Gimpel 2016.
    """
    return _forward(x, name)[0]


def _forward(x: Array, name: str) -> tuple[Array, Array]:
    return CURVES[name](x.astype(wide(x)))[0].astype(x.dtype), x


def _backward(name: str, x: Array, dy: Array) -> tuple[Array]:
    x = lax.optimization_barrier(x)  # or erf would be kept since the way forward, and read again
    slope = CURVES[name](x.astype(wide(x)))[1]
    return ((dy.astype(slope.dtype) * slope).astype(x.dtype),)


activate.defvjp(_forward, _backward)
