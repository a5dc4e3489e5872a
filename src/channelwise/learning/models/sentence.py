"""One vector a sentence, from a BERT: to classify it, or to find what belongs together."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from channelwise.learning.data.tokens import MASK, UNKNOWN
from channelwise.learning.models.affine import Affine
from channelwise.learning.models.bert import Bert, begin_from
from channelwise.learning.models.bert_config import BertConfig
from channelwise.learning.models.first_weights import FirstWeights

SHORTEST = 1e-6
"""Added to a squared length before its root: a row without tokens has the direction zero."""


def sentence_vectors(bert: Bert, tokens: Int[Array, "row length"]) -> Float[Array, "row width"]:
    """The mean of the last hidden states of each row's tokens, special ones left out.

    v_i = Σ_j [x_ij is a token] h_ij / Σ_j [x_ij is a token]

    A small encoder learns it sooner than BERT's first hidden state, which has to gather the row by
    attention before it says anything.

    Args:
      bert: the encoder.
      tokens: from `Tokenizer.encode`; a row without tokens has the vector zero.

    Source: Reimers, Gurevych 2019 (Sentence-BERT), §3.
    """
    h, _ = bert.hidden(tokens)
    h = h.reshape(*tokens.shape, -1)
    counts = ((tokens == UNKNOWN) | (tokens >= MASK)).astype(h.dtype)[..., None]
    return (h * counts).sum(1) / jnp.maximum(counts.sum(1), 1)


class SentenceClassifier(nnx.Module):
    """A BERT that classifies rows by their vectors: logits = v W + b.

    Args:
      config: the sizes.
      outputs: logits a row, k ≥ 1; with one the answer is one number a row.
      seed: of the first weights.
      encoder: a trained `Bert` to begin from; it is copied.
    """

    def __init__(
        self, config: BertConfig, outputs: int = 2, *, seed: int = 0, encoder: Bert | None = None
    ):
        self.bert = begin_from(encoder, config, seed)
        first = FirstWeights(seed + 1, config.initializer_range)
        self.head = Affine(config.hidden_size, outputs, first)

    def __call__(self, tokens: Int[Array, "row length"]) -> Float[Array, "row *output"]:
        logits = self.head(sentence_vectors(self.bert, tokens))
        return logits[:, 0] if logits.shape[1] == 1 else logits


class SentencePairs(nnx.Module):
    """A BERT that says which second sentence belongs to which first: s_ij = cos(a_i, b_j) / τ.

    Args:
      config: the sizes.
      temperature: τ > 0: the smaller, the more the nearest wrong one counts.
      seed: of the first weights.
      encoder: a `Bert` to begin from; it is copied.

    Source: Chen, Kornblith, Norouzi, Hinton 2020, §2.1; Gao, Yao, Chen 2021, §2.
    """

    def __init__(
        self,
        config: BertConfig,
        *,
        temperature: float = 0.1,
        seed: int = 0,
        encoder: Bert | None = None,
    ):
        if not temperature > 0:
            raise ValueError(f"temperature must be > 0, such as 0.1: got {temperature}.")
        self.bert = begin_from(encoder, config, seed)
        self.temperature = temperature

    def __call__(self, pairs: Int[Array, "pair 2 length"]) -> Float[Array, "pair pair"]:
        """The similarity of every first sentence of the batch to every second one."""
        rows = pairs.transpose(1, 0, 2).reshape(-1, pairs.shape[2])
        v = sentence_vectors(self.bert, rows)
        a, b = jnp.split(v / jnp.sqrt((v * v).sum(-1, keepdims=True) + SHORTEST), 2)
        return (a @ b.T) / self.temperature
