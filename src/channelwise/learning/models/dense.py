"""Fully connected layers as plain arrays: drawn with NumPy, applied by one short function."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Shaped

from channelwise.foundations import activations
from channelwise.learning.models.pure import PureModel

ACTIVATIONS = (
    *("relu", "leaky_relu", "elu", "selu", "silu", "gelu"),
    *("mish", "softplus", "softsign", "sigmoid", "tanh", "hard_tanh"),
)
_RECTIFIERS = ("relu", "leaky_relu", "elu", "silu", "gelu", "mish")


class Layer(NamedTuple):
    """One affine map x W + b.

    Attributes:
      kernel: W, one column for each output.
      bias: b.
    """

    kernel: Shaped[Array | np.ndarray, "input output"]
    bias: Shaped[Array | np.ndarray, " output"]


def check_sizes(sizes: Sequence[int], activation: str) -> None:
    """Refuse, in a sentence, sizes that make no network and activations that do not exist."""
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"sizes must name the inputs, any hidden layers and the outputs, each at least 1, "
            f"such as (30, 128, 64, 1): got {tuple(sizes)}."
        )
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"Unknown activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}."
        )


def draw_layers(
    sizes: Sequence[int], *, activation: str = "relu", seed: int = 0
) -> tuple[Layer, ...]:
    """Initial weights, drawn with NumPy so that nothing is compiled.

    W ~ N(0, g / n_in),   b = 0;   g = 2 before a rectifier (half of its inputs are lost), else 1

    Args:
      sizes: n_in, hidden widths, outputs; each ≥ 1.
      activation: the nonlinearity between the layers, a name of `foundations.activations`.
      seed: ≥ 0; the same seed draws the same numbers on every machine.

    Returns:
      One layer for each pair of neighbouring sizes, float32.

    Raises:
      ValueError: if the sizes or the activation make no network.

    Source: He, Zhang, Ren, Sun 2015, §2.2; LeCun, Bottou, Orr, Müller 1998, §4.6.
    """
    check_sizes(sizes, activation)
    rng = np.random.default_rng(seed)
    hidden_gain = 2.0 if activation in _RECTIFIERS else 1.0
    gains = [hidden_gain] * (len(sizes) - 2) + [1.0]
    return tuple(
        Layer(
            rng.standard_normal((n_in, n_out), np.float32) * np.float32(np.sqrt(gain / n_in)),
            np.zeros(n_out, np.float32),
        )
        for n_in, n_out, gain in zip(sizes[:-1], sizes[1:], gains, strict=True)
    )


def forward(
    layers: Sequence[Layer], x: Float[Array, "row input"], activation: str
) -> Float[Array, "row *output"]:
    """The network's answer: h ← f(h W + b) through the hidden layers, h W + b at the end.

    Args:
      layers: from first to last.
      x: inputs, standardized.
      activation: f, a name of `foundations.activations`.

    Returns:
      One number a row if the last layer has one output, else one row of outputs each: logits for
      a classifier, standardized values for a regression.
    """
    f = getattr(activations, activation)
    h = x
    for W, b in layers[:-1]:
        h = f(h @ W + b[None, :])
    W, b = layers[-1]
    output = h @ W + b[None, :]
    return output[:, 0] if output.shape[1] == 1 else output


@cache
def application(activation: str) -> Callable[..., Array]:
    """`forward` with its activation bound; the same object every time, so that `jit` knows it."""
    return partial(forward, activation=activation)


def pure_mlp(sizes: Sequence[int], *, activation: str = "relu", seed: int = 0) -> PureModel:
    """A multilayer perceptron without `flax`: the equations and first weights of `MLP`.

    Args:
      sizes: inputs, hidden widths, outputs, such as (30, 128, 64, 1).
      activation: the nonlinearity, a name of `foundations.activations`.
      seed: of the first weights.

    Returns:
      A model for `fit`, `fit_many`, `predict` and `save_model`.

    Raises:
      ValueError: if the sizes or the activation make no network.
    """
    layers = draw_layers(sizes, activation=activation, seed=seed)
    config = {"kind": "mlp", "sizes": [int(n) for n in sizes], "activation": activation}
    return PureModel(application(activation), layers, config)
