"""The student's loss against its definition, its limits, and a student that learns."""

import jax
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax

from channelwise.foundations import losses
from channelwise.learning.compress.distill import distillation, taught_by
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.dense import pure_mlp

rng = np.random.default_rng(0)
Z, T = rng.normal(size=(20, 5)), 3 * rng.normal(size=(20, 5))
LABELS = rng.integers(5, size=20).astype(np.int32)
TAUGHT = {"label": LABELS, "teacher": T.astype(np.float32)}
LOGITS = Z.astype(np.float32)


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.5), (4.0, 0.9), (20.0, 1.0)])
def test_it_is_the_papers_sum(temperature, share):
    p = softmax(T / temperature, -1)
    divergence = (p * (np.log(p) - log_softmax(Z / temperature, -1))).sum(-1)
    hard = -log_softmax(Z, -1)[np.arange(20), LABELS]
    expected = (1 - share) * hard + share * temperature**2 * divergence
    found = distillation(temperature, share)(jax.numpy.asarray(LOGITS), TAUGHT, reduction="none")
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)


def test_without_the_teacher_it_is_cross_entropy():
    found = distillation(4.0, 0.0)(jax.numpy.asarray(LOGITS), TAUGHT)
    assert found == pytest.approx(float(losses.softmax_cross_entropy(LOGITS, LABELS)))


def test_a_student_that_says_what_the_teacher_says_has_no_gradient():
    gradient = jax.grad(lambda z: distillation(3.0, 1.0)(z, TAUGHT))(
        jax.numpy.asarray(T, "float32")
    )
    assert np.abs(gradient).max() < 1e-6


def test_at_a_high_temperature_the_gradient_is_that_of_matched_logits():
    """Hinton et al. 2015, eq. 4: T² times the gradient tends to (z − t) / K for centred logits."""
    z, t = (a - a.mean(-1, keepdims=True) for a in (Z, T))
    targets = {"label": LABELS, "teacher": t.astype(np.float32)}
    gradient = jax.grad(lambda a: distillation(200.0, 1.0)(a, targets, reduction="sum"))
    np.testing.assert_allclose(gradient(jax.numpy.asarray(z, "float32")), (z - t) / 5, atol=0.05)


def test_weights_of_zero_take_rows_out():
    weights = jax.numpy.asarray([1.0] * 10 + [0.0] * 10)
    half = {"label": LABELS[:10], "teacher": TAUGHT["teacher"][:10]}
    loss = distillation()
    found = loss(jax.numpy.asarray(LOGITS), TAUGHT, weights=weights)
    assert found == pytest.approx(float(loss(jax.numpy.asarray(LOGITS[:10]), half)), rel=1e-5)


def test_a_student_learns_from_the_teachers_answers_alone():
    x = rng.normal(size=(256, 4)).astype(np.float32)
    y = (2 * (x[:, 0] > 0) + (x[:, 1] > 0)).astype(np.int32)
    adam = optax.adam(3e-2)
    teacher, _ = fit(
        pure_mlp((4, 32, 4)), losses.softmax_cross_entropy, (x, y), epochs=20, optimizer=adam
    )
    wrong_labels = np.zeros_like(y)
    student, _ = fit(
        pure_mlp((4, 6, 4), seed=1),
        distillation(2.0, 1.0),
        (x, taught_by([teacher], x, wrong_labels)),
        epochs=20,
        optimizer=adam,
    )
    assert (predict(student, x).argmax(-1) == y).mean() > 0.9


@pytest.mark.parametrize(
    ("settings", "says"),
    [((0.0, 0.5), "temperature must be > 0"), ((1.0, 1.5), "share must be in")],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        distillation(*settings)


def test_the_same_settings_give_the_same_loss_object():
    assert distillation(4.0, 0.9) is distillation(4.0, 0.9)


def test_several_teachers_speak_with_the_mean_of_their_logits():
    teachers = [pure_mlp((5, 3), seed=s) for s in (0, 1)]
    found = taught_by(teachers, LOGITS, LABELS)
    expected = np.mean([predict(t, LOGITS) for t in teachers], axis=0)
    np.testing.assert_array_equal(found["teacher"], expected)
    with pytest.raises(ValueError, match="teachers is empty"):
        taught_by([], LOGITS, LABELS)
