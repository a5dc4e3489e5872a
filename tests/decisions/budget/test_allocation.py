"""Dividing a budget: closed forms, brute force, bounds that no plan exceeds, units, constraints."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import ConstraintError, Constraints, Group
from channelwise.decisions.budget.curves import Curves, hill_curves


def random_curves(seed, channels=3, draws=20, slopes=(1.0, 1.0), forms=None):
    """Curves that saturate around a budget of 1."""
    rng = np.random.default_rng(seed)
    shape = (channels, draws, 1)
    spread = lambda width: rng.lognormal(0, width, shape)  # noqa: E731
    amplitude = rng.lognormal(0, 0.7, (channels, 1, 1)) * spread(0.3)
    scale = rng.lognormal(-1.2, 0.8, (channels, 1, 1)) * spread(0.3)
    slope = np.broadcast_to(rng.uniform(*slopes, (channels, 1)), shape[:2]).copy()
    if slopes[1] > 1:
        slope *= rng.lognormal(0, 0.15, shape[:2])
    return Curves(
        channels=tuple(f"c{i}" for i in range(channels)),
        forms=forms or ("hill",) * channels,
        amplitude=amplitude,
        scale=scale,
        slope=slope,
        today=np.full(channels, 1 / channels),
    )


def brute_force(curves, steps=400):
    """The best of all divisions of a budget of 1 in steps, by dynamic programming."""
    each = np.array(
        [curves.expected(np.full(curves.n_channels, k / steps)) for k in range(steps + 1)]
    )
    best = each[:, 0]
    for c in range(1, curves.n_channels):
        best = np.array([(best[k::-1] + each[: k + 1, c]).max() for k in range(steps + 1)])
    return float(best.max())


def test_root_curves_are_divided_by_the_closed_form():
    b = np.array([3.0, 2.0, 1.0])
    one = np.ones((3, 1, 1))
    curves = Curves(
        ("a", "b", "c"), ("power",) * 3, one * b[:, None, None], one, np.full((3, 1), 0.5), b
    )
    plan = allocate(curves, Constraints(100))
    np.testing.assert_allclose(plan.spend, 100 * b**2 / (b**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(plan.outcome, np.sqrt(100 * (b**2).sum()), rtol=1e-13)
    assert plan.certificate.proven
    equal = np.sqrt(100 / 3) * b.sum()
    assert round(equal, 3) == 34.641 and round(plan.outcome[0], 3) == 37.417


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("slopes", [(1.0, 1.0), (0.6, 3.0), (1.5, 4.0)])
def test_no_division_in_small_steps_is_better_and_the_bound_is_tight(seed, slopes):
    curves = random_curves(seed, channels=3 + seed % 3, slopes=slopes)
    plan = allocate(curves, Constraints(1.0))
    found = plan.certificate.value
    assert plan.certificate.proven and plan.certificate.gap <= 1e-9
    stepwise = brute_force(curves)
    assert stepwise <= plan.certificate.bound * (1 + 1e-12)
    assert stepwise <= found + 1e-9
    assert found - stepwise < 5e-3 * found  # the steps cost a little, and no more
    assert plan.spend.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("slopes", [(1.0, 1.0), (0.6, 3.0)])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e9])
def test_the_division_does_not_depend_on_the_unit_of_money(slopes, unit):
    curves = random_curves(3, channels=5, slopes=slopes)
    plain = allocate(curves, Constraints(1.0))
    other = allocate(curves.in_units(1 / unit, 1 / (7 * unit)), Constraints(unit))
    np.testing.assert_allclose(other.spend / unit, plain.spend, atol=1e-9)
    np.testing.assert_allclose(other.expected_gain / (7 * unit), plain.expected_gain, rtol=1e-9)
    assert other.certificate.proven


def test_marginal_returns_are_equal_across_free_channels():
    plan = allocate(random_curves(5, channels=6, draws=200), Constraints(1.0))
    free = np.array([h == "" for h in plan.held])
    assert free.sum() >= 2
    np.testing.assert_allclose(plan.marginal_roi[free], plan.shadow_price, rtol=1e-7)
    assert (plan.marginal_roi[~free] <= plan.shadow_price * (1 + 1e-9)).all()


@pytest.mark.parametrize("form", ["hill", "tanh", "power"])
def test_every_form_is_divided_to_the_last_digits(form):
    curves = random_curves(8, channels=4, slopes=(0.5, 1.0), forms=(form,) * 4)
    assert not curves.concave.all() or allocate(curves, Constraints(1.0)).certificate.gap < 1e-13
    plan = allocate(curves, Constraints(1.0))
    assert plan.certificate.proven
    assert brute_force(curves) <= plan.certificate.bound * (1 + 1e-12)


def test_mixed_forms_share_one_budget():
    forms = ("hill", "tanh", "power", "hill")
    curves = random_curves(2, channels=4, slopes=(0.7, 0.999), forms=forms)
    plan = allocate(curves, Constraints(1.0))
    assert plan.certificate.proven
    assert brute_force(curves) <= plan.certificate.value + 1e-9


def test_the_mean_outcome_is_maximized_not_the_outcome_of_the_mean():
    a, k = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[0.05, 0.3], [4.0, 0.3]])
    curves = hill_curves(("risky", "safe"), a, k, today=np.array([0.5, 0.5]))
    mean = hill_curves(("risky", "safe"), a.mean(0), k.mean(0), today=np.array([0.5, 0.5]))
    plan, naive = allocate(curves, Constraints(1.0)), allocate(mean, Constraints(1.0))
    assert curves.expected(plan.spend).sum() > curves.expected(naive.spend).sum() + 1e-3


def test_weights_of_the_draws_count():
    curves = random_curves(4, draws=6)
    one = np.eye(6)[2]
    alone = allocate(curves.only(np.array([2])), Constraints(1.0))
    weighted = allocate(curves.reweighted(one), Constraints(1.0))
    np.testing.assert_allclose(weighted.spend, alone.spend, atol=1e-9)


def test_bounds_changes_and_groups_are_kept_exactly():
    curves = random_curves(6, channels=5, slopes=(0.8, 2.0))
    constraints = Constraints(
        1.0,
        lower={"c0": 0.1},
        upper={"c1": 0.15},
        change={"c2": 0.25},
        groups={"online": Group(("c3", "c4"), upper=0.3)},
    )
    plan = allocate(curves, constraints)
    assert plan.certificate.proven
    assert plan.spend[0] >= 0.1 and plan.spend[1] <= 0.15 and 0.15 <= plan.spend[2] <= 0.25
    assert plan.spend[3:].sum() <= 0.3 * (1 + 1e-9)
    assert plan.spend.sum() <= 1 + 1e-12


def test_constrained_divisions_beat_every_random_one_that_keeps_the_constraints():
    rng = np.random.default_rng(0)
    curves = random_curves(7, channels=4, slopes=(0.8, 3.0))
    constraints = Constraints(
        1.0, if_used={"c0": 0.3, "c1": 0.2}, groups={"g": Group(("c1", "c2"), 0.2, 0.5)}
    )
    plan = allocate(curves, constraints)
    x = rng.dirichlet(np.ones(5), 20_000)[:, :4]
    x[:5000, 0] = 0
    used = ((x[:, 0] == 0) | (x[:, 0] >= 0.3)) & ((x[:, 1] == 0) | (x[:, 1] >= 0.2))
    group = x[:, 1] + x[:, 2]
    kept = x[used & (group >= 0.2) & (group <= 0.5)]
    assert len(kept) > 300
    best = max(curves.expected(row).sum() for row in kept[:3000])
    assert best <= plan.certificate.bound
    assert best <= plan.certificate.value + 1e-9
    assert plan.certificate.proven


def test_a_least_spend_if_used_leaves_a_channel_out_or_uses_it():
    curves = hill_curves(("a", "b"), np.array([1.0, 0.05]), np.array([0.2, 0.2]), today=np.ones(2))
    assert allocate(curves, Constraints(1.0, if_used={"b": 0.4})).spend[1] == 0
    assert allocate(curves, Constraints(1.0, if_used={"b": 0.05})).spend[1] >= 0.05
    forced = allocate(curves, Constraints(1.0, lower={"b": 0.01}, if_used={"b": 0.4}))
    assert forced.spend[1] == pytest.approx(0.4)


@pytest.mark.parametrize("slopes", [(1.0, 1.0), (1.2, 2.5)])
def test_a_target_roi_is_met_with_as_much_spend_as_it_allows(slopes):
    curves = random_curves(9, channels=3, slopes=slopes)
    free = allocate(curves, Constraints(1.0))
    target = 1.1 * free.certificate.value
    plan = allocate(curves, Constraints(1.0, target_roi=target))
    spend, outcome = plan.spend.sum(), plan.certificate.value
    assert spend < 1 and outcome / spend == pytest.approx(target, rel=1e-9)
    assert outcome / spend >= target * (1 - 1e-12)
    rng = np.random.default_rng(1)
    x = rng.dirichlet(np.ones(3), 4000) * rng.uniform(spend, 1, (4000, 1))
    values = np.array([curves.expected(row).sum() for row in x])
    assert not (values > target * x.sum(axis=1) * (1 + 1e-9)).any()
    assert outcome <= plan.certificate.bound


def test_an_unreachable_target_is_told_with_the_closest():
    curves = random_curves(9, channels=3)
    with pytest.raises(ConstraintError, match=r"No plan .* returns 1000 .* closest returns"):
        allocate(curves, Constraints(1.0, target_roi=1000, lower={"c0": 0.2}))


def test_profit_leaves_money_where_it_brings_less_than_itself():
    curves = random_curves(1, channels=4)
    plan = allocate(curves, Constraints(1.0), objective="profit", margin=0.4)
    assert plan.spend.sum() < 1
    free = np.array([h == "" for h in plan.held])
    np.testing.assert_allclose(plan.marginal_roi[free], 1 / 0.4, rtol=1e-7)
    assert plan.shadow_price == 0
    poor = curves.in_units(1.0, 1e6)
    nothing = allocate(poor, Constraints(1.0), objective="profit")
    assert nothing.spend.sum() == 0 and nothing.certificate.value == pytest.approx(0, abs=1e-12)


def test_money_that_brings_anything_is_never_left():
    for seed, slopes in itertools.product(range(5), [(1.0, 1.0), (1.5, 3.0)]):
        plan = allocate(random_curves(seed, slopes=slopes), Constraints(1.0))
        assert plan.spend.sum() == pytest.approx(1.0, abs=1e-12)
    capped = allocate(random_curves(0), Constraints(1.0, upper={f"c{i}": 0.2 for i in range(3)}))
    np.testing.assert_allclose(capped.spend, 0.2)
    assert capped.shadow_price == 0


def test_todays_plan_is_called_best_only_where_it_is_proven():
    curves = random_curves(11, channels=3)
    best = allocate(curves, Constraints(1.0))
    there = allocate(replace(curves, today=best.spend), Constraints(1.0))
    assert there.today_is_best and "already the best" in str(there)
    assert not best.today_is_best


def test_many_equal_s_shaped_channels_are_solved():
    a, k = np.full(8, 1.0), np.full(8, 0.3)
    curves = hill_curves(tuple("abcdefgh"), a, k, 3.0, today=np.full(8, 1 / 8))
    plan = allocate(curves, Constraints(1.0))
    per = lambda m: m * (1 / m) ** 3 / ((1 / m) ** 3 + 0.3**3)  # noqa: E731
    assert plan.certificate.value >= max(per(m) for m in range(1, 9)) - 1e-12
    assert plan.certificate.gap < 1e-9


def test_curves_that_fall_are_left_alone():
    curves = hill_curves(("up", "down"), np.array([1.0, -1.0]), np.ones(2), today=np.ones(2))
    plan = allocate(curves, Constraints(1.0))
    np.testing.assert_allclose(plan.spend, [1.0, 0.0], atol=1e-12)
    assert plan.certificate.proven


def test_rising_prices_move_money_to_other_channels():
    curves = hill_curves(("a", "b"), np.ones(2), np.full(2, 0.5), today=np.array([0.3, 0.3]))
    plain = allocate(curves, Constraints(1.0))
    dearer = allocate(curves.with_rising_prices({"a": 1.0}), Constraints(1.0))
    assert dearer.spend[0] < plain.spend[0]
    at_today = curves.with_rising_prices({"a": 1.0}).expected(curves.today)
    np.testing.assert_allclose(at_today, curves.expected(curves.today), rtol=1e-12)


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (Constraints(0.0), "The budget is 0"),
        (Constraints(-5.0), "The budget is -5"),
        (Constraints(float("nan")), "The budget is nan"),
        (Constraints(1.0, lower={"c0": -1}), "lower bound of c0 is -1"),
        (Constraints(1.0, upper={"c0": -1}), "upper bound of c0 is -1"),
        (
            Constraints(1.0, lower={"C1": 0.1}),
            "no channel 'C1', which lower names; did you mean 'c1'",
        ),
        (Constraints(1.0, groups={"g": Group(("c9",))}), "group g names; did you mean 'c2'"),
        (Constraints(1.0, lower={"c0": 0.6, "c1": 0.7}), "below the sum of the minimums.*c0 0.6"),
        (Constraints(1.0, lower={"c0": 0.5}, upper={"c0": 0.4}), "c0 .* 0.5 .* 0.4"),
        (Constraints(1.0, lower={"c0": 0.9}, change=0.1), "c0 may spend 0.3 to 0.366667 by the"),
        (Constraints(1.0, change=-0.1), "change allowed to every channel is -0.1"),
        (
            Constraints(1.0, groups={"g": Group(("c0", "c1"), 0.5, 0.2)}),
            "Group g .* lower <= upper",
        ),
        (
            Constraints(1.0, lower={"c0": 0.4}, groups={"g": Group(("c0",), upper=0.3)}),
            "Group g may spend at most 0.3, but the least of its channels c0 make 0.4",
        ),
        (
            Constraints(1.0, upper={"c0": 0.1}, groups={"g": Group(("c0",), lower=0.3)}),
            "Group g must spend at least 0.3, but the most",
        ),
        (
            Constraints(1.0, groups={"g": Group(("c0",)), "h": Group(("c0",))}),
            "c0 is in two groups",
        ),
        (Constraints(1.0, target_roi=0.0), "target ROI is 0"),
    ],
)
def test_constraints_that_cannot_be_kept_are_named(constraints, said):
    with pytest.raises(ConstraintError, match=said):
        allocate(random_curves(0), constraints)


def test_margins_out_of_range_are_named():
    curves = random_curves(0)
    with pytest.raises(ValueError, match=r"The margin is 1\.4"):
        allocate(curves, Constraints(1.0), margin=1.4)


@pytest.mark.parametrize("seed", range(6))
def test_groups_and_least_spends_of_s_shaped_channels_are_proven_together(seed):
    curves = random_curves(seed, channels=4, draws=12, slopes=(1.5, 3.0))
    constraints = Constraints(
        1.0,
        lower={"c0": 0.07},
        upper={"c1": 0.2},
        change={"c2": 0.3},
        if_used={"c3": 0.23},
        groups={"pair": Group(("c0", "c1"), 0.17, 0.3)},
    )
    plan = allocate(curves, constraints)
    assert plan.certificate.proven
    grid = np.linspace(0, 1, 41)
    x = np.stack(np.meshgrid(grid, grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 4)
    pair, idle = x[:, 0] + x[:, 1], (x[:, 3] == 0) | (x[:, 3] >= 0.23)
    kept = (x[:, 0] >= 0.07) & (x[:, 1] <= 0.2) & (abs(x[:, 2] - 0.25) <= 0.075) & idle
    x = x[kept & (pair >= 0.17) & (pair <= 0.3) & (x.sum(axis=1) <= 1)]
    each = np.array([curves.expected(np.full(4, v)) for v in grid])
    best = each[np.round(x * 40).astype(int), np.arange(4)].sum(axis=1).max()
    assert best <= plan.certificate.bound
    assert best <= plan.certificate.value * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("slopes", [(1.0, 1.0), (0.5, 1.0)])
def test_groups_of_concave_channels_are_kept_and_proven(seed, slopes):
    rng = np.random.default_rng(seed)
    forms = ("hill", "power", "hill", "tanh")
    curves = random_curves(seed, channels=4, draws=1 + seed, slopes=slopes, forms=forms)
    low, high = np.sort(rng.uniform(0.05, 0.9, (2, 2)), axis=1).T
    low = low / max(1.0, low.sum() * 1.1)
    groups = {"g": Group(("c0", "c1"), low[0], high[0]), "h": Group(("c2", "c3"), low[1], high[1])}
    plan = allocate(curves, Constraints(1.0, groups=groups))
    for group, pair in zip(groups.values(), (plan.spend[:2], plan.spend[2:]), strict=True):
        assert group.lower * (1 - 1e-9) <= pair.sum() <= group.upper * (1 + 1e-9)
    assert plan.certificate.proven
    assert plan.certificate.value <= plan.certificate.bound * (1 + 1e-12)
    assert plan.spend.sum() <= 1 + 1e-12
