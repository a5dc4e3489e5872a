"""Simulation-based calibration in small: truths from the prior rank uniformly among their draws.

Sixty markets with parameters from the prior are fitted as a user would. The same ranks are then
taken of samplers that are wrong on purpose: were they not caught, the first test would mean little.
The full version is benchmarks/response_calibration.py.
"""

from dataclasses import replace

import numpy as np
import pytest

from channelwise.response.calibration import chi_square_p, ecdf_p, interval_coverage, ranks
from channelwise.response.design import Units, design
from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.mmm import Model
from channelwise.response.prior import prior_draws
from channelwise.response.priors import Prior
from channelwise.response.simulate import family_market

MARKETS, DRAWS = 60, 99
MODEL = Model(
    lags=2, seasonality=0, prior_on="roi", priors={"half_saturation": Prior("half_normal", 1)}
)
NAMES = ("alpha", "half_saturation", "beta", "contribution", "coefficient", "sigma")


def flat(posterior, kept):
    """(draw, scalar) of all that is ranked."""
    return np.concatenate(
        [posterior.flat(n).reshape(len(posterior.flat(n)), -1)[kept] for n in NAMES], axis=1
    )


def simulated(noise=1.0):
    """The truths (market, scalar) and a thinned posterior of each (draw, market, scalar)."""
    market = family_market(7, weeks=26, channels=2, controls=0, lags=2).market
    units = Units(*design(market, MODEL)[2:4])
    prior = prior_draws(market, MODEL, draws=MARKETS, seed=11, units=units)
    effects = Effects(prior, draws=MARKETS)
    outcomes = effects.expected() + noise * effects.sigma * effects.noise(12)
    draws = []
    for i, outcome in enumerate(outcomes):
        posterior = fit(replace(market, outcome=outcome), MODEL, seed=i, units=units, careful=False)
        total = posterior.n_chains * posterior.n_draws
        draws.append(flat(posterior, np.linspace(0, total - 1, DRAWS).astype(int)))
    return flat(prior, slice(None)), np.stack(draws, axis=1)


@pytest.fixture(scope="module")
def cases():
    return simulated()


def smallest_p(truth, draws):
    """Of all scalars and both tests, times their number: a p-value for everything at once."""
    found = ranks(draws, truth, np.random.default_rng(0))
    p = [(ecdf_p(r, DRAWS), chi_square_p(r, DRAWS, bins=10)) for r in found.T]
    return min(1.0, np.min(p) * np.size(p))


def test_truths_rank_uniformly_among_the_draws(cases):
    truth, draws = cases
    assert truth.shape == draws.shape[1:] == (MARKETS, 11)
    assert smallest_p(truth, draws) > 0.02


def test_intervals_hold_the_truth_as_often_as_they_promise(cases):
    truth, draws = cases
    for level in (0.5, 0.9):
        held = interval_coverage(draws, truth, level)
        assert np.abs(held.share - level).max() < 3.5 * held.error
        assert held.share.mean() == pytest.approx(level, abs=2 * held.error)


def narrowed(draws):
    """Draws pulled a third of the way to their mean, as after too few or too short moves."""
    return draws.mean(axis=0) + (draws - draws.mean(axis=0)) * 2 / 3


def without_jacobian(draws):
    """Draws of a sampler that moves in logit α and forgets dα/d logit α = α (1 − α)."""
    rng, alpha = np.random.default_rng(1), draws[..., :2]
    weight = 1 / np.prod(alpha * (1 - alpha), axis=-1)
    picked = [rng.choice(DRAWS, DRAWS, p=w / w.sum()) for w in weight.T]
    return np.stack([draws[p, i] for i, p in enumerate(picked)], axis=1)


def stuck(draws):
    """Draws of which the upper half of half-saturation was never reached."""
    wrong = draws.copy()
    wrong[..., 2:4] = np.minimum(wrong[..., 2:4], np.median(wrong[..., 2:4], axis=0))
    return wrong


@pytest.mark.parametrize("wrong", [narrowed, without_jacobian, stuck])
def test_a_wrong_sampler_is_caught(cases, wrong):
    truth, draws = cases
    assert smallest_p(truth, wrong(draws)) < 1e-3


def test_wrong_noise_is_caught():
    assert smallest_p(*simulated(noise=1.5)) < 1e-3
