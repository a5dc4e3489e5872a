"""Do lift tests enter the response model exactly, and what do they add?

    python benchmarks/response_lift.py joint
    python benchmarks/response_lift.py calibration --markets 100
    python benchmarks/response_lift.py recovery --markets 30

`joint` writes the joint density out anew below, every coefficient explicit and nothing integrated
out, and moves the draws of `fit(…, lift_tests=…)` on by Hamiltonian Monte Carlo on it, each a chain
of its own. If they are draws of that density, no mean and no spread moves; z divides the moves by
their Monte-Carlo errors. (A long NUTS in these coordinates from one start is no reference: here it
reports R-hat 1.003 and misses the lower tail of the intercept.) The last row shows the power: a
density whose standard error is 1.5 times as large.

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
from channelwise.response.diagnostics import convergence
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


def moved(density, draws: np.ndarray, iterations: int, seed: int) -> np.ndarray:
    """Every draw moved on by Hamiltonian Monte Carlo on the density, each a chain of its own."""
    middle, root = draws.mean(axis=0), np.linalg.cholesky(np.cov(draws.T))
    at = lambda e: density(jnp.asarray(middle) + jnp.asarray(root) @ e)  # noqa: E731
    gradient, step = jax.vmap(jax.value_and_grad(at)), 0.12

    def leapfrog(_, carry):
        e, p, _, g = carry
        p = p + step / 2 * g
        e = e + step * p
        value, g = gradient(e)
        return e, p + step / 2 * g, value, g

    def iterate(e, key):
        momentum, uniform = jax.random.split(key)
        p = jax.random.normal(momentum, e.shape)
        value, g = gradient(e)
        new, q, better, _ = jax.lax.fori_loop(0, 12, leapfrog, (e, p, value, g))
        gain = better - value - 0.5 * jnp.sum(q**2 - p**2, axis=1)
        accepted = jnp.log(jax.random.uniform(uniform, gain.shape)) < gain
        return jnp.where(accepted[:, None], new, e), jnp.mean(accepted)

    e = jnp.asarray(np.linalg.solve(root, (draws - middle).T).T)
    keys = jax.random.split(jax.random.key(seed), iterations)
    e, _ = jax.jit(lambda e: jax.lax.scan(iterate, e, keys))(e)
    return middle + np.asarray(e) @ root.T


def joint(chains: int) -> None:
    """A weak, a sharp and a very sharp test; last, a density with another standard error."""
    market = small().market
    plain = fit(market, MODEL, seed=1, draws=1000)
    units = Units(float(plain.state["outcome_scale"]), plain.state["media_scale"])
    before = predicted_lift(plain, off("tv"), 4000)
    seconds, base = timed(lambda: fit(market, MODEL, seed=2))
    print(
        "| se / spread before | density | means: rms z | largest | spreads: rms z | largest | ",
        end="",
    )
    print("fit s | steps | without test: s | steps |\n" + "|---" * 10 + "|")
    for share, wrong in ((1.0, 1), (0.1, 1), (0.01, 1), (1.0, 1.5)):
        test = off("tv", before.mean() - before.std(), share * before.std())
        fit(market, MODEL, seed=2, lift_tests=[test], draws=50)
        took, _ = timed(lambda t=test: fit(market, MODEL, seed=2, lift_tests=[t]))
        ours = fit(market, MODEL, seed=2, lift_tests=[test], draws=2000)
        other = replace(test, standard_error=wrong * test.standard_error)
        with jax.enable_x64(True):
            density, _, _ = joint_density(market, other, units)
            start = unconstrained(ours)[:: max(8 * ours.n_draws // chains, 1)]
            end = moved(density, start, 30, seed=3)
        z, s = standardized(start, end)
        print(
            f"| {share:g} | {'right' if wrong == 1 else f'se × {wrong}'} | {rms(z):.2f} | "
            f"{np.abs(z).max():.1f} | {rms(s):.2f} | {np.abs(s).max():.1f} | {took:.2f} | "
            f"{ours.statistics['steps'].mean():.1f} | {seconds:.2f} | "
            f"{base.statistics['steps'].mean():.1f} |",
            flush=True,
        )


def unconstrained(posterior) -> np.ndarray:
    """The draws in the coordinates of the joint density, (draw, dimension)."""
    flat = {n: posterior.flat(n) for n in ("alpha", "half_saturation", "beta", "sigma")}
    logs = [np.log(flat["alpha"] / (1 - flat["alpha"]))]
    logs += [
        np.log(flat[n]).reshape(len(flat[n]), -1) for n in ("half_saturation", "beta", "sigma")
    ]
    return np.concatenate([*logs, posterior.flat("coefficient")], axis=1)


def standardized(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z of the change of every mean and of every mean square, from the pairs of start and end."""
    scores = []
    for power in (1, 2):
        change = (end - start.mean(axis=0)) ** power - (start - start.mean(axis=0)) ** power
        scores.append(change.mean(axis=0) / (change.std(axis=0) / np.sqrt(len(change))))
    return scores[0], scores[1]


def timed(run):
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


# --- calibration ---


def calibration(markets: int, first: int) -> None:
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
    for number in range(first, first + markets):
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


def recovery(markets: int, first: int) -> None:
    """RMS of ln(ROI/true ROI), coverage and width of 90 % intervals, without and with tests."""
    model = Model(prior_on="roi")
    rows = {name: [] for name in ("no test", "one channel tested", "every channel tested")}
    for seed in range(first, first + markets):
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
    parser.add_argument("--first", type=int, default=0, help="number of the first market")
    parser.add_argument("--chains", type=int, default=2000, help="draws moved on")
    options = parser.parse_args()
    if options.what == "joint":
        joint(options.chains)
    else:
        {"calibration": calibration, "recovery": recovery}[options.what](
            options.markets, options.first
        )


if __name__ == "__main__":
    main()
