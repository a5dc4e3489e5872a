"""Which tensor of a Hugging Face BERT is which parameter of ours."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float

from channelwise.learning.models.bert_config import BertConfig

Head = Literal["encoder", "classification", "masked_language"]
HEADS: dict[Head, str] = {
    "encoder": "BertModel",
    "classification": "BertForSequenceClassification",
    "masked_language": "BertForMaskedLM",
}
"""What a model is for, and the name of the class in `transformers`."""

Shape = tuple[int, ...]
Where = tuple[str | int, ...]

_AFFINE = {
    ("mix",): "attention.output.dense",
    ("up",): "intermediate.dense",
    ("down",): "output.dense",
}
_NORMS = {("mixed",): "attention.output.LayerNorm", ("out",): "output.LayerNorm"}
_ELSEWHERE = ("cls.seq_relationship.", "cls.predictions.", "classifier.", "pooler.")
"""Beginnings of the names of heads, which a checkpoint made for another purpose may have."""


class Entry(NamedTuple):
    """One parameter and the tensors it is stored as.

    Attributes:
      where: the parameter's place in the model.
      names: of the stored tensors, without the prefix "bert."; several lie side by side in ours.
      shape: of each stored tensor.
      turned: whether a stored tensor is the transpose, [output, input].
    """

    where: Where
    names: tuple[str, ...]
    shape: Shape
    turned: bool = False

    def join(self, stored: list[Float[np.ndarray, "..."]]) -> Float[np.ndarray, "..."]:
        """The parameter from its stored tensors."""
        return np.concatenate([a.T if self.turned else a for a in stored], axis=-1)

    def part(self, value: Float[ArrayLike, "..."]) -> list[Float[np.ndarray, "..."]]:
        """The stored tensors of a parameter."""
        parts = np.split(np.asarray(value, np.float32), len(self.names), axis=-1)
        return [np.ascontiguousarray(a.T if self.turned else a) for a in parts]


def entries(config: BertConfig, head: Head, outputs: int) -> list[Entry]:
    """Every parameter of a model, in the order of its tensors.

    Args:
      config: the sizes.
      head: what the model is for.
      outputs: logits of a classifier.
    """
    inside: tuple[str, ...] = () if head == "encoder" else ("bert",)
    found = [entry._replace(where=(*inside, *entry.where)) for entry in _encoder(config)]
    d, V = config.hidden_size, config.vocab_size
    if head == "classification":
        found += _affine(("classifier",), ("classifier",), d, outputs)
    if head == "masked_language":
        found += _affine(("transform",), ("cls.predictions.transform.dense",), d, d)
        found += _norm(("transformed",), "cls.predictions.transform.LayerNorm", d)
        found.append(Entry(("bias",), ("cls.predictions.bias",), (V,)))
    return found


def canonical(name: str) -> str:
    """A stored name without the prefix "bert." and in today's words for scale and shift."""
    name = name.removeprefix("bert.")
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def full_name(name: str, head: Head) -> str:
    """The name `transformers` gives a tensor of a model with this head."""
    of_head = name.startswith(("cls.", "classifier."))
    return name if head == "encoder" or of_head else f"bert.{name}"


def may_be_drawn(name: str) -> bool:
    """Whether a tensor may be absent: the pooler and the heads, which fine-tuning makes anew."""
    return name.startswith(_ELSEWHERE)


def may_be_left(name: str) -> bool:
    """Whether a tensor that this model has no place for is none it would need."""
    return name.startswith(_ELSEWHERE) or name == "embeddings.position_ids"


def _encoder(config: BertConfig) -> Iterator[Entry]:
    d = config.hidden_size
    tables = {
        "word": ("word_embeddings", config.vocab_size),
        "position": ("position_embeddings", config.max_position_embeddings),
        "type": ("token_type_embeddings", config.type_vocab_size),
    }
    for ours, (theirs, size) in tables.items():
        yield Entry((ours,), (f"embeddings.{theirs}.weight",), (size, d))
    yield from _norm(("embedded",), "embeddings.LayerNorm", d)
    for i in range(config.num_hidden_layers):
        yield from _layer(("encoder", "layers", i), f"encoder.layer.{i}.", config)
    yield from _affine(("pooler",), ("pooler.dense",), d, d)


def _layer(where: Where, prefix: str, config: BertConfig) -> Iterator[Entry]:
    d, f = config.hidden_size, config.intermediate_size
    three = tuple(f"{prefix}attention.self.{part}" for part in ("query", "key", "value"))
    yield from _affine((*where, "queries_keys_values"), three, d, d)
    sizes = {"mix": (d, d), "up": (d, f), "down": (f, d)}
    for ours, theirs in _AFFINE.items():
        yield from _affine((*where, *ours), (prefix + theirs,), *sizes[ours[0]])
    for ours, theirs in _NORMS.items():
        yield from _norm((*where, *ours), prefix + theirs, d)


def _affine(where: Where, names: tuple[str, ...], inputs: int, outputs: int) -> Iterator[Entry]:
    """An affine map, or several side by side; `outputs` of each."""
    weights, biases = (tuple(f"{n}.{kind}" for n in names) for kind in ("weight", "bias"))
    yield Entry((*where, "kernel"), weights, (outputs, inputs), turned=True)
    yield Entry((*where, "bias"), biases, (outputs,))


def _norm(where: Where, name: str, width: int) -> Iterator[Entry]:
    yield Entry((*where, "scale"), (f"{name}.weight",), (width,))
    yield Entry((*where, "shift"), (f"{name}.bias",), (width,))
