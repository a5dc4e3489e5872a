"""Plans by channel and period against brute force, other solvers, and simulation."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from channelwise.decisions.budget.constraints import ConstraintError, Constraints, Group
from channelwise.decisions.periods import market_periods
from channelwise.decisions.periods.curves import PeriodCurves
from channelwise.decisions.periods.majorant import majorant
from channelwise.decisions.periods.market_periods import period_curves_of
from channelwise.decisions.periods.pacing import Pacing
from channelwise.decisions.periods.schedule import plan_periods
from channelwise.response import adstock
from channelwise.response.checks import Verdict
from channelwise.response.effects import Effects
from channelwise.response.gate import Gate, GateError
from channelwise.response.mmm import Model
from channelwise.response.prior import prior_draws
from channelwise.response.simulate import family_market


def curves(
    seed=0, channels=2, periods=3, draws=4, lags=2, slope=(1.0, 1.0), unit=1.0, forms="hill", **more
) -> PeriodCurves:
    """Random curves around a spend of 100 units a cell, with carry-in."""
    rng = np.random.default_rng(seed)
    C, S, T = channels, draws, periods
    alpha = rng.uniform(0.1, 0.8, (C, S, 1))
    carry = alpha ** np.arange(lags + 1)
    fade = np.where(np.arange(T + lags) < lags, alpha ** np.arange(1, T + lags + 1), 0.0)
    return PeriodCurves(
        channels=tuple("abcdefgh"[:C]),
        forms=(forms,) * C,
        amplitude=unit * rng.uniform(50, 300, (C, S, 1)),
        reach=rng.uniform(0.3, 2.0, (C, S, 1)) / (100 * unit),
        slope=rng.uniform(*slope, (C, S)),
        carry=carry / carry.sum(axis=2, keepdims=True),
        carry_in=(rng.uniform(0, 1, (C, S, 1)) * fade)[:, :, None],
        today=unit * rng.uniform(50, 150, (C, T)),
        **more,
    )


def every_split(cells: int, steps: int) -> np.ndarray:
    """All ways to put `steps` equal parts into cells, (split, cell)."""
    bars = itertools.combinations(range(steps + cells - 1), cells - 1)
    ends = np.array([(-1, *bar, steps + cells - 1) for bar in bars])
    return np.diff(ends, axis=1) - 1


def brute_force(c: PeriodCurves, budget: float, steps: int) -> float:
    """The best expected outcome over a grid of plans that spend the whole budget."""
    C, T = c.today.shape
    plans = every_split(C * T, steps) * (budget / steps)
    return max(c.expected(plan.reshape(C, T)) for plan in plans)


@pytest.mark.parametrize("seed", range(2))
def test_no_plan_on_a_grid_beats_a_concave_plan(seed):
    c = curves(seed)
    plan = plan_periods(c, Constraints(budget=600.0))
    assert plan.certificate.proven and plan.certificate.gap < 1e-9
    grid = brute_force(c, 600.0, 8)
    assert grid <= plan.certificate.value * (1 + 1e-12)
    assert grid > 0.95 * plan.certificate.value


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_for_every_plan_on_a_grid_when_curves_are_s_shaped(seed):
    c = curves(seed, slope=(1.2, 4.0))
    plan = plan_periods(c, Constraints(budget=300.0))
    grid = brute_force(c, 300.0, 7)
    assert plan.certificate.bound >= grid
    assert plan.certificate.value >= grid * 0.999
    assert plan.certificate.bound >= plan.certificate.value


@pytest.mark.parametrize("seed", range(3))
def test_totals_that_leave_no_room_are_kept_by_the_plan_that_is_chosen(seed):
    c = curves(seed, channels=3, periods=4, slope=(1.5, 3.0))
    totals = c.today.sum(axis=1)
    tight = dict(zip(c.channels, totals * (1 - 1e-9), strict=True))
    constraints = Constraints(budget=totals.sum(), lower=tight)
    plan = plan_periods(c, constraints, Pacing(change=0.3), starts=4)
    np.testing.assert_allclose(plan.spend.sum(axis=1), totals, rtol=1e-8)
    assert plan.certificate.value <= plan.certificate.bound * (1 + 1e-9)


def test_a_gap_above_the_tolerance_is_not_called_proven():
    plan = plan_periods(curves(3, slope=(2.5, 4.0)), Constraints(budget=200.0))
    assert not plan.certificate.proven
    assert "NOT proven" in str(plan.certificate)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("objective", ["outcome", "profit"])
def test_a_concave_plan_agrees_with_another_solver(seed, objective):
    c = curves(seed, periods=6, discount=0.02)
    plan = plan_periods(
        c, Constraints(budget=900.0), Pacing(change=0.3), objective=objective, margin=0.8
    )
    cost = (objective == "profit") * 1.02 ** -np.arange(6.0)
    kept = 0.8 if objective == "profit" else 1.0
    f = lambda x: kept * c.expected(x.reshape(2, 6)) - (cost * x.reshape(2, 6)).sum()  # noqa: E731
    g = lambda x: (kept * c.derivatives(x.reshape(2, 6)).gradient - cost).ravel()  # noqa: E731
    step = np.kron(np.eye(2), np.eye(5, 6, 1) - np.eye(5, 6))
    mean = np.kron(np.eye(2), np.full((5, 6), 0.3 / 6))
    rows = np.vstack([-np.ones((1, 12)), mean - step, mean + step])
    limit = np.concatenate([[900.0], np.zeros(20)])
    other = optimize.minimize(
        lambda x: -f(x) / 100,
        np.full(12, 60.0),
        jac=lambda x: -g(x) / 100,
        bounds=[(0, 900)] * 12,
        constraints={"type": "ineq", "fun": lambda x: rows @ x + limit, "jac": lambda x: rows},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 1000},
    )
    if objective == "outcome":
        assert plan.certificate.value == c.expected(plan.spend)
    assert plan.certificate.value >= -other.fun * 100 - 1e-6
    assert plan.certificate.value == pytest.approx(-other.fun * 100, rel=1e-6)
    assert plan.certificate.gap < 1e-9


@pytest.mark.parametrize("slope", [(0.5, 1.0), (1.5, 3.0)])
@pytest.mark.parametrize("form", ["hill", "tanh", "power"])
@pytest.mark.parametrize("elasticity", [0.0, 0.3])
def test_derivatives_are_those_of_the_outcome(slope, form, elasticity):
    slope = (min(slope[0], 1.0), 1.0) if form == "power" else slope
    c = curves(1, periods=4, slope=slope, forms=form, elasticity=elasticity, discount=0.01)
    x = np.random.default_rng(0).uniform(20, 200, (2, 4))
    bent = c.derivatives(x)
    assert bent.value == pytest.approx(c.expected(x), rel=1e-12)
    for k, t in itertools.product(range(2), range(4)):
        h = np.zeros((2, 4))
        h[k, t] = 1e-3
        slope_t = (c.expected(x + h) - c.expected(x - h)) / 2e-3
        assert bent.gradient[k, t] == pytest.approx(slope_t, rel=1e-6)
        bend = (c.derivatives(x + h).gradient - c.derivatives(x - h).gradient) / 2e-3
        np.testing.assert_allclose(bent.hessian[k, t], bend[k], rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(np.delete(bend, k, 0), 0, atol=1e-12)


def test_the_outcome_is_that_of_adstock_and_hill_written_out():
    """One channel, one draw: past and planned media through response.adstock, then the curve."""
    w = np.asarray(adstock.geometric(np.float32(0.6), 3)).astype(float)[None, None]
    past, x = np.array([40.0, 0.0, 90.0]), np.array([[30.0, 10.0, 0.0, 80.0]])
    media = np.concatenate([past, x[0], np.zeros(3)])
    stock = np.convolve(media, w[0, 0])[3:10]
    without = np.convolve(np.concatenate([past, np.zeros(7)]), w[0, 0])[3:10]
    one = np.ones((1, 1, 1))
    c = PeriodCurves(
        ("tv",), ("hill",), 500 * one, one / 70, one[0] * 2, w, without[None, None, None] / 70, x
    )
    hill = lambda s: s**2 / (70**2 + s**2)  # noqa: E731
    np.testing.assert_allclose(c.by_period(x)[0, 0], 500 * (hill(stock) - hill(without)))
    assert c.outcome(x)[0] == pytest.approx(500 * (hill(stock) - hill(without)).sum())
    cut = c.with_tail(False).outcome(x)[0]
    assert cut == pytest.approx(500 * (hill(stock) - hill(without))[:4].sum())


@pytest.fixture
def without_gate(monkeypatch):
    """Draws from a prior are not judged."""

    class Passed:
        def require(self, override):
            return ""

    monkeypatch.setattr(market_periods, "examine", lambda posterior: Passed())


@pytest.mark.parametrize(
    ("geos", "carry", "curve"),
    [(1, "geometric", "hill"), (3, "weibull_pdf", "michaelis_menten"), (1, "none", "root")],
)
def test_a_market_that_goes_on_brings_what_the_curves_say(without_gate, geos, carry, curve):
    """Carry-in, geos and units: as Effects computes them for the market with the plan played."""
    full = family_market(3, weeks=90, channels=3, geos=geos).market
    seen = full.window(0, 70)
    posterior = prior_draws(seen, Model(adstock=carry, saturation=curve), draws=20)
    c = period_curves_of(posterior, 12)
    share = seen.spend.sum(axis=1) / seen.spend.sum(axis=(0, 1))

    def played(x):
        spend = full.spend.copy()
        spend[:, 70:82], spend[:, 82:] = share[:, None] * x.T[None], 0.0
        market = replace(full, spend=spend, exposure=spend)
        return Effects(posterior, market=market).contributions()[:, :, 70:, :3].sum(axis=1)

    x = np.random.default_rng(0).uniform(0, 2, (3, 12)) * c.today.mean(axis=1)[:, None]
    brought = full.value * (played(x) - played(0 * x)).swapaxes(1, 2)
    np.testing.assert_allclose(c.by_period(x), brought, rtol=1e-9, atol=1e-9 * brought.max())
    np.testing.assert_array_equal(c.today, seen.spend[:, 58:70].sum(axis=0).T)


def test_draws_that_fail_the_gate_make_no_curves_unless_overridden_and_stamped(monkeypatch):
    posterior = prior_draws(family_market(3, weeks=60, channels=2).market, Model(), draws=10)
    slow = Verdict("rhat", False, 1.08, 1.01, "R-hat 1.08", "R-hat is 1.08.", "Draw longer.")
    monkeypatch.setattr(market_periods, "examine", lambda posterior: Gate((slow,)))
    with pytest.raises(GateError, match="may not be used yet"):
        period_curves_of(posterior, 4)
    stamp = period_curves_of(posterior, 4, override=("rhat",)).stamp
    assert stamp == "OVERRIDDEN: R-hat 1.08"


def test_a_channel_never_spent_on_is_named(without_gate):
    market = family_market(3, weeks=60, channels=2).market
    market.spend[:, :, 1] = 0
    posterior = prior_draws(market, Model(), draws=10)
    with pytest.raises(ValueError, match="search was never spent on"):
        period_curves_of(posterior, 4)


@pytest.mark.parametrize("slope", [(1.0, 1.0), (1.5, 3.0)])
def test_the_plan_does_not_depend_on_the_unit_of_currency(slope):
    budget = {"budget": 500.0}
    one = plan_periods(curves(5, slope=slope), Constraints(**budget))
    for unit in (1e-3, 1e9):
        other = plan_periods(curves(5, slope=slope, unit=unit), Constraints(500.0 * unit))
        np.testing.assert_allclose(other.spend / unit, one.spend, rtol=1e-6, atol=1e-6)
        assert other.certificate.value == pytest.approx(unit * one.certificate.value, rel=1e-9)
        assert other.certificate.gap == pytest.approx(one.certificate.gap, abs=1e-8)


def test_every_constraint_is_kept_and_the_budget_is_spent():
    c = curves(7, channels=4, periods=8, draws=10)
    constraints = Constraints(
        budget=2500.0,
        lower={"a": 300.0},
        upper={"b": 500.0},
        change={"c": 0.2},
        groups={"top": Group(("a", "b"), lower=700.0, upper=900.0)},
    )
    pacing = Pacing(
        change=0.15,
        upper={"d": np.full(8, 200.0)},
        period_lower=250.0,
        period_upper=np.full(8, 330.0),
    )
    plan = plan_periods(c, constraints, pacing)
    x, total, most = plan.spend, plan.spend.sum(axis=1), 1 + 1e-12
    assert x.sum() == pytest.approx(2500, rel=1e-9) and x.sum() <= 2500 * most
    assert (x >= 0).all() and (x[3] <= 200 * most).all()
    assert total[0] >= 300 / most and total[1] <= 500 * most
    today = c.today[2].sum()
    assert 0.8 * today / most <= total[2] <= 1.2 * today * most
    assert 700 / most <= total[0] + total[1] <= 900 * most
    assert (np.abs(np.diff(x, axis=1)) <= 0.15 * x.mean(axis=1)[:, None] + 1e-9).all()
    assert (x.sum(axis=0) <= 330 * most).all() and (x.sum(axis=0) >= 250 / most).all()
    assert plan.certificate.gap < 1e-9


def test_dark_periods_stay_dark_and_even_pacing_is_even():
    c = curves(2, periods=5)
    dark = plan_periods(c, Constraints(400.0), Pacing(upper={"a": np.array([0, 0, 100, 100, 0.0])}))
    assert (dark.spend[0, [0, 1, 4]] == 0).all() and dark.certificate.proven
    even = plan_periods(c, Constraints(400.0), Pacing(change=0.0))
    np.testing.assert_allclose(even.spend, even.even(), rtol=1e-6)
    assert even.certificate.gap < 1e-8
    assert plan_periods(c, Constraints(400.0)).certificate.value > even.certificate.value


def test_money_that_does_not_pay_is_not_spent_for_profit():
    c = curves(2, periods=4)
    plan = plan_periods(c, Constraints(1e5), objective="profit", margin=0.5)
    assert plan.spend.sum() < 1e4
    spent = plan.spend > 1e-3
    np.testing.assert_allclose(0.5 * plan.marginal_roi[spent], 1, rtol=1e-5)
    assert (0.5 * plan.marginal_roi[~spent] <= 1 + 1e-6).all()
    assert plan.certificate.proven


def test_rising_prices_lower_the_reach_of_more_money_and_nothing_at_today():
    c = curves(4, periods=3)
    even = np.repeat(c.today.mean(axis=1, keepdims=True), 3, axis=1)
    rising = replace(c, elasticity=0.5)
    np.testing.assert_allclose(rising.outcome(even), c.outcome(even))
    assert (rising.outcome(2 * even) < c.outcome(2 * even)).all()
    assert plan_periods(rising, Constraints(600.0)).certificate.proven


def test_without_a_tail_the_last_periods_get_less():
    c = curves(6, channels=1, periods=8, lags=4)
    with_tail = plan_periods(c, Constraints(800.0)).spend[0]
    without = plan_periods(c.with_tail(False), Constraints(800.0)).spend[0]
    assert without[-1] < 0.8 * with_tail[-1]


def test_curves_with_a_negative_effect_keep_a_valid_bound():
    c = curves(8, slope=(0.8, 2.5))
    amplitude = c.amplitude.copy()
    amplitude[1, :2] *= -0.5
    c = replace(c, amplitude=amplitude)
    assert not c.concave
    plan = plan_periods(c, Constraints(budget=300.0))
    assert plan.certificate.bound >= brute_force(c, 300.0, 7)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_majorant_lies_above_its_curve_is_concave_and_touches_it(sign):
    n, shape = 3.0, (1, 1, 1)

    def hill(z):
        w = np.maximum(z, 1e-100) ** n
        first = n * w / (1 + w) ** 2 / np.maximum(z, 1e-100)
        return w / (1 + w), first, first * (n - 1 - 2 * n * w / (1 + w)) / np.maximum(z, 1e-100)

    for low, high in ((0.0, 4.0), (0.3, 0.5), (0.1, 9.0), (1.5, 3.0)):
        ends = np.full(shape, low), np.full(shape, high)
        found = majorant(hill, *ends, np.full(shape, n), np.full(shape, sign))
        z = np.linspace(low, high, 2001)
        curve, above = sign * hill(z)[0], sign * found.values(z, hill(z)[0]).ravel()
        assert (above >= curve - 1e-12).all()
        assert (np.diff(above, 2) <= 1e-12).all()
        hull = upper_hull(z, curve)
        np.testing.assert_allclose(above, hull, atol=1e-5)


def upper_hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least concave function above points, at their x."""
    kept: list[int] = []
    for i in range(len(x)):
        while len(kept) > 1:
            a, b = kept[-2:]
            if (y[b] - y[a]) * (x[i] - x[a]) > (y[i] - y[a]) * (x[b] - x[a]):
                break
            kept.pop()
        kept.append(i)
    return np.interp(x, x[kept], y[kept])


def test_a_plan_shows_itself_and_what_comes_after_it(tmp_path):
    plan = plan_periods(curves(9, lags=3), Constraints(500.0))
    assert 0 < plan.carry_out_share < 1
    assert plan.by_period.sum() == pytest.approx(plan.weights @ plan.outcome)
    table = plan.table()
    assert table["plan"].sum() == pytest.approx(plan.spend.sum())
    plan.to_csv(tmp_path / "plan.csv")
    plan.to_json(tmp_path / "plan.json")
    assert (tmp_path / "plan.csv").read_text().startswith("channel,period,today,plan")
    assert '"carry_out_share"' in (tmp_path / "plan.json").read_text()


def test_what_contradicts_is_named():
    c = curves(0)
    with pytest.raises(ConstraintError, match=r"the budget of 500 and the least of 200 in period"):
        plan_periods(c, Constraints(500.0), Pacing(period_lower=200.0))
    with pytest.raises(ConstraintError, match="the least of 400 for a and the pacing of a"):
        plan_periods(
            c,
            Constraints(500.0, lower={"a": 400.0}),
            Pacing(change=0.1, upper={"a": np.array([0.0, 500.0, 500.0])}),
        )


@pytest.mark.parametrize(
    ("constraints", "pacing", "said"),
    [
        (Constraints(0.0), Pacing(), "The budget is 0"),
        (Constraints(9.0, if_used={"a": 1.0}), Pacing(), "if_used is not available"),
        (Constraints(9.0), Pacing(change=-0.1), "change from period to period is -0.1"),
        (Constraints(9.0), Pacing(upper={"aa": 1.0}), "did you mean 'a'"),
        (Constraints(9.0), Pacing(upper={"a": np.ones(2)}), "has 2 amounts: give 1, or 3"),
        (Constraints(9.0), Pacing(lower={"a": 2.0}, upper={"a": 1.0}), "in period 1: relax one"),
        (Constraints(9.0), Pacing(lower={"a": -2.0}), "is -2: give 0 or more"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(constraints, pacing, said):
    with pytest.raises(ConstraintError, match=said):
        plan_periods(curves(0), constraints, pacing)


def test_unknown_objectives_and_margins_are_refused():
    with pytest.raises(ValueError, match="No objective is called 'revenue'"):
        plan_periods(curves(0), Constraints(9.0), objective="revenue")
    with pytest.raises(ValueError, match=r"margin is 1\.5"):
        plan_periods(curves(0), Constraints(9.0), margin=1.5)


def test_curves_that_do_not_fit_together_are_refused():
    c = curves(0)
    with pytest.raises(ValueError, match="carry_in has the shape"):
        replace(c, carry_in=c.carry_in[..., :-1])
    with pytest.raises(ValueError, match="at least 0 everywhere"):
        replace(c, reach=-c.reach)
    with pytest.raises(ValueError, match="No curve is called 'log'"):
        replace(c, forms=("log", "hill"))
