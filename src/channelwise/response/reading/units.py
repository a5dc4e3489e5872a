"""Columns whose unit changes part-way, or does not go with the others."""

import numpy as np
from jaxtyping import Float

from channelwise.response.reading.columns import Roles
from channelwise.response.reading.findings import Finding, in_rows, warning
from channelwise.response.reading.table import Table
from channelwise.response.reading.timeline import Grid

_JUMP = 1.7
"""Decades (a factor of 50) from which a shift of scale looks like another unit."""
_FEW = 3
"""Values needed on either side of a jump."""


def check_units(table: Table, roles: Roles, grid: Grid, conversions: bool) -> list[Finding]:
    """Scales that jump over time, and spend that does not go with an outcome in currency.

    A channel that has exposure is judged by its cost per exposure, which a campaign's start or end
    does not change.
    """
    findings = _jump(table, grid, roles.column("outcome"))
    for channel, column in roles.channels.items():
        findings += _jump(table, grid, column, roles.exposure.get(channel))
    for column in roles.columns("organic"):
        findings += _jump(table, grid, column)
    return findings + _scaled(table, roles, conversions)


def _jump(table: Table, grid: Grid, column: str, per: str | None = None) -> list[Finding]:
    """One warning per column, for the first geo in which it changes its scale."""
    values = table.numbers(column).values[grid.record]
    if per is not None:
        shown = table.numbers(per).values[grid.record]
        values = np.divide(values, shown, out=np.zeros_like(values), where=shown > 0)
    for g, geo in enumerate(grid.geos):
        split = scale_jump(values[g])
        if split is not None:
            row = table.rows[grid.record[g, split]]
            what = f"Column {column!r}" if per is None else f"Column {column!r} per {per!r}"
            of = f" of geo {geo!r}" if len(grid.geos) > 1 else ""
            message = (
                f"{what}{of} is about {_times(values[g], split)} from {in_rows([row])} "
                f"({grid.dates[split]}) on: is the unit the same throughout?"
            )
            return [warning("units", message, [row])]
    return []


def _times(values: np.ndarray, split: int) -> str:
    factor = _median(values[split:]) / _median(values[:split])
    return f"{factor:.3g} times larger" if factor > 1 else f"{1 / factor:.3g} times smaller"


def scale_jump(values: Float[np.ndarray, " time"]) -> int | None:
    """Where a series changes its scale by a factor of 50 or more, and stays there.

    The logarithms of the positive values are split in two where that leaves the least sum of
    squares about the two means. The split counts if the medians of the two sides lie at least 1.7
    decades apart and no more than a twentieth of the values lie nearer to the other side's.

    Args:
      values: in the order of time; zeros and NaN are passed over.

    Returns:
      The index of the first value on the new scale, None if the scale does not jump.
    """
    at = np.flatnonzero(np.nan_to_num(values) > 0)
    if len(at) < 2 * _FEW:
        return None
    logs = np.log10(values[at])
    split = _best_split(logs)
    low, high = np.median(logs[:split]), np.median(logs[split:])
    nearer_second = np.abs(logs - high) < np.abs(logs - low)
    strays = nearer_second[:split].sum() + (~nearer_second[split:]).sum()
    fits = abs(high - low) >= _JUMP and strays <= len(at) / 20
    return int(at[split]) if fits else None


def _best_split(x: Float[np.ndarray, " time"]) -> int:
    """The k that maximizes k·mean(x[:k])² + (n − k)·mean(x[k:])², so that the rest is least."""
    x = x - x.mean()
    k = np.arange(_FEW, len(x) - _FEW + 1)
    first = np.cumsum(x)[k - 1]
    return int(k[np.argmax(first**2 * (1 / k + 1 / (len(x) - k)))])


def _median(values: np.ndarray) -> float:
    return float(np.median(values[np.nan_to_num(values) > 0]))


def _scaled(table: Table, roles: Roles, conversions: bool) -> list[Finding]:
    """Spend that is no money, or in another unit than the revenue."""
    spend = np.stack([table.numbers(c).values for c in roles.channels.values()])
    total, returned = spend.sum(), np.nansum(table.numbers(roles.column("outcome")).values)
    if spend.max() <= 1.0:
        message = (
            "No channel ever spends more than 1: the spend looks scaled. Return on investment will "
            "be per scaled unit, not per unit of currency; give the amounts spent if you can."
        )
        return [warning("scaled-spend", message)]
    if total > returned > 0 and not conversions:
        message = (
            f"The spend ({total:.3g} in all) exceeds the outcome ({returned:.3g}): are both in the "
            "same unit, not one in thousands?"
        )
        return [warning("units", message)]
    return []
