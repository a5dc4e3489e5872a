"""BERT: embeddings, encoder and pooler, and its heads for classification and masked language."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from channelwise.learning.models.affine import Affine, affine
from channelwise.learning.models.bert_config import BertConfig, BertError
from channelwise.learning.models.dropout import Noise, drop, split
from channelwise.learning.models.first_weights import FirstWeights
from channelwise.learning.models.gelu import activate
from channelwise.learning.models.transformer import Encoder, Norm

Tokens = Int[Array, "row length"] | Mapping[str, Int[Array, "row count"]]
"""int32 [row, length], or a dictionary of them: "tokens", and "types" and "positions" if wanted."""


class Bert(nnx.Module):
    """A BERT without a head: tokens to hidden states.

    h⁰ = norm(E[token] + P[position] + S[type]),   hˡ = layer(hˡ⁻¹),   pooled = tanh(h⁰ᴸ W_p + b_p)

    Args:
      config: the sizes; the defaults are those of BERT-base.
      seed: of the first weights, N(0, σ²) with the configuration's `initializer_range`, drawn
        with NumPy, and of dropout; None leaves the weights zero, to be read from a file.

    Attributes:
      noise: of the dropout: on after `train()` (as `fit` does), off at first and after `eval()`.

    Source: Devlin, Chang, Lee, Toutanova 2019.
    """

    def __init__(self, config: BertConfig, *, seed: int | None = 0):
        first, d = FirstWeights(seed, config.initializer_range), config.hidden_size
        self.config = config
        self.word = nnx.Param(first.normal(config.vocab_size, d))
        self.position = nnx.Param(first.normal(config.max_position_embeddings, d))
        self.type = nnx.Param(first.normal(config.type_vocab_size, d))
        self.embedded = Norm(d, config.layer_norm_eps, first)
        self.encoder = Encoder(config, first)
        self.pooler = Affine(d, d, first)
        self.noise = Noise(seed or 0) if drops(config) else None

    def __call__(self, x: Tokens) -> "Outputs":
        """Hidden states and pooled output of each row.

        Args:
          x: int32 [row, length]: token numbers, `pad_token_id` where there is none; or a
            dictionary with those as "tokens" and 0, 1, … of the same shape as "types".

        Returns:
          `Outputs`; the hidden states at padding are numbers without a meaning.

        Raises:
          BertError: if the rows are longer than the positions the model knows, or the dictionary
            has other entries.

        Numerical note: a token or type outside its vocabulary makes its row NaN.
        """
        h, _ = self.hidden(x)
        hidden = h.reshape(*_tokens(x, ()).shape, h.shape[1])
        return Outputs(hidden, jnp.tanh(self.pooler(hidden[:, 0])))

    def hidden(
        self, x: Tokens, more: tuple[str, ...] = ()
    ) -> tuple[Float[Array, "token width"], PRNGKeyArray | None]:
        """The last hidden states, one line a token, and a key for the head's dropout.

        Args:
          x: as in a call.
          more: further entries the dictionary may have.
        """
        tokens = _tokens(x, more)
        of_input, of_layers, of_head = split(self.noise() if self.noise else None, 3)
        h = self.embedded(self._embed(tokens, x.get("types") if isinstance(x, Mapping) else None))
        h = drop(of_input, self.config.hidden_dropout_prob, h)
        return self.encoder(h, tokens != self.config.pad_token_id, of_layers), of_head

    def _embed(
        self, tokens: Int[Array, "row length"], types: Int[Array, "row length"] | None
    ) -> Float[Array, "token width"]:
        rows, length = tokens.shape
        if length > self.config.max_position_embeddings:
            raise BertError(
                f"The rows have {length} tokens, but this BERT knows "
                f"{self.config.max_position_embeddings} positions (max_position_embeddings): cut "
                "the rows, or make the model with more positions."
            )
        position = self.position[:length]
        if types is None:
            position = position + self.type[0][None, :]
        d = self.config.hidden_size
        h = _rows(self.word[...], tokens).reshape(rows, length, d) + position[None]
        h = h.reshape(rows * length, d)
        return h if types is None else h + _rows(self.type[...], types)


class Outputs(NamedTuple):
    """What a BERT says of rows of tokens.

    Attributes:
      hidden: the last hidden state of each token.
      pooled: tanh of an affine map of the first token's, one line a row.
    """

    hidden: Float[Array, "row length width"]
    pooled: Float[Array, "row width"]


class BertClassifier(nnx.Module):
    """A BERT that classifies rows: logits = drop(pooled) W + b.

    Args:
      config: the sizes.
      outputs: logits a row, k ≥ 1; with one the answer is one number a row.
      seed: of the first weights and of dropout.
      encoder: a trained `Bert` to begin from, such as `BertMaskedLanguage.bert`; it is copied.

    Raises:
      BertError: if there are no outputs, or the encoder has another configuration.

    Source: Devlin, Chang, Lee, Toutanova 2019, §4.1.
    """

    def __init__(
        self,
        config: BertConfig,
        outputs: int = 2,
        *,
        seed: int | None = 0,
        encoder: Bert | None = None,
    ):
        if outputs < 1:
            raise BertError(f"outputs must be at least 1, got {outputs}.")
        self.bert = begin_from(encoder, config, seed)
        first = FirstWeights(None if seed is None else seed + 1, config.initializer_range)
        self.classifier = Affine(config.hidden_size, outputs, first)

    def __call__(self, x: Tokens) -> Float[Array, "row *output"]:
        """Logits, one line a row, or one number a row if there is one output."""
        h, key = self.bert.hidden(x)
        h = h.reshape(*_tokens(x, ()).shape, h.shape[1])[:, 0]
        pooled = jnp.tanh(self.bert.pooler(h))
        logits = self.classifier(drop(key, self._share(), pooled))
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def _share(self) -> float:
        c = self.bert.config
        return c.hidden_dropout_prob if c.classifier_dropout is None else c.classifier_dropout


class BertMaskedLanguage(nnx.Module):
    """A BERT that guesses tokens: logits = norm(f(h W + b)) Eᵀ + c, with E the word embedding.

    Args:
      config: the sizes.
      seed: of the first weights and of dropout.
      encoder: a `Bert` to begin from; it is copied.

    Source: Devlin, Chang, Lee, Toutanova 2019, §3.1, task 1.
    """

    def __init__(self, config: BertConfig, *, seed: int | None = 0, encoder: Bert | None = None):
        first = FirstWeights(None if seed is None else seed + 1, config.initializer_range)
        self.bert = begin_from(encoder, config, seed)
        self.transform = Affine(config.hidden_size, config.hidden_size, first)
        self.transformed = Norm(config.hidden_size, config.layer_norm_eps, first)
        self.bias = nnx.Param(first.constant(config.vocab_size, 0.0))

    def __call__(self, x: Tokens) -> Float[Array, "row position vocabulary"]:
        """Logits of every token at each position, or only where they are asked for.

        Args:
          x: as of `Bert`; a dictionary may also have "positions", int32 [row, k]: the places whose
            logits are wanted. The product with the vocabulary is most of the work of a small
            encoder: with 15 % of the tokens masked, asking for those alone saves most of it.

        Returns:
          [row, length, V], or [row, k, V] in the order of "positions".

        Numerical note: a position outside the row makes its logits NaN.
        """
        h, _ = self.bert.hidden(x, ("positions",))
        h = h.reshape(*_tokens(x, ("positions",)).shape, h.shape[1])
        if isinstance(x, Mapping) and "positions" in x:
            h = at_positions(h, x["positions"])
        flat = h.reshape(-1, h.shape[-1])
        guess = self.transformed(activate(self.transform(flat), self.bert.config.hidden_act))
        logits = affine(guess, self.bert.word[...].T, self.bias[...])
        return logits.reshape(*h.shape[:2], self.bert.config.vocab_size)


def at_positions(
    h: Float[Array, "row length width"], positions: Int[Array, "row position"]
) -> Float[Array, "row position width"]:
    """The hidden states at chosen places of each row: h[i, positions[i]]."""
    rows, length, width = h.shape
    inside = (positions >= 0) & (positions < length)
    lines = jnp.where(inside, positions + length * jnp.arange(rows)[:, None], rows * length)
    return _rows(h.reshape(-1, width), lines).reshape(*positions.shape, width)


def begin_from(encoder: Bert | None, config: BertConfig, seed: int | None) -> Bert:
    """A copy of the encoder given, or a new one."""
    if encoder is None:
        return Bert(config, seed=seed)
    if encoder.config != config:
        different = [
            f"{name} {getattr(encoder.config, name)!r} instead of {getattr(config, name)!r}"
            for name in BertConfig.__dataclass_fields__
            if getattr(encoder.config, name) != getattr(config, name)
        ]
        raise BertError(
            f"The encoder was made with {', '.join(different)}: pass its own configuration, "
            "encoder.config."
        )
    return nnx.clone(encoder)


def drops(config: BertConfig) -> bool:
    """Whether anything is dropped in training."""
    shares = (config.hidden_dropout_prob, config.attention_probs_dropout_prob)
    return max(*shares, config.classifier_dropout or 0) > 0


def _rows(matrix: Float[Array, "entry width"], numbers: Int[Array, "..."]) -> Array:
    """The numbered lines of a matrix, one below the other; NaN for a number it does not have."""
    flat = numbers.reshape(-1)
    return matrix.at[flat].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


def _tokens(x: Tokens, more: tuple[str, ...]) -> Int[Array, "row length"]:
    """The token numbers of an input; refuses entries a model would not look at."""
    if not isinstance(x, Mapping):
        return x
    known = ("tokens", "types", *more)
    unknown = [name for name in x if name not in known]
    if unknown or "tokens" not in x:
        raise BertError(
            f"The input must be int32 [row, length] or a dictionary with {', '.join(known)}; "
            f"got {', '.join(map(repr, x))}."
        )
    if "types" in x and x["types"].shape != x["tokens"].shape:
        raise BertError(
            f"types has the shape {x['types'].shape}, tokens {x['tokens'].shape}: one type for "
            "each token."
        )
    return x["tokens"]
