"""The multilayer perceptron as a `flax.nnx` module."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from channelwise.learning.models.dense import Layer, application, draw_layers, forward
from channelwise.learning.models.pure import PureModel


class MLP(nnx.Module):
    """Affine maps with a nonlinearity between them: z = f(… f(x W₁ + b₁) …) W_L + b_L.

    The last layer stays linear: a classifier answers in logits, a regression in standardized
    values.

    Args:
      sizes: inputs, hidden widths, outputs, such as (30, 128, 64, 1).
      activation: f, a name of `foundations.activations`.
      seed: of the first weights, drawn with NumPy: eager initialization by `nnx` compiles a dozen
        small programs and takes longer than training a small table.

    Raises:
      ValueError: if the sizes or the activation make no network.

    Source: Rumelhart, Hinton, Williams 1986; Goodfellow, Bengio, Courville 2016, ch. 6.
    """

    def __init__(self, sizes: Sequence[int], *, activation: str = "relu", seed: int = 0):
        layers = draw_layers(sizes, activation=activation, seed=seed)
        self.sizes = tuple(int(n) for n in sizes)
        self.activation = activation
        self.kernels = nnx.List([nnx.Param(jnp.asarray(layer.kernel)) for layer in layers])
        self.biases = nnx.List([nnx.Param(jnp.asarray(layer.bias)) for layer in layers])

    def __call__(self, x: Float[Array, "row input"]) -> Float[Array, "row *output"]:
        return forward(self._layers(), x, self.activation)

    def pure(self) -> PureModel:
        """This network, with its present weights, as a function and its parameters."""
        config = {"kind": "mlp", "sizes": list(self.sizes), "activation": self.activation}
        return PureModel(application(self.activation), tuple(self._layers()), config)

    def _layers(self) -> list[Layer]:
        pairs = zip(self.kernels, self.biases, strict=True)
        return [Layer(kernel[...], bias[...]) for kernel, bias in pairs]
