"""A small weekly market in a table, to be spoiled in one place at a time by the tests."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from channelwise.response.market import MarketData, read_market
from channelwise.response.reading.findings import Finding, MarketError

DATA = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="there is no ../shared/data")

Columns = dict[str, list]


def weeks(n: int, first: date = date(2021, 1, 4), days: int = 7) -> list[str]:
    return [str(first + timedelta(days=days * i)) for i in range(n)]


def columns(n: int = 120, seed: int = 0) -> Columns:
    """Weekly dates, an outcome, two channels that move on their own, a price."""
    draw = np.random.default_rng(seed)
    tv, radio = draw.gamma(2.0, 50.0, n).round(2), draw.gamma(3.0, 20.0, n).round(2)
    revenue = (3000 + 4 * tv + 3 * radio + draw.normal(0, 100, n)).round(2)
    return {
        "week": weeks(n),
        "revenue": revenue.tolist(),
        "tv_spend": tv.tolist(),
        "radio_spend": radio.tolist(),
        "price": draw.normal(10, 1, n).round(3).tolist(),
    }


def text(table: Columns, separator: str = ",") -> str:
    rows = [list(table), *zip(*table.values(), strict=True)]
    return "".join(separator.join(f'"{cell}"' for cell in row) + "\n" for row in rows)


def write(folder: Path, table: Columns, name: str = "my.csv", separator: str = ",") -> Path:
    path = folder / name
    path.write_text(text(table, separator), encoding="utf-8")
    return path


def read(folder: Path, table: Columns, **named) -> tuple[MarketData, list[Finding]]:
    market, _, findings = read_market(write(folder, table), **named)
    return market, findings


def refused(folder: Path, table: Columns, **named) -> list[Finding]:
    """The errors for which a table is refused."""
    with pytest.raises(MarketError) as caught:
        read_market(write(folder, table), **named)
    errors = [f for f in caught.value.findings if f.level == "error"]
    assert str(caught.value) == "\n".join(f.message for f in errors)
    return errors


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def one(findings: list[Finding], code: str) -> Finding:
    """The only finding with this code."""
    (found,) = [f for f in findings if f.code == code]
    return found


ARRAYS = ("outcome", "spend", "exposure", "controls", "organic", "events")


def assert_same(a: MarketData, b: MarketData) -> None:
    np.testing.assert_array_equal(a.dates, b.dates)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    for name in ("channels", "exposure_names", "control_names", "organic_names", "event_names"):
        assert getattr(a, name) == getattr(b, name)
    assert (a.geos, a.outcome_name, a.before) == (b.geos, b.outcome_name, b.before)
