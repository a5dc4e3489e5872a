"""Signal, gradient and dead units of one real random net: what `signal.predict` predicts.

forward   h_l = σ_w W_l φ(h_{l-1}) / √n + σ_b b_l
backward  g_{l-1} = φ'(h_{l-1}) ⊙ (σ_w W_lᵀ g_l / √n),   g = ∂L/∂h
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from channelwise.foundations.signal import DEAD_SLOPE, Activation, Profile, Scalar, slope


class Layers(NamedTuple):
    """Standard normal draws that σ_w and σ_b scale: one set serves every φ and every σ."""

    weights: Float[Array, "depth width width"]
    biases: Float[Array, "depth width"]


def draw_layers(seed: int, depth: int, width: int) -> Layers:
    """Standard normal weights and biases of a plain net.

    Args:
        seed: seed of the draws, ≥ 0.
        depth: number of layers, ≥ 1.
        width: units a layer, ≥ 1. Memory: 4·depth·width² bytes.

    Returns:
        `Layers`, to be scaled by σ_w/√width and σ_b in `measure`.
    """
    normal = partial(np.random.default_rng(seed).standard_normal, dtype=np.float32)
    return Layers(jnp.asarray(normal((depth, width, width))), jnp.asarray(normal((depth, width))))


@partial(jax.jit, static_argnames=("phi",))
def measure(
    phi: Activation,
    layers: Layers,
    inputs: Float[Array, "batch width"],
    last_gradient: Float[Array, "batch width"],
    sigma_w: Scalar,
    sigma_b: Scalar = 0.0,
) -> Profile:
    """Variance, gradient and dead units by layer of one real random net.

        forward   h_l = σ_w W_l φ(h_{l-1}) / √n + σ_b b_l
        backward  g_{l-1} = φ'(h_{l-1}) ⊙ (σ_w W_lᵀ g_l / √n),   g = ∂L/∂h

    Args:
        phi: elementwise activation.
        layers: draws from `draw_layers`.
        inputs: x_0, one example a row.
        last_gradient: g_L, one row an example; standard normal for the comparison with `predict`.
        sigma_w: weight gain, see `variance_map`.
        sigma_b: standard deviation of the biases, ≥ 0.

    Returns:
        A `Profile`, averaged over units and examples.

    Numerical note: the backward pass is linear in g, so g is brought to rms 1 at every layer and
    the logarithms are added up: gradients far below float32's 1e-38 are measured as well.
    """
    scale = sigma_w / np.sqrt(inputs.shape[1])

    def forward(x, layer):
        h = scale * x @ layer.weights.T + (sigma_b * layer.biases)[None]
        return phi(h), h

    def backward(carry, layer):
        g, log10_rms = carry
        h, w = layer
        g = slope(phi, h) * (scale * g @ w)
        rms = _rms(g)
        log10_rms += jnp.log10(rms)
        return (g / jnp.where(rms > 0, rms, 1.0), log10_rms), log10_rms

    _, h = jax.lax.scan(forward, inputs, layers)
    start = (last_gradient / _rms(last_gradient), jnp.zeros(()))
    _, gradient = jax.lax.scan(backward, start, (h[:-1], layers.weights[1:]), reverse=True)
    alive = jnp.max(jnp.abs(slope(phi, h)), axis=1) >= DEAD_SLOPE
    return Profile(
        q=jnp.mean(h**2, axis=(1, 2)),
        log10_gradient=jnp.concatenate([gradient, jnp.zeros(1)]),
        dead=1 - jnp.mean(alive.astype(jnp.float32), axis=1),
    )


def _rms(x: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Root mean square, scaled by the largest entry so that no square underflows."""
    top = jnp.max(jnp.abs(x))
    return top * jnp.sqrt(jnp.mean((x / jnp.where(top > 0, top, 1.0)) ** 2))
