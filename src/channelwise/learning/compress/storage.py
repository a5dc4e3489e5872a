"""How many bytes a model really takes: the contents of its file, with the bits it needs."""

import zlib
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree, Shaped, UInt8

from channelwise.learning.compress.quantize import Quantized, is_quantized


def to_file(params: PyTree, *, deflate: bool = False) -> bytes:
    """The contents of a file that holds every number of a model, in the safetensors format.

    Quantized weights take the bits they need: two 4-bit codes a byte. Zeros take as much room as
    other numbers, unless `deflate` squeezes the file.

    Args:
      params: a tree of arrays and `Quantized` tensors.
      deflate: squeeze by zlib, which is what makes a pruned model a small file.

    Returns:
      The bytes; their number is the size on disk.
    """
    from safetensors.numpy import save

    contents = save(_tensors(params))
    return zlib.compress(contents, 9) if deflate else contents


def from_file(contents: bytes, like: PyTree, *, deflate: bool = False) -> PyTree:
    """The tree that `to_file` wrote.

    Args:
      contents: of the file.
      like: a tree of the same form, such as the untrained model's; its numbers do not matter.
      deflate: as it was written.

    Raises:
      ValueError: if a tensor is missing or has another shape.
    """
    from safetensors.numpy import load

    tensors = load(zlib.decompress(contents) if deflate else contents)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: _read(_name(path), leaf, tensors), like, is_leaf=is_quantized
    )


def _tensors(params: PyTree) -> dict[str, np.ndarray]:
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params, is_leaf=is_quantized):
        name = _name(path)
        if is_quantized(leaf):
            found[f"{name}.codes"] = _packed(np.asarray(leaf.codes), leaf.bits)
            found[f"{name}.scale"] = np.ascontiguousarray(leaf.scale)
        else:
            found[name] = np.ascontiguousarray(leaf)
    return found


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _read(
    name: str, like: Shaped[Array | np.ndarray, "..."] | Quantized, tensors: dict[str, np.ndarray]
) -> Any:
    if not is_quantized(like):
        return _take(tensors, name, like.shape)
    stream = _take(tensors, f"{name}.codes", (-(-like.codes.size * like.bits // 8),))
    scale = _take(tensors, f"{name}.scale", like.scale.shape)
    return Quantized(_unpacked(stream, like.bits, like.codes.shape), scale, like.bits)


def _take(tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in tensors:
        raise ValueError(f"The file holds no tensor {name!r}: it is of another model.")
    if tensors[name].shape != shape:
        raise ValueError(
            f"{name!r} has the shape {tensors[name].shape} in the file and {shape} in the model: "
            "build the model with the settings that it was saved with."
        )
    return tensors[name]


def _packed(codes: Int[np.ndarray, "..."], bits: int) -> UInt8[np.ndarray, " byte"]:
    """Codes one after the other, `bits` bits each, from the highest to the lowest."""
    shifted = (codes.ravel().astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)
    return np.packbits(np.unpackbits(shifted[:, None], axis=1)[:, 8 - bits :])


def _unpacked(
    stream: UInt8[np.ndarray, " byte"], bits: int, shape: tuple[int, ...]
) -> Int[np.ndarray, "..."]:
    count = int(np.prod(shape))
    digits = np.unpackbits(stream, count=count * bits).reshape(count, bits)
    full = np.pad(digits, ((0, 0), (8 - bits, 0)))
    shifted = np.packbits(full, axis=1)[:, 0].astype(np.int16)
    return (shifted - 2 ** (bits - 1)).astype(np.int8).reshape(shape)
