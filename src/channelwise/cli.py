"""The roof: the `channelwise` command.

Each command imports what it needs when it is called, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from channelwise import cli_decisions

_INTRO = """\
Executable notebooks: run them with your own parameters and data, read one report a run.

  channelwise list                          what there is, and how it stands
  channelwise describe 01_activations       what can be changed in a notebook
  channelwise run 01_activations            run it; the report is one HTML file
  channelwise run 01 -p depth=50            the same with another value
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0 if everything succeeded, 1 if something ran and failed, 2 for a mistake in the command,
        130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        return _checked(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone; nothing is left to say to it
        return 1


def _checked(options: argparse.Namespace) -> int:
    """Calls the command; a user's mistake becomes one sentence."""
    from channelwise.notebook.values import ParameterError
    from channelwise.runs.errors import UsageError

    if options.command == "predict":
        return _predict_rows(options)
    if options.command == "check":
        return _check_market(options)
    if options.command in ("allocate", "plan_test"):
        return _decide(options)
    from channelwise.runs import commands

    try:
        if options.command == "fit":
            return _fit_market(options)
        return getattr(commands, options.command)(options)
    except (UsageError, ParameterError) as error:
        return _refuse(error)


def _refuse(error: Exception) -> int:
    print(f"channelwise: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="channelwise",
        description=_INTRO,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=28
        ),
        epilog="`channelwise COMMAND --help` explains a command with examples.",
    )
    from channelwise import __version__

    parser.add_argument("-V", "--version", action="version", version=f"channelwise {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    every = (_run, _sweep, _report, _list, _describe, _refresh, _predict)
    for add in (*every, _check, _fit, _allocate, _plan_test):
        add(commands)
    return parser


def _command(commands, name: str, summary: str, details: str, examples: str, command: str):
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{details}\n\nexamples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the reports (default: reports)"
    )
    parser.add_argument(
        "--notebooks",
        type=Path,
        metavar="DIR",
        help="folder of the notebooks (default: the nearest `notebooks` from here upwards)",
    )


def _running(parser: argparse.ArgumentParser, jobs: int | None, default: str | None = None) -> None:
    parser.add_argument(
        "-p",
        dest="parameters",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter (repeat for more); see `channelwise describe NOTEBOOK`",
    )
    parser.add_argument(
        "-f",
        dest="set",
        metavar="FILE",
        help="a YAML file of parameters, or the bare name of one of the notebook's sets",
    )
    parser.add_argument("--name", help="name of the run, the folder of its report")
    parser.add_argument(
        "--timeout", type=_positive, metavar="SECONDS", help="end a run that takes longer"
    )
    parser.add_argument(
        "--force", action="store_true", help="run again even if nothing has changed"
    )
    parser.add_argument(
        "--jobs",
        type=_count,
        default=jobs,
        metavar="N",
        help=f"runs at a time (default: {default or jobs})",
    )
    _folders(parser)


def _run(commands) -> None:
    parser = _command(
        commands,
        "run",
        "run notebooks and write their reports",
        "Runs notebooks without opening them, each with one report,\n"
        "reports/NOTEBOOK/NAME/report.html. What has not changed since its last good run is not\n"
        "run again.",
        "  channelwise run --all\n"
        "  channelwise run 01_activations -p depth=50 -p activation=tanh\n"
        "  channelwise run 04_tabular -f params/04_tabular/credit.yaml\n"
        "  channelwise run 04_tabular -p data=my.csv --name mine",
        "run",
    )
    parser.add_argument(
        "notebooks_to_run",
        nargs="*",
        metavar="NOTEBOOK",
        help="a name such as 01_activations, the beginning of one, or a path",
    )
    parser.add_argument("--all", action="store_true", help="every notebook")
    _running(parser, jobs=1)


def _sweep(commands) -> None:
    parser = _command(
        commands,
        "sweep",
        "run a notebook over a grid of parameters and compare",
        "Runs a notebook at every combination of the values given with -g, several at a time, and\n"
        "ends in one comparative report: reports/NOTEBOOK/SWEEP/report.html.\n\n"
        "With --scheduler the points run on the workers of a Dask cluster (pip install\n"
        "channelwise[dask]), which need the same channelwise and packages as this machine, but no\n"
        "shared files: data they lack is sent along, and what is finished comes back. A worker\n"
        "that dies loses nothing, its points run again. A Dask scheduler runs whatever code it is\n"
        "sent; keep it in a network you trust.",
        "  channelwise sweep 04_tabular -g learning_rate=1e-4,1e-3,1e-2 -g seed=0..4 --jobs 2\n"
        "  channelwise sweep 01_activations -g activation=relu,tanh -p depth=50 --name two\n"
        "  channelwise sweep 04_tabular -g seed=0..99 --scheduler tcp://host:8786",
        "sweep",
    )
    parser.add_argument("notebook", metavar="NOTEBOOK", help="as in `channelwise run`")
    parser.add_argument(
        "-g",
        dest="grid",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="values of a parameter: 1,2,3 or 0..4 (both ends included); repeat for more",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run the points on the cluster of this Dask scheduler, such as tcp://host:8786",
    )
    _running(parser, jobs=None, default="2; on a cluster, as many as it has threads")


def _report(commands) -> None:
    parser = _command(
        commands,
        "report",
        "write the index of all reports again",
        "Writes reports/index.html from the runs that are there.",
        "  channelwise report",
        "report",
    )
    _folders(parser)


def _list(commands) -> None:
    parser = _command(
        commands,
        "list",
        "list notebooks and runs with their status",
        "Lists every notebook and every run with its status.",
        "  channelwise list",
        "list_runs",
    )
    _folders(parser)


def _describe(commands) -> None:
    parser = _command(
        commands,
        "describe",
        "say what can be changed in a notebook",
        "Lists a notebook's parameters with type, range, default and meaning, and its sets.",
        "  channelwise describe 01_activations",
        "describe",
    )
    parser.add_argument("notebook", metavar="NOTEBOOK", help="as in `channelwise run`")
    _folders(parser)


def _refresh(commands) -> None:
    parser = _command(
        commands,
        "refresh",
        "execute the committed notebooks in place",
        "Executes notebooks at their defaults and stores the outputs in the notebooks themselves,\n"
        "without what differs from one execution to the next. Nothing changes if a cell fails.",
        "  channelwise refresh\n  channelwise refresh 01_activations",
        "refresh",
    )
    parser.add_argument("notebooks_to_run", nargs="*", metavar="NOTEBOOK", help="default: all")
    parser.add_argument("--timeout", type=_positive, metavar="SECONDS", help="limit for each")
    parser.add_argument("--jobs", type=_count, default=1, metavar="N", help="notebooks at a time")
    _folders(parser)


def _predict(commands) -> None:
    parser = _command(
        commands,
        "predict",
        "predict for the rows of a new file with a saved model",
        "Reads a model saved by chapter 4 and predicts for every row of a CSV or Parquet file.",
        "  channelwise predict model/ new.csv\n  channelwise predict model/ new.csv -o scored.csv",
        "predict",
    )
    parser.add_argument("model", type=Path, metavar="MODEL_DIR", help="folder of the saved model")
    parser.add_argument("data", type=Path, metavar="NEW.csv", help="rows to predict for")
    parser.add_argument(
        "-o", dest="output", type=Path, metavar="OUT.csv", help="where to write (default: screen)"
    )
    parser.add_argument(
        "--unseen",
        choices=("refuse", "other"),
        default="refuse",
        help="rows with categories no training row had: refuse them, or count them as `other`",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability from which a row is called positive (default: the model's own)",
    )
    parser.add_argument("--separator", metavar="S", help="of the file (default: found from it)")


def _predict_rows(options: argparse.Namespace) -> int:
    from channelwise.learning.data.files import TableError
    from channelwise.learning.persist import ModelFolderError
    from channelwise.learning.predict import predict_file

    try:
        done = predict_file(
            options.model,
            options.data,
            options.output,
            unseen=options.unseen,
            threshold=options.threshold,
            separator=options.separator,
        )
    except (TableError, ModelFolderError) as error:
        return _refuse(error)
    for note in done.notes:
        print(f"channelwise: {note}", file=sys.stderr)
    return 0


def _check(commands) -> None:
    parser = _command(
        commands,
        "check",
        "look at a file of spend and outcome before a fit",
        "Says what each column of a CSV or Parquet file is taken for, what is wrong with the data\n"
        "or will make channels hard to tell apart, and draws them. Columns that are not named are\n"
        "found from their names and contents; lists are separated by commas.",
        "  channelwise check my.csv\n"
        "  channelwise check my.csv --outcome sales --spend tv_cost,radio_cost --controls price\n"
        "  channelwise check my.csv --exposure tv=tv_impressions --geo region",
        "check",
    )
    parser.add_argument("data", type=Path, metavar="MY.csv", help="one row a period and geo")
    _roles(parser)
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="where to draw (default: MY.check.png, here)"
    )


def _fit(commands) -> None:
    parser = _command(
        commands,
        "fit",
        "fit your file of spend and outcome, and write the report",
        "Runs chapter 11 with your file: what each channel brought, its ROI, the ROI of its next\n"
        "unit of currency, and how far all that can be trusted. Looks at the file first, as\n"
        "`channelwise check` does. Where a check of the fit fails, no ROI is shown: the report\n"
        "then says why and what to do, and the command ends with status 1.",
        "  channelwise fit my.csv\n"
        "  channelwise fit my.csv --outcome sales --spend tv_cost,radio_cost --controls price\n"
        "  channelwise fit my.csv -p prior_on=coefficient -p trend=knots --name second",
        "fit",
    )
    parser.add_argument("data", type=Path, metavar="MY.csv", help="one row a period and geo")
    _roles(parser)
    _running(parser, jobs=1)


def _allocate(commands) -> None:
    parser = _command(
        commands,
        "allocate",
        "divide a budget over the channels, with a proof",
        "Fits your file, asks whether the fit may be used, and divides a budget over channels:\n"
        "today's plan and the proposed one side by side, the gain with its interval, what each\n"
        "constraint costs, and how far from the best the plan can be at most. Amounts are in\n"
        "currency over the horizon.",
        "  channelwise allocate my.csv --budget 1e6 --periods 52 -o plan.csv\n"
        "  channelwise allocate my.csv --change 0.3 --lower tv=1e5 --json plan.json\n"
        "  channelwise allocate draws.npz --objective profit --margin 0.4\n"
        "  channelwise allocate my.csv --group digital=search+social:0..5e5 --target-roi 2",
        "allocate",
    )
    _deciding(parser)
    parser.add_argument("-o", dest="output", type=Path, metavar="PLAN.csv", help="plan as CSV")
    parser.add_argument("--json", type=Path, metavar="PLAN.json", help="plan as JSON")


def _plan_test(commands) -> None:
    parser = _command(
        commands,
        "plan-test",
        "say which experiment would improve the budget most",
        "Fits your file and ranks experiments by what their outcome would add to the budget\n"
        "decision, in currency, net of their cost and of what they lose while they run. Without\n"
        "--test it looks at every channel off, halved, half more and doubled, for 4 and 8 periods.",
        "  channelwise plan-test my.csv\n"
        "  channelwise plan-test my.csv --test tv=0:8:5000 --test search=1.5:4\n"
        "  channelwise plan-test draws.npz --periods 52 --top 5 -o tests.csv",
        "plan_test",
    )
    _deciding(parser)
    parser.add_argument(
        "--test",
        dest="tests",
        type=cli_decisions.test_of,
        action="append",
        default=[],
        metavar="CHANNEL=FACTOR:PERIODS[:COST]",
        help="a test to be ranked; channels joined by + change at once (repeat for more)",
    )
    parser.add_argument("--top", type=_count, default=10, metavar="N", help="rows printed (10)")
    parser.add_argument("-o", dest="output", type=Path, metavar="TESTS.csv", help="all as CSV")


def _deciding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", type=Path, metavar="MY.csv", help="your file, or draws that --save kept (.npz)"
    )
    cli_decisions.add_decision(parser)
    _roles(parser)
    cli_decisions.add_model(parser)


def _decide(options: argparse.Namespace) -> int:
    options.roles = {name: getattr(options, name) for name in _ROLES}

    def check() -> int:
        from channelwise.response.checkup import check_file

        done = check_file(options.data, **options.roles)
        print(done.text, file=sys.stderr if done.status == 2 else sys.stdout, flush=True)
        return done.status

    return getattr(cli_decisions, options.command)(options, check)


_ROLES = (
    "date",
    "outcome",
    "spend",
    "exposure",
    "controls",
    "organic",
    "events",
    "geo",
    "population",
    "outcome_kind",
    "value_per_conversion",
)
"""What `_roles` adds, by the names that `read_market` and chapter 11 know them by."""


def _roles(parser: argparse.ArgumentParser) -> None:
    one, many = {"metavar": "COLUMN"}, {"type": cli_decisions.names, "metavar": "A,B"}
    parser.add_argument("--date", **one, help="first day of each period")
    parser.add_argument("--outcome", **one, help="revenue or conversions")
    parser.add_argument(
        "--spend", type=_names_or_pairs, metavar="A,B", help="spend, or CHANNEL=COLUMN,…"
    )
    parser.add_argument(
        "--exposure", type=_pairs, metavar="CHANNEL=COLUMN,…", help="impressions, clicks, …"
    )
    parser.add_argument("--controls", **many, help="price, weather, competitors, … ('' for none)")
    parser.add_argument("--organic", **many, help="media without spend")
    parser.add_argument("--events", **many, help="0 and 1, or the names of events")
    parser.add_argument("--geo", **one, help="region")
    parser.add_argument("--population", **one, help="people in the region")
    parser.add_argument("--outcome-kind", choices=("revenue", "conversions"), default="revenue")
    parser.add_argument(
        "--value-per-conversion", type=_positive, default=1.0, metavar="V", help="currency (1)"
    )


def _check_market(options: argparse.Namespace) -> int:
    from channelwise.response.checkup import check_file

    picture = options.picture or Path(f"{options.data.stem}.check.png")
    named = {name: getattr(options, name) for name in _ROLES}
    if picture.suffix.lower() not in (".png", ".svg", ".pdf"):
        return _refuse(ValueError(f"{picture} must end in .png, .svg or .pdf."))
    try:
        done = check_file(options.data, picture, **named)
    except OSError as error:
        return _refuse(ValueError(f"{picture} cannot be written: {error.strerror}."))
    print(done.text, file=sys.stderr if done.status == 2 else sys.stdout)
    return done.status


def _fit_market(options: argparse.Namespace) -> int:
    """Looks at the file as `check` does; runs the chapter only on data that can be used."""
    from channelwise.response.checkup import check_file
    from channelwise.runs import commands

    named = {name: getattr(options, name) for name in _ROLES}
    done = check_file(options.data, **named)
    print(done.text, file=sys.stderr if done.status == 2 else sys.stdout, flush=True)
    return done.status or commands.fit(options, {"data": str(options.data), **_spelt(named)})


def _spelt(named: dict) -> dict:
    """Roles as the chapter's parameters: {"tv": "tv_cost"} becomes ["tv=tv_cost"]."""
    return {
        name: [f"{k}={column}" for k, column in given.items()] if isinstance(given, dict) else given
        for name, given in named.items()
    }


def _pairs(text: str) -> dict[str, str]:
    pairs = [name.partition("=") for name in cli_decisions.names(text)]
    wrong = [name for name, sign, column in pairs if not (name and sign and column)]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not CHANNEL=COLUMN")
    return {name.strip(): column.strip() for name, _, column in pairs}


def _names_or_pairs(text: str) -> dict[str, str] | list[str]:
    names = cli_decisions.names(text)
    return _pairs(text) if names and all("=" in name for name in names) else names


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number greater than 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
