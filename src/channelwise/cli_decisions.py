"""The commands that decide: `channelwise allocate` and `channelwise plan-test`.

Both fit a market's file as `channelwise fit` does (or take up draws that were saved), ask the gate,
and print; nothing is written but what is asked for, and nothing at all if something is wrong.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FORMS = ("none", "geometric", "delayed", "binomial", "weibull_pdf", "weibull_cdf")
_BENDS = ("none", "hill", "michaelis_menten", "logistic", "tanh", "root")
_PRIORS = ("roi", "coefficient", "marginal_roi", "contribution")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Options of the fit, with the defaults of chapter 11."""
    parser.add_argument("--adstock", choices=_FORMS, default="geometric", help="carry-over")
    parser.add_argument("--lags", type=int, default=8, metavar="N", help="its longest lag (8)")
    parser.add_argument(
        "--saturation", choices=_BENDS, default="michaelis_menten", help="diminishing return"
    )
    parser.add_argument("--prior-on", choices=_PRIORS, default="roi", help="what the prior is on")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the fit (0)")
    parser.add_argument("--save", type=Path, metavar="FILE.npz", help="keep the fit's draws")
    parser.add_argument(
        "--override",
        type=names,
        default=[],
        metavar="A,B",
        help="failed checks you accept by name; every table then says so",
    )


def add_decision(parser: argparse.ArgumentParser) -> None:
    """Options of the budget decision."""
    parser.add_argument(
        "--budget", type=float, metavar="B", help="currency over the horizon (default: today's)"
    )
    parser.add_argument(
        "--periods", type=int, metavar="N", help="of the horizon (default: a year's)"
    )
    parser.add_argument(
        "--objective", choices=("outcome", "profit"), default="outcome", help="to be maximized"
    )
    parser.add_argument(
        "--margin", type=float, default=1.0, metavar="M", help="share of the outcome that is kept"
    )
    amounts = {"type": amounts_of, "default": {}, "metavar": "CHANNEL=X,…"}
    parser.add_argument("--lower", **amounts, help="least spend, currency over the horizon")
    parser.add_argument("--upper", **amounts, help="most spend")
    parser.add_argument("--if-used", **amounts, help="least spend of a channel that is used at all")
    parser.add_argument(
        "--change",
        type=change_of,
        metavar="SHARE",
        help="by which channels may move from today: 0.3, or CHANNEL=0.3,…",
    )
    parser.add_argument(
        "--group",
        dest="groups",
        type=group_of,
        action="append",
        default=[],
        metavar="NAME=A+B:LOW..HIGH",
        help="limits on what several channels spend together (repeat for more)",
    )
    parser.add_argument(
        "--target-roi", type=float, metavar="R", help="least return of the whole plan"
    )


def allocate(options: argparse.Namespace, check: Callable[[], int]) -> int:
    """`channelwise allocate`."""

    def decide(posterior) -> int:
        from channelwise.decisions.budget.allocation import allocate
        from channelwise.decisions.budget.frontier import constraint_costs

        curves = _curves(options, posterior)
        constraints = _constraints(options, float(curves.today.sum()))
        plan = allocate(curves, constraints, objective=options.objective, margin=options.margin)
        print(_printed(plan.table()), "", plan.verdict, plan.certificate, sep="\n")
        costs = constraint_costs(curves, constraints, plan)
        if (costs["costs"] > 1e-9 * abs(plan.certificate.value)).any():
            print("", "what each constraint costs", _printed(costs), sep="\n")
        if plan.extrapolated:
            beyond = ", ".join(plan.extrapolated)
            print(f"beyond any spend in the data: {beyond}. Move there in steps, or test first.")
        for path, write in ((options.output, plan.to_csv), (options.json, plan.to_json)):
            if path is not None:
                write(path)
                print(f"written: {path}")
        return 0

    return _decided(options, check, decide)


def plan_test(options: argparse.Namespace, check: Callable[[], int]) -> int:
    """`channelwise plan-test`."""

    def decide(posterior) -> int:
        from channelwise.decisions.information.next_test import plan_test
        from channelwise.decisions.information.proposed_test import ProposedTest

        tests = [ProposedTest(**test) for test in options.tests] or None
        ranked = plan_test(
            posterior,
            tests,
            _constraints(options, _today(options, posterior)),
            periods=options.periods,
            objective=options.objective,
            margin=options.margin,
            override=tuple(options.override),
        )
        table = ranked.table()
        print(_printed(table.head(options.top)), "", ranked, sep="\n")
        if options.output is not None:
            from channelwise.decisions.budget.plan import write

            write(options.output, table.to_csv())
            print(f"written: {options.output}")
        return 0

    return _decided(options, check, decide)


def _decided(options: argparse.Namespace, check: Callable[[], int], decide: Callable) -> int:
    """Reads or fits, then decides; a mistake or a closed gate becomes its sentences."""
    from channelwise.decisions.budget.constraints import ConstraintError
    from channelwise.response.archive import ArchiveError
    from channelwise.response.gate import GateError
    from channelwise.response.lift import LiftError

    try:
        if options.data.suffix != ".npz" and (status := check()):
            return status
        return decide(_posterior(options))
    except GateError as refused:
        print(refused, file=sys.stderr)
        return 1
    except (ConstraintError, ArchiveError, LiftError, ValueError) as error:
        print(f"channelwise: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"channelwise: {error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 2


def _posterior(options: argparse.Namespace):
    from channelwise.response.posterior import Posterior

    if options.data.suffix == ".npz":
        return Posterior.load(options.data)
    from channelwise.response.fit import fit
    from channelwise.response.market import read_market
    from channelwise.response.mmm import Model

    market, _, _ = read_market(options.data, **options.roles)
    model = Model(
        adstock=options.adstock,
        lags=options.lags,
        saturation=options.saturation,
        prior_on=options.prior_on,
    )
    posterior = fit(market, model, seed=options.seed)
    if options.save is not None:
        posterior.save(options.save)
        print(f"written: {options.save}")
    return posterior


def _curves(options: argparse.Namespace, posterior):
    from channelwise.decisions.budget.market_curves import curves_of

    horizon = _horizon(options, posterior)
    return curves_of(posterior, periods=horizon, override=tuple(options.override))


def _today(options: argparse.Namespace, posterior) -> float:
    """What all channels spend over the horizon as things are."""
    from channelwise.decisions.budget.market_curves import today_of

    return float(today_of(posterior.market, _horizon(options, posterior)).sum())


def _horizon(options: argparse.Namespace, posterior) -> int:
    year = round(365.25 / posterior.market.period_days)
    return year if options.periods is None else options.periods


def _constraints(options: argparse.Namespace, today: float):
    from channelwise.decisions.budget.constraints import ConstraintError, Constraints, Group

    groups = {name: Group(*group) for name, group in options.groups}
    if len(groups) < len(options.groups):
        raise ConstraintError("Two groups have the same name: give each one of its own.")
    return Constraints(
        budget=today if options.budget is None else options.budget,
        lower=options.lower,
        upper=options.upper,
        change=options.change,
        if_used=options.if_used,
        groups=groups,
        target_roi=options.target_roi,
    )


def _printed(frame) -> str:
    """A table with four significant digits."""
    return frame.to_string(float_format=lambda x: f"{x:,.4g}", na_rep="")


def names(text: str) -> list[str]:
    """Names separated by commas; one that holds a comma stands in double quotes."""
    import csv

    return [name.strip() for name in next(csv.reader([text]), []) if name.strip()]


def amounts_of(text: str) -> dict[str, float]:
    """tv=1000,search=500"""
    pairs = [part.rpartition("=") for part in names(text)]
    try:
        amounts = {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        amounts = {"": 0.0}
    if "" in amounts or not amounts:
        raise argparse.ArgumentTypeError(f"{text!r} is not CHANNEL=AMOUNT,…")
    return amounts


def change_of(text: str) -> float | dict[str, float]:
    """0.3, or tv=0.3,search=0.5"""
    if "=" in text:
        return amounts_of(text)
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a share nor CHANNEL=SHARE,…"
        ) from None


def group_of(text: str) -> tuple[str, tuple[Any, ...]]:
    """digital=search+social:0..50000; either limit may be left out"""
    name, _, rest = text.partition("=")
    members, _, limits = rest.rpartition(":")
    low, dots, high = limits.partition("..")
    channels = tuple(c.strip() for c in members.split("+") if c.strip())
    try:
        if not (name and channels and dots):
            raise ValueError
        return name.strip(), (channels, float(low or 0), float(high or "inf"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=A+B:LOW..HIGH") from None


def test_of(text: str) -> dict[str, Any]:
    """tv=0:8, or tv=0+search=0:8:5000: changes, periods, cost"""
    changes, *rest = text.split(":")
    try:
        factor = {}
        for part in changes.split("+"):
            name, sign, value = part.rpartition("=")
            if not (name and sign):
                raise ValueError
            factor[name.strip()] = float(value)
        periods, cost = int(rest[0]), float(rest[1]) if len(rest) > 1 else 0.0
        if len(rest) > 2:
            raise ValueError
    except (ValueError, IndexError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not CHANNEL=FACTOR:PERIODS[:COST], such as tv=0:8:5000"
        ) from None
    return {"factor": factor, "periods": periods, "cost": cost}
