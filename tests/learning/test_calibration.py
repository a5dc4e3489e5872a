"""Calibration: bins by brute force, bands by simulation, parts that add up, temperatures found."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from channelwise.learning import calibration


def perfect(n, seed=0):
    """Uniform forecasts that are right: the event happens with exactly the probability called."""
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return p, (rng.random(n) < p).astype(int)


def brute_bins(p, y, bins):
    for k in range(bins):
        last = k == bins - 1
        inside = (p >= k / bins) & ((p < (k + 1) / bins) | last)
        if inside.any():
            yield p[inside], y[inside]


forecasts = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60).map(
    lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True))
)


@given(forecasts, st.sampled_from([1, 4, 16]))
@settings(deadline=None)
def test_error_and_curve_agree_with_a_loop_over_the_bins(rows, bins):
    p, y = rows
    groups = list(brute_bins(p, y, bins))
    curve = calibration.reliability_curve(p, y, bins=bins)
    np.testing.assert_allclose(curve.forecast, [a.mean() for a, _ in groups], atol=1e-12)
    np.testing.assert_allclose(curve.frequency, [b.mean() for _, b in groups], atol=1e-12)
    np.testing.assert_array_equal(curve.count, [len(a) for a, _ in groups])
    expected = sum(len(a) * abs(b.mean() - a.mean()) for a, b in groups) / len(p)
    found = calibration.expected_calibration_error(p, y, bins=bins)
    assert found == pytest.approx(expected, abs=1e-12)


@given(forecasts, st.integers(1, 20), st.sampled_from(["width", "mass"]))
@settings(deadline=None)
def test_the_parts_of_the_brier_score_add_up_to_it(rows, bins, by):
    p, y = rows
    parts = calibration.brier_parts(p, y, bins=bins, by=by)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(parts.score, abs=1e-12)
    assert parts.score == pytest.approx(np.mean((p - y) ** 2), abs=1e-15)
    assert parts.reliability >= 0
    assert 0 <= parts.resolution <= parts.uncertainty + 1e-12


def test_the_score_and_the_curve_are_those_of_scikit_learn():
    p, y = perfect(2000)
    assert calibration.brier_parts(p, y).score == pytest.approx(brier_score_loss(y, p))
    for by, strategy in (("width", "uniform"), ("mass", "quantile")):
        curve = calibration.reliability_curve(p, y, bins=12, by=by)
        frequency, forecast = calibration_curve(y, p, n_bins=12, strategy=strategy)
        np.testing.assert_allclose(curve.frequency, frequency)
        np.testing.assert_allclose(curve.forecast, forecast)


def test_nothing_is_hidden_in_bins_of_one_value_each():
    p = np.repeat([0.1, 0.4, 0.9], 50)
    _, y = perfect(150, seed=3)
    parts = calibration.brier_parts(p, y, bins=10)
    assert parts.within == pytest.approx(0, abs=1e-12)


def test_bins_of_equal_mass_hold_equally_many_rows_and_survive_ties():
    p, y = perfect(1000)
    assert set(calibration.reliability_curve(p**3, y, bins=10, by="mass").count) == {100}
    tied = calibration.reliability_curve(np.full(50, 0.3), y[:50], bins=10, by="mass")
    assert tied.count.tolist() == [50]


def test_certain_and_right_forecasts_have_no_error_and_the_top_bin_takes_the_one():
    p = np.array([0.0, 1.0, 1.0])
    curve = calibration.reliability_curve(p, p.astype(int), bins=5)
    assert calibration.expected_calibration_error(p, p.astype(int)) == 0
    np.testing.assert_array_equal(curve.forecast, [0, 1])
    np.testing.assert_array_equal([curve.low, curve.high], [[0, 1], [0, 1]])


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_band_holds_a_perfect_models_frequency_as_often_as_it_says(level):
    inside = []
    for seed in range(300):
        p, y = perfect(900, seed)
        curve = calibration.reliability_curve(p, y, bins=10, level=level)
        inside.append((curve.low <= curve.frequency) & (curve.frequency <= curve.high))
    assert level - 0.01 <= np.mean(inside) <= level + 0.06


def test_a_skewed_model_leaves_the_band():
    p, y = perfect(5000)
    curve = calibration.reliability_curve(p**2, y, bins=10)
    assert np.mean((curve.low <= curve.frequency) & (curve.frequency <= curve.high)) < 0.3


@pytest.mark.parametrize(("n", "published"), [(100, 0.121), (569, 0.051), (1000, 0.039)])
def test_a_perfect_model_has_the_error_its_size_gives_it(n, published):
    errors = [calibration.expected_calibration_error(*perfect(n, seed)) for seed in range(400)]
    assert np.mean(errors) == pytest.approx(published, rel=0.03)


def test_the_error_of_a_perfect_model_shrinks_with_the_root_of_the_rows():
    small, large = (
        calibration.perfect_calibration_errors(perfect(n)[0], draws=300).mean()
        for n in (1000, 16000)
    )
    assert small / large == pytest.approx(4, rel=0.08)


def test_drawn_errors_follow_the_law_of_the_observed_error():
    p, _ = perfect(400)
    drawn = calibration.perfect_calibration_errors(p, draws=2000, seed=1)
    rng = np.random.default_rng(2)
    observed = [
        calibration.expected_calibration_error(p, (rng.random(400) < p).astype(int))
        for _ in range(2000)
    ]
    np.testing.assert_allclose(
        np.quantile(drawn, [0.1, 0.5, 0.9]), np.quantile(observed, [0.1, 0.5, 0.9]), rtol=0.04
    )


def test_the_p_value_of_a_calibrated_model_is_uniform():
    values = []
    for seed in range(300):
        p, y = perfect(200, seed)
        drawn = calibration.perfect_calibration_errors(p, draws=99, seed=seed)
        values.append(np.mean(drawn >= calibration.expected_calibration_error(p, y)))
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_is_found_again(temperature):
    rng = np.random.default_rng(0)
    honest = rng.normal(size=20000) * 2
    y = (rng.random(20000) < 1 / (1 + np.exp(-honest))).astype(int)
    z = jnp.asarray(honest * temperature, jnp.float32)
    assert calibration.fit_temperature(z, y) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_of_several_classes_is_the_best_of_a_fine_grid():
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(2000, 4)) * 5, jnp.float32)
    y = jnp.asarray(rng.integers(0, 4, 2000)).at[:1200].set(z[:1200].argmax(-1))
    T = calibration.fit_temperature(z, y)
    grid = np.geomspace(T / 2, T * 2, 201)
    nll = [
        -float(jnp.take_along_axis(jax.nn.log_softmax(z / t), y[:, None], 1).mean()) for t in grid
    ]
    assert grid[np.argmin(nll)] == pytest.approx(T, rel=0.01)


def test_two_classes_as_one_logit_or_as_two_have_the_same_temperature():
    rng = np.random.default_rng(4)
    z = jnp.asarray(rng.normal(size=500) * 3, jnp.float32)
    y = jnp.asarray(rng.random(500) < 0.5 + 0.3 * np.sign(z), jnp.int32)
    pair = jnp.stack([jnp.zeros_like(z), z], 1)
    one, two = calibration.fit_temperature(z, y), calibration.fit_temperature(pair, y)
    assert one == pytest.approx(two, rel=1e-4)


def test_rows_that_are_all_right_or_all_wrong_take_the_temperature_to_its_limits():
    z = jnp.array([-3.0, -1.0, 2.0])
    assert calibration.fit_temperature(z, jnp.array([0, 0, 1])) == pytest.approx(0.01)
    assert calibration.fit_temperature(z, jnp.array([1, 1, 0]), limit=50.0) == pytest.approx(50)


def test_bad_values_are_refused_in_a_sentence():
    good = np.array([0.2, 0.7]), np.array([0, 1])
    cases = [
        ((np.array([0.2, 3.1]), good[1]), {}, r"lie in \[0, 1\], got 3.1"),
        ((np.array([0.2, np.nan]), good[1]), {}, r"lie in \[0, 1\], got nan"),
        ((good[0], np.array([0, 2])), {}, r"Labels must be 0 or 1, got 2"),
        ((good[0], np.array([0, 1, 1])), {}, r"got \(2,\) and \(3,\)"),
        ((np.zeros(0), np.zeros(0)), {}, "no rows"),
        (good, {"bins": 0}, "bins must be at least 1, got 0"),
    ]
    functions = [
        calibration.reliability_curve,
        calibration.expected_calibration_error,
        calibration.brier_parts,
    ]
    for f, (arguments, options, sentence) in itertools.product(functions, cases):
        with pytest.raises(ValueError, match=sentence):
            f(*arguments, **options)
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1, got 1\.5"):
        calibration.reliability_curve(*good, level=1.5)


def test_a_certain_logit_cannot_be_tempered():
    with pytest.raises(ValueError, match="Logits must be finite, got inf"):
        calibration.fit_temperature(jnp.array([1.0, jnp.inf]), jnp.array([0, 1]))
