"""R-hat, effective sizes and Monte-Carlo errors against ArviZ, theory and repeated chains."""

import time
import warnings

import numpy as np
import pytest
from arviz_stats.base import array_stats as arviz
from scipy import stats

from channelwise.response.diagnostics import (
    convergence,
    e_bfmi,
    mcse_mean,
    mcse_quantile,
    mcse_sd,
    rank_rhat,
)

AXES = {"chain_axis": 0, "draw_axis": 1}


def autoregressive(chains: int, draws: int, scalars: int, phi: float, seed: int = 0) -> np.ndarray:
    """x_t = φ x_{t−1} + e_t, started in its own distribution: variance 1 / (1 − φ²)."""
    e = np.random.default_rng(seed).normal(size=(chains, draws, scalars))
    x = e / np.sqrt(1 - phi**2)
    for t in range(1, draws):
        x[:, t] = phi * x[:, t - 1] + e[:, t]
    return x


def awkward(chains: int, draws: int, phi: float) -> np.ndarray:
    """Five scalars: clean, tied, of unequal scale, of unequal place, heavy-tailed with repeats."""
    x = autoregressive(chains, draws, 5, phi)
    x[..., 1] = np.round(x[..., 1])
    x[..., 2] *= np.arange(1, chains + 1)[:, None]
    x[..., 3] += np.arange(chains)[:, None]
    x[..., 4] = np.exp(3 * x[..., 4])
    x[:, 1::4, 4] = x[:, 0 : draws - 1 : 4, 4][:, : x[:, 1::4, 4].shape[1]]
    return x


@pytest.mark.parametrize("phi", [-0.9, -0.4, 0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("chains, draws", [(8, 500), (4, 101), (2, 37), (3, 9), (4, 5), (2, 4)])
def test_everything_equals_arviz(chains, draws, phi):
    x = awkward(chains, draws, phi)
    found = convergence(x)
    np.testing.assert_array_equal(rank_rhat(x), found.rhat)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ divides by a zero variance on very short chains.
        expected = {
            "rhat": arviz.rhat(x, **AXES),
            "ess_bulk": arviz.ess(x, **AXES),
            "ess_tail": arviz.ess(x, method="tail", prob=(0.05, 0.95), **AXES),
        }
        np.testing.assert_allclose(mcse_mean(x), arviz.mcse(x, **AXES), rtol=1e-9)
        for p in (0.05, 0.5, 0.9):
            theirs = arviz.mcse(x, method="quantile", prob=p, **AXES)
            np.testing.assert_allclose(mcse_quantile(x, p), theirs, rtol=1e-9)
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(found, name), values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("draws", [400, 401])
def test_one_chain_is_judged_by_its_halves(draws):
    """ArviZ knows no R-hat of one chain; that of its halves, unsplit, is taken by hand."""
    x = autoregressive(1, draws, 1, 0.7)[..., 0]
    halves = np.stack([x[0, : draws // 2], x[0, -(draws // 2) :]])
    n, each = halves.shape[1], []
    for y in (halves, np.abs(halves - np.median(halves))):
        r = stats.rankdata(y)
        z = stats.norm.ppf((r - 3 / 8) / (r.size + 1 / 4)).reshape(y.shape)
        W, B_over_n = z.var(1, ddof=1).mean(), z.mean(1).var(ddof=1)
        each.append(np.sqrt(((n - 1) / n * W + B_over_n) / W))
    assert np.isnan(arviz.rhat(x, **AXES))
    assert convergence(x).rhat == pytest.approx(max(each), rel=1e-12)
    assert convergence(x).ess_bulk == pytest.approx(arviz.ess(x, **AXES), rel=1e-9)


def test_the_r_hat_of_a_drifting_chain_is_large():
    x = np.random.default_rng(1).normal(size=(1, 1000, 1)) + np.linspace(0, 3, 1000)[None, :, None]
    assert convergence(x).rhat[0] > 1.2


def test_folding_sees_chains_that_differ_in_scale_alone():
    x = np.random.default_rng(2).normal(size=(4, 1000))
    x[3] *= 4
    assert convergence(x).rhat > 1.05


def test_r_hat_of_two_far_chains_is_its_closed_form():
    # Ranks 1..n and n+1..2n: the worst that two chains can do, whatever the distance.
    x = np.random.default_rng(3).normal(size=(2, 2000))
    near, far = (convergence(x + np.array([[0.0], [gap]])).rhat for gap in (20, 1e9))
    assert near == pytest.approx(far, rel=1e-12)
    # Each chain has half-normal scores: ±√(2/π) between the four halves, 1 − 2/π within.
    expected = np.sqrt(1 + 4 / 3 * (2 / np.pi) / (1 - 2 / np.pi))
    assert near == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.6, 0.9])
def test_the_bulk_size_of_autoregressive_chains_is_n_times_their_known_ratio(phi):
    x = autoregressive(8, 4000, 20, phi, seed=5)
    ratio = convergence(x).ess_bulk.mean() / (8 * 4000)
    assert ratio == pytest.approx((1 - phi) / (1 + phi), rel=0.06)


@pytest.mark.parametrize("phi", [-0.6, 0.0, 0.8])
def test_monte_carlo_errors_equal_the_scatter_of_repeated_runs(phi):
    x = autoregressive(4, 500, 400, phi, seed=6)
    runs = x.reshape(-1, 400)
    assert np.median(mcse_mean(x)) == pytest.approx(runs.mean(0).std(), rel=0.15)
    assert np.median(mcse_sd(x)) == pytest.approx(runs.std(0).std(), rel=0.15)
    fifth = np.quantile(runs, 0.05, axis=0)
    assert np.median(mcse_quantile(x, 0.05)) == pytest.approx(fifth.std(), rel=0.2)


def test_the_error_of_the_sd_uses_the_effective_size_of_the_squares():
    x = autoregressive(4, 501, 3, 0.6, seed=7)
    c = (x - x.mean((0, 1))) ** 2
    size = arviz.ess(x, method="sd", **AXES)
    variance = (c**2).mean((0, 1)) - c.mean((0, 1)) ** 2
    expected = np.sqrt(variance / size / c.mean((0, 1)) / 4)
    np.testing.assert_allclose(mcse_sd(x), expected, rtol=1e-9)


def test_ranks_make_bulk_and_tail_blind_to_monotone_changes_of_scale():
    x = autoregressive(4, 300, 2, 0.5)
    bent = convergence(np.exp(x) * 1e-20)
    np.testing.assert_allclose(bent.ess_bulk, convergence(x).ess_bulk, rtol=1e-12)
    np.testing.assert_allclose(bent.ess_tail, convergence(x).ess_tail, rtol=0.02)
    np.testing.assert_allclose(convergence(-7e-30 * x).rhat, convergence(x).rhat, rtol=1e-12)


def test_judging_many_scalars_at_once_is_judging_each():
    x = awkward(3, 60, 0.4).reshape(3, 60, 5, 1).repeat(2, axis=3)
    together = convergence(x)
    for i in range(5):
        alone = convergence(np.ascontiguousarray(x[:, :, i, 1]))
        for a, b in zip(alone, together, strict=True):
            assert a.shape == () and a == b[i, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_draw_that_is_not_finite_makes_its_own_scalar_unknown_and_no_other(bad):
    x = autoregressive(4, 100, 3, 0.3)
    clean = convergence(x)
    x[2, 17, 1] = bad
    for before, after in zip(clean, convergence(x), strict=True):
        assert np.isnan(after[1])
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    for error in (mcse_mean(x), mcse_sd(x), mcse_quantile(x, 0.5)):
        np.testing.assert_array_equal(np.isnan(error), [False, True, False])


@pytest.mark.parametrize("value", [0.0, 1e-300, 1 / 3])
def test_a_scalar_that_never_moves_is_unknown(value):
    x = np.full((4, 50, 1), value)
    assert np.isnan([*convergence(x), mcse_mean(x), mcse_sd(x), mcse_quantile(x, 0.5)]).all()


def test_chains_stuck_at_different_places_have_a_huge_r_hat_and_no_effective_draws():
    x = np.broadcast_to(np.arange(4.0)[:, None], (4, 100)).copy()
    found = convergence(x)
    assert found.rhat > 100 and found.ess_bulk < 10


def test_a_scalar_with_most_draws_on_one_value_still_has_a_tail_size():
    x = np.maximum(np.random.default_rng(8).normal(size=(4, 200)), 1.0)
    theirs = arviz.ess(x, method="tail", prob=(0.05, 0.95), **AXES)
    assert convergence(x).ess_tail == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("shape", [(4, 3), (0, 100), (2, 0)])
def test_too_few_draws_are_refused_with_their_number(shape):
    with pytest.raises(ValueError, match=f"{shape[0]} chains of {shape[1]} draws"):
        convergence(np.zeros(shape))


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, np.nan])
def test_a_quantile_outside_zero_and_one_is_refused(p):
    with pytest.raises(ValueError, match="probability must lie between 0 and 1"):
        mcse_quantile(np.random.default_rng(0).normal(size=(2, 10)), p)


def test_draws_are_left_as_they_were():
    x = awkward(2, 20, 0.1)
    x[0, 0, 0] = np.nan
    kept = x.copy()
    convergence(x), mcse_sd(x)
    np.testing.assert_array_equal(x, kept)


def test_e_bfmi_equals_arviz_and_is_small_for_a_slow_walk_in_energy():
    rng = np.random.default_rng(9)
    energy = np.stack([rng.normal(size=1000), np.cumsum(rng.normal(size=1000))])
    np.testing.assert_allclose(e_bfmi(energy), arviz.bfmi(energy, **AXES), rtol=1e-12)
    assert e_bfmi(energy)[0] == pytest.approx(2, rel=0.1) and e_bfmi(energy)[1] < 0.05
    assert np.isnan(e_bfmi(np.ones((1, 9)))[0])


def test_forty_scalars_of_eight_chains_take_a_blink():
    x = autoregressive(8, 500, 40, 0.3)
    x[:, 1::5] = x[:, ::5]  # rejected proposals repeat the draw before

    def seconds() -> float:
        start = time.process_time()
        convergence(x)
        return time.process_time() - start

    # 15 ms where nothing else runs; the bound is for a crowded machine.
    assert min(seconds() for _ in range(7)) < 0.1
