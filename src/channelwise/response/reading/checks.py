"""Whether the values of a market's table can be used, column by column."""

from collections.abc import Iterator

import numpy as np

from channelwise.response.reading.columns import Roles
from channelwise.response.reading.findings import Finding, error, in_rows, listed, note, warning
from channelwise.response.reading.table import Table
from channelwise.response.reading.timeline import Grid

_NOT_NEGATIVE = ("spend", "exposure", "organic", "population")
_NUMERIC = ("outcome", "spend", "exposure", "control", "organic", "population")
_REMEDY = {
    "spend": "Write 0 where nothing was spent.",
    "exposure": "Write 0 where nothing was shown.",
    "organic": "Write 0 where nothing was sent.",
}


def check_cells(table: Table, roles: Roles) -> list[Finding]:
    """Every cell of the columns in use is a finite number, at least 0 where it must be."""
    findings = [f for role in _NUMERIC for c in roles.columns(role) for f in _cells(table, c, role)]
    for column in roles.columns("event"):
        if table.is_numeric(column):
            findings += _cells(table, column, "event")
    return findings


def _cells(table: Table, column: str, role: str) -> Iterator[Finding]:
    if not table.is_numeric(column):
        yield _no_numbers(table, column, role)
        return
    numbers, name = table.numbers(column), f"{role.capitalize()} column {column!r}"
    if numbers.unreadable:
        yield _unreadable(table, column, name)
    if numbers.missing and role != "outcome":
        rows = table.rows[numbers.missing]
        remedy = _REMEDY.get(role, "Fill it in, or leave the column out.")
        yield error("missing", f"{name} has no value in {in_rows(rows)}. {remedy}", rows)
    infinite = np.flatnonzero(np.isinf(numbers.values))
    if len(infinite):
        rows = table.rows[infinite]
        yield error("infinite", f"{name} is infinite in {in_rows(rows)}. Correct it.", rows)
    if role in _NOT_NEGATIVE:
        yield from _negative(table, column, name)
    if role == "event" and not (numbers.missing or table.is_dummy(column)):
        yield error("event", f"{name} must hold 0 and 1, or texts: name it among the controls.")
    if numbers.rewritten:
        yield _rewritten(table, column, name)


def _no_numbers(table: Table, column: str, role: str) -> Finding:
    """The whole column is something else: dates, texts, nothing."""
    present = table.present(column)
    if not present:
        what = "no value in any row"
    elif table.is_dates(column):
        what = f"dates ({present[0]!r}), not numbers"
    else:
        what = f"texts ({listed(map(repr, sorted(set(present))[:2]))}), not numbers"
    code = "wrong-outcome" if role == "outcome" else "not-numeric"
    option = {"control": "controls", "event": "events"}.get(role, role)
    message = f"{role.capitalize()} column {column!r} holds {what}. Name another with {option}=."
    return error(code, message, table.rows)


def _unreadable(table: Table, column: str, name: str) -> Finding:
    bad = table.numbers(column).unreadable
    texts = [table.texts(column)[i] for i in bad]
    either = any("," in text and any(c.isdigit() for c in text) for text in texts)
    remedy = (
        "A comma could part decimals or thousands: write 1234.5." if either else "Write numbers."
    )
    rows = table.rows[bad]
    shown = listed(map(repr, dict.fromkeys(texts)))
    return error(
        "not-numeric", f"{name} holds no number in {in_rows(rows)}: {shown}. {remedy}", rows
    )


def _negative(table: Table, column: str, name: str) -> Iterator[Finding]:
    values = table.numbers(column).values
    below = np.flatnonzero(values < 0)
    if len(below):
        rows, shown = table.rows[below], listed(f"{values[i]:.12g}" for i in below)
        yield error(
            "negative",
            f"{name} is negative in {in_rows(rows)}: {shown}. Book refunds where they were spent.",
            rows,
        )


def _rewritten(table: Table, column: str, name: str) -> Finding:
    numbers = table.numbers(column)
    rows, i = table.rows[numbers.rewritten], numbers.rewritten[0]
    return note(
        "number-format",
        f"{name} has currency signs or separated thousands in {in_rows(rows)}: "
        f"{table.texts(column)[i]!r} is read as {numbers.values[i]:.12g}.",
        rows,
    )


def check_channels(table: Table, roles: Roles) -> list[Finding]:
    """Every channel was used, and not always alike."""
    findings = []
    for channel, column in roles.channels.items():
        if not table.is_constant(column):
            continue
        value = table.numbers(column).values[0]
        what = "never has any spend" if value == 0 else f"always spends {value:.12g}"
        findings.append(
            error(
                "constant-channel",
                f"Channel {channel!r} (column {column!r}) {what}: nothing can be learnt about it. "
                "Name the other channels with spend=.",
            )
        )
    return findings


def check_exposure(table: Table, roles: Roles) -> list[Finding]:
    """A channel's exposure moves, and is there when there is spend."""
    findings = []
    for channel, column in roles.exposure.items():
        shown = table.numbers(column).values
        spent = table.numbers(roles.channels[channel]).values
        if table.is_constant(column):
            message = (
                f"Exposure column {column!r} of {channel!r} is {shown[0]:.12g} in every row. Name "
                "the other exposure columns with exposure=; without one, the spend is used."
            )
            findings.append(error("constant-channel", message))
            continue
        unseen = np.flatnonzero((spent > 0) & (shown == 0))
        share = spent[unseen].sum() / spent.sum()
        if share > 0.01:
            rows = table.rows[unseen]
            message = (
                f"Channel {channel!r} has {share:.0%} of its spend where {column!r} is 0, in "
                f"{in_rows(rows)}: the model will see no effect of that money."
            )
            findings.append(warning("spend-without-exposure", message, rows))
    return findings


def constant_columns(table: Table, roles: Roles) -> dict[str, str]:
    """Columns of context without any change, and why they are left out."""
    context = [c for role in ("control", "organic", "event") for c in roles.columns(role)]
    return {
        c: f"the same value ({table.texts(c)[0] or 'none'}) in every row"
        for c in context
        if table.is_constant(c)
    }


def check_population(table: Table, roles: Roles, grid: Grid) -> list[Finding]:
    """Each geo has one population, above 0."""
    column = roles.column("population")
    if column is None:
        return []
    people, findings = table.numbers(column).values[grid.record], []
    for geo, values in zip(grid.geos, people, strict=True):
        if not (values > 0).all():
            message = f"The population of geo {geo!r} must be above 0 in column {column!r}."
            findings.append(error("population", message))
        elif np.ptp(values) > 0:
            message = f"The population of geo {geo!r} changes over time: its mean is used."
            findings.append(warning("population", message))
    return findings


def check_size(observations: int, parameters: int) -> list[Finding]:
    """There are more observations than parameters."""
    numbers = f"{observations} observations for about {parameters} parameters"
    remedy = "Merge channels, leave out controls and events, or bring a longer record."
    if observations <= parameters:
        return [error("too-few", f"There are only {numbers}. {remedy}")]
    if observations < 2 * parameters:
        return [warning("too-few", f"There are {numbers}: the priors will decide much. {remedy}")]
    return []
