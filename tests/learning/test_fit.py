"""Training equals a plain loop step by step, stops when it should, and resumes to the same bits."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from sklearn.linear_model import LogisticRegression

from channelwise.foundations import losses
from channelwise.learning.batches import shuffled
from channelwise.learning.checkpoint import CheckpointError
from channelwise.learning.checks import TrainingError
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.models.mlp import MLP

bce = losses.binary_cross_entropy
rng = np.random.default_rng(0)
X = rng.normal(size=(150, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] + 0.5 * rng.normal(size=150) > 0).astype(np.float32)
TRAIN, HELD_OUT = (X[:90], Y[:90]), (X[90:], Y[90:])


def same(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(np.asarray(x), np.asarray(y)) for x, y in pairs)


def plain_loop(model, optimizer, epochs, batch_size, seed):
    """What every tutorial writes: one compiled step a batch, the last batch as short as it is."""
    state = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
    seen = []

    @nnx.jit
    def step(model, state, x, y):
        loss, gradient = nnx.value_and_grad(lambda m: bce(m(x), y))(model)
        state.update(model, gradient)
        return loss

    with jax.numpy_dtype_promotion("standard"):
        for epoch in range(epochs):
            order = np.random.default_rng((seed, epoch)).permutation(len(X))
            for i in range(0, len(X), batch_size):
                rows = order[i : i + batch_size]
                loss = step(model, state, jnp.asarray(X[rows]), jnp.asarray(Y[rows]))
                seen.append((epoch, len(rows), float(loss)))
    return model, [sum(n * v for e, n, v in seen if e == epoch) / len(X) for epoch in range(epochs)]


@pytest.mark.parametrize("batch_size", [32, 400])
def test_fit_takes_the_steps_of_a_plain_loop_ragged_batch_included(batch_size):
    reference, train_loss = plain_loop(MLP((6, 8, 1)), optax.adam(1e-2), 3, batch_size, seed=4)
    model, history = fit(
        MLP((6, 8, 1)),
        bce,
        (X, Y),
        optimizer=optax.adam(1e-2),
        epochs=3,
        batch_size=batch_size,
        seed=4,
    )
    np.testing.assert_allclose(history.train_loss, train_loss, rtol=1e-5)
    np.testing.assert_allclose(predict(model, X), reference(jnp.asarray(X)), rtol=1e-4, atol=1e-5)


def test_an_epoch_visits_every_row_once():
    order, weights = shuffled(10, 4, seed=1, epoch=2)
    assert order.shape == weights.shape == (3, 4)
    assert sorted(order[weights > 0]) == list(range(10))
    assert weights.sum() == 10


def test_a_network_without_hidden_layers_reaches_scikit_learn_s_logistic_regression():
    scikit = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky")
    scikit.fit(X.astype(np.float64), Y)
    heavy_ball = optax.chain(optax.trace(0.9), optax.scale(-0.5))
    model, _ = fit(
        pure_mlp((6, 1)), bce, (X, Y), optimizer=heavy_ball, epochs=800, batch_size=len(X)
    )
    kernel, bias = model.params[0]
    np.testing.assert_allclose(kernel[:, 0], scikit.coef_[0], atol=2e-4)
    np.testing.assert_allclose(bias[0], scikit.intercept_[0], atol=2e-4)


def test_the_module_and_the_pure_model_train_to_the_same_numbers():
    module, a = fit(MLP((6, 8, 1)), bce, TRAIN, validation=HELD_OUT, epochs=4)
    pure, b = fit(pure_mlp((6, 8, 1)), bce, TRAIN, validation=HELD_OUT, epochs=4)
    np.testing.assert_allclose(a.train_loss, b.train_loss, rtol=1e-6)
    np.testing.assert_allclose(a.validation_loss, b.validation_loss, rtol=1e-6)
    np.testing.assert_allclose(predict(module, X), predict(pure, X), rtol=1e-5, atol=1e-6)


def test_the_given_model_is_not_changed():
    for model in (MLP((6, 8, 1)), pure_mlp((6, 8, 1))):
        before = predict(model, X)
        trained, _ = fit(model, bce, TRAIN, epochs=2)
        np.testing.assert_array_equal(predict(model, X), before)
        assert not np.array_equal(predict(trained, X), before)


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_order():
    (a, first), (b, again), (_, other) = (
        fit(pure_mlp((6, 8, 1)), bce, TRAIN, epochs=3, seed=seed) for seed in (1, 1, 2)
    )
    assert same(a.params, b.params)
    np.testing.assert_array_equal(first.train_loss, again.train_loss)
    assert not np.array_equal(first.train_loss, other.train_loss)


def test_training_stops_after_patience_and_returns_the_best_epoch():
    options = {"validation": HELD_OUT, "optimizer": optax.adam(3e-2), "seed": 5}
    model, history = fit(pure_mlp((6, 64, 1)), bce, TRAIN, epochs=500, patience=6, **options)
    assert history.stopped_early
    assert history.epochs == history.best_epoch + 6
    assert history.best_epoch == int(np.argmin(history.validation_loss)) + 1
    assert float(bce(jnp.asarray(predict(model, HELD_OUT[0])), HELD_OUT[1])) == pytest.approx(
        history.validation_loss.min(), rel=1e-5
    )
    upto, _ = fit(pure_mlp((6, 64, 1)), bce, TRAIN, epochs=history.best_epoch, **options)
    assert same(model.params, upto.params)


def test_min_delta_ignores_improvements_that_are_too_small():
    _, history = fit(
        pure_mlp((6, 8, 1)), bce, TRAIN, validation=HELD_OUT, epochs=50, patience=3, min_delta=10.0
    )
    assert (history.best_epoch, history.epochs) == (1, 4)


def test_without_validation_the_last_epoch_is_returned():
    _, history = fit(pure_mlp((6, 8, 1)), bce, TRAIN, epochs=3)
    assert (history.best_epoch, history.stopped_early, history.epochs) == (None, False, 3)
    assert history.validation_loss.shape == (0,)


def test_validation_in_slices_is_the_mean_over_all_rows(monkeypatch):
    from channelwise.learning import program

    _, whole = fit(pure_mlp((6, 5, 1)), bce, TRAIN, validation=HELD_OUT, epochs=2)
    monkeypatch.setattr(program, "EVALUATION_ROWS", 17)
    jax.clear_caches()
    _, sliced = fit(pure_mlp((6, 5, 1)), bce, TRAIN, validation=HELD_OUT, epochs=2)
    jax.clear_caches()
    np.testing.assert_allclose(sliced.validation_loss, whole.validation_loss, rtol=1e-6)


def test_a_line_each_interval_and_one_at_the_end():
    lines = []
    fit(pure_mlp((6, 4, 1)), bce, TRAIN, epochs=7, report=lines.append, report_every=3)
    assert [line.split("  ")[0] for line in lines] == ["epoch 3/7", "epoch 6/7", "epoch 7/7"]
    assert all("loss 0." in line and "validation" not in line for line in lines)


def test_the_last_line_says_why_it_stopped():
    lines = []
    fit(
        pure_mlp((6, 4, 1)),
        bce,
        TRAIN,
        validation=HELD_OUT,
        epochs=9,
        patience=2,
        min_delta=10.0,
        report=lines.append,
    )
    assert lines[-1].endswith("stopped: best was epoch 1")


class Noisy(nnx.Module):
    """Dropout and batch normalization: a model with state beside its parameters."""

    def __init__(self, seed):
        rngs = nnx.Rngs(seed)
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.norm(self.first(x)))))[:, 0]


@pytest.fixture
def loosely():
    """flax's own layers promote ranks and types."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def test_running_means_and_random_counters_are_carried_along(loosely):
    model, _ = fit(Noisy(0), bce, TRAIN, epochs=5)
    assert np.abs(np.asarray(model.norm.mean[...])).max() > 0.01
    assert int(model.drop.rngs.count[...]) == 5 * 3
    np.testing.assert_array_equal(predict(model, X), predict(model, X))


MODELS = {"pure": lambda: pure_mlp((6, 8, 1)), "noisy module": lambda: Noisy(0)}


@pytest.mark.parametrize("kind", MODELS)
def test_a_resumed_run_ends_in_the_same_bits(kind, tmp_path, loosely):
    def run(epochs, **options):
        return fit(
            MODELS[kind](), bce, TRAIN, validation=HELD_OUT, epochs=epochs, seed=7, **options
        )

    saved = {"checkpoint": tmp_path / "run", "checkpoint_every": 4}
    whole, expected = run(11)
    run(6, **saved)
    resumed, history = run(11, **saved)
    np.testing.assert_array_equal(history.train_loss, expected.train_loss)
    np.testing.assert_array_equal(history.validation_loss, expected.validation_loss)
    assert history.best_epoch == expected.best_epoch
    np.testing.assert_array_equal(predict(resumed, X), predict(whole, X))
    if kind == "pure":
        assert same(resumed.params, whole.params)


def test_a_run_killed_between_saves_goes_on_from_the_last_save(tmp_path):
    saved = {"checkpoint": tmp_path / "run", "checkpoint_every": 2, "epochs": 8}

    def dies(line):
        if line.startswith("epoch 5/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(pure_mlp((6, 8, 1)), bce, TRAIN, report=dies, **saved)
    lines = []
    resumed, history = fit(pure_mlp((6, 8, 1)), bce, TRAIN, report=lines.append, **saved)
    whole, expected = fit(pure_mlp((6, 8, 1)), bce, TRAIN, epochs=8)
    assert lines[0].startswith("epoch 5/")
    assert same(resumed.params, whole.params)
    np.testing.assert_array_equal(history.train_loss, expected.train_loss)


def test_a_finished_run_is_not_trained_further(tmp_path):
    options = {"epochs": 3, "checkpoint": tmp_path / "run"}
    model, _ = fit(pure_mlp((6, 8, 1)), bce, TRAIN, **options)
    lines = []
    again, history = fit(pure_mlp((6, 8, 1)), bce, TRAIN, report=lines.append, **options)
    assert lines == []
    assert history.epochs == 3
    assert same(model.params, again.params)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"data": HELD_OUT}, "data"),
        ({"seed": 1}, "seed"),
        ({"batch_size": 8}, "batch_size"),
        ({"model": pure_mlp((6, 9, 1))}, "state"),
        ({"loss": losses.hinge}, "loss"),
        ({"optimizer": optax.sgd(0.1)}, "state"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_name(tmp_path, changed, named):
    options = {"model": pure_mlp((6, 8, 1)), "loss": bce, "data": TRAIN}
    options |= {"epochs": 2, "checkpoint": tmp_path / "run"}
    fit(**options)
    with pytest.raises(CheckpointError, match=f"another run: different .*{named}"):
        fit(**(options | changed))


def test_a_damaged_checkpoint_is_a_sentence(tmp_path):
    options = {"epochs": 2, "checkpoint": tmp_path / "run"}
    fit(pure_mlp((6, 8, 1)), bce, TRAIN, **options)
    notes = next((tmp_path / "run" / "6" / "notes").iterdir())
    notes.write_text(json.dumps({"history": {}}))
    with pytest.raises(CheckpointError, match=r"run/6 cannot be read .*Delete that folder"):
        fit(pure_mlp((6, 8, 1)), bce, TRAIN, **options)


FIERCE = {
    "a readable rate": (optax.inject_hyperparams(optax.sgd)(learning_rate=10.0), "rate 10"),
    "a hidden rate": (optax.sgd(10.0), "rate unknown here: make the optimizer with"),
}


@pytest.mark.parametrize(("optimizer", "rate"), FIERCE.values(), ids=FIERCE)
def test_a_loss_that_is_no_longer_finite_names_step_rate_and_remedy(optimizer, rate):
    data = (X[:90], np.full(90, 1e3, np.float32))
    sentence = rf"finite in epoch 1, step 3 \(learning {rate}.*\)\. Lower the learning rate"
    with pytest.raises(TrainingError, match=sentence):
        fit(pure_mlp((6, 8, 1)), losses.squared_error, data, optimizer=optimizer, epochs=100)


BAD = [
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"batch_size": 0}, "batch_size must be at least 1"),
    ({"seed": -1}, "seed must be at least 0"),
    ({"min_delta": float("nan")}, "min_delta must be at least 0, got nan"),
    ({"patience": 0, "validation": HELD_OUT}, "patience must be at least 1"),
    ({"patience": 3}, "needs validation data"),
    ({"report_every": 0}, "report_every must be at least 1"),
    ({"data": (X, Y[:-1])}, "150 rows of inputs but 149 targets"),
    ({"data": (X[:0], Y[:0])}, "data: no rows"),
    ({"validation": (X[:0], Y[:0])}, "validation: no rows"),
    (
        {"data": (np.where(np.arange(150)[:, None] == 3, np.nan, X), Y)},
        "inputs hold NaN or infinity, first in row 3",
    ),
    ({"data": (X, np.where(np.arange(150) == 5, np.inf, Y))}, "targets hold .* row 5"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD, ids=[s for _, s in BAD])
def test_what_cannot_be_trained_is_a_sentence(change, sentence):
    with pytest.raises(TrainingError, match=sentence):
        fit(**({"model": pure_mlp((6, 4, 1)), "loss": bce, "data": TRAIN} | change))


def test_something_that_is_no_model_is_a_sentence():
    with pytest.raises(TypeError, match=r"flax\.nnx module or a PureModel, got function"):
        fit(lambda x: x, bce, TRAIN)


def test_outputs_and_targets_of_different_shapes_are_a_sentence():
    with pytest.raises(ValueError, match="must have the same shape"):
        fit(pure_mlp((6, 2)), bce, TRAIN)


def test_predict_in_slices_equals_predict_at_once():
    model = pure_mlp((6, 4, 1))
    np.testing.assert_allclose(predict(model, X, batch_size=40), predict(model, X), rtol=1e-6)
    assert predict(model, X[:0]).shape == (0,)


def test_a_second_fit_of_the_same_form_compiles_nothing_new():
    from channelwise.learning.program import advance

    fit(pure_mlp((6, 7, 1)), bce, TRAIN, epochs=1)
    compiled = advance._cache_size()
    fit(pure_mlp((6, 7, 1), seed=1), bce, TRAIN, epochs=2, seed=3)
    assert advance._cache_size() == compiled
