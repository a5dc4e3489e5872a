"""What `channelwise check` says of a file: roles, findings, a summary, and a picture."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from channelwise.response import overview
from channelwise.response.market import MarketData, read_market
from channelwise.response.reading.columns import Roles
from channelwise.response.reading.findings import Finding, MarketError

_MISTAKES = {"no-file", "unknown-column", "two-roles", "bad-value"}
"""Errors that are the command's, not the data's."""

_OPTION = re.compile(
    r"\b(date|outcome|spend|exposure|controls|organic|events|geo|population|outcome_kind|"
    r"value_per_conversion)=(?!\w)"
)


class Checkup(NamedTuple):
    """The result of a check.

    Attributes:
      text: what to print.
      status: 0 if the data can be used, 1 if not, 2 for a mistake in what was asked.
    """

    text: str
    status: int


def check_file(path: Path, picture: Path | None = None, **named: Any) -> Checkup:
    """Reads a market, says what was found, and draws it if it can be used.

    Args:
      path: as in `read_market`.
      picture: where the picture is to be written, .png (or .svg, .pdf); None for no picture.
      **named: as in `read_market`.
    """
    try:
        market, roles, findings = read_market(path, **named)
    except MarketError as refused:
        return _refused(path, refused)
    said = [*_sentences(roles, findings), f"usable: {summary(market, findings)}"]
    if picture is not None:
        overview.save(overview.draw(market, path.name), picture)
        said.append(f"picture: {picture}")
    return Checkup("\n".join(said), 0)


def summary(market: MarketData, findings: list[Finding]) -> str:
    """The extent of a market in one line."""
    unit = overview.period(market)
    seen = f"{market.n_observed} {unit}s from {market.dates[market.before]} to {market.dates[-1]}"
    counts = (
        (market.n_geos if market.n_geos > 1 else 0, "geo"),
        (market.n_channels, "channel"),
        (len(market.organic_names), "organic channel"),
        (len(market.control_names), "control"),
        (len(market.event_names), "event"),
        (sum(f.level == "warning" for f in findings), "warning"),
    )
    return ", ".join([seen, *(_count(n, what) for n, what in counts if n)])


def _refused(path: Path, refused: MarketError) -> Checkup:
    errors = [f for f in refused.findings if f.level == "error"]
    if any(f.code in _MISTAKES for f in errors):
        return Checkup("\n".join(f"channelwise: {_as_options(f.message)}" for f in errors), 2)
    verdict = f"not usable: {_count(len(errors), 'error')} in {path.name}"
    return Checkup("\n".join([*_sentences(refused.roles, refused.findings), verdict]), 1)


def _sentences(roles: Roles | None, findings: list[Finding] | tuple[Finding, ...]) -> list[str]:
    order = ("error", "warning", "note")
    said = [_as_options(str(f)) for f in sorted(findings, key=lambda f: order.index(f.level))]
    table = [_as_options(roles.table()), ""] if roles else []
    return [*table, *said, *([""] if said else [])]


def _as_options(sentence: str) -> str:
    """The remedies as the command line spells them: `spend=` is `--spend` there."""
    return _OPTION.sub(lambda found: "--" + found[1].replace("_", "-"), sentence)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
