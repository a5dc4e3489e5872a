"""Files: the size that theory says, and the same numbers when read again."""

import jax
import numpy as np
import pytest

from channelwise.learning.compress.prune import prune
from channelwise.learning.compress.quantize import quantize_weights
from channelwise.learning.compress.storage import from_file, to_file
from channelwise.learning.models.dense import pure_mlp

PARAMS = pure_mlp((64, 128, 10)).params
WEIGHTS, BIASES = 64 * 128 + 128 * 10, 128 + 10


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert jax.tree.structure(a) == jax.tree.structure(b)


def test_numbers_survive_a_file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(to_file(PARAMS))
    equal(from_file(path.read_bytes(), PARAMS), PARAMS)
    assert 4 * (WEIGHTS + BIASES) < path.stat().st_size < 4 * (WEIGHTS + BIASES) + 500


@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_of_any_width_survive_and_take_their_bits(bits):
    small = quantize_weights(PARAMS, bits, per="tensor")
    contents = to_file(small)
    equal(from_file(contents, small), small)
    least = WEIGHTS * bits / 8 + 4 * BIASES
    assert least < len(contents) < least + 900


def test_another_library_reads_the_file():
    from safetensors.numpy import load

    tensors = load(to_file(PARAMS))
    np.testing.assert_array_equal(tensors["0/kernel"], PARAMS[0].kernel)


def test_zeros_save_room_only_when_the_file_is_squeezed():
    sparse = prune(PARAMS, 0.9)
    assert len(to_file(sparse)) == len(to_file(PARAMS))
    squeezed = to_file(sparse, deflate=True)
    assert len(squeezed) < 0.25 * len(to_file(PARAMS, deflate=True))
    equal(from_file(squeezed, sparse, deflate=True), sparse)


def test_a_file_of_another_model_is_refused_by_the_tensors_name():
    other = pure_mlp((64, 64, 10)).params
    with pytest.raises(ValueError, match="'0/kernel' has the shape"):
        from_file(to_file(other), PARAMS)
    with pytest.raises(ValueError, match="no tensor '1/kernel'"):
        from_file(to_file(pure_mlp((64, 128)).params), PARAMS)
