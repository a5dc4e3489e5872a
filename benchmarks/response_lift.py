"""Do lift tests enter the response model exactly, and what do they add?

    python benchmarks/response_lift.py joint
    python benchmarks/response_lift.py calibration --markets 100
    python benchmarks/response_lift.py recovery --markets 30

`joint` draws from the same posterior twice: by `fit(…, lift_tests=…)`, and by blackjax' NUTS on a
joint density written out anew below, every coefficient explicit and nothing integrated out.
Differences of means and of standard deviations are divided by their Monte-Carlo errors.

`calibration` is simulation-based: parameters from the prior, an outcome and two measured lifts from
them (one channel off; two channels changed at once), a fit to all three, and the rank of each truth
among the draws. If all is right ranks are uniform and intervals keep their word.

`recovery` asks what tests add on markets whose channels move together: the error of the ROIs
without a test, with one of one channel, and with one of every channel.
"""

import argparse
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from channelwise.response.additive import contribution_of
from channelwise.response.calibration import chi_square_p, ecdf_p, interval_coverage, ranks
from channelwise.response.design import Units, design
from channelwise.response.diagnostics import convergence, mcse_mean, mcse_sd
from channelwise.response.effects import Effects, predicted_lift
from channelwise.response.fit import fit
from channelwise.response.lift import LiftTest, changed_media, periods
from channelwise.response.mmm import Model
from channelwise.response.prior import prior_draws
from channelwise.response.priors import Prior
from channelwise.response.simulate import SimulatedMarket, family_market

LAGS, TAIL, DRAWS = 4, 4, 199
MODEL = Model(lags=LAGS, seasonality=1)


def small(seed: int = 3, weeks: int = 78) -> SimulatedMarket:
    return family_market(seed, weeks=weeks, channels=2, controls=1, lags=LAGS, collinearity=0.8)


def off(channel: str, lift: float = 0.0, error: float = 1.0, start: int = 30) -> LiftTest:
    """The channel off for six weeks."""
    first = np.datetime64("2021-01-04") + 7 * start
    return LiftTest({channel: 0.0}, str(first), str(first + 41), lift, error, tail=TAIL)


# --- the joint density, written again ---


def joint_density(market, test: LiftTest, units: Units):
    """ln p of unconstrained (α, K, β, σ, γ) given outcome and lift; and the parameters by name."""
    x = jnp.asarray(market.spend[0] / units.media_scale)
    y = jnp.asarray(market.outcome[0] / units.outcome_scale)
    changed = jnp.asarray(changed_media(test, market, np.ones(1))[0] / units.media_scale)
    columns = jnp.asarray(design(market, MODEL, units).design.columns[0, : len(y)])
    first, _, stop = periods(test, market)
    P, M = columns.shape[1], x.shape[1]

    def response(media, alpha, half):
        """Saturated adstock, (period, medium)."""
        weights = [alpha**lag for lag in range(LAGS + 1)]
        past = [jnp.pad(media, ((lag, 0), (0, 0)))[: len(media)] for lag in range(LAGS + 1)]
        carried = sum(w * p for w, p in zip(weights, past, strict=True)) / sum(weights)
        return carried / (half + carried)

    def named(q):
        return {
            "alpha": jax.nn.sigmoid(q[:M]),
            "half_saturation": jnp.exp(q[M : 2 * M]),
            "beta": jnp.exp(q[2 * M : 3 * M]),
            "sigma": jnp.exp(q[3 * M]),
            "gamma": q[3 * M + 1 :],
        }

    def density(q):
        p = named(q)
        alpha, half, beta, sigma, gamma = p.values()
        record, other = (response(media, alpha, half) @ beta for media in (x, changed))
        mean = columns @ gamma + record
        lift = jnp.sum((other - record)[first:stop]) * units.outcome_scale
        norm, gaps = jax.scipy.stats.norm.logpdf, (test.lift, test.standard_error)
        total = jnp.sum(norm(y, mean, sigma)) + norm(gaps[0], lift, gaps[1])
        # Priors: Beta(1, 3), Gamma(3, 5), HalfNormal(½), HalfNormal(0.2), each with its Jacobian.
        total += jnp.sum(2 * jnp.log1p(-alpha) + jnp.log(alpha) + jnp.log1p(-alpha))
        total += jnp.sum(3 * jnp.log(half) - 5 * half)
        total += jnp.sum(-0.5 * (beta / 0.5) ** 2 + jnp.log(beta))
        total += -0.5 * (sigma / 0.2) ** 2 + jnp.log(sigma)
        centre = jnp.asarray([0.5] + [0.0] * (P - 1))
        spread = jnp.asarray([0.5, 0.3] + [0.15] * (P - 2))
        return total + jnp.sum(norm(gamma, centre, spread))

    return density, named, 3 * M + 1 + P


def nuts(density, dimension: int, start: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Four chains of blackjax' NUTS with window adaptation, (chain, draw, dimension)."""
    import blackjax

    def chain(key, q):
        adapting, sampling = jax.random.split(key)
        window = blackjax.window_adaptation(
            blackjax.nuts, density, is_mass_matrix_diagonal=False, target_acceptance_rate=0.9
        )
        (state, parameters), _ = window.run(adapting, q, num_steps=1000)
        kernel = blackjax.nuts(density, **parameters)
        step = lambda s, k: (lambda new: (new, new.position))(kernel.step(k, s)[0])  # noqa: E731
        return jax.lax.scan(step, state, jax.random.split(sampling, draws))[1]

    keys = jax.random.split(jax.random.key(seed), 4)
    starts = start + 0.1 * np.random.default_rng(seed).standard_normal((4, dimension))
    return np.asarray(jax.jit(jax.vmap(chain))(keys, jnp.asarray(starts)))


def joint(draws: int) -> None:
    """A weak, a sharp and a very sharp test, all pulling away from what the data say."""
    market = small().market
    plain = fit(market, MODEL, seed=1, draws=1000)
    units = Units(float(plain.state["outcome_scale"]), plain.state["media_scale"])
    before = predicted_lift(plain, off("tv"), 4000)
    print("| se / spread before | means: rms z | largest | spreads: rms z | largest | ", end="")
    print("R-hat of NUTS | fit s | steps | without test: s | steps |\n" + "|---" * 10 + "|")
    seconds, base = timed(lambda: fit(market, MODEL, seed=2))
    for share in (1.0, 0.1, 0.01):
        test = off("tv", before.mean() - before.std(), share * before.std())
        fit(market, MODEL, seed=2, lift_tests=[test], draws=50)
        took, ours = timed(lambda t=test: fit(market, MODEL, seed=2, lift_tests=[t], draws=1000))
        with jax.enable_x64(True):
            density, named, dimension = joint_density(market, test, units)
            middle = [ours.flat(n).mean(0) for n in ("half_saturation", "beta", "sigma")]
            start = np.r_[np.zeros(2), np.log(np.hstack(middle)), ours.flat("coefficient").mean(0)]
            path = nuts(density, dimension, start, draws, seed=3)
            theirs = jax.vmap(jax.vmap(named))(jnp.asarray(path))
        z, s, rhat = compared(ours, {n: np.asarray(v) for n, v in theirs.items()})
        print(
            f"| {share:g} | {rms(z):.2f} | {np.abs(z).max():.1f} | {rms(s):.2f} | "
            f"{np.abs(s).max():.1f} | {rhat:.4f} | {took:.2f} | "
            f"{ours.statistics['steps'].mean():.1f} | {seconds:.2f} | "
            f"{base.statistics['steps'].mean():.1f} |",
            flush=True,
        )


def compared(ours, theirs) -> tuple[np.ndarray, np.ndarray, float]:
    """z of all means and standard deviations, and the largest R-hat of the other draws."""
    means, spreads, rhat = [], [], 0.0
    for name, b in theirs.items():
        a = ours.draws["coefficient" if name == "gamma" else name]
        if name != "gamma":
            a, b = np.log(a), np.log(b)
        for gaps, moment, error in ((means, np.mean, mcse_mean), (spreads, np.std, mcse_sd)):
            gap = moment(a, axis=(0, 1)) - moment(b, axis=(0, 1))
            gaps.append(np.ravel(gap / np.hypot(error(a), error(b))))
        rhat = max(rhat, float(np.max(convergence(b).rhat)))
    return np.concatenate(means), np.concatenate(spreads), rhat


def timed(run):
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


# --- calibration ---


def calibration(markets: int) -> None:
    """Ranks and coverage over markets drawn from the prior."""
    model = replace(MODEL, prior_on="roi", priors={"effect": Prior("log_normal", 0.2, 0.9)})
    market = small(7).market
    units = Units(*design(market, model)[2:4])
    size = market.total_spend.sum() / 78 * 6
    tests = [
        replace(off("tv"), standard_error=0.1 * size),
        replace(
            off("search", start=50), factor={"search": 2.0, "tv": 0.5}, standard_error=0.3 * size
        ),
    ]
    truth, draws, worst, diverging = {}, {}, 0.0, 0
    for number in range(markets):
        effects = Effects(prior_draws(market, model, draws=1, seed=number, units=units))
        outcome = (effects.expected() + effects.sigma * effects.noise(10**6 + number))[0]
        rng = np.random.default_rng([number, 3])
        seen = [
            replace(t, lift=float(effects.lift(t)[0] + t.standard_error * rng.standard_normal()))
            for t in tests
        ]
        played = replace(market, outcome=outcome)
        posterior = fit(played, model, seed=number, units=units, lift_tests=seen)
        worst = max(worst, float(max(convergence(x).rhat.max() for x in posterior.draws.values())))
        diverging += bool(posterior.statistics["diverging"].any())
        for name in ("alpha", "half_saturation", "sigma", "roi", "contribution"):
            given = effects.posterior.flat(name).reshape(-1)
            kept = Effects(posterior, DRAWS).draws_of(name).reshape(DRAWS, -1)
            for label, x, d in zip(posterior.labels(name), given, kept.T, strict=True):
                truth.setdefault(label, []).append(x)
                draws.setdefault(label, []).append(d)
    print("| quantity | chi-square p | ECDF p | in 50 % | in 90 % |\n|---|---|---|---|---|")
    for label in truth:
        x, d = np.array(truth[label]), np.array(draws[label])
        r = ranks(d.T, x, np.random.default_rng(0))
        held = [float(interval_coverage(d.T, x, level).share) for level in (0.5, 0.9)]
        p = float(chi_square_p(r, DRAWS, 10)), float(ecdf_p(r, DRAWS))
        print(f"| {label} | {p[0]:.2f} | {p[1]:.2f} | {held[0]:.0%} | {held[1]:.0%} |")
    print(f"\n{markets} markets, largest R-hat {worst:.3f}, {diverging} fits diverged.")


# --- recovery ---


def true_lift(known: SimulatedMarket, test: LiftTest) -> float:
    """What the test really brings, by playing both worlds (national markets, default forms)."""
    market = known.market
    worlds = np.stack([changed_media(test, market, np.ones(1))[0], market.exposure[0]])
    first, _, stop = periods(test, market)
    brought = contribution_of(worlds, market, known.truth.parameters)[:, first:stop].sum(axis=1)
    return float(brought[0] - brought[1])


def recovery(markets: int) -> None:
    """RMS of ln(ROI/true ROI), coverage and width of 90 % intervals, without and with tests."""
    model = Model(prior_on="roi")
    rows = {name: [] for name in ("no test", "one channel tested", "every channel tested")}
    for seed in range(markets):
        known = family_market(seed, weeks=104, channels=4, collinearity=0.9)
        rng, tests = np.random.default_rng([seed, 1]), []
        for channel, spend in zip(known.market.channels, known.market.spend[0].T, strict=True):
            start = int(np.argmax(np.convolve(spend[:88], np.ones(6), "valid")))
            lift = true_lift(known, replace(off(channel, start=start), tail=8))
            error = 0.25 * abs(lift)
            measured = lift + error * rng.standard_normal()
            tests.append(replace(off(channel, measured, error, start), tail=8))
        for name, some in zip(rows, ([], tests[:1], tests), strict=True):
            roi = fit(known.market, model, seed=seed, lift_tests=some).flat("roi")
            gap = np.log(np.median(roi, axis=0) / known.truth.roi)
            low, high = np.quantile(roi, (0.05, 0.95), axis=0)
            held = (low <= known.truth.roi) & (known.truth.roi <= high)
            rows[name].append(np.stack([gap**2, held, np.log(high / low)]))
    print("| | tested first: RMS error of ln ROI | others | in 90 % | width of 90 %, factor |")
    print("|---|---|---|---|---|")
    for name, cases in rows.items():
        square, held, width = np.mean(cases, axis=0)
        print(
            f"| {name} | {np.sqrt(square[0]):.2f} | {np.sqrt(square[1:].mean()):.2f} | "
            f"{held.mean():.0%} | {np.exp(width.mean()):.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["joint", "calibration", "recovery"])
    parser.add_argument("--markets", type=int, default=30)
    parser.add_argument("--draws", type=int, default=2000)
    options = parser.parse_args()
    if options.what == "joint":
        joint(options.draws)
    else:
        {"calibration": calibration, "recovery": recovery}[options.what](options.markets)


if __name__ == "__main__":
    main()
