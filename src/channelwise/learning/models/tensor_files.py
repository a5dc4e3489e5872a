"""Tensors of a folder in the safetensors format, in one file or several; nothing is executed."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from channelwise.learning.models.bert_config import BertError

FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATING = ("F16", "BF16", "F32", "F64")


class Tensors:
    """The tensors of open files, read one at a time.

    Attributes:
      names: of all tensors, as stored.
    """

    def __init__(self, files: dict[str, Any], folder: Path):
        self._files, self._folder = files, folder
        self.names = tuple(files)

    def shape(self, name: str) -> tuple[int, ...]:
        """The stored shape, without reading the numbers."""
        return tuple(self._files[name].get_slice(name).get_shape())

    def read(self, name: str) -> Float[np.ndarray, "..."]:
        """The tensor as float32.

        Raises:
          BertError: if it does not hold floating-point numbers, or its file is damaged.
        """
        kind = self._files[name].get_slice(name).get_dtype()
        if kind not in FLOATING:
            raise BertError(
                f"{self._folder}: the tensor {name} holds {kind}, not one of "
                f"{', '.join(FLOATING)}: quantized weights cannot be read. Save it in float32."
            )
        return np.asarray(self._files[name].get_tensor(name).astype(jnp.float32))


@contextmanager
def open_tensors(folder: Path) -> Iterator[Tensors]:
    """The tensors of `model.safetensors`, or of the files its index names.

    Raises:
      BertError: if there is no such file, or one is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    with ExitStack() as stack:
        files: dict[str, Any] = {}
        for path in _paths(folder):
            try:
                # "flax" because NumPy by itself has no bfloat16.
                opened = stack.enter_context(safe_open(path, framework="flax"))
            except (SafetensorError, OSError) as error:
                raise BertError(
                    f"{path} is damaged or cut off ({error}): copy it again, and compare its size "
                    "with the original's."
                ) from error
            files |= dict.fromkeys(opened.keys(), opened)
        yield Tensors(files, folder)


def _paths(folder: Path) -> list[Path]:
    if (folder / FILE).is_file():
        return [folder / FILE]
    if (folder / INDEX).is_file():
        return _shards(folder)
    if (folder / "pytorch_model.bin").is_file():
        raise BertError(
            f"{folder} has its weights in pytorch_model.bin, a pickle, which can run any code when "
            "it is read, so it is not. Save the model as safetensors with transformers: "
            "AutoModel.from_pretrained(folder).save_pretrained(new_folder)."
        )
    raise BertError(
        f"{folder} has no {FILE}: copy the whole folder of the checkpoint, weights included."
    )


def _shards(folder: Path) -> list[Path]:
    """The files named by the index, each once and each inside the folder."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise BertError(f"{folder / INDEX} is damaged ({error!r}): copy it again.") from error
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise BertError(
                f"{folder / INDEX} names {name}, which is not in the folder: copy it too."
            )
    return [folder / name for name in names]
