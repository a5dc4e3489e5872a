"""The transformer encoder: layers of attention and of a feed-forward network, norms behind."""

from flax import nnx
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from channelwise.learning.models.affine import Affine
from channelwise.learning.models.attention import attention
from channelwise.learning.models.bert_config import BertConfig
from channelwise.learning.models.dropout import drop, kept, split
from channelwise.learning.models.first_weights import FirstWeights
from channelwise.learning.models.gelu import activate
from channelwise.learning.models.layer_norm import layer_norm


class Norm(nnx.Module):
    """Layer normalization with its own scale and shift.

    Args:
      width: features.
      epsilon: added to the variance.
      first: where the first weights come from: scale 1, shift 0.
    """

    def __init__(self, width: int, epsilon: float, first: FirstWeights):
        self.scale, self.shift = (
            nnx.Param(first.constant(width, 1.0)),
            nnx.Param(first.constant(width, 0.0)),
        )
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
        return layer_norm(x, self.scale[...], self.shift[...], self.epsilon)


class Layer(nnx.Module):
    """One layer: attention, then a feed-forward network, each added to its input and normalized.

    a = norm(h + A(h) W_o + b_o),   h' = norm(a + f(a W_1 + b_1) W_2 + b_2)

    Args:
      config: the sizes.
      first: where the first weights come from.

    Source: Vaswani et al. 2017, §3.1 (norms behind, as in BERT).
    """

    def __init__(self, config: BertConfig, first: FirstWeights):
        d, f = config.hidden_size, config.intermediate_size
        self.config = config
        self.queries_keys_values = Affine(d, 3 * d, first)
        self.mix = Affine(d, d, first)
        self.mixed = Norm(d, config.layer_norm_eps, first)
        self.up, self.down = Affine(d, f, first), Affine(f, d, first)
        self.out = Norm(d, config.layer_norm_eps, first)

    def __call__(
        self,
        h: Float[Array, "token width"],
        mask: Bool[Array, "row length"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "token width"]:
        c = self.config
        of_weights, of_mixture, of_network = split(key, 3)
        rows, length = mask.shape
        shape = (rows, c.num_attention_heads, length, length)
        keep = kept(of_weights, c.attention_probs_dropout_prob, shape, h.dtype)
        A = attention(self.queries_keys_values(h), mask, keep, c.num_attention_heads)
        a = self.mixed(h + drop(of_mixture, c.hidden_dropout_prob, self.mix(A)))
        network = self.down(activate(self.up(a), c.hidden_act))
        return self.out(a + drop(of_network, c.hidden_dropout_prob, network))


class Encoder(nnx.Module):
    """A stack of layers over rows of embedded tokens.

    Activations travel as one matrix with a line for each token of each row: what a product with a
    weight matrix and its gradient want, without copies in between.

    Args:
      config: the sizes.
      first: where the first weights come from.

    Source: Vaswani et al. 2017; Devlin, Chang, Lee, Toutanova 2019.
    """

    def __init__(self, config: BertConfig, first: FirstWeights):
        self.layers = nnx.List([Layer(config, first) for _ in range(config.num_hidden_layers)])

    def __call__(
        self,
        h: Float[Array, "token width"],
        mask: Bool[Array, "row length"],
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "token width"]:
        """The last hidden states.

        Args:
          h: the embedded tokens of all rows, one below the other.
          mask: true for tokens, false for padding.
          key: of the dropout of this step; None drops nothing.
        """
        for layer, of_layer in zip(self.layers, split(key, len(self.layers)), strict=True):
            h = layer(h, mask, of_layer)
        return h
