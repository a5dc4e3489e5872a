"""How far a signal and its gradient travel through a deep random net: predicted, then measured.

The net is plain: x_0 → h_1 → x_1 → … → h_L, with

    h_l = σ_w W_l x_{l-1} / √n + σ_b b_l,    x_l = φ(h_l),    W_l, b_l ~ N(0, 1).

In a wide net every pre-activation h_l is nearly Gaussian, with a variance q_l that depends on the
input's length alone, so two one-dimensional integrals say everything:

    variance map     q_{l+1} = σ_w² E[φ(√q_l z)²] + σ_b²
    gradient factor  χ_l     = σ_w² E[φ'(√q_l z)²],    E|∂L/∂h_l|² = χ_l E|∂L/∂h_{l+1}|²,

with z ~ N(0, 1). `predict` iterates them; `measured.measure` runs a real net of finite width
forward and backward. Source: Poole et al. (2016); Schoenholz et al. (2017), "Deep information
propagation".
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Activation = Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]
Scalar = float | Float[Array, ""]

REACH, PANELS, NODES = 9.0, 512, 2  # z in [-9, 9]: the mass left outside is 2e-19
FLOOR, CEILING = 1e-30, 1e30  # variances are held here, so that no square under- or overflows
DEAD_SLOPE = 1e-3  # a unit whose slope stays below this passes less than a thousandth back


class Moments(NamedTuple):
    """What a Gaussian input of variance q becomes behind φ."""

    mean: Float[Array, ""]  # E[φ(√q z)]
    square: Float[Array, ""]  # E[φ(√q z)²]
    slope_square: Float[Array, ""]  # E[φ'(√q z)²]


class Profile(NamedTuple):
    """One number a layer, from the input side (l = 1) to the last layer (l = L)."""

    q: Float[Array, " depth"]  # mean square of the pre-activations h_l
    log10_gradient: Float[Array, " depth"]  # log10 of rms(∂L/∂h_l) / rms(∂L/∂h_L)
    dead: Float[Array, " depth"]  # share of units with |φ'| < 1e-3 on every input


@partial(jax.jit, static_argnames=("phi",))
def slope(phi: Activation, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """First derivative φ'(x) of an elementwise function, elementwise.

    Args:
        phi: elementwise activation.
        x: any shape.

    Returns:
        φ'(x), the shape of x. By forward differentiation, so custom rules of φ are used.
    """
    return jax.jvp(phi, (x,), (jnp.ones_like(x),))[1]


def _normal_quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes z and weights w with Σ w f(z) ≈ E f(z), z ~ N(0, 1)."""
    t, v = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(-REACH, REACH, PANELS + 1)
    centre, half = (edges[1:] + edges[:-1]) / 2, REACH / PANELS
    z = (centre[:, None] + half * t).ravel()
    w = np.tile(half * v, PANELS) * np.exp(-(z**2) / 2)
    return z.astype(np.float32), (w / w.sum()).astype(np.float32)


@partial(jax.jit, static_argnames=("phi",))
def moments(phi: Activation, q: Scalar = 1.0) -> Moments:
    """Mean, second moment and mean squared slope of φ at a Gaussian input of variance q.

        E[φ(√q z)],  E[φ(√q z)²],  E[φ'(√q z)²],   z ~ N(0, 1).

    Args:
        phi: elementwise activation.
        q: variance of the input, ≥ 0; held between 1e-30 and 1e30.

    Returns:
        The three expectations, as `Moments`.

    Numerical note: Gauss–Legendre on 512 panels with an edge at z = 0. Gauss–Hermite knows of no
    edge: 64 of its nodes put SELU's mean squared slope, which jumps at zero, 1.5 % too low. Here a
    jump at zero costs nothing, and one elsewhere (the slope of hard tanh) at most 0.01.
    """
    z, w = _normal_quadrature()
    x = jnp.sqrt(jnp.clip(jnp.asarray(q, jnp.float32), FLOOR, CEILING)) * z
    y, dy = phi(x), slope(phi, x)
    return Moments(jnp.vdot(w, y), jnp.vdot(w, y**2), jnp.vdot(w, dy**2))


@partial(jax.jit, static_argnames=("phi",))
def variance_map(phi: Activation, q: Scalar, sigma_w: Scalar, sigma_b: Scalar = 0.0) -> Scalar:
    """Variance of the next layer's pre-activations: q ↦ σ_w² E[φ(√q z)²] + σ_b².

    Args:
        phi: elementwise activation.
        q: variance of this layer's pre-activations, ≥ 0.
        sigma_w: weight gain; the weights have standard deviation σ_w/√n. He: √2, LeCun: 1.
        sigma_b: standard deviation of the biases, ≥ 0.

    Returns:
        The next variance.

    Source: Poole et al. (2016), eq. 3.
    """
    return sigma_w**2 * moments(phi, q).square + sigma_b**2


@partial(jax.jit, static_argnames=("phi",))
def gradient_factor(phi: Activation, q: Scalar, sigma_w: Scalar) -> Scalar:
    """χ = σ_w² E[φ'(√q z)²]: what one layer does to the mean squared gradient on the way back.

    Args:
        phi: elementwise activation.
        q: variance of the pre-activations, ≥ 0.
        sigma_w: weight gain, see `variance_map`.

    Returns:
        χ. Below 1 gradients vanish with depth, above 1 they explode; rms gradients change by √χ.

    Source: Schoenholz et al. (2017), eq. 10.
    """
    return sigma_w**2 * moments(phi, q).slope_square


@partial(jax.jit, static_argnames=("phi",))
def unit_gain(phi: Activation) -> Float[Array, ""]:
    """The gain σ_w that keeps pre-activations at variance 1 (σ_b = 0): 1/√E[φ(z)²].

    Args:
        phi: elementwise activation.

    Returns:
        σ_w: √2 for ReLU (He et al. 2015), 1.5925 for tanh, 1 for SELU.
    """
    return 1 / jnp.sqrt(moments(phi, 1.0).square)


@partial(jax.jit, static_argnames=("phi", "steps"))
def fixed_point(
    phi: Activation, sigma_w: Scalar, sigma_b: Scalar = 0.0, *, q: Scalar = 1.0, steps: int = 1000
) -> Float[Array, ""]:
    """The variance deep layers settle at: the variance map applied `steps` times from q.

    Args:
        phi: elementwise activation.
        sigma_w: weight gain, see `variance_map`.
        sigma_b: standard deviation of the biases, ≥ 0.
        q: variance to start from, ≥ 0.
        steps: number of applications, ≥ 1.

    Returns:
        q*; below 1e-30 it means zero and above 1e30 infinity. At a critical point the approach is
        slow (tanh with σ_w = 1 decays as 1/(2l)), and this is where it stands after `steps`.
    """
    start = jnp.asarray(q, jnp.float32)
    return jax.lax.fori_loop(0, steps, lambda _, q: variance_map(phi, q, sigma_w, sigma_b), start)


@partial(jax.jit, static_argnames=("phi", "depth"))
def predict(
    phi: Activation,
    depth: int,
    sigma_w: Scalar,
    sigma_b: Scalar = 0.0,
    *,
    input_square: Scalar = 1.0,
) -> Profile:
    """Variance and gradient by layer of an infinitely wide net.

        q_1 = σ_w² E[x_0²] + σ_b²,   q_{l+1} = variance_map(q_l),
        log10 gradient_l = ½ Σ_{k=l}^{L-1} log10 χ_k.

    Args:
        phi: elementwise activation.
        depth: number of layers L, ≥ 1.
        sigma_w: weight gain, see `variance_map`.
        sigma_b: standard deviation of the biases, ≥ 0.
        input_square: E[x_0²], the mean square of the input's components.

    Returns:
        A `Profile`; `dead` is NaN, since it depends on how alike the inputs are.
    """

    def layer(q, _):
        chi = gradient_factor(phi, q, sigma_w)
        return variance_map(phi, q, sigma_w, sigma_b), (q, jnp.log10(chi))

    q1 = jnp.asarray(sigma_w**2 * input_square + sigma_b**2, jnp.float32)
    _, (q, log10_chi) = jax.lax.scan(layer, q1, length=depth)
    to_the_end = jnp.cumsum(log10_chi[:-1][::-1])[::-1]
    gradient = jnp.concatenate([to_the_end, jnp.zeros(1)]) / 2
    return Profile(q, gradient, jnp.full(depth, jnp.nan))


@partial(jax.jit, static_argnames=("phi", "depth"))
def gradient_map(
    phi: Activation, depth: int, gains: Float[Array, " gain"], sigma_b: Scalar = 0.0
) -> Float[Array, "depth gain"]:
    """log10 χ^d: the squared gradient that reaches the first of d layers, by d and weight gain.

        log10 Π_{k=1}^{d-1} χ_k,   d = 1 … depth

    Args:
        phi: elementwise activation.
        depth: largest number of layers, ≥ 1.
        gains: weight gains σ_w.
        sigma_b: standard deviation of the biases, ≥ 0.

    Returns:
        Row d − 1 belongs to a net of d layers. Training fails outside about −3 … 3.

    Source: Schoenholz et al. (2017), section 5, whose depth scale 1/|ln χ| this makes finite.
    """
    to_the_end = jax.vmap(lambda g: predict(phi, depth, g, sigma_b).log10_gradient)(gains)
    return 2 * (to_the_end[:, :1] - to_the_end).T
