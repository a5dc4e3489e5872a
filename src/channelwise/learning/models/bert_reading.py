"""What is read of a Hugging Face folder before any number is: its configuration and names."""

import difflib
import json
from pathlib import Path
from typing import Any

import numpy as np

from channelwise.learning.models.bert_config import BertConfig, BertError
from channelwise.learning.models.bert_names import Entry, Head, canonical, may_be_drawn, may_be_left
from channelwise.learning.models.tensor_files import Tensors


def read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        what = "does not exist" if not folder.exists() else "has no config.json"
        raise BertError(f"{folder} is no folder of a BERT: it {what}.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BertError(f"{path} is damaged ({error}): copy it again.") from error
    if not isinstance(record, dict):
        raise BertError(f"{path} must hold an object with names and values.")
    return record


def architecture(record: dict[str, Any], folder: Path) -> BertConfig:
    """The configuration, if its architecture is BERT as published."""
    _refuse(record, "model_type", ("bert",), folder)
    _refuse(record, "position_embedding_type", ("absolute", None), folder)
    _refuse(record, "is_decoder", (False, None), folder)
    _refuse(record, "add_cross_attention", (False, None), folder)
    known = {n: record[n] for n in BertConfig.__dataclass_fields__ if n in record}
    for name, value in known.items():
        _check_kind(name, value, folder)
    try:
        return BertConfig(**known)
    except BertError as error:
        raise BertError(f"{folder}/config.json: {error}") from error


def _check_kind(name: str, value: Any, folder: Path) -> None:
    """Refuse text where a number belongs and the like."""
    kind = type(BertConfig.__dataclass_fields__[name].default)
    allowed = {int: (int,), float: (float, int), str: (str,)}.get(kind, (float, int, type(None)))
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise BertError(
            f"{folder}/config.json has {name} {value!r}: it must be of the kind {kind.__name__}."
        )


def _refuse(record: dict[str, Any], name: str, allowed: tuple[Any, ...], folder: Path) -> None:
    if record.get(name) not in allowed:
        raise BertError(
            f"{folder}/config.json has {name} {record.get(name)!r}, but only {allowed[0]!r} can be "
            "read: this program has BERT as published in 2019, with positions as a table and "
            "attention to both sides."
        )


def labels_of(record: dict[str, Any], outputs: int | None) -> tuple[str, ...]:
    """Names of a classifier's outputs: those of `id2label`, or as many numbers as asked for."""
    stored = record.get("id2label") or {}
    names = tuple(str(stored[k]) for k in sorted(stored, key=int)) or ("LABEL_0", "LABEL_1")
    if outputs is None or outputs == len(names):
        return names
    return tuple(f"LABEL_{i}" for i in range(outputs))


def by_canonical_name(tensors: Tensors, folder: Path, head: Head) -> dict[str, str]:
    """Canonical name to stored name; the bias of the decoder under its newer name."""
    names: dict[str, str] = {}
    for stored in tensors.names:
        name = canonical(stored)
        if name in names:
            raise BertError(f"{folder} has both {names[name]} and {stored}, which are the same.")
        names[name] = stored
    if head == "masked_language" and "cls.predictions.decoder.bias" in names:
        names.setdefault("cls.predictions.bias", names.pop("cls.predictions.decoder.bias"))
    return names


def absent_tensors(
    tensors: Tensors, names: dict[str, str], wanted: list[Entry], folder: Path
) -> list[str]:
    """Refuse missing and misshapen tensors; the names of those that are drawn instead."""
    missing = [(name, e.shape) for e in wanted for name in e.names if name not in names]
    halves = {_module(n) for e in wanted for n in e.names if n in names}
    lost = [(n, s) for n, s in missing if not may_be_drawn(n) or _module(n) in halves]
    if lost:
        raise BertError(
            f"{folder} lacks {len(lost)} of the tensors that config.json asks "
            f"for: {_some([f'{n} {s}' for n, s in lost])}. Copy the whole checkpoint, and the "
            "config.json that belongs to it."
        )
    for entry in wanted:
        for name in entry.names:
            _check_shape(tensors, names.get(name), entry.shape, folder)
    return [name for name, _ in missing]


def _check_shape(
    tensors: Tensors, stored: str | None, shape: tuple[int, ...], folder: Path
) -> None:
    if stored is None or tensors.shape(stored) == shape:
        return
    remedy = "use the config.json that belongs to the weights"
    if canonical(stored).startswith("classifier."):
        remedy = (
            "pass the number of outputs it was trained with, or begin a new classifier: "
            "BertClassifier(config, outputs, encoder=load_bert(folder).model)"
        )
    raise BertError(
        f"{folder}: the tensor {stored} has the shape {tensors.shape(stored)}, {shape} was "
        f"expected: {remedy}."
    )


def unused_tensors(
    names: dict[str, str], wanted: list[Entry], tensors: Tensors, head: Head, folder: Path
) -> list[str]:
    """The stored names without a place here; refused if they are not known to be harmless."""
    expected = {name for entry in wanted for name in entry.names}
    left = {name: stored for name, stored in names.items() if name not in expected}
    for name, stored in left.items():
        if not may_be_left(name):
            near = difflib.get_close_matches(name, expected, 1, 0.6)
            hint = f" Did the writer mean {near[0]}?" if near else ""
            raise BertError(
                f"{folder} has a tensor {stored} {tensors.shape(stored)} that no part of this BERT "
                f"has a place for: its outputs would not be the published ones.{hint}"
            )
    decoder = left.get("cls.predictions.decoder.weight")
    if head == "masked_language" and decoder is not None:
        words = names.get("embeddings.word_embeddings.weight")
        if words is None or not np.array_equal(tensors.read(decoder), tensors.read(words)):
            raise BertError(
                f"{folder}: {decoder} differs from the word embedding; only a decoder tied to it "
                "(tie_word_embeddings) can be read."
            )
    return list(left.values())


def _module(name: str) -> str:
    """What a tensor belongs to: its parts are stored all or not at all."""
    return name.rsplit(".", 1)[0] if not name.startswith("cls.predictions") else "cls.predictions"


def _some(texts: list[str], most: int = 4) -> str:
    """The first few of a list, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
