"""Ways to take the same steps: in parts, in pieces, by groups of rows, in narrower numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from channelwise.foundations import losses
from channelwise.learning import batches
from channelwise.learning.batches import Layout, layout
from channelwise.learning.checks import TrainingError
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.models.pure import PureModel
from channelwise.learning.program import evaluation_rows

bce = losses.binary_cross_entropy
rng = np.random.default_rng(0)
X = rng.normal(size=(90, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.float32)
SGD = optax.sgd(0.1)


def trained(**options):
    options = {"data": (X, Y), "optimizer": SGD, "epochs": 3, "batch_size": 32} | options
    model, history = fit(pure_mlp((6, 8, 1)), bce, **options)
    return predict(model, X), history.train_loss


@pytest.mark.parametrize("parts", [2, 5])
def test_gradients_added_up_part_by_part_are_those_of_the_whole_ragged_batch(parts):
    outputs, loss = trained()
    again, same_loss = trained(microbatches=parts)
    np.testing.assert_allclose(again, outputs, atol=1e-5)
    np.testing.assert_allclose(same_loss, loss, rtol=1e-5)


def test_an_epoch_in_pieces_has_the_same_steps(monkeypatch):
    outputs, loss = trained(batch_size=16)
    monkeypatch.setattr(batches, "GATHERED_BYTES", 2 * 16 * 28)
    again, same_loss = trained(batch_size=16)
    np.testing.assert_allclose(again, outputs, atol=1e-6)
    np.testing.assert_allclose(same_loss, loss, rtol=1e-6)


def test_pieces_are_even_and_hold_no_more_than_may_be_gathered(monkeypatch):
    monkeypatch.setattr(batches, "GATHERED_BYTES", 1000)
    plan = layout([(1000, 10)], batch_size=10, multiple=1, steps=None)
    pieces = plan.epoch(seed=0, number=0)
    assert [len(piece.order) for piece in pieces] == [10] * 10
    assert sorted(np.concatenate([p.order.ravel() for p in pieces])) == list(range(1000))


def test_saves_every_few_steps_shorten_the_pieces():
    plan = layout([(1000, 10)], batch_size=10, multiple=1, steps=30)
    assert [len(piece.order) for piece in plan.epoch(0, 0)] == [25] * 4


def test_batches_of_all_groups_are_visited_once_in_a_mixed_order():
    pieces = Layout((50, 30), batch_size=8).epoch(seed=3, number=1)
    for group, rows in ((0, 50), (1, 30)):
        seen = np.concatenate([p.order[p.weights > 0] for p in pieces if p.group == group])
        assert sorted(seen) == list(range(rows))
    order = [piece.group for piece in pieces]
    assert order != sorted(order)
    assert order != [piece.group for piece in Layout((50, 30), 8).epoch(seed=3, number=2)]


def test_slots_that_fill_up_a_batch_weigh_nothing():
    (piece,) = Layout((10,), batch_size=5, multiple=4).epoch(0, 0)
    assert piece.order.shape == (2, 8)
    np.testing.assert_array_equal(piece.weights.sum(1), [5, 5])


def bag_of_tokens(params, tokens):
    kept = (tokens > 0).astype(jnp.float32)
    return (params["table"][tokens] * kept).sum(1) / kept.sum(1)


def test_rows_bucketed_by_length_are_learnt_like_rows_of_one_length():
    draw = np.random.default_rng(1)
    tokens = draw.integers(1, 20, (200, 12)) * (np.arange(12) < draw.integers(2, 13, (200, 1)))
    truth = PureModel(bag_of_tokens, {"table": draw.normal(size=20).astype(np.float32)})
    y = (predict(truth, tokens) > 0).astype(np.float32)
    short = (tokens > 0).sum(1) <= 6
    buckets = [(tokens[short][:, :6], y[short]), (tokens[~short], y[~short])]
    blank = PureModel(bag_of_tokens, {"table": np.zeros(20, np.float32)})
    options = {"optimizer": optax.adam(0.1), "epochs": 30, "batch_size": 16}
    model, history = fit(blank, bce, buckets, validation=buckets, **options)
    accuracy = ((predict(model, tokens) > 0) == (y > 0)).mean()
    assert accuracy > 0.9
    whole, _ = fit(blank, bce, (tokens, y), validation=(tokens, y), **options)
    assert abs(((predict(whole, tokens) > 0) == (y > 0)).mean() - accuracy) < 0.05
    best = float(bce(jnp.asarray(predict(model, tokens)), y))
    assert best == pytest.approx(history.validation_loss.min(), rel=1e-5)


def test_trees_of_arrays_are_inputs_too():
    def apply(params, x):
        return x["a"] @ params + x["b"]

    data = ({"a": X, "b": X[:, 0]}, Y)
    model, history = fit(PureModel(apply, np.zeros(6, np.float32)), bce, data, epochs=2)
    assert history.epochs == 2
    assert predict(model, data[0], batch_size=40).shape == (90,)


def flipped(key, x, y):
    sign = jnp.where(jax.random.bernoulli(key, 0.5, (x.shape[0], 1)), -1.0, 1.0)
    return x * sign, y


def test_augmentation_changes_training_rows_anew_each_time_and_never_the_validation():
    options = {"validation": (X, Y), "augment": flipped}
    outputs, loss = trained(**options)
    np.testing.assert_array_equal(outputs, trained(**options)[0])
    assert not np.array_equal(loss, trained(**options, seed=1)[1])
    still = optax.sgd(0.0)
    _, fixed = fit(pure_mlp((6, 8, 1)), bce, (X, Y), optimizer=still, epochs=3, **options)
    assert len(set(fixed.validation_loss)) == 1
    assert len(set(fixed.train_loss)) == 3
    assert fixed.validation_loss[0] == pytest.approx(
        float(bce(jnp.asarray(predict(pure_mlp((6, 8, 1)), X)), Y)), rel=1e-5
    )


def test_bfloat16_computes_narrow_and_keeps_parameters_wide():
    seen = []

    def apply(params, x):
        seen.append((params[0].kernel.dtype, x.dtype))
        return pure_mlp((6, 8, 1)).apply(params, x)

    model = pure_mlp((6, 8, 1))._replace(apply=apply)
    narrow, _ = fit(model, bce, (X, Y), optimizer=SGD, epochs=20, precision="bfloat16")
    assert (jnp.bfloat16, jnp.bfloat16) in seen
    assert {leaf.dtype for leaf in jax.tree.leaves(narrow.params)} == {jnp.dtype("float32")}
    wide, _ = fit(pure_mlp((6, 8, 1)), bce, (X, Y), optimizer=SGD, epochs=20)
    difference = np.abs(predict(narrow, X) - predict(wide, X))
    assert 0 < difference.max() < 0.1


def test_the_moving_average_is_the_weighted_mean_of_all_steps():
    decay = 0.8
    averaged, _ = fit(
        pure_mlp((6, 1)), bce, (X, Y), optimizer=SGD, epochs=4, batch_size=90, average=decay
    )
    kernels = []
    for epochs in range(1, 5):
        model, _ = fit(pure_mlp((6, 1)), bce, (X, Y), optimizer=SGD, epochs=epochs, batch_size=90)
        kernels.append(np.asarray(model.params[0].kernel))
    weights = (1 - decay) * decay ** np.arange(3, -1, -1) / (1 - decay**4)
    mean = np.einsum("t,tio->io", weights, kernels)
    np.testing.assert_allclose(averaged.params[0].kernel, mean, rtol=1e-5)


@pytest.mark.parametrize("kind", ["pieces", "buckets"])
def test_a_run_saved_between_steps_resumes_to_the_same_bits(kind, tmp_path):
    data = (X, Y) if kind == "pieces" else [(X[:50], Y[:50]), (X[50:], Y[50:])]

    def run(folder, augment=flipped):
        return fit(
            pure_mlp((6, 8, 1)),
            *(bce, data),
            **{"validation": (X, Y), "augment": augment, "average": 0.9, "epochs": 3},
            **{"batch_size": 8, "checkpoint": folder, "checkpoint_steps": 5},
        )

    whole, expected = run(tmp_path / "whole")
    saved = sorted(int(p.name) for p in (tmp_path / "whole").iterdir() if p.name.isdigit())
    inside = [step for step in saved if step % 12 and step % 13]
    assert len(saved) == 2
    (tmp_path / "whole" / str(saved[-1])).rename(tmp_path / "last")
    resumed, history = run(tmp_path / "whole")
    assert inside or kind == "pieces"
    np.testing.assert_array_equal(history.train_loss, expected.train_loss)
    np.testing.assert_array_equal(history.validation_loss, expected.validation_loss)
    np.testing.assert_array_equal(predict(resumed, X), predict(whole, X))


def test_wide_rows_are_evaluated_a_few_at_a_time():
    table, tokens = jnp.zeros((9000, 30), jnp.float32), jnp.zeros((9000, 128), jnp.int32)
    assert evaluation_rows(table) == 8192
    assert evaluation_rows({"tokens": tokens, "types": tokens}) == 64
    assert evaluation_rows(jnp.zeros((9000, 8, 8, 1), jnp.float32)) == 64


def test_a_loss_that_breaks_leaves_the_last_good_save(tmp_path):
    """The step size doubles until the loss overflows; the save before it is whole."""

    def run(most, epochs):
        wild = optax.inject_hyperparams(optax.sgd)(
            learning_rate=lambda step: jnp.minimum(1e-3 * 2.0**step, most)
        )
        return fit(
            pure_mlp((6, 1)),
            *(losses.squared_error, (X, Y)),
            **{"optimizer": wild, "epochs": epochs, "batch_size": 30},
            **{"checkpoint": tmp_path / "run", "checkpoint_steps": 3},
        )

    with pytest.raises(TrainingError, match=r"epoch (\d+), step (\d+) \(learning rate .*last good"):
        run(1e30, 200)
    saved = max(int(p.name) for p in (tmp_path / "run").iterdir() if p.name.isdigit())
    model, history = run(1e30, saved // 3)
    assert history.epochs == saved // 3 > 1
    assert np.isfinite(history.train_loss).all()
    assert np.isfinite(predict(model, X)).all()


def test_a_batch_that_does_not_fit_into_memory_names_one_to_try():
    def apply(params, x):
        wide = x[:, :1, None] * params[None, :, None] * jnp.ones((1, 1, 2**20), jnp.float32)
        return jnp.sort(wide, axis=-1).sum((1, 2))

    wide = PureModel(apply, np.ones(2**12, np.float32))
    with pytest.raises(
        TrainingError, match=r"A batch of 90 rows .*batch_size=64, or microbatches=2"
    ):
        fit(wide, bce, (X, Y), epochs=1, batch_size=90)


BAD = [
    ({"microbatches": 0}, "microbatches must be at least 1, got 0"),
    ({"average": 1.0}, "average must lie between 0 and 1"),
    ({"checkpoint_steps": 0}, "checkpoint_steps must be at least 1"),
    ({"checkpoint_keep": 0}, "checkpoint_keep must be at least 1"),
    ({"data": []}, "data: an empty list"),
    ({"data": [(X, Y), (X, Y[:-1])]}, r"data\[1\]: 90 rows of inputs but 89 targets"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD, ids=[s for _, s in BAD])
def test_settings_that_cannot_be_are_a_sentence(change, sentence):
    with pytest.raises(TrainingError, match=sentence):
        trained(**change)
