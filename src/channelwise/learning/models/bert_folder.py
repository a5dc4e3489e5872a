"""A BERT as a local Hugging Face folder: read one that was published, write one to pass on."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx

from channelwise.learning.model_folder import whole
from channelwise.learning.models.bert import Bert, BertClassifier, BertMaskedLanguage
from channelwise.learning.models.bert_config import BertConfig, BertError
from channelwise.learning.models.bert_names import (
    HEADS,
    Entry,
    Head,
    entries,
    full_name,
)
from channelwise.learning.models.bert_reading import (
    absent_tensors,
    architecture,
    by_canonical_name,
    labels_of,
    read_config,
    unused_tensors,
)
from channelwise.learning.models.first_weights import FirstWeights
from channelwise.learning.models.tensor_files import FILE, Tensors, open_tensors
from channelwise.learning.models.wordpiece import WordPiece, load_wordpiece

Model = Bert | BertClassifier | BertMaskedLanguage


class LoadedBert(NamedTuple):
    """What a folder holds.

    Attributes:
      model: the `Bert`, `BertClassifier` or `BertMaskedLanguage` asked for.
      tokenizer: of the folder; None if it has none.
      labels: names of a classifier's outputs; () of the others.
      drawn: tensors the folder did not have, drawn anew: the head of a task still to be learned.
      unused: tensors of the folder that this model has no place for, such as another head.
    """

    model: Model
    tokenizer: WordPiece | None
    labels: tuple[str, ...]
    drawn: tuple[str, ...]
    unused: tuple[str, ...]


def load_bert(
    folder: Path | str, head: Head | str = "encoder", *, outputs: int | None = None, seed: int = 0
) -> LoadedBert:
    """Read a BERT from a folder with `config.json`, `model.safetensors` and a vocabulary.

    Args:
      folder: as downloaded from a model hub or written by `save_pretrained` or `save_bert`; the
        weights may be split into several files with an index, in float16, bfloat16 or float32.
      head: "encoder", "classification" or "masked_language".
      outputs: logits of a classifier; None takes what `config.json` says, or 2.
      seed: of what has to be drawn, and of dropout.

    Returns:
      The model in float32 and what belongs to it. The tensors of the encoder must all be there;
      a pooler or a head that is not there is drawn, and named in `drawn`.

    Raises:
      BertError: if a file is missing or damaged, the architecture is none this program has, or a
        tensor is missing, misshapen or unknown: its name and both shapes are in the message.

    Numerical note: hidden states and logits agree with `transformers` to about 1e-6.

    Source: Devlin, Chang, Lee, Toutanova 2019; Wolf et al. 2020.
    """
    folder = Path(folder)
    if head not in HEADS:
        near = difflib.get_close_matches(str(head), HEADS, 1, 0.0)[0]
        raise BertError(f"head {head!r} is none of {', '.join(HEADS)}. Did you mean {near!r}?")
    record = read_config(folder)
    config = architecture(record, folder)
    labels = labels_of(record, outputs) if head == "classification" else ()
    with open_tensors(folder) as tensors:
        names = by_canonical_name(tensors, folder, head)
        wanted = entries(config, head, len(labels))
        unused = unused_tensors(names, wanted, tensors, head, folder)
        absent = absent_tensors(tensors, names, wanted, folder)
        model = _fill(_empty(config, head, len(labels), seed), tensors, names, wanted, seed, absent)
    return LoadedBert(model, load_wordpiece(folder, config), labels, tuple(absent), tuple(unused))


def save_bert(
    folder: Path | str,
    model: Model,
    *,
    tokenizer: WordPiece | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write a BERT as a folder that `load_bert` and `transformers` read.

    Args:
      folder: made if absent; written beside and renamed, so that it is never half a model.
      model: a `Bert`, `BertClassifier` or `BertMaskedLanguage`.
      tokenizer: of the folder the model was loaded from, saved with it.
      labels: names of a classifier's outputs, in their order; () numbers them.

    Raises:
      BertError: if the folder holds something else or cannot be written, or there is not one
        label for each output.
    """
    folder = Path(folder)
    head = _head_of(model)
    if folder.exists() and _not_ours(folder):
        raise BertError(
            f"{folder} exists and is no folder of a BERT: nothing was written. Choose another name."
        )
    record = _record(model, head, labels)
    with whole(folder, BertError) as beside:
        (beside / "config.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        _write_tensors(beside, model, head, outputs_of(model))
        if tokenizer is not None:
            tokenizer.save(beside)


def outputs_of(model: Model) -> int:
    """Logits of a classifier; 0 of the others."""
    return model.classifier.bias[...].shape[0] if isinstance(model, BertClassifier) else 0


# The model itself


def _empty(config: BertConfig, head: Head, outputs: int, seed: int) -> Model:
    """A model whose matrices are zero, with the dropout of the seed."""
    if head == "encoder":
        model: Model = Bert(config, seed=None)
    elif head == "classification":
        model = BertClassifier(config, outputs, seed=None)
    else:
        model = BertMaskedLanguage(config, seed=None)
    noise = (model if head == "encoder" else model.bert).noise
    if noise is not None:
        noise.reseed(seed)
    return model


def _fill(
    model: Model,
    tensors: Tensors,
    names: dict[str, str],
    wanted: list[Entry],
    seed: int,
    absent: list[str],
) -> Model:
    """The model with the stored numbers, and with drawn ones where there are none."""
    graph, state = nnx.split(model)
    values = nnx.to_pure_dict(state)
    first = FirstWeights(seed, _base(model).config.initializer_range)
    for entry in wanted:
        place = _at(values, entry.where[:-1])
        if entry.names[0] not in absent:
            stored = [tensors.read(names[name]) for name in entry.names]
            place[entry.where[-1]] = jnp.asarray(entry.join(stored))
        elif entry.turned:  # norms and biases are what they begin as
            place[entry.where[-1]] = first.normal(*reversed(entry.shape))
    return nnx.merge(graph, values)


def _base(model: Model) -> Bert:
    return model if isinstance(model, Bert) else model.bert


def _at(tree: Any, where: tuple[str | int, ...]) -> Any:
    for step in where:
        tree = tree[step]
    return tree


# Writing


def _head_of(model: Any) -> Head:
    kinds: dict[type, Head] = {
        Bert: "encoder",
        BertClassifier: "classification",
        BertMaskedLanguage: "masked_language",
    }
    if type(model) not in kinds:
        raise BertError(
            f"Only a Bert, BertClassifier or BertMaskedLanguage can be saved, got "
            f"{type(model).__name__}."
        )
    return kinds[type(model)]


def _record(model: Model, head: Head, labels: Sequence[str]) -> dict[str, Any]:
    """The `config.json`."""
    config, outputs = _base(model).config, outputs_of(model)
    if labels and len(labels) != outputs:
        raise BertError(f"{len(labels)} labels do not name {outputs} outputs: give one for each.")
    record: dict[str, Any] = {"architectures": [HEADS[head]], "model_type": "bert"}
    record |= {name: getattr(config, name) for name in BertConfig.__dataclass_fields__}
    record |= {"position_embedding_type": "absolute", "tie_word_embeddings": True}
    record["dtype"] = "float32"
    if head == "classification":
        names = list(labels) or [f"LABEL_{i}" for i in range(outputs)]
        record["id2label"] = {str(i): name for i, name in enumerate(names)}
        record["label2id"] = {name: i for i, name in enumerate(names)}
    return record


def _write_tensors(folder: Path, model: Model, head: Head, outputs: int) -> None:
    from safetensors.numpy import save_file

    values = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    stored: dict[str, np.ndarray] = {}
    for entry in entries(_base(model).config, head, outputs):
        parts = entry.part(_at(values, entry.where))
        stored |= {full_name(n, head): a for n, a in zip(entry.names, parts, strict=True)}
    save_file(stored, folder / FILE, metadata={"format": "pt"})


def _not_ours(folder: Path) -> bool:
    """Whether a folder holds anything but a BERT."""
    if not folder.is_dir():
        return True
    if not any(folder.iterdir()):
        return False
    try:
        return read_config(folder).get("model_type") != "bert"
    except BertError:
        return True
