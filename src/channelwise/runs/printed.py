"""What cells printed and tabulated, made fit for a page."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from channelwise.notebook.outputs import TABLE
from channelwise.runs import manifest as manifests

LONGEST_TEXT = 12_000
"""Characters of printed text shown for one output; the notebook beside the page has the rest."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
NUMBER = re.compile(r"[-−+]?(\d[\d  ,]*\.?\d*(e[-+]?\d+)?|∞)\s*%?")
GAPS = {"", "–"}


def text_of(value: str | Sequence[str]) -> str:
    """A multi-line text of the notebook format, which may be stored as a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def plain(text: str) -> str:
    """Text without terminal colours and control characters."""
    return CONTROL.sub("", manifests.plain(text.replace("\r\n", "\n")))


def shortened(text: str) -> str:
    """Plain text of bearable length: its beginning and its end if there is too much of it."""
    text = plain(text).rstrip("\n")
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def table_block(table: Mapping[str, Any]) -> dict[str, Any]:
    """A stored table with each cell marked as number or word, so that numbers line up."""
    columns, rows = table["columns"], table["rows"]
    numeric = [_are_numbers([row[i] for row in rows]) for i in range(len(columns))]
    return {
        "caption": table.get("caption", ""),
        "columns": list(zip(columns, numeric, strict=True)),
        "rows": [list(zip(row, numeric, strict=True)) for row in rows],
    }


def tables(cells: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The tables stored in a notebook's outputs, in their order."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [o["data"][TABLE] for o in outputs if TABLE in o.get("data", {})]


def in_columns(table: Mapping[str, Any]) -> str:
    """A stored table as lines of text, numbers to the right."""
    rows = [[plain(str(cell)) for cell in row] for row in (table["columns"], *table["rows"])]
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [_are_numbers(column[1:]) for column in columns]
    lines = (
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _are_numbers(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers, and gaps, only."""
    texts = [str(cell).strip() for cell in cells]
    return any(map(NUMBER.fullmatch, texts)) and all(
        NUMBER.fullmatch(text) or text in GAPS for text in texts
    )
