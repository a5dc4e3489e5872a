"""Lift tests: their density by brute force, what they do to a posterior, and wrong ones by name."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from channelwise.response import density, hmc
from channelwise.response.density import log_density
from channelwise.response.design import design
from channelwise.response.diagnostics import convergence, mcse_mean, mcse_sd
from channelwise.response.effects import Effects, predicted_lift
from channelwise.response.fit import fit
from channelwise.response.lift import LiftError, LiftTest
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model
from channelwise.response.posterior import Posterior
from channelwise.response.prior import prior_draws
from channelwise.response.priors import Prior
from channelwise.response.simulate import family_market


def market(*, geos=1, times=30, before=0, seed=0):
    rng = np.random.default_rng(seed)
    shape = (geos, times)
    spend = rng.gamma(1.0, 100.0, (*shape, 2))
    outcome = 1000 + 300 * rng.random(shape) + spend.sum(axis=2)
    outcome[:, :before] = np.nan
    return MarketData(
        dates=np.datetime64("2023-01-02") + 7 * np.arange(times),
        outcome=outcome,
        spend=spend,
        channels=("tv", "search"),
        exposure=spend * [1.0, 40.0],
        exposure_names=(None, "clicks"),
        organic=rng.gamma(1.0, 10.0, (*shape, 1)),
        organic_names=("newsletter",),
        geos=tuple(f"g{i}" for i in range(geos)) if geos > 1 else ("national",),
        population=rng.uniform(1e4, 1e5, geos) if geos > 1 else None,
        before=before,
    )


def lift_test(**changes):
    given = {"factor": {"tv": 0.0}, "start": "2023-03-06", "end": "2023-03-26", "lift": -200.0}
    return LiftTest(**given | {"standard_error": 60.0, "tail": 2} | changes)


TESTS = (
    lift_test(),
    lift_test(factor={"tv": 1.5, "search": 0.2}, start="2023-05-01", end="2023-05-05", tail=0),
    lift_test(factor={"newsletter": 0.0}, spend={"search": 333.0}, lift=12.5, tail=7, share=0.3),
)
CURVES = {
    "michaelis_menten": lambda x, v: x / (v["half_saturation"] + x),
    "hill": lambda x, v: x ** v["slope"] / (v["half_saturation"] ** v["slope"] + x ** v["slope"]),
    "root": lambda x, v: x ** v["exponent"],
    "none": lambda x, v: x,
}


def brute_lift(m, model, test, parameters, beta, factor, scale):
    """Σ over geos and periods of β_g [f(adstock of the changed spend) − f(that of the record)]."""
    media = [*m.channels, *m.organic_names]
    heads = m.population if m.n_geos > 1 else [1.0]
    tested = [g for g in range(m.n_geos) if test.geos is None or m.geos[g] in test.geos]
    days = [np.datetime64(test.start), np.datetime64(test.end)]
    inside = [t for t in range(m.n_times) if m.dates[t] + 6 >= days[0] and m.dates[t] <= days[1]]
    total = 0.0
    for i, medium in enumerate(media):
        if medium not in test.channels:
            continue
        v = {n: float(x[i]) for n, x in parameters.items()}
        weights = [v["alpha"] ** lag for lag in range(model.lags + 1)]
        weights = np.array(weights) / sum(weights)
        every = np.concatenate([m.exposure, m.organic], axis=2)[:, :, i]
        for g in tested:
            new = every[g].copy()
            for t in inside:
                if medium in test.factor:
                    new[t] = every[g, t] * test.factor[medium]
                else:
                    price = m.spend[:, :, i].sum() / every.sum()
                    new[t] = test.spend[medium] / price * heads[g] / sum(heads[j] for j in tested)
            for t in range(inside[0], inside[-1] + 1 + test.tail):
                difference = []
                for path in (new, every[g]):
                    reach = range(min(t, model.lags) + 1)
                    carried = sum(weights[k] * path[t - k] for k in reach)
                    x = carried / heads[g] / scale.media_scale[i]
                    difference.append(CURVES[model.saturation_of(medium)](x, v))
                unit = heads[g] * scale.outcome_scale * test.share
                total += beta[i] * factor[g, i] * unit * (difference[0] - difference[1])
    return total


CASES = {
    "three": (Model(prior_on="roi", saturation="hill"), {"before": 4}, TESTS),
    "student_t": (Model(noise="student_t"), {}, TESTS[:1]),
    "signed": (
        Model(
            saturation={"tv": "root", "search": "none"},
            priors=dict.fromkeys(("effect", "organic"), Prior("normal", 0.1, 0.3)),
        ),
        {},
        TESTS,
    ),
    "geos": (Model(), {"geos": 3}, (*TESTS, lift_test(geos=("g2", "g0"), spend={"search": 99.0}))),
}


@pytest.mark.parametrize("name", CASES)
def test_the_log_density_gains_exactly_the_normal_log_density_of_each_lift(name):
    model, shape, tests = CASES[name]
    m = market(**shape)
    with jax.enable_x64(True):
        plain, tested = (_Evaluated(design(m, model, lift_tests=t)) for t in ((), tests))
        for position in np.random.default_rng(1).normal(size=(2, tested.layout.dimension)):
            value, values = tested.density(position)
            expected, base = plain.density(same := plain.standing_for(values.beta, position))
            for a, b in zip(jax.tree.leaves(values), jax.tree.leaves(base), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)  # the same parameters
            expected = float(expected) + tested.volume(position) - plain.volume(same)
            factor = np.asarray(values.geo.get("factor", np.ones((1, 3))))
            named = _by_medium(values.named, tested.layout)
            for test in tests:
                lift = brute_lift(m, model, test, named, values.beta, factor, tested.problem)
                expected += stats.norm(lift, test.standard_error).logpdf(test.lift)
            assert float(value) == pytest.approx(expected, rel=1e-10, abs=1e-10)


def _by_medium(named, layout):
    """Parameters with one entry a medium, NaN where it has none."""
    found = {}
    for name, x in named.items():
        if name not in ("tau", "nu"):
            found[name] = np.full(layout.media, np.nan)
            found[name][list(layout.owners(name))] = x
    return found


class _Evaluated:
    """A problem's density, and the effects as functions of their own coordinates."""

    def __init__(self, problem):
        self.problem, self.layout = problem, problem.layout
        begin = len(self.layout.interval) + len(self.layout.positive)
        self.at = slice(begin, begin + self.layout.media)

        along = jnp.zeros(self.layout.dimension).at[self.at].set(1.0)
        found = lambda q: log_density(q, problem.design, problem.layout)  # noqa: E731
        self.both = jax.jit(lambda q: jax.jvp(found, (q,), (along,)))

    def density(self, position):
        return self.both(position)[0]

    def volume(self, position):
        """ln |∂β/∂e|: each effect depends on its own coordinate, so all slopes come at once."""
        return float(jnp.sum(jnp.log(self.both(position)[1][1].beta)))

    def standing_for(self, beta, position):
        """The position, with the effects' coordinates such that they stand for β here."""
        position = position.copy()

        def gap(x, i):
            position[self.at] = x
            return float(self.density(position)[1].beta[i] - beta[i])

        exact = {"xtol": 1e-14, "rtol": 1e-15, "maxiter": 500}
        e = [optimize.brentq(gap, -200, 2000, args=(i,), **exact) for i in range(len(beta))]
        position[self.at] = e
        return position


@pytest.mark.parametrize("name", ["three", "geos"])
def test_the_lift_of_every_draw_is_that_of_the_periods_one_by_one(name):
    model, shape, tests = CASES[name]
    m = market(**shape)
    before = prior_draws(m, model, draws=5, seed=3)
    names = [name for name in ("alpha", "half_saturation", "slope") if name in before.draws]
    factor = before.flat("geo_factor") if m.n_geos > 1 else np.ones((5, 1, 3))
    with jax.enable_x64(True):
        scale = design(m, model)
    for test in tests:
        found = predicted_lift(before, test)
        for s in range(5):
            own = {name: before.flat(name)[s] for name in names}
            expected = brute_lift(m, model, test, own, before.flat("beta")[s], factor[s], scale)
            assert found[s] == pytest.approx(expected, rel=1e-10)


def test_switching_all_of_a_channel_off_takes_its_whole_contribution():
    m = market(geos=3)
    before = prior_draws(m, Model(), draws=50)
    off = lift_test(start=str(m.dates[0]), end=str(m.dates[-1]), tail=0)
    np.testing.assert_allclose(
        predicted_lift(before, off), -before.flat("contribution")[:, 0], rtol=1e-9
    )


def test_a_factor_of_one_changes_nothing_and_shares_and_geos_add_up():
    m = market(geos=3)
    effects = Effects(prior_draws(m, Model(), draws=20))
    assert (effects.lift(lift_test(factor={"tv": 1.0})) == 0).all()
    whole = effects.lift(lift_test())
    each = sum(effects.lift(lift_test(geos=(geo,))) for geo in m.geos)
    np.testing.assert_allclose(each, whole, rtol=1e-10)
    np.testing.assert_allclose(effects.lift(lift_test(share=0.25)), whole / 4, rtol=1e-12)
    assert (whole < 0).all() and (effects.lift(lift_test(factor={"tv": 2.0})) > 0).all()


def test_a_longer_tail_takes_in_what_was_carried_over():
    effects = Effects(prior_draws(market(), Model(lags=6), draws=20))
    lifts = np.stack([effects.lift(lift_test(tail=tail)) for tail in range(10)])
    gained = np.diff(lifts, axis=0)
    assert (gained[:6] < 0).all()  # the window's end still acts for 6 periods
    np.testing.assert_allclose(gained[6:], 0, atol=1e-9)


# --- what a test does to the posterior ---------------------------------------------------------

LINEAR = Model(
    adstock="none",
    saturation="none",
    seasonality=1,
    priors={
        "effect": Prior("normal", 0.2, 0.3),
        "organic": Prior("normal", 0.0, 0.3),
        "sigma": Prior("log_normal", float(np.log(0.08)), 1e-4),
    },
)


@pytest.mark.parametrize("error", [300.0, 10.0, 0.05], ids=["weak", "sharp", "all but exact"])
def test_where_all_is_normal_a_test_is_one_more_row_of_the_regression(error):
    m = market(seed=5)
    tests = (
        lift_test(standard_error=error, lift=-100.0, tail=0),
        lift_test(factor={"tv": 0.5, "search": 2.0}, standard_error=2 * error, lift=50.0),
    )
    found = fit(m, LINEAR, seed=2, lift_tests=tests)
    scale = design(m, LINEAR)
    media = np.concatenate([m.exposure, m.organic], axis=2)[0] / scale.media_scale
    rows = np.concatenate([media, scale.design.columns[0, : m.n_times]], axis=1) / 0.08
    target = m.outcome[0] / scale.outcome_scale / 0.08
    for test in tests:
        at = slice(9, 12)
        gain = [
            media[at, i].sum() * (test.factor.get(c, 1.0) - 1) for i, c in enumerate(m.channels)
        ]
        row = np.array([*gain, *np.zeros(rows.shape[1] - 2)])
        rows = np.vstack([rows, row * scale.outcome_scale / test.standard_error])
        target = np.append(target, test.lift / test.standard_error)
    mean = np.concatenate([[0.2, 0.2, 0.0], scale.design.mean])
    spread = np.concatenate([[0.3] * 3, scale.design.spread])
    covariance = np.linalg.inv(rows.T @ rows + np.diag(spread**-2.0))
    exact = covariance @ (rows.T @ target + mean / spread**2)
    beta = found.draws["beta"]
    z = (beta.mean((0, 1)) - exact[:3]) / mcse_mean(beta)
    s = (beta.std((0, 1)) - np.sqrt(np.diag(covariance)[:3])) / mcse_sd(beta)
    assert np.abs(z).max() < 4.5 and np.abs(s).max() < 4.5
    assert not found.statistics["diverging"].any()


@pytest.fixture(scope="module")
def collinear():
    return family_market(3, weeks=78, channels=2, controls=1, lags=4, collinearity=0.9)


MODEL = Model(lags=4, seasonality=1, prior_on="roi")


@pytest.fixture(scope="module")
def plain(collinear):
    return fit(collinear.market, MODEL, seed=1, draws=2000)


def off(lift, error, **more):
    return LiftTest({"tv": 0.0}, "2021-06-07", "2021-07-18", lift, error, tail=4, **more)


@pytest.mark.parametrize("sharpness", [1.0, 0.15])
def test_conditioning_on_a_test_is_reweighting_the_draws_by_its_likelihood(
    collinear, plain, sharpness
):
    before = predicted_lift(plain, off(0, 1), draws=10**6)
    error = sharpness * before.std()
    test = off(before.mean() - 0.7 * before.std(), error)
    after = fit(collinear.market, MODEL, seed=2, lift_tests=[test])
    weight = np.exp(-0.5 * ((test.lift - before) / error) ** 2)
    weight /= weight.sum()
    for name in ("roi", "alpha", "half_saturation"):
        x, y = np.log(plain.flat(name)), np.log(after.draws[name])
        mean = weight @ x
        # The draws of `plain` are correlated; about one in three counts.
        variance = 3 * np.sum(weight[:, None] ** 2 * (x - mean) ** 2, axis=0)
        gap = (y.mean((0, 1)) - mean) / np.sqrt(variance + mcse_mean(y) ** 2)
        assert np.abs(gap).max() < 4.5
    spread = np.sqrt(weight @ (np.log(plain.flat("roi")) - weight @ np.log(plain.flat("roi"))) ** 2)
    np.testing.assert_allclose(np.log(after.flat("roi")).std(0), spread, rtol=0.12)


def test_a_sharp_test_is_met_and_costs_the_sampler_nothing(collinear, plain):
    before = predicted_lift(plain, off(0, 1))
    test = off(1.5 * before.mean(), 0.002 * before.std())
    after = fit(collinear.market, MODEL, seed=3, lift_tests=[test])
    assert not after.statistics["diverging"].any()
    assert convergence(after.draws["roi"]).rhat.max() < 1.01
    assert after.statistics["steps"].mean() < 1.5 * plain.statistics["steps"].mean()
    lift = predicted_lift(after, test)
    assert lift.mean() == pytest.approx(test.lift, abs=test.standard_error)
    assert lift.std() == pytest.approx(test.standard_error, rel=0.1)


def test_a_lift_of_the_wrong_sign_pulls_towards_nothing_without_an_error(collinear, plain):
    size = predicted_lift(plain, off(0, 1)).std()
    means = []
    for lift in (0.0, 2 * size, 8 * size):  # switching tv off, and selling more
        found = fit(collinear.market, MODEL, seed=5, lift_tests=[off(lift, size)])
        assert np.isfinite(found.flat("roi")).all()
        means.append(found.flat("roi")[:, 0].mean())
    assert plain.flat("roi")[:, 0].mean() > means[0] > means[1] > means[2] > 0


def test_a_test_tells_collinear_channels_apart(collinear, plain):
    truth = -predicted_lift(plain, off(0, 1)).mean()
    true = truth * collinear.truth.roi[0] / plain.flat("roi")[:, 0].mean()
    found = fit(collinear.market, MODEL, seed=6, lift_tests=[off(-true, 0.1 * true)])
    error = lambda p: np.sqrt(np.mean((p.flat("roi") - collinear.truth.roi) ** 2, axis=0))  # noqa: E731
    assert error(found)[0] < 0.5 * error(plain)[0]
    assert error(found)[1] < error(plain)[1]  # and so of the channel that was not tested


# --- the posterior as an object ----------------------------------------------------------------


@pytest.fixture(scope="module")
def tested(collinear):
    return fit(collinear.market, MODEL, seed=7, lift_tests=[off(-1e5, 1e5, name="June")])


def test_tests_are_kept_with_the_posterior_and_come_back_from_its_file(tested, tmp_path):
    tested.save(tmp_path / "fit.npz")
    loaded = Posterior.load(tmp_path / "fit.npz")
    assert loaded.lift_tests == tested.lift_tests == (off(-1e5, 1e5, name="June"),)
    assert Effects(loaded).roi().tobytes() == Effects(tested).roi().tobytes()


def test_a_file_from_before_there_were_tests_still_opens(plain, tmp_path):
    plain.save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as file:
        parts = {name: file[name] for name in file.files}
    header = json.loads(parts["header"].tobytes())
    del header["value"]["fields"]["lift_tests"]
    header["version"] = 1
    parts["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(tmp_path / "old.npz", **parts)
    old = Posterior.load(tmp_path / "old.npz")
    assert old.lift_tests == () and old.flat("roi").tobytes() == plain.flat("roi").tobytes()


def test_next_week_keeps_the_tests_of_this_week_unless_told_otherwise(collinear, tested):
    again = fit(collinear.market, start=tested, model=MODEL, seed=8, draws=50)
    assert again.lift_tests == tested.lift_tests
    gap = np.log(again.flat("roi")).mean(0) - np.log(tested.flat("roi")).mean(0)
    assert np.abs(gap).max() < 0.15
    without = fit(collinear.market, start=tested, model=MODEL, seed=8, draws=50, lift_tests=())
    assert without.lift_tests == ()


def test_other_numbers_in_a_test_compile_nothing(collinear, tested):
    known = hmc.chunk._cache_size()
    other = LiftTest({"search": 1.4}, "2021-03-01", "2021-03-28", 1e4, 2e5, tail=1)
    fit(collinear.market, MODEL, seed=9, draws=50, lift_tests=[other])
    assert hmc.chunk._cache_size() == known


def test_without_tests_there_is_no_trace_of_them_in_data_or_program(collinear, monkeypatch):
    def never(*_):
        raise AssertionError("computed without a test")

    monkeypatch.setattr(density, "lift_per_effect", never)
    with jax.enable_x64(True):
        none = design(collinear.market, MODEL)
        with_one = design(collinear.market, MODEL, lift_tests=[off(0, 1)])
        assert none.design.trials is None and none.layout.trials == ()
        trace = lambda p: jax.eval_shape(  # noqa: E731
            lambda q: log_density(q, p.design, p.layout)[0], jnp.zeros(p.layout.dimension)
        )
        trace(none)
        with pytest.raises(AssertionError, match="computed without a test"):
            trace(with_one)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"factor": {}}, "needs a channel"),
        ({"factor": {"tv": -0.5}}, "has a factor of tv of -0.5; give 0 or more"),
        ({"spend": {"tv": 5.0}}, "gives tv a factor and a spend"),
        ({"standard_error": 0.0}, "standard error of 0; give > 0"),
        ({"standard_error": float("nan")}, "standard error of nan"),
        ({"lift": float("inf")}, "lift of inf; give a finite number"),
        ({"tail": -1}, "a tail of -1"),
        ({"share": 0.0}, "a share of 0"),
        ({"end": "2023-01-01"}, "ends on 2023-01-01, before it starts on 2023-03-06"),
        ({"start": "March"}, "The start of a lift test cannot be 'March'"),
        ({"start": "2022-12-01"}, "outside the market's periods from 2023-01-02 to 2023-07-30"),
        ({"end": "2024-01-01"}, "outside the market's periods"),
        ({"tail": 30}, "give a tail of at most 18"),
        ({"factor": {"serch": 0.5}}, "did you mean 'search'"),
        ({"factor": {}, "spend": {"newsletter": 5.0}}, "names the channel 'newsletter'"),
        ({"geos": ("g7",)}, "names the geo 'g7', which the market lacks"),
        ({"start": "2023-01-09", "end": "2023-01-15"}, r"give other dates, or spend={'tv': …}"),
        ({"factor": {}, "spend": {"silent": 1.0}}, "no price for its exposure; give a factor"),
    ],
)
def test_a_wrong_test_is_named(change, words):
    m = market(geos=2)
    dark = np.where((np.arange(m.n_times) == 1)[:, None] & (np.arange(2) == 0), 0.0, m.spend)
    spend = np.concatenate([dark, np.zeros((2, 30, 1))], axis=2)
    m = replace(
        m, spend=spend, exposure=spend + np.array([0, 0, 1.0]), channels=(*m.channels, "silent"),
        exposure_names=(None, None, "views"),
    )  # fmt: skip
    with pytest.raises(LiftError, match=words.replace("(", r"\(").replace("{", r"\{")):
        design(m, Model(), lift_tests=[lift_test(**change)])


def test_a_test_holds_in_any_period_that_its_dates_touch():
    m, days = market(), [("2023-03-06", "2023-03-26"), ("2023-03-12", "2023-03-20")]
    cells = [
        design(m, Model(), lift_tests=[lift_test(start=a, end=b)]).design.trials.lagged
        for a, b in days
    ]
    np.testing.assert_array_equal(*cells)
