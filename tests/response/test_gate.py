"""The gate opens for good chains and for nothing else, and an override leaves its mark."""

import numpy as np
import pytest

from channelwise.response.checks import Verdict
from channelwise.response.evidence import PredictiveP
from channelwise.response.gate import Gate, GateError, judge
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model
from channelwise.response.posterior import Posterior

CHANNELS = ("tv", "search", "radio")
CHECKS = (
    "finite",
    "chains",
    "rhat",
    "ess_bulk",
    "ess_tail",
    "divergences",
    "energy",
    "baseline",
    "autocorrelation",
    "outliers",
    "prior",
)
MARKET = MarketData(
    dates=np.datetime64("2024-01-01") + 7 * np.arange(8),
    outcome=np.ones((1, 8)),
    spend=np.ones((1, 8, 3)),
    channels=CHANNELS,
)


def good(seed: int = 0, chains: int = 4) -> dict:
    """Everything the gate is given, as a healthy sampler and a right model give it."""
    rng = np.random.default_rng(seed)
    return {
        "draws": {"roi": rng.normal(size=(chains, 500, 3)), "sigma": rng.random((chains, 500))},
        "statistics": {
            "energy": rng.normal(size=(chains, 500)),
            "diverging": np.zeros((chains, 500), bool),
        },
        "contraction": np.array([0.9, 0.7, 0.6]),
        "baseline": 5 + rng.normal(size=(100, 1, 8)),
        "predictive": PredictiveP(0.4, 0.6),
    }


def gate(given: dict) -> Gate:
    posterior = Posterior(
        given["draws"], {"roi": ("channel",)}, {"channel": CHANNELS}, given["statistics"], MARKET,
        Model(),
    )  # fmt: skip
    asked = {name: given[name] for name in ("contraction", "baseline", "predictive")}
    return judge(posterior, **asked)


def failed(found: Gate) -> set[str]:
    return {v.check for v in found.failures}


def verdict(found: Gate, check: str) -> Verdict:
    return next(v for v in found.verdicts if v.check == check)


def test_good_chains_of_a_right_model_pass_without_a_word():
    found = gate(good())
    assert found.passed and found.failures == found.cautions == found.marked == ()
    assert found.require() == found.require(()) == found.require(None) == ""
    assert tuple(v.check for v in found.verdicts) == CHECKS
    assert all(v.sentence.endswith(".") and not v.remedy for v in found.verdicts)


def test_good_chains_pass_whatever_the_seed():
    passed = [gate(good(seed, chains=8)).passed for seed in range(30)]
    assert sum(passed) >= 29


def stuck(given, rng):
    """One chain sits where it began."""
    given["draws"]["roi"][2, :, 1] = given["draws"]["roi"][2, 0, 1]


def frozen(given, rng):
    """No chain ever moved."""
    given["draws"]["sigma"][:] = 1.0


def two_modes(given, rng):
    """Two chains in one mode, two in another."""
    given["draws"]["roi"][2:, :, 0] += 4.0


def drifting(given, rng):
    """Every chain is still on its way."""
    given["draws"]["sigma"] += np.linspace(0, 3, 500)[None]


def wider(given, rng):
    """One chain sees another scale, about the same mean."""
    given["draws"]["roi"][3, :, 2] *= 5


def slow(given, rng):
    """Chains agree in the end, but hardly any draw is new: each is held for 20 draws."""
    given["draws"]["roi"] = np.repeat(rng.normal(size=(4, 25, 3)), 20, axis=1)


def clipped_tail(given, rng):
    """The bulk mixes; excursions to the tail come in long visits."""
    visits = np.repeat(rng.random((4, 10)) < 0.06, 50, axis=1)
    given["draws"]["roi"][..., 0] += 6 * visits


def diverging(given, rng):
    given["statistics"]["diverging"][:, :3] = True


def hot(given, rng):
    """The energy of one chain walks instead of jumping."""
    given["statistics"]["energy"][1] = np.cumsum(rng.normal(size=500))


def not_a_number(given, rng):
    given["draws"]["roi"][0, 0, 0] = np.nan


def infinite_baseline(given, rng):
    given["baseline"][3, 0, 2] = np.inf


def prior_only(given, rng):
    given["contraction"] = np.array([0.02, -0.1, 0.09])


def unknown_contraction(given, rng):
    given["contraction"] = np.full(3, np.nan)


def no_sales_left(given, rng):
    given["baseline"] -= 5.5


def no_baseline(given, rng):
    given["baseline"] = np.zeros((0, 1, 8))


def autocorrelated(given, rng):
    given["predictive"] = PredictiveP(0.002, 0.5)


def too_smooth(given, rng):
    given["predictive"] = PredictiveP(0.5, 0.9951)


def unknown_predictive(given, rng):
    given["predictive"] = PredictiveP(float("nan"), 0.5)


BAD = [
    (stuck, "rhat", "roi[search]"),
    (frozen, "rhat", "sigma is undefined"),
    (two_modes, "rhat", "roi[tv]"),
    (drifting, "rhat", "sigma"),
    (wider, "rhat", "roi[radio]"),
    (slow, "ess_bulk", "effective draws; 400 are needed"),
    (slow, "ess_tail", "effective draws; 400 are needed"),
    (clipped_tail, "ess_tail", "roi[tv]"),
    (diverging, "divergences", "12 of 2,000 transitions diverged"),
    (hot, "energy", "Chain 2"),
    (not_a_number, "finite", "1 of roi"),
    (not_a_number, "rhat", "roi[tv] is undefined"),
    (infinite_baseline, "finite", "1 of baseline"),
    (prior_only, "prior", "next to nothing of any channel"),
    (unknown_contraction, "prior", "next to nothing of any channel"),
    (no_sales_left, "baseline", "Baseline negative in 68.7 %"),
    (no_baseline, "baseline", "in undefined % of"),
    (autocorrelated, "autocorrelation", "0.002"),
    (too_smooth, "outliers", "0.996"),
    (unknown_predictive, "autocorrelation", "undefined"),
]


@pytest.mark.parametrize("spoil, check, words", BAD, ids=[f"{b[0].__name__}-{b[1]}" for b in BAD])
def test_bad_draws_are_stopped_with_what_is_wrong_and_what_to_do(spoil, check, words):
    given = good()
    spoil(given, np.random.default_rng(7))
    found = gate(given)
    own = verdict(found, check)
    assert not found.passed and not own.passed
    assert words in own.sentence and own.remedy.endswith(".")
    with pytest.raises(GateError) as stopped:
        found.require()
    assert own.sentence in str(stopped.value) and own.remedy in str(stopped.value)
    with pytest.raises(GateError):
        found.require(override=failed(found) - {check})
    stamp = found.require(override=failed(found))
    assert stamp.startswith("OVERRIDDEN: ") and own.brief in stamp


@pytest.mark.parametrize(
    "spoil, checks",
    [
        (diverging, {"divergences"}),
        (hot, {"energy"}),
        (prior_only, {"prior"}),
        (no_sales_left, {"baseline"}),
        (autocorrelated, {"autocorrelation"}),
        (too_smooth, {"outliers"}),
        (infinite_baseline, {"finite"}),
    ],
)
def test_a_fault_fails_its_own_check_and_no_other(spoil, checks):
    given = good()
    spoil(given, np.random.default_rng(7))
    assert failed(gate(given)) == checks


def test_a_single_chain_is_not_enough():
    given = good(chains=1)
    given["draws"]["roi"] = np.random.default_rng(1).normal(size=(1, 500, 3))
    found = gate(given)
    assert "chains" in failed(found) and "at least 4 chains" in verdict(found, "chains").remedy


def test_a_rare_divergence_is_a_caution_and_more_are_a_failure():
    given = good()
    given["statistics"]["diverging"][0, :2] = True  # 0.1 % of 2,000
    rare = gate(given)
    assert rare.passed and [v.check for v in rare.cautions] == ["divergences"]
    assert "2 of 2,000" in rare.cautions[0].sentence and "experiment" in rare.cautions[0].remedy
    given["statistics"]["diverging"][0, 2] = True
    assert failed(gate(given)) == {"divergences"}


def test_a_channel_known_from_the_prior_is_marked_and_passes():
    found = gate(good() | {"contraction": np.array([0.9, 0.49, np.nan])})
    assert found.passed and found.marked == ("search", "radio")
    told = verdict(found, "prior")
    assert (
        "search, radio is more prior than data" in told.sentence and "search 0.49" in told.sentence
    )
    assert "An experiment on search" in told.remedy and told in found.cautions


def test_one_channel_told_by_the_data_keeps_the_gate_open():
    assert gate(good() | {"contraction": np.array([0.0, 0.1, -0.5])}).passed
    assert failed(gate(good() | {"contraction": np.array([0.0, 0.0999, -0.5])})) == {"prior"}


@pytest.mark.parametrize("share, passed, caution", [(0.05, True, False), (0.2, True, True)])
def test_the_limits_of_a_negative_baseline_belong_to_the_better_side(share, passed, caution):
    draws = np.ones((100, 1, 10))
    draws[: round(100 * share)] = -1.0
    found = gate(good() | {"baseline": draws})
    assert found.passed == passed and bool(found.cautions) == caution
    draws[round(100 * share), 0, 0] = -1.0
    worse = gate(good() | {"baseline": draws})
    assert worse.passed == (share < 0.2) and bool(worse.cautions) == (share < 0.2)


def test_what_is_shown_is_never_better_than_what_was_measured():
    rng = np.random.default_rng(2)
    for shift in np.linspace(0, 0.5, 40):
        given = good()
        given["draws"]["sigma"] = rng.normal(size=(4, 500)) + shift * np.arange(4)[:, None] / 2
        given["contraction"] = rng.uniform(0, 0.2, 3)
        given["predictive"] = PredictiveP(*rng.choice([0.0104, 0.00996, 0.98996, 0.9904], 2))
        found = gate(given)
        rhat, bulk = verdict(found, "rhat"), verdict(found, "ess_bulk")
        assert rhat.value <= number(rhat.brief, "R-hat ") < rhat.value + 0.001
        assert bulk.value - 1 < number(bulk.brief, "ESS ") <= bulk.value
        for told, limit in ((rhat, 1.01), (verdict(found, "prior"), 0.1)):
            assert told.passed == (told.value <= limit if told is rhat else told.value >= limit)
            assert told.passed or f" {limit} (" not in told.brief
        for check in ("autocorrelation", "outliers"):
            told = verdict(found, check)
            assert told.passed == (0.01 <= number(told.brief, check + " ") <= 0.99)


def number(text: str, after: str) -> float:
    return float(text.split(after)[1].split()[0].replace(",", ""))


def test_the_stamp_names_every_overridden_failure_and_nothing_that_passed():
    given = good()
    two_modes(given, None)
    diverging(given, None)
    found = gate(given)
    value = verdict(found, "rhat").value
    stamp = found.require(override=[*failed(found), "energy"])
    assert stamp.startswith(f"OVERRIDDEN: R-hat {np.ceil(value * 1000) / 1000:g} (limit 1.01); ")
    assert "12 of 2,000 transitions diverged (limit 0.1 %)" in stamp and "E-BFMI" not in stamp


def test_the_refusal_lists_only_what_is_not_overridden_and_says_how_to_override_it():
    given = good()
    autocorrelated(given, None)
    diverging(given, None)
    with pytest.raises(GateError) as stopped:
        gate(given).require(override=("divergences",))
    text = str(stopped.value)
    assert "autocorrelation: Predictive p" in text and "diverged" not in text
    assert text.endswith('override=("autocorrelation",).')


def test_an_override_by_an_unknown_name_is_refused_even_if_all_is_well():
    with pytest.raises(GateError, match="No check is called 'r_hat'; there are finite, chains"):
        gate(good()).require(override=("r_hat",))


def test_a_single_name_may_stand_alone():
    given = good()
    hot(given, np.random.default_rng(7))
    assert gate(given).require("energy").startswith("OVERRIDDEN: E-BFMI 0.0")


def test_the_printed_gate_has_a_line_for_each_check():
    given = good() | {"contraction": np.array([0.9, 0.2, 0.6])}
    diverging(given, None)
    lines = str(gate(given)).splitlines()
    assert len(lines) == len(CHECKS)
    words = {line.split()[1]: line.split()[0] for line in lines}
    assert words["divergences"] == "FAILED" and words["prior"] == "caution"
    assert words["rhat"] == "passed"


def test_inputs_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="2 contractions for 3 channels"):
        gate(good() | {"contraction": np.array([0.9, 0.2])})
    for name in ("energy", "diverging"):
        given = good()
        del given["statistics"][name]
        with pytest.raises(ValueError, match=f"the sampler's '{name}', which the posterior lacks"):
            gate(given)
