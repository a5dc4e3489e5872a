"""Tables on disk: CSV with any common separator, or Parquet, as a pandas frame."""

import csv
import io
from pathlib import Path

import pandas as pd

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class TableError(ValueError):
    """A table that cannot be used; the message says why and what to do."""


def read_frame(path: Path | str, *, separator: str | None = None) -> pd.DataFrame:
    """The rows and columns of a file, nothing interpreted beyond numbers and missing values.

    Args:
      path: a `.csv`, `.txt` or `.tsv` file in UTF-8, or a `.parquet` file.
      separator: between the fields of a line; found from the file itself if None. Numbers with a
        decimal comma are understood where the comma does not separate.

    Returns:
      A frame with at least one row, whose column names are distinct texts without outer blanks.

    Raises:
      TableError: if there is no such file, or no table can be read from it.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise TableError(f"{path} {kind}. Give the path of a CSV or Parquet file.")
    if path.suffix.lower() in (".parquet", ".pq"):
        frame = _read_parquet(path)
    else:
        frame = _read_csv(path, _decode(path), separator)
    if len(frame) == 0:
        raise TableError(f"{path.name} has a header but no rows. Add at least one row below it.")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        raise TableError(
            f"Reading {path.name} needs pyarrow, which is not installed: run "
            "pip install 'channelwise[parquet]', or save the table as CSV."
        ) from error
    except Exception as error:
        raise TableError(
            f"{path.name} is not a readable Parquet file ({error}). Export it again, or save CSV."
        ) from error
    frame.columns = _names([str(name) for name in frame.columns], path.name)
    return frame


def _decode(path: Path) -> str:
    """The text of the file, which must be UTF-8."""
    raw = path.read_bytes()
    if not raw.strip():
        raise TableError(f"{path.name} is empty. Give a file with a header line and rows.")
    remedy = "Save it again as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise TableError(f"{path.name} is in UTF-16, not UTF-8. {remedy}")
    if b"\x00" in raw[:4096]:
        raise TableError(f"{path.name} is not a text file. Give a CSV or Parquet file.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise TableError(
            f"{path.name} is not UTF-8: byte {raw[error.start]:#04x} in line {line}. {remedy}"
        ) from error


def find_separator(text: str) -> str | None:
    """The separator under which the first lines have the same number of fields, at least two.

    Returns:
      One of comma, semicolon, tab and bar (the one that gives the most fields), or None.
    """
    lines = "\n".join(text.splitlines()[:30])
    fields = {}
    for separator in SEPARATORS:
        counts = {len(row) for row in csv.reader(io.StringIO(lines), delimiter=separator) if row}
        if len(counts) == 1 and min(counts) > 1:
            fields[separator] = min(counts)
    return max(fields, key=lambda s: fields[s]) if fields else None


def _read_csv(path: Path, text: str, separator: str | None) -> pd.DataFrame:
    separator = separator or find_separator(text) or _separator_of_header(text)
    lines = (row for row in csv.reader(io.StringIO(text), delimiter=separator) if row)
    names = _names(next(lines), path.name)
    if len(next(lines, [])) > len(names):
        raise TableError(
            f"{path.name}: the rows have more fields than the header's {len(names)}. "
            "Quote texts that hold the separator, or name every column."
        )
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, skipinitialspace=True, header=0)
    except pd.errors.ParserError as error:
        raise TableError(
            f"{path.name}: {str(error).strip()}. Every line needs as many fields as the header "
            f"({len(names)}); quote texts that hold the separator, or name it with separator=."
        ) from error
    frame.columns = names
    return frame.apply(_decimal_comma) if separator != "," else frame


def _separator_of_header(text: str) -> str:
    """Uneven lines: the separator that occurs most in the first one, so that pandas names them."""
    first = text.lstrip().split("\n", 1)[0]
    return max(SEPARATORS, key=first.count)


def _decimal_comma(column: pd.Series) -> pd.Series:
    """Numbers written 1.234,5 or 0,5, if that is what every value of the column is."""
    if pd.api.types.is_numeric_dtype(column) or column.isna().all():
        return column
    texts = column.dropna().astype(str).str.strip()
    if not texts.str.fullmatch(r"[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?").all():
        return column
    plain = column.astype(str).str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return pd.to_numeric(plain.where(column.notna()))


def _names(header: list[str], file: str) -> list[str]:
    """Column names: outer blanks removed, unnamed ones numbered, none twice."""
    names = [name.strip() or f"unnamed {i + 1}" for i, name in enumerate(header)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(
            f"{file} has several columns named {', '.join(map(repr, twice))}. "
            "Give every column its own name."
        )
    return names
