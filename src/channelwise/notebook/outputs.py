"""What a chapter states: recorded results, claims recomputed, tables, and its answer.

Each is shown to the reader and, beside that, stored as data in the cell's output, under a MIME
type of its own. Tests, sweeps, the index and the ledger read those data and never parse text.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

RECORD = "application/vnd.channelwise.record+json"
CLAIMS = "application/vnd.channelwise.claims+json"
ANSWER = "application/vnd.channelwise.answer+json"
TABLE = "application/vnd.channelwise.table+json"


@dataclass(frozen=True)
class Claim:
    """A printed claim beside its recomputation.

    Attributes:
        number: The claim's number in the ledger: 1 to 19 for the articles, `P1` … for public
            material.
        source: Where it is printed, such as `000 §4.1`.
        claim: What it says.
        recomputed: What the notebook found, formatted from a computed value.
        holds: Whether the claim is right, computed.
        why: One sentence on the difference.
    """

    number: int | str
    source: str
    claim: str
    recomputed: str
    holds: bool
    why: str


def record(
    name: str,
    value: Any,
    *,
    rtol: float = 1e-3,
    atol: float = 0.0,
    unit: str = "",
    meaning: str = "",
) -> None:
    """Shows a result and stores it with the tolerance within which a rerun must agree.

    A fresh value v agrees with the recorded one r if |v − r| ≤ atol + rtol |r|; texts and truth
    values must be equal.

    Args:
        name: A name in snake_case, unique in the notebook.
        value: A number, text or truth value; arrays of one element count as numbers.
        rtol: Relative tolerance, ≥ 0.
        atol: Absolute tolerance, ≥ 0, in the value's unit.
        unit: The value's unit, in words.
        meaning: What it is, in a few words.

    Raises:
        ValueError: if the name is no identifier, a tolerance is negative, or the value is NaN.
        TypeError: if the value is neither a number nor a text nor a truth value.
    """
    if not name.isidentifier():
        raise ValueError(f"record: {name!r} is no name; use letters, digits and underscores.")
    if rtol < 0 or atol < 0:
        raise ValueError(f"record {name}: rtol = {rtol} and atol = {atol} must be at least 0.")
    value = _plain(name, value)
    data = {
        "name": name,
        "value": value,
        "rtol": rtol,
        "atol": atol,
        "unit": unit,
        "meaning": meaning,
    }
    text = f"{name} = {short(value)} {unit}".rstrip()
    page = (
        f'<div class="cw-record"><code>{_escape(name)}</code> = '
        f"<strong>{_escape(short(value))}</strong> {_escape(unit)}"
        f"{_muted(meaning)}</div>"
    )
    _display({RECORD: data, "text/html": page, "text/plain": text})


def claims(rows: Sequence[Claim]) -> None:
    """Shows the table "Claimed and recomputed" and stores its rows for the ledger."""
    header = ("#", "source", "claimed", "recomputed", "verdict", "why")
    body = [
        (c.number, c.source, c.claim, c.recomputed, "holds" if c.holds else "wrong", c.why)
        for c in rows
    ]
    text = "\n".join(
        f"{n} ({source}): {claim} -> {found}: {verdict}; {why}"
        for n, source, claim, found, verdict, why in body
    )
    page = _html_table("Claimed and recomputed", header, body)
    data = {"claims": [asdict(c) for c in rows]}
    _display({CLAIMS: data, "text/html": page, "text/plain": text})


def answer(markdown: str) -> None:
    """States the answer to the chapter's question; the report prints it at the top.

    Args:
        markdown: At most three sentences, with this run's own numbers.
    """
    _display({ANSWER: {"markdown": markdown}, "text/markdown": markdown, "text/plain": markdown})


def table(frame: "pd.DataFrame", *, caption: str, digits: int = 4, compare: bool = True) -> None:
    """Shows a data frame as an escaped table, floats with a few significant digits.

    Args:
        frame: The rows; its index is shown if it is named or not just 0, 1, 2, …
        caption: What the table shows.
        digits: Significant digits, 1 to 4 where the numbers are checked.
        compare: False if the numbers differ from machine to machine (times, say): they are then
            shown, and the tests do not compare them.
    """
    import pandas as pd

    plain = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    shown = frame if plain else frame.reset_index()
    header = [str(c) for c in shown.columns]
    body = [
        [short(value, digits) for value in row] for row in shown.itertuples(index=False, name=None)
    ]
    text = "\n".join([caption, " | ".join(header), *(" | ".join(row) for row in body)])
    data = {"caption": caption, "columns": header, "rows": body, "compare": compare}
    _display({TABLE: data, "text/html": _html_table(caption, header, body), "text/plain": text})


def short(value: Any, digits: int = 4) -> str:
    """A value as people write it: whole numbers whole, others with a few significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        return str(value)
    number = float(value)
    if math.isnan(number):
        return "–"
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    if number.is_integer() and abs(number) < 1e7:
        return f"{int(number):,}".replace(",", " ") if abs(number) >= 1e4 else str(int(number))
    return f"{number:.{digits}g}"


def _plain(name: str, value: Any) -> float | int | str | bool:
    if isinstance(value, bool | str):
        return value
    if hasattr(value, "item"):
        if getattr(value, "size", 1) != 1:
            raise TypeError(f"record {name}: an array of {value.size} values is not one result.")
        value = value.item()
    if not isinstance(value, bool | int | float):
        raise TypeError(
            f"record {name}: a {type(value).__name__} cannot be recorded; "
            "give a number, a text, or True or False."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"record {name}: {value} is no result; record why it is not finite.")
    return value


def _html_table(caption: str, header: Sequence[Any], body: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{_escape(c)}</th>" for c in header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in row) + "</tr>" for row in body
    )
    return (
        f'<table class="cw-table"><caption>{_escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _muted(text: str) -> str:
    return f' <span class="cw-meaning">{_escape(text)}</span>' if text else ""


def _escape(value: Any) -> str:
    return html.escape(str(value))


def _display(bundle: dict[str, Any]) -> None:
    from IPython.display import display

    display(bundle, raw=True)
