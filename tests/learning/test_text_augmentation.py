"""Text augmentation: how often words change, what never changes, and that `fit` takes it."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from channelwise.learning.text_augmentation import (
    FIRST_WORD,
    AugmentationError,
    in_turn,
    random_deletion,
    random_hiding,
    random_swap,
)

ROWS, LENGTH = 400, 12
MAKERS = [random_deletion, random_swap, random_hiding]


def texts(seed=0):
    """Start, words, a separator in the middle, words, separator, padding; of every length."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(FIRST_WORD, 500, (ROWS, LENGTH)).astype(np.int32)
    lengths = rng.integers(2, LENGTH + 1, ROWS)
    tokens[:, 0] = 2
    tokens[:, 5] = 3
    tokens[np.arange(LENGTH) >= lengths[:, None]] = 0
    tokens[0] = 0
    tokens[1] = [2, 7, *[0] * 10]
    return jnp.asarray(tokens)


compiled = cache(jax.jit)


def changed(maker, share, seed=0):
    x, y = texts(), jnp.arange(ROWS)
    new, same_y = compiled(maker(share))(jax.random.key(seed), x, y)
    np.testing.assert_array_equal(same_y, y)
    assert new.shape == x.shape
    assert new.dtype == jnp.int32
    return np.asarray(x), np.asarray(new)


@pytest.mark.parametrize("maker", MAKERS)
def test_no_share_changes_nothing(maker):
    old, new = changed(maker, 0.0)
    np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("maker", MAKERS)
def test_the_key_decides_and_another_key_decides_otherwise(maker):
    one, again, other = (changed(maker, 0.3, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_special_tokens_stay_in_order_and_no_text_loses_its_last_word(maker, share):
    old, new = changed(maker, share)
    for before, after in zip(old, new, strict=True):
        specials = [t for t in before if 0 < t < FIRST_WORD]
        kept = [t for t in after if 0 < t < FIRST_WORD and t != 1]
        assert kept == specials
        assert (after >= FIRST_WORD).any() == (before >= FIRST_WORD).any()


def test_deletion_leaves_the_words_in_order_and_the_padding_at_the_end():
    old, new = changed(random_deletion, 0.4)
    for before, after in zip(old, new, strict=True):
        left = after[after != 0]
        assert not after[len(left) :].any()
        remaining = iter(before)
        assert all(token in remaining for token in left), "a subsequence of the text"


def test_deletion_takes_the_share_it_was_asked_for():
    old, new = changed(random_deletion, 0.3)
    many = (old >= FIRST_WORD).sum(1) >= 8
    shares = 1 - (new[many] >= FIRST_WORD).sum() / (old[many] >= FIRST_WORD).sum()
    assert shares == pytest.approx(0.3, abs=0.03)


def test_hiding_changes_words_in_place_as_often_as_asked():
    old, new = changed(random_hiding, 0.3)
    hidden = new != old
    assert (new[hidden] == 1).all()
    assert (old[hidden] >= FIRST_WORD).all()
    many = (old >= FIRST_WORD).sum(1) >= 8
    assert hidden[many].sum() / (old[many] >= FIRST_WORD).sum() == pytest.approx(0.3, abs=0.03)


def test_hiding_can_use_the_mask():
    new, _ = random_hiding(0.9, hidden=4)(jax.random.key(0), texts(), None)
    assert (np.asarray(new) == 4).any()
    assert not (np.asarray(new) == 1).any()


def test_swapping_keeps_every_text_s_words_and_every_special_place():
    old, new = changed(random_swap, 0.5)
    np.testing.assert_array_equal(np.sort(old, 1), np.sort(new, 1))
    np.testing.assert_array_equal(new[old < FIRST_WORD], old[old < FIRST_WORD])
    assert (old != new).mean() > 0.1


def test_swapped_words_are_in_every_order_equally_often():
    x = jnp.tile(jnp.asarray([[2, 7, 8, 9, 0]], jnp.int32), (6000, 1))
    new, _ = random_swap(0.999999)(jax.random.key(0), x, None)
    orders, counts = np.unique(np.asarray(new)[:, 1:4], axis=0, return_counts=True)
    assert len(orders) == 6
    np.testing.assert_allclose(counts, 1000, atol=6 * np.sqrt(1000 * 5 / 6))


def test_a_survivor_is_drawn_evenly():
    x = jnp.tile(jnp.asarray([[7, 8, 9, 0]], jnp.int32), (6000, 1))
    new, _ = random_deletion(0.999999)(jax.random.key(0), x, None)
    words, counts = np.unique(np.asarray(new)[:, 0], return_counts=True)
    assert words.tolist() == [7, 8, 9]
    np.testing.assert_allclose(counts, 2000, atol=6 * np.sqrt(2000 * 2 / 3))


def test_augmentations_follow_each_other_with_keys_of_their_own():
    both = in_turn(random_hiding(0.3), random_deletion(0.3))
    new, _ = both(jax.random.key(0), texts(), None)
    first, second = jax.random.split(jax.random.key(0))
    hidden, _ = random_hiding(0.3)(first, texts(), None)
    np.testing.assert_array_equal(new, random_deletion(0.3)(second, hidden, None)[0])


def test_the_same_maker_gives_the_same_object_so_that_nothing_is_compiled_twice():
    assert random_hiding(0.3) is random_hiding(0.3)
    assert in_turn(random_hiding(0.3)) is in_turn(random_hiding(0.3))


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_a_sentence(maker, share):
    with pytest.raises(AugmentationError, match=r"must be a probability in \[0, 1\)"):
        maker(share)


@pytest.mark.parametrize("hidden", [0, 5])
def test_only_special_tokens_hide_words(hidden):
    with pytest.raises(AugmentationError, match="is no special token"):
        random_hiding(0.1, hidden=hidden)
