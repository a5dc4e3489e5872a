"""A fresh posterior through the whole gate: what passes, and what each defect stops."""

from dataclasses import replace

import numpy as np
import pytest

from channelwise.response import examine as examining
from channelwise.response.design import Units, design
from channelwise.response.evidence import contraction
from channelwise.response.examine import examine
from channelwise.response.fit import fit
from channelwise.response.gate import Gate, GateError
from channelwise.response.mmm import Model
from channelwise.response.prior import prior_draws
from channelwise.response.priors import Prior
from channelwise.response.simulate import family_market

MODEL = Model(lags=4)
CHECKS = ["finite", "chains", "rhat", "ess_bulk", "ess_tail", "divergences", "energy"]
CHECKS += ["baseline", "autocorrelation", "outliers", "prior"]


@pytest.fixture(scope="module")
def market():
    return family_market(4, weeks=60, channels=2, controls=1, lags=4).market


@pytest.fixture(scope="module")
def posterior(market):
    return fit(market, MODEL, seed=1)


def changed(market, residual):
    """The same market with something added to its outcome."""
    return replace(market, outcome=market.outcome + residual * market.outcome.mean())


def test_a_good_fit_passes_every_check(posterior):
    gate = examine(posterior)
    assert [v.check for v in gate.verdicts] == CHECKS
    assert gate.passed and not gate.failures
    assert gate.require() == ""


def test_the_seed_decides_the_verdicts(posterior):
    assert str(examine(posterior, seed=3)) == str(examine(posterior, seed=3))


def test_a_chain_that_disagrees_is_stopped(posterior):
    alpha = posterior.draws["alpha"].copy()
    alpha[0, :, 1] *= 0.5
    broken = replace(posterior, draws={**posterior.draws, "alpha": alpha})
    gate = examine(broken)
    assert "rhat" in [v.check for v in gate.failures]
    with pytest.raises(GateError, match=r"alpha\[search\]"):
        gate.require()


def test_an_outcome_that_wanders_fails_the_check_of_its_residuals(market):
    rng = np.random.default_rng(0)
    walk = np.cumsum(0.08 * rng.standard_normal(60))
    gate = examine(fit(changed(market, walk[None]), MODEL, seed=2))
    assert "autocorrelation" in [v.check for v in gate.failures]


def test_a_week_without_its_event_fails_the_check_of_outliers(market):
    spike = np.zeros((1, 60))
    spike[0, 30] = 1.0
    gate = examine(fit(changed(market, spike), MODEL, seed=3))
    assert "outliers" in [v.check for v in gate.failures]
    assert "outliers" not in [v.check for v in examine(fit(market, MODEL, seed=3)).failures]


def test_channels_of_which_the_prior_says_more_than_the_data_are_marked(market, posterior):
    assert examine(posterior).marked == ()
    known = np.median(posterior.flat("roi"), axis=0)
    sure = Prior("log_normal", np.log(known[0]), 0.05)
    priors = {"effect": {"tv": sure, "search": Prior("log_normal", 0, 3)}}
    gate = examine(fit(market, replace(MODEL, prior_on="roi", priors=priors), seed=4))
    assert gate.marked == ("tv",)
    assert "prior" not in [v.check for v in gate.failures]


def test_where_the_data_say_nothing_of_any_channel_the_gate_is_shut(market):
    noise = np.random.default_rng(1).standard_normal((1, 60))
    doubt = {"effect": Prior("gamma", 100, 2000), "sigma": Prior("half_normal", 2)}
    gate = examine(fit(changed(market, 3 * noise), replace(MODEL, priors=doubt), seed=5))
    assert gate.marked == ("tv", "search")
    assert "prior" in [v.check for v in gate.failures]


def test_prior_and_posterior_are_compared_in_the_units_of_the_fit(market, monkeypatch):
    seen = []

    def judge(posterior, *, contraction, **_):
        seen.append(contraction)
        return Gate(())

    monkeypatch.setattr(examining, "judge", judge)
    usual = design(market, MODEL)
    units = Units(10 * usual.outcome_scale, usual.media_scale)
    posterior = fit(market, MODEL, seed=6, units=units)
    examine(posterior, seed=7)
    prior = prior_draws(market, MODEL, seed=7, units=units)
    expected = contraction(posterior.flat("contribution"), prior.flat("contribution"))
    np.testing.assert_allclose(seen[0], expected)
    other = prior_draws(market, MODEL, seed=7).flat("contribution")
    assert not np.allclose(contraction(posterior.flat("contribution"), other), expected, atol=0.02)
