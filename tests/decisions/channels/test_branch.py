"""The proven best spend, against grids, closed forms and ascents from everywhere."""

import numpy as np
import pytest

import channel_values
from channelwise.decisions.channels.branch import best_spend
from channelwise.decisions.channels.channel_value import ChannelValue
from channelwise.decisions.channels.strength import Precision, Strength, StrengthError
from channelwise.decisions.channels.water import water_filling


def grid(budget: float, n: int = 60, channels: int = 3) -> np.ndarray:
    """Every split of up to the budget into steps of a 1/n of it."""
    steps = np.stack(np.meshgrid(*[np.arange(n + 1)] * channels, indexing="ij"), -1)
    steps = steps.reshape(-1, channels)
    return budget / n * steps[steps.sum(1) <= n]


def separable(a: float, half: np.ndarray, overlap: float) -> ChannelValue:
    """Nearly separate audiences: coverage so small that overlaps vanish with it."""
    n = half.size
    nothing = Strength(np.zeros(n), np.ones(n), np.ones(n))
    return ChannelValue(
        tuple("abcd"[:n]),
        nothing,
        Strength(np.full(n, overlap), half, np.ones(n)),
        nothing,
        market=a / overlap,
        satisfaction=1.0,
        precision=Precision(1, 1, 1, 1),
        margin=1.0,
        buying=(1.0, 1.0),
    )


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_no_spend_on_a_fine_grid_is_better_and_the_bound_is_above_them_all(seed, keep):
    value = channel_values.drawn(seed)
    best = best_spend(value, 1.0, keep=keep)
    x = grid(1.0)
    worth = value.value(x) - keep * x.sum(1)
    assert best.proven and best.gap <= 1e-9
    assert worth.max() <= best.worth + 1e-9 * max(best.worth, 1)
    assert best.worth <= best.bound and worth.max() <= best.bound
    assert worth.max() > best.worth - 0.05 * max(best.worth, 1)  # and it is no fantasy


@pytest.mark.parametrize("keep", [True, False])
def test_the_best_spend_is_allowed_and_worth_what_it_says(keep):
    for seed in range(10):
        value = channel_values.drawn(seed)
        upper = np.array([0.2, 0.5, 0.9])
        best = best_spend(value, 1.0, keep=keep, upper=upper)
        assert (best.spend >= 0).all() and (best.spend <= upper).all()
        assert best.spend.sum() <= 1 + 1e-12
        worth = value.value(best.spend) - keep * best.spend.sum()
        assert best.worth == pytest.approx(float(worth), rel=1e-14)


def test_without_overlap_the_best_spend_is_the_water_level():
    half = np.array([0.2, 0.5, 1.0])
    filled = water_filling(np.full(3, 2.0), half, 1.0)
    best = best_spend(separable(2.0, half, 1e-9), 1.0, keep=False, tolerance=1e-11)
    assert np.allclose(best.spend, filled.spend, atol=1e-4)
    level = (2.0 * filled.spend / (half + filled.spend)).sum()
    assert best.worth == pytest.approx(level, rel=1e-7)


def test_where_money_is_left_or_spent_on_several_channels_the_next_currency_brings_the_same():
    value = channel_values.known()
    best = best_spend(value, 1e5, tolerance=1e-11)
    used = best.spend > 1
    assert best.spend.sum() < 0.99e5 and used.sum() == 2
    assert np.allclose(value.marginal(best.spend)[used], 1, atol=1e-3)
    assert value.marginal(best.spend)[~used] < 1


def test_money_is_kept_if_no_channel_pays():
    value = channel_values.known(margin=0.1)
    best = best_spend(value, 1e5)
    assert best.proven and np.array_equal(best.spend, np.zeros(3)) and best.worth == 0


def test_another_unit_of_currency_gives_the_same_shares_of_the_budget():
    for unit in (1e-6, 1e6):
        one = best_spend(channel_values.known(), 1e5)
        other = best_spend(channel_values.known(unit=unit), 1e5 * unit)
        assert other.proven
        assert np.allclose(other.spend / unit, one.spend, atol=1e-3 * 1e5)
        assert other.worth / unit == pytest.approx(one.worth, rel=1e-8)


def test_a_tighter_tolerance_costs_boxes_and_is_reached():
    value = channel_values.known()
    boxes = [best_spend(value, 1e5, tolerance=t) for t in (1e-3, 1e-6, 1e-11)]
    assert [b.proven for b in boxes] == [True] * 3
    assert boxes[0].boxes < boxes[1].boxes < boxes[2].boxes
    assert boxes[2].gap <= 1e-11


def test_giving_up_early_says_so_and_the_bound_still_holds():
    value = channel_values.known()
    early, full = best_spend(value, 1e5, most_boxes=50), best_spend(value, 1e5)
    assert not early.proven and early.gap > 1e-9
    assert early.bound >= full.worth >= early.worth


def test_one_channel_is_as_good_as_its_finest_grid():
    value = channel_values.drawn(3, channels=1)
    x = np.linspace(0, 1, 200_001)[:, None]
    best = best_spend(value, 1.0)
    assert best.worth == pytest.approx((value.value(x) - x[:, 0]).max(), abs=1e-8)


def test_four_channels_are_proven_too():
    value = channel_values.drawn(8, channels=4)
    best = best_spend(value, 1.0, keep=False)
    x = grid(1.0, 20, 4)
    assert best.proven and value.value(x).max() <= best.bound


@pytest.mark.parametrize("budget", [0.0, -1.0, np.nan, np.inf])
def test_a_budget_that_is_none_is_refused(budget):
    with pytest.raises(StrengthError, match=r"budget = .* must be above 0"):
        best_spend(channel_values.known(), budget)
