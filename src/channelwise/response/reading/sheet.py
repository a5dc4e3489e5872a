"""A table as it stands in a file: its columns as texts, nothing interpreted yet."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from channelwise.response.reading.findings import MarketError, error, in_rows, listed

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MISSING = {"", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "-", "--", "?", ".", "<na>"}


class Sheet(NamedTuple):
    """Texts by column, with the row of the file each came from.

    Attributes:
      file: name of the file, for sentences.
      columns: the cells of each column, outer blanks removed.
      rows: of each record, numbered as a spreadsheet does (the header is row 1).
    """

    file: str
    columns: dict[str, list[str]]
    rows: tuple[int, ...]


def is_missing(text: str) -> bool:
    """Whether a cell stands for no value: empty, "na", "n/a", "-", …"""
    return text.lower() in _MISSING


def read_sheet(path: Path | str) -> Sheet:
    """The cells of a CSV file (comma, semicolon, tab or bar) or of a Parquet file.

    Raises:
      MarketError: if there is no such file, or no table of at least two columns and one row in it.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise _refusal("no-file", f"{path} {kind}. Give the path of a CSV or Parquet file.")
    try:
        parquet = path.suffix.lower() in (".parquet", ".pq")
        sheet = _read_parquet(path) if parquet else _read_csv(path.name, _decode(path))
    except OSError as problem:
        raise _refusal("no-file", f"{path} cannot be read: {problem.strerror}.") from problem
    except csv.Error as problem:
        raise _refusal("unreadable", f"{path.name} is not a readable CSV: {problem}.") from problem
    if not sheet.rows:
        raise _refusal(
            "no-rows", f"{path.name} has a header but no rows. Add one row for each period."
        )
    if len(sheet.columns) < 2:
        raise _refusal(
            "one-column",
            f"{path.name} has one column only, {next(iter(sheet.columns))!r}. Separate the columns "
            "by comma, semicolon or tab: a date, the outcome, and the spend on each channel.",
        )
    return sheet


def _refusal(code: str, message: str, rows=()) -> MarketError:
    return MarketError([error(code, message, rows)])


def _decode(path: Path) -> str:
    """The text of the file, which must be UTF-8 (with or without a byte-order mark)."""
    raw = path.read_bytes()
    remedy = "Save it again as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _refusal("encoding", f"{path.name} is in UTF-16, not UTF-8. {remedy}")
    if b"\x00" in raw[:4096]:
        raise _refusal(
            "binary", f"{path.name} is not a text file. Give a CSV or Parquet file, not a workbook."
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        row = raw[: problem.start].count(b"\n") + 1
        message = f"{path.name} is not UTF-8: byte {raw[problem.start]:#04x} in row {row}. {remedy}"
        raise _refusal("encoding", message, (row,)) from problem


def _read_csv(file: str, text: str) -> Sheet:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
    lines = [(reader.line_num, [c.strip() for c in cells]) for cells in reader]
    lines = [(row, cells) for row, cells in lines if any(cells)]
    if not lines:
        raise _refusal("empty", f"{file} is empty. Give a file with a header line and rows.")
    header, records = lines[0][1], lines[1:]
    while not header[-1] and all(len(c) < len(header) or not c[-1] for _, c in records):
        header = header[:-1]
        records = [(row, cells[: len(header)]) for row, cells in records]
    names = _names(header, file)
    uneven = [row for row, cells in records if len(cells) != len(names)]
    if uneven:
        raise _refusal(
            "uneven",
            f"{file}: {in_rows(uneven)} {'has' if len(uneven) == 1 else 'have'} another number of "
            f"fields than the header's {len(names)}. Quote texts that hold the separator.",
            uneven,
        )
    cells = zip(*(cells for _, cells in records), strict=True) if records else ([],) * len(names)
    columns = {name: list(column) for name, column in zip(names, cells, strict=True)}
    return Sheet(file, columns, tuple(row for row, _ in records))


def _separator(text: str) -> str:
    """The one under which the first lines have the same number of fields, the more the better."""
    lines = text.lstrip().split("\n", 30)[:30]
    fields = {}
    for separator in _SEPARATORS:
        counts = {len(row) for row in csv.reader(lines, delimiter=separator) if row}
        if len(counts) == 1 and min(counts) > 1:
            fields[separator] = min(counts)
    return max(fields, key=fields.get) if fields else max(_SEPARATORS, key=lines[0].count)


def _names(header: list[str], file: str) -> list[str]:
    """Column names: unnamed ones numbered, none twice."""
    names = [name or f"unnamed {i + 1}" for i, name in enumerate(header)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _refusal(
            "column-twice",
            f"{file} has several columns named {listed(map(repr, twice))}. "
            "Give every column its own name.",
        )
    return names


def _read_parquet(path: Path) -> Sheet:
    try:
        from pyarrow import parquet
    except ImportError as problem:
        raise _refusal(
            "no-parquet",
            f"Reading {path.name} needs pyarrow, which is not installed: run "
            "pip install 'channelwise[parquet]', or save the table as CSV.",
        ) from problem
    try:
        table = parquet.ParquetFile(path).read()
    except Exception as problem:
        raise _refusal(
            "unreadable",
            f"{path.name} is not a readable Parquet file ({problem}). Export it again, or as CSV.",
        ) from problem
    names = _names([name.strip() for name in table.column_names], path.name)
    cells = (map(_text, column.to_pylist()) for column in table.columns)
    columns = {name: list(texts) for name, texts in zip(names, cells, strict=True)}
    return Sheet(path.name, columns, tuple(range(2, table.num_rows + 2)))


def _text(value) -> str:
    """A cell of a typed column as it would stand in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return str(value).strip()
