"""Whether the outcome can be one, and in which periods it is there."""

import numpy as np

from channelwise.response.reading import patterns
from channelwise.response.reading.columns import Roles
from channelwise.response.reading.findings import Finding, error, in_rows, listed, note, warning
from channelwise.response.reading.table import Table
from channelwise.response.reading.timeline import Grid

_OTHER = "Name another with outcome=."


def check_outcome(table: Table, roles: Roles, grid: Grid, conversions: bool) -> list[Finding]:
    """The outcome is what came back: no constant, no count of rows, no spend; without holes."""
    column = roles.column("outcome")
    wrong = _wrong(table, roles, column)
    if wrong:
        return [error("wrong-outcome", f"Outcome column {column!r} {wrong}. {_OTHER}")]
    return [*_doubts(table, column, conversions), *_holes(table, grid, column)]


def observed(outcome: np.ndarray) -> tuple[int, int]:
    """The first period with an outcome in any geo, and the one behind the last; (0, 0) if none."""
    there = np.flatnonzero((~np.isnan(outcome)).any(axis=0))
    return (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)


def _wrong(table: Table, roles: Roles, column: str) -> str:
    """What makes the column no outcome, "" if nothing does."""
    values = table.numbers(column).values
    there = values[~np.isnan(values)]
    if len(there) > 1 and (there == there[0]).all():
        return f"is {there[0]:.12g} in every row"
    if table.counts_rows(column):
        return "only counts the rows"
    spend = {c: table.numbers(c).values for c in roles.channels.values()}
    if len(spend) > 1:
        spend["all channels together"] = np.sum(list(spend.values()), axis=0)
    same = [name for name, spent in spend.items() if np.allclose(spent, values, rtol=1e-9)]
    return f"equals the spend on {same[0]}" if same else ""


def _doubts(table: Table, column: str, conversions: bool) -> list[Finding]:
    name, findings = f"Outcome column {column!r}", []
    if patterns.is_spend(column) or patterns.is_exposure(column):
        message = f"{name} is called like media: is it what came back?"
        findings.append(warning("wrong-outcome", message))
    if not conversions and patterns.counts_conversions(column):
        message = (
            f"{name} is read as revenue, though its name says conversions: give "
            "outcome_kind= and value_per_conversion=."
        )
        findings.append(warning("outcome-kind", message))
    below = np.flatnonzero(table.numbers(column).values < 0)
    if len(below):
        rows = table.rows[below]
        findings.append(
            warning("negative-outcome", f"{name} is negative in {in_rows(rows)}.", rows)
        )
    return findings


def _holes(table: Table, grid: Grid, column: str) -> list[Finding]:
    """Periods without an outcome: carry-in before it begins, left out behind it, else an error."""
    name, values = f"Outcome column {column!r}", table.numbers(column).values[grid.record]
    before, stop = observed(values)
    if before == stop:
        return [error("missing", f"{name} has no value in any row. {_OTHER}")]
    hole = np.isnan(values)
    hole[:, :before] = hole[:, stop:] = False
    findings = []
    if hole.any():
        rows, dates = table.rows[grid.record[hole]], listed(grid.dates[hole.any(axis=0)])
        message = f"{name} has no value in {in_rows(rows)} ({dates}). Fill it in."
        findings.append(error("missing", message, rows))
    if before:
        rows = table.rows[grid.record[:, :before].ravel()]
        message = (
            f"{name} begins at {grid.dates[before]}: the media before it, in {in_rows(rows)}, "
            "count for what they carry over."
        )
        findings.append(note("carry-in", message, rows))
    if stop < len(grid.dates):
        rows = table.rows[grid.record[:, stop:].ravel()]
        message = f"{name} ends at {grid.dates[stop - 1]}: {in_rows(rows)} left out."
        findings.append(warning("no-outcome-yet", message, rows))
    return findings
