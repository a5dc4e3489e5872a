"""Activation functions with float32 formulas that stay right over the whole range."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logistic sigmoid, 1 / (1 + e^-x)."""
    return jax.nn.sigmoid(x)


def log_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logarithm of the sigmoid, -log(1 + e^-x)."""
    return jax.nn.log_sigmoid(x)


def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Hyperbolic tangent."""
    return jnp.tanh(x)


def hard_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """min(1, max(-1, x))."""
    return jax.nn.hard_tanh(x)


def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(0, x)."""
    return jax.nn.relu(x)


def leaky_relu(x: Float[Array, "*shape"], negative_slope: float = 0.01) -> Float[Array, "*shape"]:
    """x where x > 0, negative_slope * x elsewhere."""
    return jax.nn.leaky_relu(x, negative_slope)


def elu(x: Float[Array, "*shape"], alpha: float = 1.0) -> Float[Array, "*shape"]:
    """x where x > 0, alpha (e^x - 1) elsewhere."""
    return jax.nn.elu(x, alpha)


def selu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """lambda times elu(x, alpha) with the constants that keep mean 0 and variance 1."""
    return jax.nn.selu(x)


def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + e^x)."""
    return jax.nn.softplus(x)


def silu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x sigmoid(x)."""
    return jax.nn.silu(x)


def gelu(x: Float[Array, "*shape"], approximate: bool = False) -> Float[Array, "*shape"]:
    """x Phi(x); the tanh form if `approximate`."""
    return jax.nn.gelu(x, approximate=approximate)


def mish(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x tanh(softplus(x))."""
    return jax.nn.mish(x)


def softsign(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x / (1 + |x|)."""
    return jax.nn.soft_sign(x)


def softmax(x: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """e^x_i / sum_j e^x_j along `axis`."""
    return jax.nn.softmax(x, axis)


def log_softmax(x: Float[Array, "*shape"], axis: int = -1) -> Float[Array, "*shape"]:
    """x_i - log sum_j e^x_j along `axis`."""
    return jax.nn.log_softmax(x, axis)
