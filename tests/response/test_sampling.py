"""The fast sampler against a long run of NUTS, distant starts, earlier fits, and its own seed."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from channelwise.response import sampling
from channelwise.response.design import design
from channelwise.response.diagnostics import convergence, mcse_mean, mcse_sd
from channelwise.response.hmc import CHUNK
from channelwise.response.mmm import Model
from channelwise.response.nuts import sample_carefully
from channelwise.response.priors import Prior
from channelwise.response.sampling import is_enough, metric_root, sample
from channelwise.response.simulate import family_market

MODEL = Model(lags=4, seasonality=1, priors={"half_saturation": Prior("half_normal", 1)})


@pytest.fixture(scope="module")
def problem():
    return design(family_market(3, weeks=60, channels=2, controls=1, lags=4).market, MODEL)


@pytest.fixture(scope="module")
def run(problem):
    """`sample` on the shared problem, in float64."""

    def of(**options):
        with jax.enable_x64(True):
            return sample(problem, **options)

    return of


@pytest.fixture(scope="module")
def fast(run):
    return run(seed=1)


def parameters(samples):
    """(chain, draw, scalar) of what is sampled and what follows from it, on the scale of ln."""
    v = samples.values
    parts = [*v.named.values(), v.beta, v.sigma[..., None], v.total]
    return np.log(np.concatenate(parts, axis=-1))


def standardized_gaps(a, b):
    """Differences of means, and of standard deviations, over their Monte-Carlo errors."""
    a, b = parameters(a), parameters(b)
    flat = [x.reshape(-1, x.shape[-1]) for x in (a, b)]
    means = (flat[0].mean(0) - flat[1].mean(0)) / np.hypot(mcse_mean(a), mcse_mean(b))
    spreads = (flat[0].std(0) - flat[1].std(0)) / np.hypot(mcse_sd(a), mcse_sd(b))
    return means, spreads


def test_means_and_spreads_agree_with_a_long_run_of_nuts(problem, fast):
    with jax.enable_x64(True):
        careful = sample_carefully(problem, warmup=400, draws=800, seed=2)
    assert convergence(careful.position).rhat.max() < 1.01
    for gaps in standardized_gaps(fast, careful):
        assert np.abs(gaps).max() < 4.5
        assert np.sqrt(np.mean(gaps**2)) < 2
    assert careful.energy.shape == careful.diverging.shape == careful.steps.shape == (4, 800)
    assert careful.acceptance.mean() == pytest.approx(0.95, abs=0.04)


def test_draws_are_enough_and_statistics_stand_beside_them(problem, fast):
    chains, draws, dimension = fast.position.shape
    assert (chains, dimension) == (8, problem.layout.dimension)
    assert is_enough(convergence(fast.position))
    for statistic in (fast.energy, fast.acceptance, fast.diverging, fast.steps):
        assert statistic.shape == (chains, draws)
    assert fast.values.beta.shape == (chains, draws, 2)
    assert not fast.diverging.any()
    assert 0.6 < fast.acceptance.mean() < 0.95
    assert (fast.steps >= 1).all()


def test_the_seed_decides_every_bit(run, fast):
    again, other = run(seed=1), run(seed=2)
    for name in ("position", "energy", "acceptance"):
        assert np.array_equal(getattr(again, name), getattr(fast, name))
    assert not np.array_equal(other.position, fast.position)


@pytest.mark.parametrize("centre", [-3.0, 0.0, 3.0], ids=["low", "both sides", "high"])
def test_chains_from_far_away_find_the_same_posterior(run, fast, monkeypatch, centre):
    def far(problem, chains, rng):
        return centre + 3 * rng.standard_normal((chains, problem.layout.dimension))

    monkeypatch.setattr(sampling, "_scattered", far)
    found = run(seed=4)
    assert convergence(found.position).rhat.max() < 1.02
    for gaps in standardized_gaps(found, fast):
        assert np.abs(gaps).max() < 4.5


def test_a_start_from_an_earlier_fit_skips_most_of_the_warm_up(run, fast):
    again = run(seed=5, start=fast.adaptation)
    assert again.warmup < fast.warmup
    assert is_enough(convergence(again.position))
    for gaps in standardized_gaps(again, fast):
        assert np.abs(gaps).max() < 4.5


def test_a_start_serves_any_number_of_chains(run, fast):
    assert run(seed=6, start=fast.adaptation, chains=4, draws=50, extensions=0).position.shape[
        :2
    ] == (4, 50)


def test_draws_are_doubled_until_they_are_enough(run, fast):
    short = run(seed=7, start=fast.adaptation, draws=CHUNK, extensions=0)
    assert short.position.shape[1] == CHUNK and not is_enough(convergence(short.position))
    longer = run(seed=7, start=fast.adaptation, draws=CHUNK, extensions=1)
    assert longer.position.shape[1] == 2 * CHUNK
    np.testing.assert_array_equal(longer.position[:, :CHUNK], short.position)
    enough = run(seed=7, start=fast.adaptation, draws=CHUNK, extensions=6)
    half = enough.position[:, : enough.position.shape[1] // 2]
    assert is_enough(convergence(enough.position)) and not is_enough(convergence(half))


def test_draws_are_rounded_up_to_whole_chunks(run, fast):
    drawn = run(seed=8, start=fast.adaptation, draws=CHUNK + 1, extensions=0)
    assert drawn.position.shape[1] == 2 * CHUNK


def test_too_few_or_disagreeing_draws_are_not_enough():
    rng = np.random.default_rng(0)
    good = rng.standard_normal((8, 500, 3))
    assert is_enough(convergence(good))
    assert not is_enough(convergence(good[:, :50]))
    apart = good.copy()
    apart[0, :, 1] += 1.0
    assert not is_enough(convergence(apart))
    sticky = np.repeat(rng.standard_normal((8, 25, 3)), 20, axis=1)
    assert not is_enough(convergence(sticky))


def test_the_metric_is_the_covariance_shrunk_towards_its_diagonal():
    rng = np.random.default_rng(1)
    mix = np.array([[2.0, 0.0, 0.0], [1.5, 0.5, 0.0], [0.0, 0.1, 0.01]])
    draws = rng.standard_normal((400, 3)) @ mix.T
    sample_covariance = np.cov(draws.T)
    root = metric_root(draws)
    found = root @ root.T
    np.testing.assert_allclose(np.diag(found), np.diag(sample_covariance), rtol=1e-6)
    off = ~np.eye(3, dtype=bool)
    ratio = found[off] / sample_covariance[off]
    assert np.ptp(ratio) < 1e-6 and 0.5 < ratio[0] < 1  # every correlation by the same share
    many = metric_root(rng.standard_normal((200_000, 3)) @ mix.T)
    np.testing.assert_allclose(many @ many.T, mix @ mix.T, atol=0.05)
    assert np.array_equal(root, np.tril(root)) and (np.diag(root) > 0).all()


@pytest.mark.parametrize(
    "draws",
    [
        np.zeros((50, 4)),
        np.outer(np.arange(50.0), np.ones(4)),
        np.random.default_rng(0).standard_normal((5, 40)),
        np.random.default_rng(0).standard_normal((50, 1)),
    ],
    ids=["stuck", "one line", "fewer draws than coordinates", "one coordinate"],
)
def test_the_metric_is_positive_definite_whatever_the_draws(draws):
    root = metric_root(draws)
    assert np.isfinite(root).all() and (np.diag(root) > 0).all()


def test_another_market_of_the_same_shape_compiles_nothing(run, problem, fast):
    from channelwise.response import hmc

    before = hmc.chunk._cache_size()
    market = family_market(9, weeks=60, channels=2, controls=1, lags=4).market
    other = design(market, replace(MODEL, priors={"half_saturation": Prior("half_normal", 0.7)}))
    assert other.layout == problem.layout
    with jax.enable_x64(True):
        sample(other, draws=50, extensions=0)
    assert hmc.chunk._cache_size() == before
