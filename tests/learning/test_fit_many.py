"""Many at once: every member is the model `fit` would have trained alone."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from channelwise.foundations import losses
from channelwise.learning.checks import TrainingError
from channelwise.learning.fit import fit, predict
from channelwise.learning.fit_many import fit_many
from channelwise.learning.models.dense import pure_mlp

bce = losses.binary_cross_entropy
rng = np.random.default_rng(0)
X = rng.normal(size=(150, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.float32)
TRAIN, HELD_OUT = (X[:90], Y[:90]), (X[90:], Y[90:])


def build(seed):
    return pure_mlp((6, 8, 1), seed=seed)


@pytest.fixture(scope="module")
def trained():
    rates = {"learning_rate": [1e-3, 1e-2, 1e-1]}
    return fit_many(
        build, bce, TRAIN, seeds=[3, 1, 1], settings=rates, validation=HELD_OUT, epochs=6
    )


@pytest.mark.parametrize(("member", "seed", "rate"), [(0, 3, 1e-3), (1, 1, 1e-2), (2, 1, 1e-1)])
def test_a_member_is_the_model_that_fit_trains_alone(trained, member, seed, rate):
    alone, history = fit(
        build(seed),
        bce,
        TRAIN,
        validation=HELD_OUT,
        optimizer=optax.adam(rate),
        epochs=6,
        seed=seed,
    )
    np.testing.assert_allclose(trained.train_loss[member], history.train_loss, rtol=1e-5)
    np.testing.assert_allclose(trained.validation_loss[member], history.validation_loss, rtol=1e-5)
    np.testing.assert_allclose(
        predict(trained.model(member), X), predict(alone, X), rtol=1e-4, atol=1e-5
    )


def test_predictions_of_all_are_those_of_each(trained):
    every = trained.predict(X)
    assert every.shape == (3, 150)
    for member in range(3):
        np.testing.assert_allclose(
            every[member], predict(trained.model(member), X), rtol=1e-4, atol=1e-6
        )


def test_seeds_and_settings_are_kept_in_order(trained):
    assert trained.seeds == (3, 1, 1)
    assert trained.settings == {"learning_rate": (1e-3, 1e-2, 1e-1)}


def test_all_together_on_an_accelerator_is_the_same(trained, monkeypatch):
    from channelwise.learning import fit_many as module

    monkeypatch.setattr(module, "_each", jax.vmap)
    monkeypatch.setattr(module, "_groups", lambda n: [np.arange(n)])
    jax.clear_caches()
    rates = {"learning_rate": [1e-3, 1e-2, 1e-1]}
    together = fit_many(
        build, bce, TRAIN, seeds=[3, 1, 1], settings=rates, validation=HELD_OUT, epochs=6
    )
    jax.clear_caches()
    np.testing.assert_allclose(together.train_loss, trained.train_loss, rtol=1e-4)


def test_a_member_that_diverges_leaves_the_others_alone():
    rates = {"learning_rate": [1e-2, 1e30]}
    target = (X[:, 0] * 3).astype(np.float32)
    many = fit_many(
        build,
        losses.squared_error,
        (X, target),
        seeds=[0, 0],
        settings=rates,
        optimizer=optax.sgd,
        epochs=4,
    )
    assert np.isfinite(many.train_loss[0]).all()
    assert not np.isfinite(many.train_loss[1, -1])
    assert many.validation_loss.shape == (2, 0)


def test_no_seeds_and_settings_of_another_length_are_sentences():
    with pytest.raises(TrainingError, match="seeds is empty"):
        fit_many(build, bce, TRAIN, seeds=[])
    with pytest.raises(TrainingError, match=r"settings\['b1'\] has 1 values for 2 seeds"):
        fit_many(build, bce, TRAIN, seeds=[0, 1], settings={"b1": [0.9]})


class Normed(nnx.Module):
    """A module with batch normalization, so with state beside its parameters."""

    def __init__(self, seed):
        rngs = nnx.Rngs(seed)
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.last = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.norm(self.first(x))))[:, 0]


def test_modules_with_other_state_and_augmentation_train_at_once_as_they_do_alone():
    def noisy(key, x, y):
        return x + 0.1 * jax.random.normal(key, x.shape), y

    options = {"augment": noisy, "validation": HELD_OUT, "epochs": 4}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        rates = {"learning_rate": [0.1] * 3}
        many = fit_many(
            Normed, bce, TRAIN, seeds=[2, 5, 9], settings=rates, optimizer=optax.sgd, **options
        )
        alone, history = fit(Normed(9), bce, TRAIN, seed=9, optimizer=optax.sgd(0.1), **options)
        np.testing.assert_allclose(many.validation_loss[2], history.validation_loss, rtol=1e-5)
        np.testing.assert_allclose(predict(many.model(2), X), predict(alone, X), atol=1e-5)
        np.testing.assert_allclose(many.predict(X)[2], predict(alone, X), atol=1e-5)
    mean = np.asarray(many.model(2).norm.mean[...])
    np.testing.assert_allclose(mean, alone.norm.mean[...], rtol=1e-4, atol=1e-6)
