"""From a table with roles to the arrays of a market: all checks in order, then the axes."""

from typing import Any

import numpy as np

from channelwise.response.reading import checks
from channelwise.response.reading.columns import Roles
from channelwise.response.reading.findings import Finding, MarketError, note
from channelwise.response.reading.outcome import check_outcome, observed
from channelwise.response.reading.sheet import is_missing
from channelwise.response.reading.table import Table
from channelwise.response.reading.timeline import Grid, lay_out
from channelwise.response.reading.units import check_units


def check_table(table: Table, roles: Roles, conversions: bool) -> tuple[Roles, Grid, list[Finding]]:
    """Everything that can be said of the columns.

    Returns:
      The roles without the context that never changes; where each value stands; the findings.

    Raises:
      MarketError: if there is an error among the findings.
    """
    grid, findings = lay_out(table, roles)
    findings += checks.check_cells(table, roles)
    _stop(findings, roles)
    findings += [
        *check_outcome(table, roles, grid, conversions),
        *checks.check_channels(table, roles),
        *checks.check_exposure(table, roles),
        *checks.check_population(table, roles, grid),
    ]
    _stop(findings, roles)
    constant = checks.constant_columns(table, roles)
    findings += [note("constant", f"Column {c!r} is left out: {w}.") for c, w in constant.items()]
    roles = roles.without(constant)
    findings += _size(table, roles, grid)
    _stop(findings, roles)
    return roles, grid, findings + check_units(table, roles, grid, conversions)


def _stop(findings: list[Finding], roles: Roles) -> None:
    if any(f.level == "error" for f in findings):
        raise MarketError(findings, roles)


def _size(table: Table, roles: Roles, grid: Grid) -> list[Finding]:
    before, stop = observed(_layer(table, grid, roles.column("outcome")))
    _, events = _events(table, roles, grid)
    return checks.check_size(len(grid.geos) * (stop - before), parameters(roles, grid, len(events)))


def parameters(roles: Roles, grid: Grid, n_events: int) -> int:
    """About as many as a model has.

    An intercept per geo, a trend, two yearly waves and the noise; strength, carry-over and
    saturation of each channel, paid or organic; one for each control and event.
    """
    media = len(roles.channels) + len(roles.columns("organic"))
    return len(grid.geos) + 6 + 3 * media + len(roles.columns("control")) + n_events


def assemble(table: Table, roles: Roles, grid: Grid) -> dict[str, Any]:
    """The arrays and names of a market, by the names of its fields."""
    outcome = _layer(table, grid, roles.column("outcome"))
    before, stop = observed(outcome)
    channels, exposure = roles.channels, roles.exposure
    spend = list(channels.values())
    shown = [exposure.get(channel, column) for channel, column in channels.items()]
    controls, organic = roles.columns("control"), roles.columns("organic")
    events, event_names = _events(table, roles, grid)
    people = roles.column("population")
    return {
        "dates": grid.dates[:stop],
        "outcome": outcome[:, :stop],
        "spend": _layers(table, grid, spend)[:, :stop],
        "channels": tuple(channels),
        "exposure": _layers(table, grid, shown)[:, :stop],
        "exposure_names": tuple(exposure.get(channel) for channel in channels),
        "controls": _layers(table, grid, controls)[:, :stop],
        "control_names": controls,
        "organic": _layers(table, grid, organic)[:, :stop],
        "organic_names": organic,
        "events": events[:, :stop],
        "event_names": event_names,
        "geos": grid.geos,
        "population": None if people is None else _layer(table, grid, people).mean(axis=1),
        "outcome_name": roles.column("outcome"),
        "before": before,
    }


def _layer(table: Table, grid: Grid, column: str) -> np.ndarray:
    """(geo, time)"""
    return table.numbers(column).values[grid.record]


def _layers(table: Table, grid: Grid, columns: list[str] | tuple[str, ...]) -> np.ndarray:
    """(geo, time, column)"""
    empty = np.zeros((*grid.record.shape, 0))
    return np.stack([_layer(table, grid, c) for c in columns], axis=-1) if columns else empty


def _events(table: Table, roles: Roles, grid: Grid) -> tuple[np.ndarray, tuple[str, ...]]:
    """Columns of 0 and 1 as they are; for each text of the others, a dummy of its periods."""
    dummies: dict[str, np.ndarray] = {}
    for column in roles.columns("event"):
        if table.is_numeric(column):
            dummies[column] = _layer(table, grid, column)
            continue
        texts = np.array(table.texts(column))
        for text in sorted({text for text in texts.tolist() if not is_missing(text)}):
            name = text if text not in (*dummies, *table.names) else f"{column}: {text}"
            dummies[name] = (texts == text)[grid.record].astype(np.float64)
    empty = np.zeros((*grid.record.shape, 0))
    return np.stack(list(dummies.values()), axis=-1) if dummies else empty, tuple(dummies)
