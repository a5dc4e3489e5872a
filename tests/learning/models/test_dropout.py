"""Dropout: its share and mean, and keys that depend on seed and step alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.learning.models.dropout import Noise, drop, kept, split

FLOAT = jnp.dtype(jnp.float32)


def mask_of(noise):
    return np.asarray(kept(noise(), 0.5, (64,), FLOAT))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_is_dropped_and_the_mean_is_kept(share):
    factors = np.asarray(kept(jax.random.key(0), share, (400, 500), FLOAT))
    assert (factors == 0).mean() == pytest.approx(share, abs=5 * (share * (1 - share) / 2e5) ** 0.5)
    assert factors.max() == pytest.approx(1 / (1 - share), rel=1e-3)
    assert factors.mean() == pytest.approx(1, abs=5 * (share / (1 - share) / 2e5) ** 0.5)


def test_nothing_is_dropped_without_a_key_or_a_share():
    x = jnp.arange(4.0)
    assert drop(None, 0.5, x) is x
    assert drop(jax.random.key(0), 0.0, x) is x
    assert split(None, 3) == [None] * 3


def test_keys_come_in_training_alone_and_depend_on_seed_and_step():
    one, same, other = Noise(3), Noise(3), Noise(4)
    assert one() is None
    for noise in (one, same, other):
        noise.train()
    first, second = mask_of(one), mask_of(one)
    assert (first != second).any()
    np.testing.assert_array_equal(first, mask_of(same))
    assert (first != mask_of(other)).any()
    one.eval()
    assert one() is None
    one.reseed(3)
    one.train()
    np.testing.assert_array_equal(first, mask_of(one))
