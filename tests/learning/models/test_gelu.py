"""The fast nonlinearities against the library's own exact ones and against torch's formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.foundations import activations
from channelwise.learning.models.gelu import CURVES, activate

X = jnp.asarray(np.concatenate([np.linspace(-12, 12, 4001), [-1e9, -0.0, 0.0, 1e9]]), jnp.float32)
EXACT = {
    "gelu": activations.gelu,
    "gelu_new": lambda x: activations.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: activations.gelu(x, approximate=True),
    "relu": activations.relu,
}


@pytest.mark.parametrize("name", CURVES)
def test_value_and_slope_are_the_exact_ones_to_float32_rounding(name):
    value, back = jax.vjp(lambda x: activate(x, name), X)
    exact, exactly_back = jax.vjp(EXACT[name], X)
    np.testing.assert_allclose(value, exact, rtol=3e-7, atol=1e-6)
    np.testing.assert_allclose(
        back(jnp.ones_like(X))[0], exactly_back(jnp.ones_like(X))[0], atol=5e-6
    )


@pytest.mark.parametrize("name", CURVES)
def test_half_precision_is_computed_in_float32_and_rounded_once(name):
    narrow = X.astype(jnp.bfloat16)
    value, back = jax.vjp(lambda x: activate(x, name), narrow)
    wide = activate(narrow.astype(jnp.float32), name)
    np.testing.assert_array_equal(value, wide.astype(jnp.bfloat16))
    assert back(value)[0].dtype == jnp.bfloat16


def test_not_a_number_stays_one():
    assert jnp.isnan(activate(jnp.array([jnp.nan], jnp.float32), "gelu")).all()
