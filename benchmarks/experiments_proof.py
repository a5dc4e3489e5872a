"""Do tests and intervals of experiments keep their word? Simulated experiments, counted.

    python benchmarks/experiments_proof.py            # all parts, some six minutes of one core
    python benchmarks/experiments_proof.py peeking    # one part

| part | question |
|---|---|
| peeking | null experiments looked at after every observation: how often is an effect declared? |
| sequences | confidence sequences: how often do they hold the truth at all times together? |
| power | does a planned size find its effect as often as planned? |
| coverage | how often does each interval of a single look hold the truth? |
| boundaries | a few planned looks: error and power |

Every draw is seeded. Each table prints the standard error that its shares have if the promise
holds.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from channelwise.decisions.experiments import coin
from channelwise.decisions.experiments.arms import Counts, Moments, ratio_moments
from channelwise.decisions.experiments.belief import beliefs
from channelwise.decisions.experiments.boundaries import (
    Boundary,
    naive,
    obrien_fleming,
    pocock,
    spending,
)
from channelwise.decisions.experiments.experiment import compare, cuped, stratified
from channelwise.decisions.experiments.power import Mean, Proportion, power_of, sample_size
from channelwise.decisions.experiments.proportions import (
    Table,
    difference_ends,
    difference_score,
    ratio_ends,
)
from channelwise.decisions.experiments.sequential import critical_value

EXPERIMENTS = 10_000
PER_ARM = 5_000
AT_ONCE = 250
SIMULATIONS = 100_000
ANALYSES = 20_000
Z = 1.959963984540054
LATE_UNITS, LATE_CONVERSIONS = 200, 50

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def rate(p: float) -> Draw:
    """Conversions."""
    return lambda rng, shape: (rng.random(shape, np.float32) < p).astype(float)


class Outcome(NamedTuple):
    """How a unit's outcome is drawn, its mean, and how it is drawn where that mean is 1.2 times."""

    draw: Draw
    mean: float
    treated: Draw


def scaled(mean: float, draw: Draw) -> Outcome:
    """An outcome whose treatment multiplies it, and so its variance too."""
    return Outcome(draw, mean, lambda rng, shape: 1.2 * draw(rng, shape))


OUTCOMES = {
    "rate 0.05": Outcome(rate(0.05), 0.05, rate(0.06)),
    "rate 0.5": Outcome(rate(0.5), 0.5, rate(0.6)),
    "normal": scaled(1.0, lambda rng, shape: 1 + rng.standard_normal(shape)),
    "lognormal, σ = 1.5": scaled(
        np.exp(1.125), lambda rng, shape: np.exp(1.5 * rng.standard_normal(shape))
    ),
    "Student t, 3 df": scaled(1.0, lambda rng, shape: 1 + rng.standard_t(3, shape)),
    "5 % buy, lognormal": scaled(
        0.05 * np.exp(0.5),
        lambda rng, shape: (rng.random(shape) < 0.05) * np.exp(rng.standard_normal(shape)),
    ),
}
"""Outcomes of a unit: yes or no, bell-shaped, and with heavier and heavier tails."""

UNEVEN = {"rate 0.05, 1 : 9": "rate 0.05", "lognormal, 1 : 9": "lognormal, σ = 1.5"}
"""The hardest for an asymptotic method: one small arm, so that skewness does not cancel."""


def chunks(seed: int) -> Iterator[tuple[np.random.Generator, int]]:
    """A generator and a number of experiments, until all are made."""
    for start in range(0, EXPERIMENTS, AT_ONCE):
        yield np.random.default_rng([seed, start]), min(AT_ONCE, EXPERIMENTS - start)


def arms_of(name: str) -> tuple[Outcome, np.ndarray, np.ndarray]:
    """How outcomes are drawn, and the units of A and B at every look, from 2 in each on."""
    if name in UNEVEN:
        k = np.arange(2.0, PER_ARM // 5 + 1)
        return OUTCOMES[UNEVEN[name]], k, 9 * k
    k = np.arange(2.0, PER_ARM + 1)
    return OUTCOMES[name], k, k


def paths(
    rng: np.random.Generator, draws: list[Draw], n_a: np.ndarray, n_b: np.ndarray, cases: int
) -> tuple[np.ndarray, ...]:
    """Difference, its standard error and pooled sum at every look."""
    means, squared, sums = [], [], 0.0
    for draw, n in zip(draws, (n_a, n_b), strict=True):
        step = int(n[1] - n[0])
        y = draw(rng, (cases, int(n[-1]))).reshape(cases, -1, step)
        total = np.cumsum(y.sum(2), axis=1)[:, 1:]
        mean = total / n
        square = np.cumsum((y * y).sum(2), axis=1)[:, 1:]
        means.append(mean)
        squared.append(np.maximum(square - n * mean**2, 0) / (n - 1) / n)
        sums = sums + total
    return means[1] - means[0], np.sqrt(squared[0] + squared[1]), sums


def randomized(
    rng: np.random.Generator, rates: tuple[float, float], cases: int, share: float = 0.5
):
    """Conversions of A and B after every unit, each assigned to B with probability `share`."""
    treated = rng.random((cases, 2 * PER_ARM), np.float32) < share
    p = np.where(treated, np.float32(rates[1]), np.float32(rates[0]))
    converted = rng.random((cases, 2 * PER_ARM), np.float32) < p
    x = np.cumsum(converted, axis=1, dtype=np.int32)
    x_b = np.cumsum(converted & treated, axis=1, dtype=np.int32)
    return x - x_b, x_b, converted


def alternating(rng: np.random.Generator, rates: tuple[float, float], cases: int):
    """Conversions of A and B after every unit, assigned by turns."""
    treated = np.arange(2 * PER_ARM) % 2 == 1
    p = np.where(treated, np.float32(rates[1]), np.float32(rates[0]))
    converted = rng.random((cases, 2 * PER_ARM), np.float32) < p
    x = np.cumsum(converted, axis=1, dtype=np.int32)
    x_b = np.cumsum(converted & treated, axis=1, dtype=np.int32)
    return x - x_b, x_b, converted


def coin_crossed(counts, q: float, planned: float, cases: int, share: float = 0.5) -> np.ndarray:
    """Whether e(q) ever reached 20; it moves at conversions alone."""
    x_a, x_b, converted = counts
    log_e = coin.log_e_value(x_a[converted], x_b[converted], q, planned, share=share)
    where = np.broadcast_to(np.arange(cases)[:, None], converted.shape)[converted]
    return np.bincount(where, weights=log_e >= np.log(20), minlength=cases) > 0


def peeking() -> str:
    """Share of null experiments declared a success at any look."""
    lines = [
        f"{EXPERIMENTS:,} experiments without an effect, {2 * PER_ARM:,} units in two arms, looked "
        "at after every one more in each (1 : 9: in the small one), α = 5 %: share declared an "
        f"effect, in % (± {points(0.05, EXPERIMENTS)} if 5 %).",
        "",
        "| outcome | naive, every look | naive, one look | always valid, from the 2nd unit | "
        f"from unit {LATE_UNITS} (and {LATE_CONVERSIONS} conversions) | exact coin, random | "
        "exact coin, by turns |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, name in enumerate([*OUTCOMES, *UNEVEN]):
        shares = [*peeking_errors(row, name), *coin_errors(name)]
        lines.append(f"| {name} | " + " | ".join(percent(s) for s in shares) + " |")
    return "\n".join(lines)


def peeking_errors(row: int, name: str) -> np.ndarray:
    """Shares declared: naively at any look, at the last; always valid from the start, and later."""
    outcome, n_a, n_b = arms_of(name)
    n, found = n_a + n_b, []
    always, single = critical_value(n, n[-1]), stdtrit(n - 2, 0.975)
    for rng, cases in chunks(row):
        difference, error, total = paths(rng, [outcome.draw] * 2, n_a, n_b, cases)
        usual, crossed = np.abs(difference) > single * error, beyond(difference, always, error)
        late = n_a >= LATE_UNITS
        if name.startswith("rate"):
            mean = total / n
            pooled = np.sqrt(mean * (1 - mean) * (1 / n_a + 1 / n_b) * n / (n - 1))
            usual, late = np.abs(difference) > Z * pooled, late & (total >= LATE_CONVERSIONS)
        ever = [usual, usual[:, -1:], crossed, crossed & late]
        found.append(np.stack([e.any(axis=1) for e in ever]))
    return np.concatenate(found, axis=1).mean(axis=1)


def beyond(distance: np.ndarray, critical: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Whether a test rejects; it cannot where nothing has varied yet or no value is critical."""
    reach = np.where(np.isfinite(critical), critical, 0.0) * error
    return (np.abs(distance) > reach) & np.isfinite(critical) & (error > 0)


def coin_errors(name: str) -> list[float]:
    """Share of null experiments the exact test declares, units assigned at random and by turns."""
    if not name.startswith("rate"):
        return [np.nan, np.nan]
    share = 0.9 if name in UNEVEN else 0.5
    p = OUTCOMES[UNEVEN.get(name, name)].mean
    by_chance, by_turns = [], []
    for rng, cases in chunks(20):
        counts = randomized(rng, (p, p), cases, share)
        by_chance.append(coin_crossed(counts, share, 2 * PER_ARM * p, cases, share))
        if share == 0.5:
            counts = alternating(rng, (p, p), cases)
            by_turns.append(coin_crossed(counts, 0.5, 2 * PER_ARM * p, cases))
    return [np.concatenate(e).mean() if e else np.nan for e in (by_chance, by_turns)]


def sequences() -> str:
    """Share of experiments whose confidence sequence held the truth at all looks."""
    lines = [
        f"{EXPERIMENTS:,} experiments of {2 * PER_ARM:,} units, the treatment's mean 1.2 times the "
        "control's: share whose 95 % confidence sequence held the true effect at every look, in % "
        f"(± {points(0.95, EXPERIMENTS)} if 95 %); width at the end over that of a single look.",
        "",
        f"| outcome | interval | from the start | from unit {LATE_UNITS} (and {LATE_CONVERSIONS} "
        "conversions) | width at the end |",
        "|---|---|---|---|---|",
    ]
    for row, name in enumerate([*OUTCOMES, *UNEVEN]):
        early, later, wide = sequence_shares(40 + row, name)
        shares = f"{percent(early)} | {percent(later)} | {wide:.2f} |"
        lines.append(f"| {name} | difference | {shares}")
    for row, rates in enumerate([(0.05, 0.05), (0.05, 0.06), (0.5, 0.5), (0.5, 0.55)]):
        lines.append(coin_row(row, rates))
    return "\n".join(lines)


def sequence_shares(row: int, name: str) -> tuple[float, float, float]:
    """Share that held from the start, share that held later, and the width at the end."""
    outcome, n_a, n_b = arms_of(name)
    n, held, truth = n_a + n_b, [], 0.2 * outcome.mean
    always = critical_value(n, n[-1])
    for rng, cases in chunks(row):
        draws = [outcome.draw, outcome.treated]
        difference, error, total = paths(rng, draws, n_a, n_b, cases)
        out, late = beyond(difference - truth, always, error), n_a >= LATE_UNITS
        if name.startswith("rate"):
            late = late & (total >= LATE_CONVERSIONS)
        held.append(np.stack([~out.any(axis=1), ~(out & late).any(axis=1)]))
    return *np.concatenate(held, axis=1).mean(axis=1), always[-1] / Z


def coin_row(row: int, rates: tuple[float, float]) -> str:
    """The exact sequence of the lift."""
    planned, odds = PER_ARM * sum(rates), rates[1] / rates[0]
    held = []
    widths = []
    for rng, cases in chunks(60 + row):
        counts = randomized(rng, rates, cases)
        held.append(~coin_crossed(counts, odds / (1 + odds), planned, cases))
        if len(widths) < 1:
            x_a, x_b = (x[:, -1].astype(float) for x in counts[:2])
            low, high = coin.lift_ends(x_a, x_b, planned)
            once = ratio_ends(Table(x_a, PER_ARM + 0 * x_a, x_b, PER_ARM + 0 * x_a), Z)
            widths.append(np.median((high - low) / (once[1] - once[0])))
    share = np.concatenate(held).mean()
    label = f"rates {rates[0]:g}, {rates[1]:g}"
    return f"| {label} | lift, exact coin | {percent(share)} | – | {widths[0]:.2f} |"


def power() -> str:
    """Share of simulated experiments of a planned size that find their effect."""
    lines = [
        f"{SIMULATIONS:,} experiments of the planned size, α = 5 %: share that found the effect, "
        f"in % (± {points(0.8, SIMULATIONS)}; with CUPED {ANALYSES:,}, ± {points(0.8, ANALYSES)}).",
        "",
        "| test | units A, B | formula | simulated | error if no effect |",
        "|---|---|---|---|---|",
    ]
    lines += [rate_power(i, *case) for i, case in enumerate(RATE_DESIGNS)]
    lines += [mean_power(i, *case) for i, case in enumerate(MEAN_DESIGNS)]
    return "\n".join(lines)


RATE_DESIGNS = [
    (0.05, 0.01, "unpooled", 1.0, 0.8),
    (0.05, 0.01, "pooled", 1.0, 0.8),
    (0.05, 0.01, "arcsine", 1.0, 0.8),
    (0.05, -0.01, "pooled", 1.0, 0.9),
    (0.001, 0.0005, "pooled", 1.0, 0.8),
    (0.5, 0.03, "pooled", 3.0, 0.8),
    (0.05, 0.01, "pooled", 0.25, 0.8),
    (0.3, 0.1, "pooled", 1.0, 0.5),
]
"""Base rate, effect, method, treated units for each control unit, power."""

MEAN_DESIGNS = [
    ("normal", 0.25, 1.0, 0.0),
    ("exponential", 0.25, 1.0, 0.0),
    ("normal", 0.25, 2.0, 0.0),
    ("normal", 1.0, 1.0, 0.0),
    ("normal, CUPED ρ = 0.5", 0.25, 1.0, 0.5),
    ("normal, CUPED ρ = 0.8", 0.2, 1.0, 0.8),
]
"""Outcome, effect in standard deviations, ratio of the arms, ρ."""


def rate_power(
    row: int, base: float, effect: float, method: str, ratio: float, wanted: float
) -> str:
    """One design for rates, analysed by the score test."""
    metric = Proportion(base, method)
    size = sample_size(metric, effect, power=wanted, ratio=ratio)
    rng, shares = np.random.default_rng([1, row]), []
    for shift in (effect, 0.0):
        x_a = rng.binomial(size.control, base, SIMULATIONS) + 0.0
        x_b = rng.binomial(size.treatment, base + shift, SIMULATIONS) + 0.0
        table = Table(x_a, float(size.control), x_b, float(size.treatment))
        shares.append((np.abs(difference_score(table, 0.0)) >= Z).mean())
    formula = power_of(metric, effect, size.control, ratio=ratio)
    label = f"rates {base:g}, {base + effect:g}, {method}"
    return design_row(label, size, formula, *shares)


def mean_power(row: int, name: str, effect: float, ratio: float, rho: float) -> str:
    """One design for means, analysed by Welch's t test, or by `cuped` where ρ > 0."""
    explained = rho**2
    size = sample_size(Mean(1.0), effect, ratio=ratio, explained=explained)
    rng, shares, cases = np.random.default_rng([2, row]), [], 1_000
    experiments = ANALYSES if rho else SIMULATIONS
    for shift in (effect, 0.0):
        hits = []
        for _ in range(experiments // cases):
            arms = [outcome(rng, name, rho, (cases, n)) for n in size]
            hits.append(rejected(arms, shift, rho > 0))
        shares.append(np.concatenate(hits).mean())
    formula = power_of(Mean(1.0), effect, size.control, ratio=ratio, explained=explained)
    return design_row(f"mean, {name}, effect {effect:g} sd", size, formula, *shares)


def outcome(rng: np.random.Generator, name: str, rho: float, shape: tuple[int, int]):
    """Outcomes of variance 1 and a covariate of correlation ρ."""
    if name == "exponential":
        return rng.standard_exponential(shape), np.zeros(shape)
    x = rng.standard_normal(shape)
    return rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(shape), x


def rejected(arms: list, shift: float, adjust: bool) -> np.ndarray:
    """Whether each of many experiments rejects, two-sided at 5 %."""
    (y_a, x_a), (y_b, x_b) = arms
    if not adjust:
        n_a, n_b = y_a.shape[1], y_b.shape[1]
        v_a, v_b = y_a.var(1, ddof=1) / n_a, y_b.var(1, ddof=1) / n_b
        df = (v_a + v_b) ** 2 / (v_a**2 / (n_a - 1) + v_b**2 / (n_b - 1))
        t = (y_b.mean(1) + shift - y_a.mean(1)) / np.sqrt(v_a + v_b)
        return np.abs(t) >= stdtrit(df, 0.975)
    rows = zip(y_a, x_a, y_b + shift, x_b, strict=True)
    return np.array([cuped(*row).p_value() <= 0.05 for row in rows])


def design_row(label: str, size, formula: float, found: float, error: float) -> str:
    units = f"{size.control:,}, {size.treatment:,}"
    return f"| {label} | {units} | {100 * formula:.1f} | {percent(found)} | {percent(error)} |"


def coverage() -> str:
    """Share of intervals of a single look that hold the truth."""
    lines = [
        "Share of 95 % intervals of a single look that held the truth, in %: "
        f"{SIMULATIONS:,} experiments for rates (± {points(0.95, SIMULATIONS)}), {ANALYSES:,} for "
        f"the others (± {points(0.95, ANALYSES)}).",
        "",
        "| experiment | difference | lift | for comparison |",
        "|---|---|---|---|",
    ]
    lines += [rate_coverage(i, *case) for i, case in enumerate(RATE_EXPERIMENTS)]
    lines += [analysis_coverage(i, *case) for i, case in enumerate(ANALYSED)]
    return "\n".join([*lines, belief_coverage()])


RATE_EXPERIMENTS = [
    (0.05, 0.06, 1000, 1000),
    (0.002, 0.003, 3000, 3000),
    (0.01, 0.01, 400, 100),
    (0.5, 0.6, 50, 50),
]
"""Rates and units of A and B."""


def rate_coverage(row: int, p_a: float, p_b: float, n_a: int, n_b: int) -> str:
    """Score intervals beside the usual ones, which a rate of 0 makes empty."""
    rng = np.random.default_rng([3, row])
    x_a, x_b = (rng.binomial(n, p, SIMULATIONS) + 0.0 for n, p in ((n_a, p_a), (n_b, p_b)))
    table = Table(x_a, float(n_a), x_b, float(n_b))
    difference = within(p_b - p_a, *difference_ends(table, Z))
    lift = within(p_b / p_a, *ratio_ends(table, Z))
    y_a, y_b = x_a / n_a, x_b / n_b
    reach = Z * np.sqrt(y_a * (1 - y_a) / n_a + y_b * (1 - y_b) / n_b)
    wald = within(p_b - p_a, y_b - y_a - reach, y_b - y_a + reach)
    with np.errstate(divide="ignore", invalid="ignore"):
        divided = within(p_b / p_a - 1, (y_b - y_a - reach) / y_a, (y_b - y_a + reach) / y_a)
    label = f"rates {p_a:g}, {p_b:g}; {n_a:,} and {n_b:,} units; score"
    beside = f"Wald {percent(wald)}, its ends divided {percent(divided)}"
    return f"| {label} | {percent(difference)} | {percent(lift)} | {beside} |"


def within(truth: float, low: np.ndarray, high: np.ndarray) -> float:
    """Share of intervals that hold the truth."""
    return float(((low <= truth) & (truth <= high)).mean())


def skewed_means(rng: np.random.Generator):
    a, b = rng.gamma(2, 1, 100), rng.gamma(2, 1.5, 60)
    return compare(Moments.of(a), Moments.of(b)), 1.0, 0.5


def ratio_metric(rng: np.random.Generator):
    """Clicks a page view; views and clicks of a user go together."""
    arms = []
    for lift in (1.0, 1.2):
        views = 1 + rng.poisson(rng.gamma(2, 2, 400))
        clicks = rng.binomial(views, lift * rng.beta(2, 18, 400) / (1 + 0.02 * views))
        arms.append(ratio_moments(clicks, views))
    return compare(*arms), *RATIO_TRUTH


def ratio_truth() -> tuple[float, float]:
    """E[clicks] / E[views] of both arms, by a long sum over views."""
    from scipy.stats import nbinom

    v = np.arange(400)
    w = nbinom.pmf(v, 2, 1 / 3)
    views = 1 + v
    base = float((w * views * 0.1 / (1 + 0.02 * views)).sum() / (w * views).sum())
    return 0.2 * base, 0.2


RATIO_TRUTH = ratio_truth()


def covariate(rng: np.random.Generator, effect: float, n: int = 50):
    x = rng.gamma(4, 1, (2, n))
    y = 10 + 2 * x + rng.normal(0, 2, (2, n))
    return cuped(y[0], x[0], y[1] + effect, x[1]), effect, effect / 18


def strata(rng: np.random.Generator, known: bool):
    share, base, effect = np.array([0.6, 0.3, 0.1]), np.array([2.0, 5, 20]), np.array([0.2, 1, 5])
    arms = []
    for mean in (base, base + effect):
        n = (200 * share).astype(int) if known else 2 + rng.multinomial(194, share)
        arms.append(
            {
                k: Moments.of(rng.gamma(4, m / 4, size))
                for k, (m, size) in enumerate(zip(mean, n, strict=True))
            }
        )
    shares = dict(enumerate(share)) if known else None
    return stratified(*arms, shares), share @ effect, share @ effect / (share @ base)


ANALYSED = [
    ("means of gamma outcomes, 100 and 60 units", skewed_means),
    ("ratio metric, 400 users an arm, delta method", ratio_metric),
    ("CUPED, ρ = 0.89, 50 units an arm, no effect", lambda rng: covariate(rng, 0.0)),
    ("CUPED, ρ = 0.89, 50 units an arm, lift 50 %", lambda rng: covariate(rng, 9.0)),
    ("strata of known shares, 200 units an arm", lambda rng: strata(rng, True)),
    ("post-stratified, 200 units an arm", lambda rng: strata(rng, False)),
]


def analysis_coverage(row: int, label: str, experiment: Callable) -> str:
    """Intervals of the library, experiment by experiment."""
    rng, held = np.random.default_rng([4, row]), []
    for _ in range(ANALYSES):
        pair, truth, lift = experiment(rng)
        d, r, g = pair.difference(), pair.lift(), pair.lift(method="log")
        divided = (d.low / pair.control, d.high / pair.control)
        held.append(
            [
                d.low <= truth <= d.high,
                r.low <= lift <= r.high,
                g.low <= lift <= g.high,
                divided[0] <= lift <= divided[1],
            ]
        )
    shares = [percent(s) for s in np.mean(held, axis=0)]
    beside = f"log ratio {shares[2]}, ends divided {shares[3]}"
    return f"| {label} | {shares[0]} | {shares[1]} | {beside} |"


def belief_coverage() -> str:
    """Credible intervals where the rates are drawn from the prior: they must be exact."""
    rng, held, cases = np.random.default_rng(5), [], 1_000
    for _ in range(cases):
        p = rng.beta(3, 30, 2)
        x = rng.binomial(200, p)
        found = beliefs({"a": Counts(x[0], 200), "b": Counts(x[1], 200)}, (3.0, 30.0))
        d, r = found.difference("a", "b"), found.lift("a", "b")
        held.append([d.low <= p[1] - p[0] <= d.high, r.low <= p[1] / p[0] - 1 <= r.high])
    shares = " | ".join(percent(s) for s in np.mean(held, axis=0))
    note = f"{cases:,} experiments: ± {points(0.95, cases)}"
    return f"| Bayes, rates drawn from the prior Beta(3, 30), 200 units | {shares} | {note} |"


def boundaries() -> str:
    """Error and power of a few planned looks, in simulated data."""
    five = np.arange(1, 6) / 5
    plans = {
        "naive, 5 looks": naive(5),
        "Pocock, 5 looks": pocock(5),
        "O'Brien–Fleming, 5 looks": obrien_fleming(5),
        "spending (O'Brien–Fleming), 5 looks": spending(five),
        "spending (Pocock), looks at 10, 15, 60, 100 %": spending(
            np.array([0.1, 0.15, 0.6, 1.0]), kind="pocock"
        ),
        "Pocock, 20 looks": pocock(20),
    }
    lines = [
        f"{SIMULATIONS:,} experiments of 20,000 units in each arm, a rate of 0.05 without and with "
        f"an effect, in % (± {points(0.05, SIMULATIONS)} and {points(0.8, SIMULATIONS)}). Units "
        "used on average are shares of the plan, with the effect.",
        "",
        "| plan | error, exact | error, simulated | power, exact | power, simulated | "
        "units used, exact | simulated | largest sample over a single look's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(boundary_row(i, *item) for i, item in enumerate(plans.items()))])


def boundary_row(row: int, name: str, plan: Boundary) -> str:
    """One plan, with an effect of drift 3."""
    n, base, drift = 20_000, 0.05, 3.0
    effect = drift * np.sqrt(2 * base * (1 - base) / n)
    rng, found = np.random.default_rng([6, row]), []
    for shift in (0.0, effect):
        first = first_stop(rng, plan, n, base - shift / 2, base + shift / 2)
        used = np.append(plan.information, 1.0)[first].mean()
        found += [(first < len(plan.z)).mean(), used]
    error, _, power_found, used = found
    exact = [percent(plan.type_one), percent(plan.power(drift))]
    return (
        f"| {name} | {exact[0]} | {percent(error)} | {exact[1]} | {percent(power_found)} | "
        f"{plan.expected_share(drift):.3f} | {used:.3f} | {plan.inflation():.3f} |"
    )


def first_stop(
    rng: np.random.Generator, plan: Boundary, n: int, p_a: float, p_b: float
) -> np.ndarray:
    """The look at which each experiment stops, or the number of looks."""
    units = np.diff(np.round(n * plan.information), prepend=0).astype(int)
    x_a, x_b = (np.cumsum(rng.binomial(units, p, (SIMULATIONS, len(units))), 1) for p in (p_a, p_b))
    table = Table(x_a + 0.0, np.cumsum(units) + 0.0, x_b + 0.0, np.cumsum(units) + 0.0)
    beyond = np.abs(difference_score(table, 0.0)) >= plan.z
    return np.where(beyond.any(1), beyond.argmax(1), len(units))


def percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.2f}"


def points(share: float, cases: int) -> str:
    """Standard error of a share, in points."""
    return f"{100 * np.sqrt(share * (1 - share) / cases):.2f}"


PARTS = {
    "peeking": peeking,
    "sequences": sequences,
    "power": power,
    "coverage": coverage,
    "boundaries": boundaries,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="all if left out")
    for part in parser.parse_args().part or PARTS:
        print(f"### {part.capitalize()}\n\n{PARTS[part]()}\n", flush=True)


if __name__ == "__main__":
    main()
