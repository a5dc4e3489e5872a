"""Residual networks: each block adds to its input, so that depth costs no signal."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from channelwise.foundations.activations import relu
from channelwise.learning.models.convolution import Conv, Dense, Images, Maps, check_shape


class BatchNorm(nnx.Module):
    """Each channel brought to mean 0 and variance 1, then scaled and shifted as learnt.

    y = γ (x - μ) / √(σ² + ε) + β

    In training μ and σ² are those of the batch, over rows and places, and running means of them
    are kept: m ← 0.9 m + 0.1 μ. In evaluation (`module.eval()`) the running means take their
    place, so that the answer for a row does not depend on the rows beside it.

    Args:
      channels: of the images.
      scale: first value of γ; 0 makes a residual block start as the identity.

    Numerical note: means and variances are float32 whatever the images are; ε = 1e-5. The variance
    is the mean squared distance, not the difference of two large means.

    Source: Ioffe, Szegedy 2015.
    """

    def __init__(self, channels: int, *, scale: float = 1.0):
        self.mean = nnx.BatchStat(_full(channels, 0.0))
        self.variance = nnx.BatchStat(_full(channels, 1.0))
        self.scale = nnx.Param(_full(channels, scale))
        self.shift = nnx.Param(_full(channels, 0.0))
        self.use_running_average = False

    def __call__(self, x: Images) -> Images:
        h = x.astype(jnp.float32)
        μ, σ2 = self.mean[...], self.variance[...]
        if not self.use_running_average:
            μ, σ2 = self._moments(h)
        γ, β = self.scale[...].astype(jnp.float32), self.shift[...].astype(jnp.float32)
        return ((h - _wide(μ)) * _wide(γ * lax.rsqrt(σ2 + 1e-5)) + _wide(β)).astype(x.dtype)

    def _moments(self, x: Images) -> tuple[Float[Array, " channel"], Float[Array, " channel"]]:
        μ = x.mean((0, 1, 2))
        σ2 = jnp.square(x - _wide(μ)).mean((0, 1, 2))
        for running, new in ((self.mean, μ), (self.variance, σ2)):
            running[...] = 0.9 * running[...] + 0.1 * lax.stop_gradient(new)
        return μ, σ2


class Block(nnx.Module):
    """y = relu(s(x) + F(x)),   F = norm(W₂ ⋆ relu(norm(W₁ ⋆ x))).

    s is the identity, or a 1 x 1 convolution where the number of channels or the size changes.

    Args:
      inputs: channels in.
      outputs: channels out.
      rng: of the first weights.
      stride: 2 halves the image.
      batch_norm: whether norm is a `BatchNorm`; if not it is nothing.
      residual: whether s(x) is added; without it these are two plain convolutions.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rng: np.random.Generator,
        *,
        stride: int = 1,
        batch_norm: bool = True,
        residual: bool = True,
    ):
        first = 0.0 if residual else 1.0
        gain = 2.0 if batch_norm else 2.0 * first
        self.convolutions = nnx.List(
            [Conv(inputs, outputs, rng, stride=stride), Conv(outputs, outputs, rng, gain=gain)]
        )
        scales = (1.0, first) if batch_norm else ()
        self.norms = nnx.List([BatchNorm(outputs, scale=scale) for scale in scales])
        self.residual = residual
        changes = residual and (stride > 1 or inputs != outputs)
        shortcut = {"size": 1, "stride": stride, "gain": 1.0}
        self.shortcut = nnx.List([Conv(inputs, outputs, rng, **shortcut)] if changes else [])

    def __call__(self, x: Images) -> Maps:
        h = relu(self._norm(0, self.convolutions[0](x)))
        h = self._norm(1, self.convolutions[1](h))
        for convolution in self.shortcut:
            x = convolution(x)
        return relu(x + h if self.residual else h)

    def _norm(self, number: int, x: Images) -> Images:
        return self.norms[number](x) if len(self.norms) else x


class ResNet(nnx.Module):
    """A first convolution, stages of residual blocks, the mean over all places, logits.

    Each stage after the first halves the image. The depth is 2 x blocks x stages + 2 layers.

    Args:
      shape: height, width and channels of an image, such as (8, 8, 1).
      channels: width of each stage.
      blocks: in each stage, ≥ 0.
      outputs: classes; one logit each.
      batch_norm: whether each convolution is followed by a `BatchNorm`.
      residual: False leaves out the additions: the plain network of the same depth.
      seed: of the first weights, drawn with NumPy.

    Raises:
      ValueError: if these make no network.

    Numerical note: the last scale of each block starts at 0 (without `batch_norm`, its last
    kernel), so that a network of any depth starts as a shallow one.

    Source: He, Zhang, Ren, Sun 2016; the zeros: Goyal et al. 2017, §5.1; Zhang, Dauphin, Ma 2019.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int] = (16, 32),
        blocks: int = 1,
        outputs: int = 10,
        *,
        batch_norm: bool = True,
        residual: bool = True,
        seed: int = 0,
    ):
        check_shape(shape, channels, 3, ["same"] * len(channels))
        if blocks < 0:
            raise ValueError(f"blocks must be 0 or more, got {blocks}.")
        rng = np.random.default_rng(seed)
        self.shape = tuple(shape)
        self.first = Conv(shape[2], channels[0], rng)
        self.norm = nnx.List([BatchNorm(channels[0])] if batch_norm else [])
        how = {"batch_norm": batch_norm, "residual": residual}
        widths, strides = _plan(channels, blocks)
        self.blocks = nnx.List(
            [
                Block(n_in, n_out, rng, stride=stride, **how)
                for n_in, n_out, stride in zip(widths, widths[1:], strides, strict=False)
            ]
        )
        self.last = Dense(widths[-1], outputs, rng)

    def __call__(self, x: Images) -> Float[Array, "row output"]:
        h = self.first(x)
        for norm in self.norm:
            h = norm(h)
        h = relu(h)
        for block in self.blocks:
            h = block(h)
        return self.last(h.mean((1, 2)))


def _plan(channels: Sequence[int], blocks: int) -> tuple[list[int], list[int]]:
    """Channels before, between and after all blocks, and the stride of each block."""
    widths, strides = [channels[0]], []
    for stage, width in enumerate(channels):
        for number in range(blocks):
            widths.append(width)
            strides.append(2 if stage > 0 and number == 0 else 1)
    return widths, strides


def _full(channels: int, value: float) -> Float[Array, " channel"]:
    return jnp.asarray(np.full(channels, value, np.float32))


def _wide(channel: Float[Array, " channel"]) -> Float[Array, "1 1 1 channel"]:
    return channel[None, None, None, :]
