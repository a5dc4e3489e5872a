"""Masked language: what is hidden, what is counted, and what a guess is worth."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax

from channelwise.learning.data.tokens import CLASSIFY, MASK, PADDING, SEPARATOR
from channelwise.learning.fit import fit
from channelwise.learning.masking import Masking, hide, masked_cross_entropy, score
from channelwise.learning.models.pure import PureModel

VOCABULARY = 50


def rows(count=2000, length=24, seed=0):
    """Start, 0 to length − 2 tokens, end, padding."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, length), np.int32)
    for row, n in zip(x, rng.integers(0, length - 1, count), strict=True):
        row[: n + 2] = [CLASSIFY, *rng.integers(5, VOCABULARY, n), SEPARATOR]
    return x


def inner(x):
    return (x != PADDING) & (x != CLASSIFY) & (x != SEPARATOR)


def test_the_targets_are_what_stood_at_the_positions_and_nothing_else_changes():
    x = rows()
    (seen, y) = hide(x, Masking(VOCABULARY, 0.3), seed=3)
    back = seen["tokens"].copy()
    for i, j in zip(*np.nonzero(y >= 0), strict=True):
        back[i, seen["positions"][i, j]] = y[i, j]
    np.testing.assert_array_equal(back, x)


def test_special_tokens_and_padding_are_never_hidden_and_places_are_distinct():
    x = rows()
    seen, y = hide(x, Masking(VOCABULARY, 0.3))
    places = seen["positions"]
    assert inner(x)[np.nonzero(y >= 0)[0], places[y >= 0]].all()
    assert all(len(set(row)) == len(row) for row in places)


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_each_row_hides_the_rounded_share_of_its_tokens_and_at_least_one(share):
    x = rows()
    n = inner(x).sum(1)
    hidden = (hide(x, Masking(VOCABULARY, share)).y >= 0).sum(1)
    expected = np.where(n > 0, np.maximum(1, np.round(np.float32(share) * n.astype(np.float32))), 0)
    np.testing.assert_array_equal(hidden, expected)


def test_of_the_hidden_tokens_eight_tenths_are_masks_and_a_tenth_stays():
    x = rows()
    seen, y = hide(x, Masking(VOCABULARY, 0.3))
    shown = np.take_along_axis(seen["tokens"], seen["positions"], 1)[y >= 0]
    truth = y[y >= 0]
    mask, kept = (shown == MASK).mean(), (shown == truth).mean()
    drawn = shown[(shown != MASK) & (shown != truth)]
    spread = 4 * np.sqrt(0.25 / len(truth))
    assert abs(mask - 0.8) < spread
    assert abs(kept - 0.1 - 0.1 / (VOCABULARY - 5)) < spread
    assert set(drawn) == set(range(5, VOCABULARY))


def test_every_token_of_a_row_is_hidden_equally_often():
    x = np.tile(np.array([[CLASSIFY, 5, 6, 7, 8, 9, SEPARATOR, PADDING]], np.int32), (5000, 1))
    seen, y = hide(x, Masking(VOCABULARY, 0.4))
    often = np.bincount(seen["positions"][y >= 0], minlength=8) / len(x)
    np.testing.assert_allclose(often, [0, 0.4, 0.4, 0.4, 0.4, 0.4, 0, 0], atol=0.03)


def test_masks_of_an_evaluation_are_the_same_for_a_seed_and_others_for_another():
    x, masking = rows(), Masking(VOCABULARY, 0.3)
    first, again, other = (hide(x, masking, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.x["tokens"], again.x["tokens"])
    assert (first.x["tokens"] != other.x["tokens"]).any()


@pytest.mark.parametrize(
    ("vocabulary", "share", "says"), [(5, 0.15, "above 5"), (9, 1.0, "(0, 1)")]
)
def test_a_masking_that_hides_or_draws_nothing_is_refused(vocabulary, share, says):
    with pytest.raises(ValueError, match="must") as error:
        hide(rows(), Masking(vocabulary, share))
    assert says in str(error.value)


def brute_force(z, t):
    logp = log_softmax(z.astype(np.float64), axis=-1)
    rows = [[-logp[i, j, v] for j, v in enumerate(r) if v >= 0] for i, r in enumerate(t)]
    return np.array([np.mean(r) if r else 0.0 for r in rows])


def guesses():
    rng = np.random.default_rng(4)
    z = (5 * rng.standard_normal((7, 3, 11))).astype(np.float32)
    t = rng.integers(-1, 11, (7, 3)).astype(np.int32)
    t[2] = -1
    return z, t, rng.uniform(size=7).astype(np.float32)


def test_the_loss_is_the_mean_over_the_targets_of_each_row_weighted():
    z, t, w = guesses()
    truth = brute_force(z, t)
    for reduction, expected in (
        ("none", w * truth),
        ("sum", (w * truth).sum()),
        ("mean", (w * truth).sum() / w.sum()),
    ):
        got = masked_cross_entropy(
            jnp.asarray(z), jnp.asarray(t), weights=jnp.asarray(w), reduction=reduction
        )
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_ignored_places_move_neither_the_loss_nor_its_gradient():
    z, t, _ = guesses()
    gradient = jax.grad(masked_cross_entropy)(jnp.asarray(z), jnp.asarray(t))
    assert (np.asarray(gradient)[t < 0] == 0).all()
    assert np.abs(np.asarray(gradient)[t >= 0]).min() > 0
    wild = np.where(t[..., None] < 0, np.float32(1e30), z)
    np.testing.assert_allclose(
        masked_cross_entropy(jnp.asarray(wild), jnp.asarray(t)),
        masked_cross_entropy(jnp.asarray(z), jnp.asarray(t)),
    )


def answer_with_frequencies(params, x):
    """A model that has learnt nothing but how often each token occurs."""
    return jnp.broadcast_to(params, (*x["positions"].shape, VOCABULARY))


def test_a_score_counts_every_hidden_token_once():
    hidden = hide(rows(), Masking(VOCABULARY, 0.3))
    truth = hidden.y[hidden.y >= 0]
    counts = np.bincount(truth, minlength=VOCABULARY)
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(counts / counts.sum()), -30).astype(np.float32)
    got = score(PureModel(answer_with_frequencies, logits), hidden)
    p = counts[counts > 0] / counts.sum()
    assert got.tokens == len(truth)
    assert got.cross_entropy == pytest.approx(-(p * np.log(p)).sum(), rel=1e-5)
    assert got.perplexity == pytest.approx(np.exp(got.cross_entropy))
    assert got.accuracy == pytest.approx(counts.max() / counts.sum())


def test_a_score_of_nothing_is_refused():
    hidden = hide(np.array([[CLASSIFY, SEPARATOR, 0, 0]], np.int32), Masking(VOCABULARY))
    with pytest.raises(ValueError, match="No token is hidden"):
        score(PureModel(answer_with_frequencies, np.zeros(VOCABULARY, np.float32)), hidden)


def test_fit_with_masking_learns_how_often_tokens_occur():
    rng = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, VOCABULARY - 4)
    x = rows(600)
    x[inner(x)] = 5 + rng.choice(VOCABULARY - 5, inner(x).sum(), p=frequencies / frequencies.sum())
    model = PureModel(answer_with_frequencies, np.zeros(VOCABULARY, np.float32))
    masking = Masking(VOCABULARY, 0.3)
    hidden = hide(x, masking)
    trained, history = fit(
        model, masked_cross_entropy, (x, x), validation=hidden, augment=masking,
        optimizer=optax.adam(0.05), epochs=20, batch_size=64,
    )  # fmt: skip
    p = np.bincount(x[inner(x)], minlength=VOCABULARY) / inner(x).sum()
    entropy = -(p[p > 0] * np.log(p[p > 0])).sum()
    assert score(trained, hidden).cross_entropy == pytest.approx(entropy, abs=0.1)
    assert history.validation_loss[-1] < np.log(VOCABULARY) - 0.5
