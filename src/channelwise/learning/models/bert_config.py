"""The shape of a BERT: its configuration, under the names of Hugging Face's `config.json`."""

import difflib
from dataclasses import dataclass, fields

from channelwise.learning.models.gelu import CURVES


class BertError(ValueError):
    """A configuration, an input or a folder no BERT can be made of; the message says why."""


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The sizes and constants of a BERT; the defaults are those of BERT-base.

    Attributes:
      vocab_size: tokens, V ≥ 1.
      hidden_size: width d of the hidden states, a multiple of the heads.
      num_hidden_layers: layers L ≥ 0.
      num_attention_heads: heads h ≥ 1.
      intermediate_size: width f of the feed-forward networks, ≥ 1.
      max_position_embeddings: longest row of tokens, P ≥ 1.
      type_vocab_size: kinds of token (first and second sentence), S ≥ 1.
      hidden_act: "gelu" (x Φ(x)), "gelu_new" or "gelu_pytorch_tanh" (its tanh form), or "relu".
      layer_norm_eps: ε added to the variance in a layer norm, > 0.
      hidden_dropout_prob: share of hidden values dropped in training, in [0, 1).
      attention_probs_dropout_prob: share of attention weights dropped in training, in [0, 1).
      initializer_range: standard deviation of the first weights, > 0.
      pad_token_id: the token that only fills up a row; it is never attended to.
      classifier_dropout: share dropped before a classifier; None means hidden_dropout_prob.

    Raises:
      BertError: if a size or a constant makes no BERT.

    Source: Devlin, Chang, Lee, Toutanova 2019, §3.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    initializer_range: float = 0.02
    pad_token_id: int = 0
    classifier_dropout: float | None = None

    def __post_init__(self) -> None:
        _check_sizes(self)
        _check_shares(self)
        if self.hidden_act not in CURVES:
            near = difflib.get_close_matches(self.hidden_act, CURVES, 1, 0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BertError(
                f"hidden_act {self.hidden_act!r} is not supported: it must be one of "
                f"{', '.join(CURVES)}.{hint}"
            )


def layer_parameters(config: BertConfig) -> int:
    """Parameters of one layer: 4 d (d + 1) for attention, 2 d f + f + d, and 4 d of the norms."""
    d, f = config.hidden_size, config.intermediate_size
    return 4 * d * (d + 1) + (d * f + f) + (f * d + d) + 4 * d


def parameter_count(config: BertConfig, head: str | None = None, outputs: int = 2) -> int:
    """Parameters of a BERT, counted without making it.

    (V + P + S) d + 2 d  +  L (12-term layer)  +  d (d + 1)   embeddings, layers, pooler

    Args:
      config: the sizes.
      head: None for the encoder and its pooler, "classification" for d k + k more, or
        "masked_language" for d (d + 1) + 2 d + V more: the decoder is the word embedding itself.
      outputs: k, of a classifier.

    Returns:
      109,482,240 for BERT-base and 335,141,888 for BERT-large.

    Raises:
      BertError: if the head is none of these.
    """
    d, V = config.hidden_size, config.vocab_size
    heads = {
        None: 0,
        "classification": d * outputs + outputs,
        "masked_language": d * (d + 1) + 2 * d + V,
    }
    if head not in heads:
        raise BertError(f'head must be None, "classification" or "masked_language", got {head!r}.')
    rows = V + config.max_position_embeddings + config.type_vocab_size
    encoder = rows * d + 2 * d + config.num_hidden_layers * layer_parameters(config) + d * (d + 1)
    return encoder + heads[head]


def _check_sizes(config: BertConfig) -> None:
    least = {"num_hidden_layers": 0, "pad_token_id": 0}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.type is not int:
            continue
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or value < least.get(field.name, 1)
        ):
            raise BertError(
                f"{field.name} must be a whole number of at least {least.get(field.name, 1)}, "
                f"got {value!r}."
            )
    if config.hidden_size % config.num_attention_heads:
        raise BertError(
            f"hidden_size {config.hidden_size} is no multiple of num_attention_heads "
            f"{config.num_attention_heads}: every head needs the same width."
        )
    if config.pad_token_id >= config.vocab_size:
        raise BertError(
            f"pad_token_id {config.pad_token_id} is outside the vocabulary of "
            f"{config.vocab_size} tokens."
        )


def _check_shares(config: BertConfig) -> None:
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
        share = getattr(config, name)
        if not (0 <= share < 1 if share is not None else name == "classifier_dropout"):
            raise BertError(f"{name} must lie in [0, 1), got {share!r}.")
    for name in ("layer_norm_eps", "initializer_range"):
        if not 0 < getattr(config, name) < 1:
            raise BertError(f"{name} must lie in (0, 1), got {getattr(config, name)!r}.")


BERT_BASE = BertConfig()
BERT_LARGE = BertConfig(
    hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
)
