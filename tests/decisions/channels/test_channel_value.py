"""The value of channels: the formula against other ways to the same numbers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import channel_values
from channelwise.decisions.channels.channel_value import ChannelValue
from channelwise.decisions.channels.strength import Precision, Strength, StrengthError

ALIKE = {"most": [0.5], "half": [2.0], "slope": [1.0]}


def test_coverage_and_trust_are_those_of_people_drawn_one_by_one():
    value = channel_values.known()
    rng = np.random.default_rng(0)
    eta, beta, gamma = np.array([[0.5, 0.2, 0.9], [0.3, 0.6, 0.1], [0.4, 0.1, 0.2]])
    reached = (rng.random((400_000, 3)) < beta).any(1).mean()
    known = (rng.random((400_000, 3)) < gamma).any(1).mean()
    coverage, buying, data = value.factors(eta, beta, gamma)
    assert coverage == pytest.approx(reached, abs=4e-3)
    assert buying == pytest.approx(0.1 + 0.4 * known, abs=2e-3)
    assert data == pytest.approx(1e5 * (0.15 + 0.12 + 0.09), rel=1e-12)


def test_the_value_is_its_formula_written_out():
    value = channel_values.known()
    x = np.array([10e3, 30e3, 20e3])
    eta = [0.8 * 10 / 40, 0.9 * 30 / 70, 0.6 * 20 / 35]
    beta = [0.45 * 10 / 30, 0.35 * 900 / (900 + 2025), 0.7 * 400 / 2000]
    gamma = [0.6 * 100 / 725, 0.7 * 900 / 3400, 0.2 * 20 / 50]
    unreached, unknown = np.prod(1 - np.array(beta)), np.prod(1 - np.array(gamma))
    data = 1e5 * np.dot(eta, beta)
    precision = 0.97 - 0.37 * (1 + data / 5e3) ** -0.3
    expected = 8 * 1e5 * (1 - unreached) * (0.1 + 0.4 * (1 - unknown)) * 0.9 * precision
    assert value.value(x) == pytest.approx(expected, rel=1e-13)


def test_endless_spend_meets_the_limits_of_every_strength():
    value = channel_values.known()
    buying = 0.1 + 0.4 * (1 - 0.4 * 0.3 * 0.8)
    data = 1e5 * (0.45 * 0.8 + 0.35 * 0.9 + 0.7 * 0.6)
    solved = 0.97 - 0.37 * (1 + data / 5e3) ** -0.3
    expected = 8e5 * 0.9 * (1 - 0.55 * 0.65 * 0.3) * buying * solved
    assert value.value(np.full(3, 1e15)) == pytest.approx(expected, rel=1e-9)


def test_a_market_that_is_hardly_reached_keeps_all_digits():
    value = channel_values.known()
    tiny = value.factors(np.zeros(3), np.full(3, 1e-12), np.zeros(3))[0]
    assert tiny == pytest.approx(3e-12, rel=1e-11)


def test_the_value_does_not_fall_with_any_spend():
    for seed in range(20):
        value = channel_values.drawn(seed)
        x = np.random.default_rng(seed).uniform(0, 2, (200, 3))
        for c in range(3):
            assert (value.value(x + 0.1 * np.eye(3)[c]) >= value.value(x)).all()


def test_the_gradient_is_that_of_automatic_differentiation():
    with jax.enable_x64(True):
        for seed in range(10):
            value = channel_values.drawn(seed)
            x = np.random.default_rng(seed).uniform(0, 2, 3)
            assert np.allclose(value.marginal(x), jax.grad(value.value)(jnp.asarray(x)), rtol=1e-10)


def test_the_bounds_of_the_gradient_hold_everywhere_between_two_spends():
    for seed in range(20):
        value, rng = channel_values.drawn(seed), np.random.default_rng(100 + seed)
        lower = rng.uniform(0, 1, 3)
        upper = lower + rng.uniform(0, 1, 3)
        least, largest = value.marginal_within(lower, upper)
        inside = value.marginal(rng.uniform(lower, upper, (2000, 3)))
        corners = value.marginal(
            np.array(list(itertools.product(*zip(lower, upper, strict=True)))).reshape(-1, 3)
        )
        seen = np.concatenate([inside, corners])
        assert (least <= seen * (1 + 1e-12)).all() and (seen <= largest * (1 + 1e-12)).all()


def test_the_bounds_of_the_gradient_close_as_the_box_shrinks():
    value, x = channel_values.known(), np.array([30e3, 20e3, 40e3])
    widths = []
    for width in (1e3, 1e2, 1e1):
        least, largest = value.marginal_within(x, x + width)
        widths.append((largest - least).max())
    assert widths[0] / widths[1] == pytest.approx(10, rel=0.2)
    assert widths[1] / widths[2] == pytest.approx(10, rel=0.05)


def test_another_unit_of_currency_changes_the_value_by_that_unit_alone():
    x = np.array([10e3, 30e3, 20e3])
    one, other = channel_values.known(), channel_values.known(unit=1e-6)
    assert other.value(1e-6 * x) == pytest.approx(1e-6 * one.value(x), rel=1e-13)
    assert np.allclose(other.marginal(1e-6 * x), one.marginal(x), rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"market": 0.0}, "market = 0 must be above 0, in customers"),
        ({"satisfaction": 1.2}, "satisfaction = 1.2 must be above 0, at most 1"),
        ({"margin": -1.0}, "margin = -1 must be above 0"),
        ({"buying": (0.5, 0.1)}, "buying = 0.5, 0.1 must be two rising shares"),
        ({"channels": ("one", "two")}, "eta has 1 values for 2 channels"),
    ],
)
def test_a_market_outside_its_range_is_named(changes, says):
    alike = Strength(**ALIKE)
    fine = dict(channels=("one",), eta=alike, beta=alike, gamma=alike, market=10.0)
    fine |= dict(satisfaction=1.0, precision=Precision(0.5, 0.9, 10, 0.3), margin=1.0)
    ChannelValue(**fine, buying=(0.0, 1.0))
    with pytest.raises(StrengthError, match=says):
        ChannelValue(**({"buying": (0.0, 1.0)} | fine | changes))
