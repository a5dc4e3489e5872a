"""Is the value of a test what it brings when it is really run, and does ranking by it pay?

    python benchmarks/next_test.py worth --cases 60
    python benchmarks/next_test.py choice --markets 12

`worth` takes one market and runs the best-ranked test again and again: a truth is drawn from the
posterior, its lift measured with noise, the model fitted anew to data and lift (no reweighting of
draws), the budget divided anew, and both plans valued under the truth. The mean gain estimates what
`value_of_information` computed without a fit.

`choice` lets three rules choose the next test on simulated markets: the value of information, the
channel of the widest ROI interval, and the channel of the widest contribution (each switched off
for 8 weeks, as people do who rank by uncertainty). The chosen test is run in the real world that
made the market, and the plan that follows is valued there.
"""

import argparse
import time
from dataclasses import replace

import numpy as np

from channelwise.decisions.budget.allocation import allocate
from channelwise.decisions.budget.constraints import Constraints
from channelwise.decisions.budget.market_curves import curves_of
from channelwise.decisions.information.fewer_terms import fewer_terms
from channelwise.decisions.information.next_test import plan_test
from channelwise.decisions.information.proposed_test import ProposedTest, as_lift_test, proposals
from channelwise.decisions.information.value_of_information import Decision, value_of_information
from channelwise.response.additive import contribution_of
from channelwise.response.effects import Effects
from channelwise.response.fit import fit
from channelwise.response.lift import LiftTest, changed_media, periods
from channelwise.response.mmm import Model
from channelwise.response.simulate import SimulatedMarket, family_market

MODEL = Model(prior_on="roi")
CHECKS = ("finite", "chains", "rhat", "ess_bulk", "ess_tail", "divergences", "energy", "baseline",
          "autocorrelation", "outliers", "prior")  # fmt: skip
HORIZON = 52


def market_of(seed: int) -> SimulatedMarket:
    return family_market(seed, weeks=104, channels=4, collinearity=0.8)


def planned(posterior, draws: int = 500) -> np.ndarray:
    """The spend of the best plan for a year, (channel,)."""
    curves = curves_of(posterior, draws=draws, periods=HORIZON, override=CHECKS)
    return allocate(fewer_terms(curves), constraints_of(curves)).spend


def constraints_of(curves) -> Constraints:
    return Constraints(float(curves.today.sum()), change=0.5)


def worth(cases: int) -> None:
    """Mean realized gain of the test, by refits, beside its value of information."""
    market = market_of(3).market
    posterior = fit(market, MODEL, seed=1, draws=1000)
    print("| test | EVSI (± error), reweighting | gain, refits (± error) | fits | s a value |")
    print("|---|---|---|---|---|")
    curves = curves_of(posterior, draws=1000, periods=HORIZON, override=CHECKS)
    decision, effects = Decision(curves, constraints_of(curves)), Effects(posterior, draws=1000)
    before, _ = decision.plan.spend, decision.perfect  # makes the grid that all tests share
    for test in (ProposedTest({"tv": 0.0}, 8), ProposedTest({"tv": 0.0, "search": 2.0}, 12)):
        played = as_lift_test(test, effects)
        lift = effects.lift(played)
        began = time.perf_counter()
        value = value_of_information(decision, lift, played.standard_error)
        seconds = time.perf_counter() - began
        gains = []
        for i in range(cases):
            s = (i * 997) % len(lift)
            noise = np.random.default_rng(i).standard_normal()
            measured = replace(played, lift=float(lift[s] + played.standard_error * noise))
            after = planned(fit(market, MODEL, seed=i, lift_tests=[measured], start=posterior))
            truth = curves.only(np.array([s]))
            gains.append(truth.expected(after).sum() - truth.expected(before).sum())
        error = np.std(gains, ddof=1) / np.sqrt(cases)
        print(
            f"| {test.label} | {value.value:,.0f} (± {value.error:,.0f}) | {np.mean(gains):,.0f} "
            f"(± {error:,.0f}) | {cases} | {seconds:.2f} |",
            flush=True,
        )


def really(known: SimulatedMarket, played: LiftTest, rng: np.random.Generator) -> LiftTest:
    """The test as measured in the world that made the market."""
    worlds = np.stack(
        [changed_media(played, known.market, np.ones(1))[0], known.market.exposure[0]]
    )
    first, _, stop = periods(played, known.market)
    brought = contribution_of(worlds, known.market, known.truth.parameters)[:, first:stop]
    lift = float((brought[0] - brought[1]).sum() + played.standard_error * rng.standard_normal())
    return replace(played, lift=lift)


def true_worth(known: SimulatedMarket, spend: np.ndarray) -> float:
    """What a plan for a year really brings, as a share of the record's length."""
    share = HORIZON / known.market.n_observed
    factors = spend / (share * known.market.total_spend)
    return float(share * known.truth.expected(factors[None]).sum())


def choice(markets: int, first: int) -> None:
    """Realized gains of three rules for the next test."""
    rules = ("value of information", "widest ROI", "widest contribution")
    gains = {rule: [] for rule in rules}
    foreseen, best = {rule: [] for rule in rules}, []
    for seed in range(first, first + markets):
        known = market_of(100 + seed)
        posterior = fit(known.market, MODEL, seed=seed)
        curves = curves_of(posterior, draws=500, periods=HORIZON, override=CHECKS)
        tests = proposals(known.market, factors=(0.0,), periods=(8,))
        ranked = plan_test(
            posterior, tests, constraints_of(curves), periods=HORIZON, override=CHECKS
        )
        by_name = {next(iter(v.test.factor)): v for v in ranked.tests}
        names = known.market.channels
        width = np.ptp(np.quantile(posterior.flat("roi"), (0.05, 0.95), axis=0), axis=0)
        money = np.ptp(np.quantile(posterior.flat("contribution"), (0.05, 0.95), axis=0), axis=0)
        most = max(ranked.tests, key=lambda v: v.value)
        chosen = dict(zip(rules, (next(iter(most.test.factor)), names[width.argmax()],
                                  names[money.argmax()]), strict=True))  # fmt: skip
        before = true_worth(known, ranked.plan.spend)
        run = {}
        for name in set(chosen.values()):
            rng = np.random.default_rng([seed, names.index(name)])
            seen = really(known, by_name[name].played, rng)
            after = planned(fit(known.market, MODEL, seed=seed, lift_tests=[seen]))
            run[name] = true_worth(known, after) - before
        for rule, name in chosen.items():
            gains[rule].append(run[name] / known.market.total_spend.sum())
            foreseen[rule].append(by_name[name].value / known.market.total_spend.sum())
        best.append(ranked.perfect / known.market.total_spend.sum())
    print("| the next test by | value foreseen, % of spend | realized, % of spend (± error) |")
    print("|---|---|---|")
    for rule in rules:
        error = np.std(gains[rule], ddof=1) / np.sqrt(markets)
        means = np.mean(foreseen[rule]), np.mean(gains[rule])
        print(f"| {rule} | {means[0]:.2%} | {means[1]:.2%} (± {error:.2%}) |")
    print(f"\n{markets} markets; knowing everything is worth {np.mean(best):.2%} of the spend.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["worth", "choice"])
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--markets", type=int, default=12)
    parser.add_argument("--first", type=int, default=0, help="number of the first market")
    options = parser.parse_args()
    if options.what == "worth":
        worth(options.cases)
    else:
        choice(options.markets, options.first)


if __name__ == "__main__":
    main()
