"""Geo tests against exact recovery, brute force, simulated worlds and inserted lifts."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from channelwise.decisions.geo.matching import (
    best_tracked,
    distances,
    match_pairs,
    paired,
    paired_difference,
    tracked,
    tracking_error,
)
from channelwise.decisions.geo.panel import GeoTestError, Panel, panel_of
from channelwise.decisions.geo.regression import time_based_regression
from channelwise.decisions.geo.rehearsal import placebo_power
from channelwise.decisions.geo.synthetic_control import (
    placebo_groups,
    simplex_weights,
    synthetic_control,
)
from channelwise.response.simulate import family_market

WEEKS = np.datetime64("2024-01-01") + 7 * np.arange(80)
START, STOP = WEEKS[70], WEEKS[76]


def world(seed, noise, geos=8, weeks=80):
    """Geos of different sizes on one common wave, with independent noise."""
    rng = np.random.default_rng(seed)
    size = rng.lognormal(6, 0.5, geos)[:, None]
    wave = 1 + 0.2 * np.sin(np.arange(weeks) / 6) + 0.05 * rng.standard_normal(weeks)
    y = size * (wave + noise * rng.standard_normal((geos, weeks)))
    return Panel(y, tuple(f"g{i}" for i in range(geos)), WEEKS[:weeks])


def lifted(panel, test, relative):
    """The panel in which the test geos bring more from START to STOP, and the lift in total."""
    first, end = panel.periods(START, STOP)
    y, rows = panel.outcome.copy(), panel.index(test)
    added = relative * y[rows, first:end]
    y[rows, first:end] += added
    return Panel(y, panel.geos, panel.dates), added.sum()


def pairs_of(panel):
    return [(panel.geos[i], panel.geos[i + 1]) for i in range(0, len(panel.geos), 2)]


ANALYSES = {
    "pairs": lambda p, k=4, **o: paired_difference(p, pairs_of(p)[:k], START, STOP, **o),
    "regression": lambda p, k=4, **o: time_based_regression(
        p, p.geos[: 2 * k : 2], START, STOP, **o
    ),
    "synthetic": lambda p, k=4, **o: synthetic_control(
        p, p.geos[: 2 * k : 2], START, STOP, confidence=o.pop("confidence", 0.8), **o
    ),
}
each_method = pytest.mark.parametrize("method", ANALYSES)


@each_method
@pytest.mark.parametrize("relative", [0.1, -0.2, 0.0])
def test_without_noise_the_lift_is_recovered_exactly(method, relative):
    panel = world(0, 0.0)
    changed, lift = lifted(panel, panel.geos[::2], relative)
    effect = ANALYSES[method](changed)
    assert effect.lift == pytest.approx(lift, abs=1e-6)
    assert (effect.low, effect.high) == pytest.approx((lift, lift), abs=1e-3)
    assert effect.relative == pytest.approx(relative, abs=1e-9)
    assert np.allclose(effect.expected, panel.outcome[::2, :76].sum(axis=0))


@each_method
def test_the_effect_does_not_depend_on_the_unit(method):
    panel = world(1, 0.02)
    scaled = Panel(1e-6 * panel.outcome, panel.geos, panel.dates)
    one, other = ANALYSES[method](panel), ANALYSES[method](scaled)
    for name in ("lift", "low", "high"):
        assert getattr(other, name) == pytest.approx(1e-6 * getattr(one, name), rel=1e-6)
    assert (one.p_value, one.smallest) == pytest.approx((other.p_value, other.smallest), rel=1e-6)


@each_method
def test_the_interval_is_the_set_of_lifts_that_are_not_rejected(method):
    """At the smallest detectable lift the interval touches zero and p is what is promised."""
    panel = world(2, 0.03)
    effect = ANALYSES[method](panel)
    at, _ = lifted(panel, panel.geos[::2], effect.smallest)
    touched = ANALYSES[method](at)
    assert touched.low == pytest.approx(0, abs=1e-6 * panel.outcome.sum())
    if method != "synthetic":
        assert touched.p_value == pytest.approx(1 - touched.confidence)
    more, _ = lifted(panel, panel.geos[::2], effect.smallest + 1e-4)
    less, _ = lifted(panel, panel.geos[::2], effect.smallest - 1e-4)
    assert ANALYSES[method](more).detected
    assert not ANALYSES[method](less).low > 0


@each_method
def test_detection_agrees_with_the_p_value(method):
    for seed in range(30):
        panel, _ = lifted(world(seed, 0.03), ("g0", "g2", "g4", "g6"), 0.05)
        effect = ANALYSES[method](panel)
        assert effect.detected == (effect.p_value <= 1 - effect.confidence + 1e-9)


@pytest.mark.parametrize(
    ("method", "count"), [("pairs", 600), ("regression", 600), ("synthetic", 120)]
)
def test_intervals_cover_the_lift_as_often_as_they_promise(method, count):
    hits = []
    for seed in range(count):
        panel = world(seed, 0.03)
        effect = ANALYSES[method](lifted(panel, panel.geos[::2], 0.05)[0])
        first, end = panel.periods(START, STOP)
        truth = 0.05 * panel.outcome[::2, first:end].sum()
        hits.append(effect.low <= truth <= effect.high)
    promised = effect.confidence
    slack = 3.5 * np.sqrt(promised * (1 - promised) / count)
    extra = 0.06 if method == "synthetic" else 0.02  # few placebo groups; independence of logs
    assert promised - slack - extra < np.mean(hits) < promised + slack + extra


def test_the_margin_of_the_regression_is_that_of_a_simulated_posterior():
    """Draw (α, β, σ²) and the test's noise from their posterior under the flat prior."""
    panel = world(4, 0.05)
    test = ("g0", "g1")
    effect = time_based_regression(panel, test, START, STOP)
    y = panel.outcome[:2, :76].sum(axis=0)
    x = panel.outcome[2:, :76].sum(axis=0)
    design = np.stack([np.ones(70), x[:70]], axis=1)
    b, rss = np.linalg.lstsq(design, y[:70])[:2]
    rng = np.random.default_rng(0)
    sigma = np.sqrt(rss[0] / rng.chisquare(68, 100_000))
    root = np.linalg.cholesky(np.linalg.inv(design.T @ design))
    drawn = b[:, None] + root @ (sigma * rng.standard_normal((2, 100_000)))
    future = np.stack([np.ones(6), x[70:]], axis=1).sum(axis=0) @ drawn
    lift = y[70:].sum() - future - sigma * np.sqrt(6) * rng.standard_normal(100_000)
    width = effect.high - effect.low
    assert np.quantile(lift, [0.05, 0.95]) == pytest.approx(
        [effect.low, effect.high], abs=0.01 * width
    )


def test_the_weights_are_those_of_a_general_solver():
    rng = np.random.default_rng(0)
    for donors_count in (2, 5, 12):
        donors, target = rng.standard_normal((donors_count, 20)), rng.standard_normal(20)
        w = simplex_weights(target, donors)
        assert w.sum() == pytest.approx(1)
        assert w.min() >= 0
        rough = minimize(
            lambda v, d=donors, y=target: np.sum((y - v @ d) ** 2),
            np.full(donors_count, 1 / donors_count),
            jac=lambda v, d=donors, y=target: -2 * d @ (y - v @ d),
            bounds=[(0, 1)] * donors_count,
            constraints={"type": "eq", "fun": lambda v: v.sum() - 1, "jac": np.ones_like},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert np.allclose(w, rough.x, atol=1e-5)


def test_the_weights_meet_the_conditions_of_optimality():
    """The gradient is least, and the same, on every donor that is used."""
    rng = np.random.default_rng(1)
    donors, target = 1 + 0.1 * rng.standard_normal((30, 52)), 1 + 0.1 * rng.standard_normal(52)
    w = simplex_weights(target, donors)
    gradient = donors @ (w @ donors - target)
    used = w > 1e-9
    assert np.allclose(gradient[used], gradient[used].min(), atol=1e-9)
    assert gradient[~used].min() >= gradient[used].min() - 1e-9


def test_a_mixture_is_found_again():
    rng = np.random.default_rng(2)
    donors, w = rng.random((6, 40)), np.array([0.5, 0, 0.2, 0.3, 0, 0])
    assert np.allclose(simplex_weights(w @ donors, donors), w, atol=1e-9)
    assert np.allclose(simplex_weights(donors[3], np.tile(donors[3], (4, 1))), 0.25)


def test_placebo_groups_are_distinct_and_leave_half_to_mix_from():
    rng = np.random.default_rng(0)
    assert placebo_groups(5, 2, 39, rng).sum() == 2 * 10
    many = placebo_groups(20, 15, 39, rng)
    assert many.shape == (39, 20)
    assert len(np.unique(many, axis=0)) == 39
    assert set(many.sum(axis=1)) == {10}


def test_the_pairing_is_the_best_of_all():
    rng = np.random.default_rng(3)
    d = distances(1 + 0.1 * rng.standard_normal((8, 30)))

    def best(left, pairs):
        later = {i: [k for k in left if k > i] for i in left}
        options = (
            d[i, j] ** 2 + best([k for k in later[i] if k != j], pairs - 1)
            for i, j in combinations(left, 2)
        )
        return min(options, default=np.inf) if pairs else 0.0

    for pairs in (1, 2, 4):
        found = paired(d, pairs)
        assert len(set(found.ravel().tolist())) == 2 * pairs
        assert np.sum(d[found[:, 0], found[:, 1]] ** 2) == pytest.approx(best(range(8), pairs))


def test_twins_of_any_size_are_paired():
    panel = world(5, 0.05)
    y = np.concatenate([panel.outcome[:4], 7.0 * panel.outcome[:4]])
    twins = match_pairs(Panel(y, panel.geos, panel.dates))
    assert sorted(twins) == [("g0", "g4"), ("g1", "g5"), ("g2", "g6"), ("g3", "g7")]


def test_the_tracking_error_is_that_of_each_regression():
    panel = world(6, 0.05)
    y = panel.outcome
    for test in ([0], [1, 5], [0, 2, 3]):
        group = np.zeros((1, 8))
        group[0, test] = 1
        mine, rest = y[test].sum(axis=0), y.sum(axis=0) - y[test].sum(axis=0)
        left = mine - np.polyval(np.polyfit(rest, mine, 1), rest)
        expected = left.std(ddof=1) / mine.mean()
        assert tracking_error(y, group)[0] == pytest.approx(expected, rel=1e-6)


def test_the_best_tracked_group_beats_every_other_one():
    panel = world(7, 0.05)
    chosen = panel.index(best_tracked(panel, 3))
    every = np.zeros((56, 8))
    for row, members in zip(every, combinations(range(8), 3), strict=True):
        row[list(members)] = 1
    mine = np.zeros((1, 8))
    mine[0, chosen] = 1
    least = tracking_error(panel.outcome, every).min()
    assert tracking_error(panel.outcome, mine)[0] == pytest.approx(least, rel=1e-9)


def test_a_group_too_large_to_search_cannot_be_improved_by_a_swap():
    panel = world(8, 0.05, geos=24)
    y = panel.outcome
    chosen = tracked(y, 8, np.random.default_rng(0))
    group = np.isin(np.arange(24), chosen).astype(float)
    error = tracking_error(y, group[None])[0]
    for i in np.flatnonzero(group):
        for j in np.flatnonzero(group == 0):
            other = group.copy()
            other[i], other[j] = 0, 1
            assert tracking_error(y, other[None])[0] >= error - 1e-12


def test_the_minimal_lift_is_the_least_that_has_the_power():
    power = placebo_power(world(9, 0.03), "regression", 3, 6)
    least = power.minimal_lift(0.8)
    assert power.power(least + 1e-9) >= 0.8 > power.power(least - 1e-9)
    assert power.minimal_lift(0.5) < least < power.minimal_lift(0.95)


def test_rehearsals_of_pairs_are_all_tosses_of_a_coin_in_the_most_alike_pairs():
    panel = world(12, 0.03)
    known = Panel(panel.outcome[:, :70], panel.geos, panel.dates[:70])
    upto = Panel(panel.outcome[:, :76], panel.geos, panel.dates[:76])
    power = placebo_power(upto, "pairs", 3, 6, before=70, windows=1, draws=200)
    pairs = match_pairs(known, 3)
    tossed = [
        [pair[::-1] if heads >> k & 1 else pair for k, pair in enumerate(pairs)]
        for heads in range(8)
    ]
    effects = [paired_difference(upto, toss, START, STOP) for toss in tossed]
    assert sorted(set(power.smallest.round(9))) == pytest.approx(
        sorted(effect.smallest for effect in effects), abs=1e-8
    )
    assert power.false_alarms == pytest.approx(
        np.mean([min(abs(power.smallest - e.smallest)) < 1e-9 and e.detected for e in effects]),
        abs=0.15,
    )


def test_power_of_named_geos_agrees_with_the_analysis_of_each_raised_window():
    panel = world(10, 0.03)
    for method in ("regression", "synthetic"):
        power = placebo_power(panel, method, ("g0", "g3"), 6, confidence=0.8, windows=9)
        for lift in (0.02, 0.05):
            seen = []
            for start in np.unique(np.linspace(52, 74, 9).round().astype(int)):
                y = panel.outcome.copy()
                y[[0, 3], start : start + 6] *= 1 + lift
                analyse = time_based_regression if method == "regression" else synthetic_control
                days = panel.dates[start], panel.dates[start] + 42
                raised = Panel(y, panel.geos, panel.dates)
                effect = analyse(raised, ("g0", "g3"), *days, before=52, confidence=0.8)
                seen.append(effect.low > 0)
            assert power.power(lift) == pytest.approx(np.mean(seen))


@pytest.mark.parametrize("method", ["pairs", "regression"])
def test_more_geos_longer_tests_and_less_noise_see_smaller_lifts(method):
    quiet, loud = world(11, 0.02, geos=16), world(11, 0.06, geos=16)
    assert placebo_power(quiet, method, 8, 4).minimal_lift() < (
        placebo_power(loud, method, 8, 4).minimal_lift()
    )
    assert placebo_power(loud, method, 8, 4).minimal_lift() < (
        placebo_power(loud, method, 2, 4).minimal_lift()
    )
    assert placebo_power(loud, method, 8, 12).minimal_lift() < (
        placebo_power(loud, method, 8, 1).minimal_lift()
    )


def test_calibrated_margins_raise_as_few_false_alarms_as_promised():
    market = family_market(3, weeks=156, geos=16)
    power = placebo_power(panel_of(market.market), "regression", 4, 6)
    assert power.false_alarms > 0.15  # what is left is not independent from week to week
    honest = power.calibrated()
    assert honest.false_alarms <= 0.1 < honest._replace(margin=0.99 * honest.margin).false_alarms
    assert honest.minimal_lift() > power.minimal_lift()


@pytest.mark.parametrize("method", ["pairs", "regression", "synthetic"])
def test_on_a_market_from_outside_a_true_lift_lies_within_calibrated_margins(method):
    panel = panel_of(family_market(5, weeks=156, geos=16).market)
    power = placebo_power(panel, method, 8, 8, windows=6).calibrated()
    assert 0 < power.minimal_lift() < 0.25
    assert power.power(0.0) <= 0.1
    assert power.power(1.0) == 1


BAD = {
    "outside": (lambda p: time_based_regression(p, ["g0"], "2023-01-01", STOP), "outside the data"),
    "after": (lambda p: time_based_regression(p, ["g0"], START, "2027-01-01"), "outside the data"),
    "empty": (lambda p: time_based_regression(p, ["g0"], START, START), "No period begins"),
    "early": (lambda p: time_based_regression(p, ["g0"], WEEKS[1], STOP), "at least 4"),
    "far": (lambda p: time_based_regression(p, ["g0"], START, STOP, before=90), "compared with 90"),
    "name": (lambda p: time_based_regression(p, ["g00"], START, STOP), "nearest is 'g0'"),
    "twice": (lambda p: time_based_regression(p, ["g0", "g0"], START, STOP), "named twice"),
    "both": (
        lambda p: time_based_regression(p, ["g0"], START, STOP, control=["g0", "g1"]),
        "g0: both",
    ),
    "none": (lambda p: time_based_regression(p, [], START, STOP), "no test geo"),
    "all": (lambda p: time_based_regression(p, p.geos, START, STOP), "no control geo"),
    "level": (lambda p: synthetic_control(p, ["g0"], START, STOP), "cannot give an interval"),
    "single": (
        lambda p: synthetic_control(p, ["g0"], START, STOP, control=["g1"]),
        "two or more",
    ),
    "pair": (lambda p: paired_difference(p, [("g0", "g1")], START, STOP), "two or more"),
    "pairs": (lambda p: match_pairs(p, 5), "1 to 4"),
    "size": (lambda p: best_tracked(p, 5), "1 to 4"),
    "short": (lambda p: placebo_power(p, "regression", 2, 60), "does not fit"),
    "half": (lambda p: placebo_power(p, "regression", 5, 6), "test 1 to 4"),
    "named": (lambda p: placebo_power(p, "pairs", ("g0", "g1"), 6), "no partners"),
    "sure": (
        lambda p: time_based_regression(p, ["g0"], START, STOP, confidence=1.0),
        "confidence is 1.0",
    ),
    "still": (lambda p: Panel(np.ones((2, 80)), ("a", "b"), WEEKS), "a, b never changes"),
    "one": (lambda p: Panel(p.outcome[:1], ("a",), WEEKS), "two or more of each"),
    "shape": (lambda p: Panel(p.outcome, ("a",), WEEKS), "geos × dates"),
    "nan": (lambda p: Panel(p.outcome * np.nan, p.geos, WEEKS), "finite"),
    "order": (lambda p: Panel(p.outcome, p.geos, WEEKS[::-1]), "ascend"),
}


@pytest.mark.parametrize(("call", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_answered_with_a_sentence(call, says):
    with pytest.raises(GeoTestError, match=says):
        call(world(0, 0.02))


def test_a_national_market_has_no_geo_test():
    with pytest.raises(GeoTestError, match="1 geos and 156 periods"):
        panel_of(family_market(0).market)
