"""Moved, turned, sized, mirrored and covered images beside scipy's, and what must not change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from channelwise.foundations import losses
from channelwise.learning.fit import fit
from channelwise.learning.image_augmentation import Augmentation, cover, resample
from channelwise.learning.models.convolution import CNN

KEY = jax.random.key(3)


def images(rows=5, height=7, width=9, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.standard_normal((rows, height, width, channels), np.float32))


def changed(x, key=KEY, **strength):
    return np.asarray(jax.jit(lambda key, x: Augmentation(**strength)(key, x, 0)[0])(key, x))


def draws(key, rows):
    return np.asarray(jax.random.uniform(key, (7, rows)), np.float64)


def by_scipy(image, *, angle=0.0, size=1.0, shift=(0.0, 0.0), fill=0.0):
    """A⁻¹ u = R(−θ) (u − c − t) / s + c, rows and columns; a turn is counterclockwise as seen."""
    θ, centre = np.deg2rad(angle), (np.array(image.shape) - 1) / 2
    inverse = np.array([[np.cos(θ), np.sin(θ)], [-np.sin(θ), np.cos(θ)]]) / size
    offset = centre - inverse @ (centre + shift)
    return ndimage.affine_transform(
        image, inverse, offset, order=1, mode="grid-constant", cval=fill
    )


@pytest.mark.parametrize("fill", [0.0, -0.7])
def test_one_resampling_is_scipys_affine_transform(fill):
    x, u = images(), draws(KEY, 5)
    ours = changed(x, shift=2.0, rotation=40.0, scale=0.3, fill=fill)
    for n in range(5):
        theirs = by_scipy(
            np.asarray(x[n, :, :, 0], np.float64),
            shift=2 * (2 * u[:2, n] - 1),
            angle=40 * (2 * u[2, n] - 1),
            size=1 + 0.3 * (2 * u[3, n] - 1),
            fill=fill,
        )
        np.testing.assert_allclose(ours[n, :, :, 0], theirs, atol=2e-5)


def test_a_quarter_turn_of_a_square_is_exact_to_rounding():
    x, u = images(height=6, width=6), draws(KEY, 5)
    n = np.abs(2 * u[2] - 1).argmax()
    turned = changed(x, rotation=float(90 / abs(2 * u[2, n] - 1)))
    np.testing.assert_allclose(turned[n], np.rot90(x[n], 1 if u[2, n] > 0.5 else -1), atol=1e-5)


def test_a_flip_mirrors_left_and_right_bit_for_bit_for_the_drawn_share():
    x = images(rows=2000, height=3, width=4)
    np.testing.assert_array_equal(changed(x, flip=1.0), x[:, :, ::-1])
    some = changed(x, flip=0.3)
    mirrored = (some == np.asarray(x[:, :, ::-1])).all((1, 2, 3))
    kept = (some == np.asarray(x)).all((1, 2, 3))
    assert (mirrored | kept).all()
    assert mirrored.mean() == pytest.approx(0.3, abs=0.03)


def test_strength_0_is_the_identity_bit_for_bit_even_if_it_is_known_only_at_run_time():
    x, none = images(), jnp.zeros(5)
    np.testing.assert_array_equal(changed(x, fill=0.3), x)
    names = ("shift", "rotation", "scale", "flip", "cutout")
    np.testing.assert_array_equal(changed(x, fill=0.3, **dict.fromkeys(names, none)), x)


def test_each_image_has_its_own_strength_if_strengths_come_one_a_row():
    x = images()
    mixed = changed(x, shift=jnp.array([0.0, 2, 0, 2, 0]), flip=jnp.array([0.0, 0, 1, 0, 0]))
    np.testing.assert_array_equal(mixed[[0, 4]], x[jnp.array([0, 4])])
    np.testing.assert_array_equal(mixed[2], x[2, :, ::-1])
    np.testing.assert_array_equal(mixed[[1, 3]], changed(x, shift=2.0)[[1, 3]])


def test_images_are_changed_each_by_its_own_draw_and_repeat_by_key():
    x = jnp.broadcast_to(images(rows=1), (4, 7, 9, 1))
    a = changed(x, shift=2.0)
    assert len({image.tobytes() for image in a}) == 4
    np.testing.assert_array_equal(a, changed(x, shift=2.0))
    assert not np.array_equal(a, changed(x, key=jax.random.key(4), shift=2.0))


def test_a_hole_of_the_fill_colour_stands_where_it_was_drawn_and_may_reach_outside():
    x, u = images(rows=300, channels=2), draws(KEY, 300)
    holed = changed(x, cutout=3, fill=(9.0, 8.0))
    for n in (0, 1, 2):
        expected = np.array(x[n])
        top, left = int(u[5, n] * 7) - 1, int(u[6, n] * 9) - 1
        expected[max(top, 0) : top + 3, max(left, 0) : left + 3] = (9, 8)
        np.testing.assert_array_equal(holed[n], expected)
    covered = (holed[..., 0] == 9).sum((1, 2))
    assert (covered.min(), covered.max()) == (4, 9)


def test_what_comes_in_from_outside_has_the_fill_colour_of_its_channel():
    x = images(channels=2)
    far = resample(x, jnp.full((5, 7, 9), -50.0), jnp.zeros((5, 7, 9)), (2.0, 3.0))
    assert np.unique(far[..., 0]).tolist() == [2]
    assert np.unique(far[..., 1]).tolist() == [3]
    own = jnp.arange(10, dtype=jnp.float32).reshape(5, 2)
    far = resample(x, jnp.full((5, 7, 9), -50.0), jnp.zeros((5, 7, 9)), own)
    np.testing.assert_array_equal(far[:, 3, 4], own)


def test_strengths_are_spread_evenly_over_their_range():
    x = jnp.zeros((4000, 1, 9, 1)).at[:, :, 4].set(1.0)
    row = changed(x, shift=jnp.full(4000, 3.0))[:, 0, :, 0]
    mass = row.sum(1)
    places = (row * np.arange(9)).sum(1)[mass > 0.9] / mass[mass > 0.9] - 4
    assert abs(places.mean()) < 0.15
    assert np.abs(places).max() <= 3.0001


def test_labels_come_back_as_they_were():
    y = {"class": jnp.arange(5)}
    assert Augmentation()(KEY, images(), y)[1] is y


def test_it_runs_inside_the_compiled_epoch_and_only_there():
    x = images(rows=64, height=4, width=4)
    y = np.arange(64) % 2

    def train(augment):
        _, history = fit(
            CNN((4, 4, 1), (2,), 2),
            losses.softmax_cross_entropy,
            (x, y),
            validation=(x, y),
            augment=augment,
            epochs=2,
        )
        return history

    plain, none, moved = (train(a) for a in (None, Augmentation(), Augmentation(shift=3.0)))
    np.testing.assert_array_equal(plain.train_loss, none.train_loss)
    assert not np.allclose(plain.train_loss, moved.train_loss, rtol=1e-4)


def test_equal_augmentations_are_one_to_the_compiler():
    assert hash(Augmentation(shift=1.0)) == hash(Augmentation(shift=1.0))
    assert Augmentation(shift=1.0) != Augmentation(shift=2.0)


@pytest.mark.parametrize(
    ("strength", "says"),
    [
        ({"shift": -1.0}, "shift must be 0 or more, got -1.0"),
        ({"rotation": 270.0}, "rotation must be from 0 to 180"),
        ({"scale": 1.0}, "scale must be from 0 to 0.9, got 1.0"),
        ({"flip": 2.0}, "flip must be from 0 to 1"),
        ({"cutout": float("nan")}, "cutout must be 0 or more, got nan"),
        ({"fill": (0.0, 0.0)}, "fill has 2 values for images with 1 channels"),
    ],
)
def test_strengths_out_of_range_are_refused_in_a_sentence(strength, says):
    with pytest.raises(ValueError, match=says):
        Augmentation(**strength)(KEY, images(), 0)


def test_a_square_of_side_0_covers_nothing():
    x = images()
    np.testing.assert_array_equal(cover(x, jnp.zeros((2, 5)), jnp.zeros(5), 5.0), x)
