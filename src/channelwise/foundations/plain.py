"""A plain deep net, and the shortest training that shows whether its gradients arrive.

    x_0 → h_1 → φ → h_2 → φ → … → h_L → φ → logits,   h_l = W_l x_{l-1} + b_l

with W_l ~ N(0, σ_w²/n_in), b_l ~ N(0, σ_b²) and softmax cross-entropy on top. No normalization, no
skip connection, no momentum: nothing that would hide a gradient that vanished.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from channelwise.foundations.signal import DEAD_SLOPE, Activation, Scalar, slope


class PlainNet(NamedTuple):
    """Parameters of a plain net with L hidden layers of one width."""

    first: Float[Array, "feature width"]  # W_1
    hidden: Float[Array, "depth-1 width width"]  # W_2 … W_L
    biases: Float[Array, "depth width"]  # b_1 … b_L
    readout: Float[Array, "width class"]  # logits = x_L readout


class Training(NamedTuple):
    """What came out of `train`."""

    net: PlainNet
    losses: Float[Array, " step"]  # mean cross-entropy of each step's batch, in nats


def init_plain(
    seed: int,
    features: int,
    width: int,
    depth: int,
    classes: int,
    sigma_w: float,
    sigma_b: float = 0.0,
) -> PlainNet:
    """Random plain net: weights N(0, σ_w²/n_in), biases N(0, σ_b²), readout N(0, 1/width).

    Args:
        seed: seed of the draws, ≥ 0; the same seed gives the same draws under every σ.
        features: number of inputs.
        width: units a hidden layer.
        depth: hidden layers L, ≥ 1.
        classes: number of logits.
        sigma_w: weight gain of the hidden layers, see `signal.variance_map`.
        sigma_b: standard deviation of the biases, ≥ 0.

    Returns:
        The parameters, drawn on the host (nothing to compile).
    """
    normal = partial(np.random.default_rng(seed).standard_normal, dtype=np.float32)
    w, b = np.float32(sigma_w), np.float32(sigma_b)
    return PlainNet(
        first=jnp.asarray(normal((features, width)) * w / np.float32(features) ** 0.5),
        hidden=jnp.asarray(normal((depth - 1, width, width)) * w / np.float32(width) ** 0.5),
        biases=jnp.asarray(normal((depth, width)) * b),
        readout=jnp.asarray(normal((width, classes)) / np.float32(width) ** 0.5),
    )


@partial(jax.jit, static_argnames=("phi",))
def preactivations(
    phi: Activation, net: PlainNet, x: Float[Array, "batch feature"]
) -> Float[Array, "depth batch width"]:
    """h_1 … h_L of every example.

    Args:
        phi: elementwise activation.
        net: parameters.
        x: inputs, one example a row.

    Returns:
        The pre-activations, layer by layer.
    """

    def layer(h, parameters):
        w, b = parameters
        h = phi(h) @ w + b[None]
        return h, h

    h1 = x @ net.first + net.biases[:1]
    _, rest = jax.lax.scan(layer, h1, (net.hidden, net.biases[1:]))
    return jnp.concatenate([h1[None], rest])


@partial(jax.jit, static_argnames=("phi",))
def logits(
    phi: Activation, net: PlainNet, x: Float[Array, "batch feature"]
) -> Float[Array, "batch class"]:
    """Class scores φ(h_L) readout; the softmax of a row is the predicted distribution."""
    return phi(preactivations(phi, net, x)[-1]) @ net.readout


@partial(jax.jit, static_argnames=("phi",))
def cross_entropy(
    phi: Activation, net: PlainNet, x: Float[Array, "batch feature"], y: Int[Array, " batch"]
) -> Float[Array, ""]:
    """Mean of −ln p(y | x) over the batch, in nats; ln(classes) for a net that knows nothing."""
    log_p = jax.nn.log_softmax(logits(phi, net, x))
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))


@partial(jax.jit, static_argnames=("phi",))
def accuracy(
    phi: Activation, net: PlainNet, x: Float[Array, "batch feature"], y: Int[Array, " batch"]
) -> Float[Array, ""]:
    """Share of examples whose largest logit is the right one."""
    return jnp.mean((jnp.argmax(logits(phi, net, x), axis=1) == y).astype(jnp.float32))


@partial(jax.jit, static_argnames=("phi",))
def train(
    phi: Activation,
    net: PlainNet,
    x: Float[Array, "example feature"],
    y: Int[Array, " example"],
    rows: Int[Array, "step batch"],
    learning_rate: Scalar,
) -> Training:
    """Plain stochastic gradient descent, θ ← θ − η ∂L/∂θ, in one compiled loop.

    Args:
        phi: elementwise activation.
        net: parameters to start from.
        x: inputs, one example a row.
        y: class numbers.
        rows: which examples make up the batch of each step.
        learning_rate: step size η > 0.

    Returns:
        The trained net and the loss of every step. A run that diverges ends in NaN.
    """

    def step(net, batch):
        loss, gradient = jax.value_and_grad(partial(cross_entropy, phi))(net, x[batch], y[batch])
        return jax.tree.map(lambda p, g: p - learning_rate * g, net, gradient), loss

    return Training(*jax.lax.scan(step, net, rows))


@partial(jax.jit, static_argnames=("phi",))
def always_flat(
    phi: Activation, net: PlainNet, x: Float[Array, "batch feature"]
) -> Float[Array, "depth width"]:
    """Which units are dead on these inputs: 1 unless |φ'(h)| ≥ 1e-3 for some example.

    Args:
        phi: elementwise activation.
        net: parameters.
        x: inputs. The fewer there are, the more units look dead that are not.

    Returns:
        1 for dead, 0 for alive, by layer and unit.
    """
    steepest = jnp.max(jnp.abs(slope(phi, preactivations(phi, net, x))), axis=1)
    return 1 - (steepest >= DEAD_SLOPE).astype(jnp.float32)
