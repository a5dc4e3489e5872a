"""A picture of a market: the outcome, the spend on each channel, and which channels move alike."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from channelwise.response.market import MarketData
from channelwise.response.reading.cautions import correlations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OUTCOME, _SPEND, _OPPOSITE = "#2a6fb0", "#d9622b", "#1f9e77"
_INK, _SOFT, _GRID, _SHADE = "#1b212b", "#59606b", "#e6e8ec", "#f1f2f5"
_NOUNS = {1: "day", 7: "week", 14: "fortnight", 28: "four weeks", 30: "month", 91: "quarter"}
_WIDTH, _LEFT, _RIGHT = 12.0, 0.95, 8.1
_TOP, _OUTCOME_HIGH, _GAP, _SPEND_HIGH, _BOTTOM = 0.8, 1.75, 0.36, 0.58, 0.6
"""Inches: of the figure, of the column of panels in it, and of the panels from top to bottom."""
_ALIKE = 0.8
_WRITTEN = 12
"""Channels up to which the correlations are written into their cells."""


def draw(market: MarketData, name: str = "") -> "Figure":
    """The record at a glance: outcome on top, spend below on the same time axis, likeness beside.

    Args:
      market: several geos are added up.
      name: of the file, for the heading.
    """
    from matplotlib.figure import Figure

    height = _TOP + _OUTCOME_HIGH + market.n_channels * (_GAP + _SPEND_HIGH) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height), dpi=110)
    outcome, *spend = _panels(figure, market.n_channels)
    _draw_outcome(outcome, market)
    for k, axes in enumerate(spend):
        _draw_spend(axes, market, k)
    spend[-1].set_xlabel("date", color=_SOFT, fontsize=9)
    _draw_likeness(figure, market)
    at = 1 - 0.3 / height
    figure.suptitle(_heading(market, name), x=0.01, y=at, ha="left", fontsize=12.5, color=_INK)
    return figure


def _panels(figure: "Figure", channels: int) -> list["Axes"]:
    """The outcome's panel and those of the channels below it, on one time axis."""
    height = figure.get_figheight()
    highs = [_OUTCOME_HIGH] + [_SPEND_HIGH] * channels
    panels, below = [], height - _TOP + _GAP
    for high in highs:
        below -= _GAP + high
        place = (_LEFT / _WIDTH, below / height, (_RIGHT - _LEFT) / _WIDTH, high / height)
        panels.append(figure.add_axes(place, sharex=panels[0] if panels else None))
        panels[-1].tick_params(labelbottom=len(panels) == len(highs))
    return panels


def save(figure: "Figure", path: Path) -> None:
    """Writes the picture beside its place and renames it, so that it is whole or not there.

    Raises:
      OSError: if it cannot be written there.
    """
    handle, beside = tempfile.mkstemp(suffix=".png", prefix=f".{path.stem}.", dir=path.parent)
    os.close(handle)
    try:
        figure.savefig(beside, format=path.suffix[1:].lower() or "png")
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
    finally:
        Path(beside).unlink(missing_ok=True)


def period(market: MarketData) -> str:
    """What one period is called: day, week, month, …"""
    return _NOUNS.get(int(market.period_days), "period")


def _heading(market: MarketData, name: str) -> str:
    geos = f" in {market.n_geos} geos, added up" if market.n_geos > 1 else ""
    what = f"{market.n_times} {period(market)}s from {market.dates[0]} to {market.dates[-1]}{geos}"
    return f"{name}: {what}" if name else what[:1].upper() + what[1:]


def _draw_outcome(axes: "Axes", market: MarketData) -> None:
    values = market.outcome.sum(axis=0)
    seen = values[market.before :]
    low, high = int(np.argmin(seen)), int(np.argmax(seen))
    dates = market.dates[market.before :]
    axes.plot(market.dates, values, color=_OUTCOME, linewidth=1.6)
    if market.before:
        axes.axvspan(market.dates[0], dates[0], color=_SHADE, zorder=0)
    for at in np.flatnonzero(market.events.any(axis=(0, 2))):
        axes.axvline(market.dates[at], 0, 0.04, color=_SOFT, linewidth=1)
    title = (
        f"{market.outcome_name}: {short(seen.mean())} a {period(market)}, lowest "
        f"{short(seen[low])} on {dates[low]}, highest {short(seen[high])} on {dates[high]}"
    )
    ticks = "\n(ticks: events)" if market.event_names else ""
    grey = "\n(grey: carry-in)" if market.before else ""
    unit = "currency" if market.outcome_kind == "revenue" else "conversions"
    _finish(axes, title, f"{unit} a {period(market)}{ticks}{grey}")
    if (seen >= 0).all():
        axes.set_ylim(bottom=0)


def _draw_spend(axes: "Axes", market: MarketData, k: int) -> None:
    spend = market.spend[:, :, k].sum(axis=0)
    part = spend.sum() / max(market.spend.sum(), 1e-300)
    share = f"{part:.0%}" if part >= 0.01 else "under 1%"
    axes.fill_between(market.dates, spend, step="mid", color=_SPEND, alpha=0.85, linewidth=0)
    if market.before:
        axes.axvspan(market.dates[0], market.dates[market.before], color=_SHADE, zorder=0)
    on = int((spend > 0).sum())
    when = "always on" if on == len(spend) else f"on in {on} of {len(spend)} {period(market)}s"
    what = market.exposure_names[k]
    through = f"; measured by {what}" if what else ""
    _finish(axes, f"{market.channels[k]}: {share} of the spend, {when}{through}", "currency")
    axes.set_ylim(bottom=0)


def _finish(axes: "Axes", title: str, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title(title, loc="left", fontsize=9.5, color=_INK, pad=4)
    axes.set_ylabel(label, color=_SOFT, fontsize=8.5)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.tick_params(labelsize=8, colors=_SOFT, length=2)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#b9bec7")
    axes.margins(x=0.01)


def _draw_likeness(figure: "Figure", market: MarketData) -> None:
    """Correlations of the channels and the outcome, the latter last."""
    from matplotlib.colors import LinearSegmentedColormap

    seen = slice(market.before, None)
    series = np.concatenate([market.spend[:, seen], market.outcome[:, seen, None]], axis=-1)
    together = np.round(correlations(series), 2) + 0.0  # no "-0.00"
    names = [_cut(name) for name in (*market.channels, market.outcome_name)]
    axes = _square(figure, max(map(len, names)), _likeness(names, together))
    shown = np.where(np.tri(len(names), k=-1, dtype=bool), together, np.nan)[1:, :-1]
    colours = LinearSegmentedColormap.from_list("likeness", [_OPPOSITE, "white", _SPEND])
    axes.imshow(shown, cmap=colours, vmin=-1, vmax=1, aspect="equal")
    at, size = range(len(names) - 1), 8 if len(names) <= 8 else 6.5
    for i, j in zip(*np.nonzero(~np.isnan(shown)), strict=True):
        if len(names) <= _WRITTEN:
            axes.text(j, i, f"{shown[i, j]:.2f}", ha="center", va="center", fontsize=size)
    axes.set_xticks(at, names[:-1], rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(at, names[1:])
    axes.tick_params(labelsize=8, colors=_SOFT, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _square(figure: "Figure", letters: int, title: str) -> "Axes":
    """A square on the right with room for names of so many letters beside and below it."""
    height, left = figure.get_figheight(), _RIGHT + 0.45 + 0.075 * letters
    side = min(_WIDTH - 0.15 - left, height - 1.6 - 0.075 * letters)
    below = height - _TOP - 0.35 - side
    axes = figure.add_axes((left / _WIDTH, below / height, side / _WIDTH, side / height))
    at = (_RIGHT + 0.4 - left) / side
    axes.set_title(title, loc="left", x=at, fontsize=9.5, color=_INK)
    return axes


def _cut(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _likeness(names: list[str], together: np.ndarray) -> str:
    """What the correlations say, in three lines; the outcome is the last of the names."""
    channels = len(names) - 1
    if channels == 1:
        return f"{names[0]} and {names[1]}:\ncorrelation {together[1, 0]:.2f}"
    pairs = np.abs(np.tril(together[:channels, :channels], -1))
    i, j = np.unravel_index(int(np.argmax(pairs)), pairs.shape)
    alike = f"{names[j]} and {names[i]}\n(correlation {together[i, j]:.2f})"
    if pairs[i, j] >= _ALIKE:
        return f"Hard to tell apart:\n{alike}"
    return f"No two channels move alike; the closest are\n{alike}"


def short(value: float) -> str:
    """A number in at most three digits: 950, 1.2k, 34M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
