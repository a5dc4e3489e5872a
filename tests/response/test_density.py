"""The collapsed log density against the dense joint model, and the draws of what it integrates out.

The oracle knows nothing of the tricks: it takes the parameters a position stands for, adds up
SciPy's prior densities and one dense multivariate normal (or Student-t errors), and multiplies by
the numerical Jacobian of the whole map from positions to parameters.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from channelwise.response.baseline import draw_baseline
from channelwise.response.density import log_density, packed, unpacked
from channelwise.response.design import design
from channelwise.response.market import MarketData
from channelwise.response.mmm import Model, ModelError
from channelwise.response.priors import Prior
from scipy_priors import frozen


def market(*, geos=1, times=24, channels=2, organic=0, controls=1, events=0, seed=0):
    rng = np.random.default_rng(seed)
    shape = (geos, times)
    spend = rng.gamma(1.0, 100.0, (*shape, channels)) * (rng.random((*shape, channels)) > 0.3)
    outcome = 1000 + 300 * rng.random(shape) + spend.sum(axis=2)
    return MarketData(
        dates=np.datetime64("2023-01-02") + 7 * np.arange(times),
        outcome=outcome,
        spend=spend,
        channels=tuple(f"c{i}" for i in range(channels)),
        controls=rng.normal(size=(*shape, controls)),
        control_names=tuple(f"k{i}" for i in range(controls)),
        organic=rng.gamma(1.0, 10.0, (*shape, organic)),
        organic_names=tuple(f"o{i}" for i in range(organic)),
        events=(rng.random((*shape, events)) < 0.1).astype(float),
        event_names=tuple(f"e{i}" for i in range(events)),
        geos=tuple(f"g{i}" for i in range(geos)) if geos > 1 else ("national",),
        population=rng.uniform(1e4, 1e5, geos) if geos > 1 else None,
    )


def shifted(x, lags):
    padded = np.concatenate([np.zeros(lags), x])
    return np.stack([padded[lags - k : lags - k + len(x)] for k in range(lags + 1)])


def brute_weights(form, values, lags, normalized):
    lag = np.arange(lags + 1)
    if form == "none":
        return (lag == 0).astype(float)
    if form == "geometric":
        w = values["alpha"] ** lag
    elif form == "delayed":
        w = values["alpha"] ** ((lag - values["theta"]) ** 2)
    elif form == "binomial":
        w = (1 - lag / (lags + 1)) ** (1 / values["alpha"] - 1)
    elif form == "weibull_pdf":
        f = stats.weibull_min(values["weibull_shape"], scale=values["weibull_scale"]).pdf(lag + 1)
        w = (f - f.min()) / (f.max() - f.min())
    else:
        s = stats.weibull_min(values["weibull_shape"], scale=values["weibull_scale"]).sf(lag)
        w = np.cumprod(s)
    return w / w.sum() if normalized else w


def brute_curve(form, x, v):
    return {
        "none": lambda: x,
        "hill": lambda: x ** v["slope"] / (v["half_saturation"] ** v["slope"] + x ** v["slope"]),
        "michaelis_menten": lambda: x / (v["half_saturation"] + x),
        "logistic": lambda: (1 - np.exp(-v["rate"] * x)) / (1 + np.exp(-v["rate"] * x)),
        "tanh": lambda: np.tanh(x / v["scale"]),
        "root": lambda: x ** v["exponent"],
    }[form]()


def oracle(m: MarketData, model: Model, problem, values, position):
    """ln p(parameters, y) by dense algebra, in the parameters; and the parameters as one vector."""
    data, layout, media = problem.design, problem.layout, problem.media
    heads = m.population if m.n_geos > 1 else np.ones(1)
    exposure = np.concatenate([m.exposure, m.organic], axis=2) / heads[:, None, None]
    exposure = exposure / exposure.max(axis=(0, 1))
    y = m.outcome / heads[:, None]
    y = y / np.abs(y).max()
    G, T = y.shape
    named, total, contributions = values.named, 0.0, np.zeros((G, T))
    beta, sigma = np.asarray(values.beta), float(values.sigma)
    for i, medium in enumerate(media):
        own = {n: float(x[layout.owners(n).index(i)]) for n, x in named.items()
               if i in layout.owners(n) and n not in ("tau", "nu")}  # fmt: skip
        for name, value in own.items():
            total += frozen(model.prior(name, medium)).logpdf(value)
        weights = brute_weights(model.adstock_of(medium), own, model.lags, model.normalized)
        carried = np.stack([weights @ shifted(exposure[g, :, i], model.lags) for g in range(G)])
        curve = brute_curve(model.saturation_of(medium), carried, own)
        factor = np.ones(G)
        if G > 1:
            z = np.asarray(position[problem.layout.dimension - G * len(media) :]).reshape(G, -1)
            factor = np.exp(own["eta"] * z[:, i])
        contributions += beta[i] * factor[:, None] * curve
        size = heads * problem.outcome_scale
        reach = float(np.sum(curve.sum(axis=1) * factor * size))
        assert beta[i] * reach == pytest.approx(float(values.total[i]), rel=1e-9)
        if i >= m.n_channels:
            total += frozen(model.prior("organic", medium)).logpdf(beta[i])
            continue
        spend = m.spend[:, :, i].sum()
        if model.prior_on == "marginal_roi":
            up = brute_curve(model.saturation_of(medium), carried * (1 + 1e-5), own)
            down = brute_curve(model.saturation_of(medium), carried * (1 - 1e-5), own)
            reach = float(np.sum((up - down).sum(axis=1) * factor * size)) / 2e-5
        roi = m.value * reach / spend
        kinds = {"coefficient": 1.0, "contribution": reach / m.outcome.sum()}
        h = kinds.get(model.prior_on, roi)
        total += frozen(model.prior("effect", medium)).logpdf(h * beta[i]) + np.log(h)
    total += frozen(model.prior("sigma")).logpdf(sigma)
    Z = data.columns[:, :T].reshape(G * T, -1)
    r = (y - contributions).reshape(-1)
    tau = float(named["tau"][0]) if G > 1 else 0.0
    if G > 1:
        z = np.asarray(position[layout.dimension - G * len(media) :])
        total += stats.norm.logpdf(z).sum() + frozen(model.prior("tau")).logpdf(tau)
    if layout.student_t:
        linear, nu = np.asarray(values.linear), float(named["nu"][0])
        total += stats.norm(data.mean, data.spread).logpdf(linear).sum()
        total += frozen(model.prior("nu")).logpdf(nu)
        total += stats.t(nu, Z @ linear, sigma).logpdf(r).sum()
    else:
        cov = sigma**2 * np.eye(G * T) + (Z * data.spread**2) @ Z.T
        cov += tau**2 * np.kron(np.eye(G), np.ones((T, T)))
        total += stats.multivariate_normal(Z @ data.mean, cov).logpdf(r)
    return total


def compiled(problem):
    """Value, parameters, and the derivatives of both, as one program each."""

    def both(position):
        value, v = log_density(position, problem.design, problem.layout)
        parts = [v.named[n] for n in problem.layout.names] + [v.beta, v.sigma[None], v.linear]
        if problem.layout.hierarchical:
            parts.append(position[-problem.layout.geos * problem.layout.media :])
        return (value, jnp.concatenate(parts)), v

    return jax.jit(both), jax.jit(jax.jacfwd(lambda q: both(q)[0]))


CASES = {
    "coefficient": (Model(), {}),
    "roi": (Model(prior_on="roi"), {"organic": 1}),
    "marginal_roi": (Model(prior_on="marginal_roi", saturation="hill"), {}),
    "contribution": (Model(prior_on="contribution", trend="knots", knots=2), {"events": 1}),
    "signed": (Model(priors={"effect": Prior("normal", 0.1, 0.3)}), {}),
    "delayed": (Model(adstock="delayed", saturation="logistic", normalized=False), {}),
    "binomial": (Model(adstock="binomial", saturation="tanh", lags=3), {}),
    "weibull_pdf": (Model(adstock="weibull_pdf", saturation="root", trend="none"), {}),
    "weibull_cdf": (Model(adstock="weibull_cdf", saturation="none", seasonality=0), {}),
    "none": (Model(adstock="none", saturation="hill"), {"controls": 0}),
    "mixed": (
        Model(
            adstock={"c0": "delayed", "c2": "weibull_cdf", "o0": "none"},
            saturation={"c1": "hill", "c2": "root"},
            priors={
                "effect": {"c1": Prior("gamma", 2, 3), "c2": Prior("log_normal", -1, 1)},
                "half_saturation": Prior("uniform", 0.01, 2),
            },
        ),
        {"channels": 3, "organic": 1},
    ),
    "student_t": (Model(noise="student_t"), {}),
    "geo": (Model(prior_on="roi"), {"geos": 3, "times": 12}),
    "geo organic": (Model(saturation="hill"), {"geos": 2, "times": 14, "organic": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_collapsed_density_is_the_dense_joint_model_integrated(name):
    model, shape = CASES[name]
    m = market(**shape)
    with jax.enable_x64(True):
        problem = design(m, model)
        density, derivatives = compiled(problem)
        rng = np.random.default_rng(1)
        for _ in range(3):
            position = jnp.asarray(rng.normal(size=problem.layout.dimension))
            (value, _), values = density(position)
            slopes, jacobian = (np.asarray(d) for d in derivatives(position))
            assert jacobian.shape == (len(slopes), len(slopes))
            expected = oracle(m, model, problem, values, position)
            expected += np.linalg.slogdet(jacobian)[1]
            tolerance = 1e-7 if name == "marginal_roi" else 1e-9
            assert float(value) == pytest.approx(expected, rel=tolerance, abs=1e-7)
            for i, step in enumerate(1e-5 * np.eye(len(slopes))):
                up, down = (float(density(position + s)[0][0]) for s in (step, -step))
                assert slopes[i] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-4)
        for _ in range(5):
            far = jnp.asarray(6 * rng.normal(size=len(slopes)))
            finite = np.isfinite(np.asarray(derivatives(far)[0])).all()
            assert finite or float(density(far)[0][0]) == -np.inf  # no response at all: no ROI


@pytest.mark.parametrize("shape", [{}, {"geos": 3, "times": 12}], ids=["one geo", "three geos"])
def test_drawn_baselines_have_the_conditional_moments_of_the_dense_model(shape):
    m, model = market(**shape), Model()
    with jax.enable_x64(True):
        problem = design(m, model)
        position = jnp.asarray(np.random.default_rng(3).normal(size=problem.layout.dimension))
        _, values = log_density(position, problem.design, problem.layout)
    values = jax.tree.map(lambda x: np.broadcast_to(x, (40_000, *np.shape(x))), values)
    linear, own = draw_baseline(values, problem, np.random.default_rng(4))
    data, layout = problem.design, problem.layout
    G, T, P = m.n_geos, m.n_observed, layout.linear
    Z, V = data.columns[:, :T].reshape(G * T, P), data.spread**2
    mean = data.mean
    if layout.hierarchical:
        Z = np.concatenate([Z, np.repeat(np.eye(G), T, axis=0)], axis=1)
        V = np.concatenate([V, np.full(G, float(values.named["tau"][0, 0]) ** 2)])
        mean = np.concatenate([mean, np.zeros(G)])
    s2 = float(values.sigma[0]) ** 2
    # The residual y − Mβ is not handed out; its projections are, and they determine the moments.
    cov = np.linalg.inv(Z.T @ Z / s2 + np.diag(1 / V))
    if layout.hierarchical:
        scaled = np.concatenate([values.projection[0] / data.spread, values.geo["residual_sum"][0]])
    else:
        scaled = data.axes @ (np.sqrt(data.eigen) * values.projection[0]) / data.spread
    expected = mean + cov @ scaled / s2
    drawn = np.concatenate([linear, own], axis=-1)
    error = np.sqrt(np.diag(cov) / len(drawn))
    assert (np.abs(drawn.mean(axis=0) - expected) < 5 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), cov, rtol=0.1, atol=3e-2 * np.abs(cov).max())


@pytest.mark.parametrize("name", ["roi", "student_t", "geo organic"])
def test_packed_values_come_back_as_they_were(name):
    model, shape = CASES[name]
    with jax.enable_x64(True):
        problem = design(market(**shape), model)
        positions = jnp.asarray(np.random.default_rng(5).normal(size=(3, problem.layout.dimension)))
        (_, rows), _ = jax.jit(packed(problem.layout))(positions, problem.design)
        one = log_density(positions[1], problem.design, problem.layout)[1]
    back = unpacked(np.asarray(rows), problem.layout)
    assert jax.tree.structure(back) == jax.tree.structure(one)
    for found, expected in zip(jax.tree.leaves(back), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(found[1], expected, rtol=1e-12)


def test_a_new_market_of_the_same_shape_has_the_same_layout():
    model = Model(prior_on="roi")
    first, second = design(market(seed=0), model), design(market(seed=1), model)
    assert hash(first.layout) == hash(second.layout) and first.layout == second.layout
    assert not np.array_equal(first.design.y, second.design.y)


def test_carry_in_before_the_window_counts_in_the_first_periods():
    whole = market(times=30)
    late = dataclasses.replace(
        whole, outcome=np.where(np.arange(30) < 10, np.nan, whole.outcome), before=10
    )
    lagged, cut = design(whole, Model()).design.lagged, design(late, Model()).design.lagged
    np.testing.assert_array_equal(cut[..., :20], lagged[..., 10:30])


def test_a_column_of_the_baseline_may_have_a_prior_of_its_own():
    given = {"event": {"e0": Prior("normal", 0.1, 0.05)}, "trend": Prior("normal", 0, 0.2)}
    problem = design(market(events=2), Model(priors=given))
    spread = dict(zip(problem.linear_names, problem.design.spread, strict=True))
    assert spread["e0"] == 0.05 and spread["e1"] == 0.3 and spread["trend"] == 0.2


def test_next_week_has_the_shape_of_this_week_until_the_quarter_ends():
    layouts = {weeks: design(market(times=weeks), Model()).layout for weeks in (27, 38, 39, 40)}
    assert layouts[27] == layouts[38] == layouts[39] != layouts[40]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Model(adstock="geometrical"), "adstock cannot be 'geometrical'; there are none"),
        (lambda: Model(lags=-1), "lags must lie between 0 and 104, not -1"),
        (lambda: Model(knots=3), "knots must lie between 0 and 0 without trend='knots', not 3"),
        (lambda: Model(priors={"alfa": Prior("beta", 1, 1)}), "No prior is called 'alfa'"),
        (lambda: design(market(), Model(adstock={"tv": "none"})), "no medium called 'tv'"),
        (
            lambda: design(market(), Model(priors={"event": {"x": Prior("normal", 0, 1)}})),
            "no column of the baseline called 'x', which event names",
        ),
        (lambda: design(market(times=7), Model()), "7 periods with an outcome are too few"),
        (
            lambda: design(market(), Model(priors={"alpha": Prior("gamma", 1, 1)})),
            "The prior of alpha cannot be gamma",
        ),
        (
            lambda: design(market(), Model(priors={"effect": {"c0": Prior("normal", 0, 1)}})),
            "all positive",
        ),
        (lambda: design(market(), Model(priors={"trend": Prior("gamma", 1, 1)})), "must be normal"),
    ],
)
def test_a_wrong_specification_is_named(make, words):
    with pytest.raises(ModelError, match=words.replace("(", r"\(")):
        make()
