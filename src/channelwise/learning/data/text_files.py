"""Text files on disk: CSV with any common separator, or JSON lines, as rows of named values."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from channelwise.learning.data.files import SEPARATORS

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
MOST_BYTES = 2**30
WESTERN = ("cp1252", "latin-1")


class TextError(ValueError):
    """Texts that cannot be used; the message says why and what to do."""


class Rows(NamedTuple):
    """The rows of a file.

    Attributes:
      file: its name.
      columns: the names of the values.
      lines: the line each row begins in, from 1.
      values: one dictionary a row; every value a text in a CSV file, any in JSON lines.
    """

    file: str
    columns: list[str]
    lines: list[int]
    values: list[dict[str, Any]]


def read_rows(path: Path | str, *, separator: str | None = None, encoding: str = "utf-8") -> Rows:
    """The rows of a CSV or JSON-lines file; its content decides which it is, not its ending.

    Args:
      path: a file of at most 1 GiB.
      separator: between the fields of a CSV line; found from the header if None.
      encoding: how the file writes its characters.

    Raises:
      TextError: if there is no such file or it is neither; with the line and the remedy.
    """
    path = Path(path)
    text = _decoded(path, _bytes_of(path), encoding)
    if separator is None and _is_json(path, text):
        return _json_rows(path.name, text)
    return _csv_rows(path.name, text, separator)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise TextError(f"{path} {kind}. Give the path of a CSV or JSON-lines file.")
    if path.stat().st_size > MOST_BYTES:
        raise TextError(
            f"{path.name} has {path.stat().st_size / 2**30:.1f} GiB; texts are held in memory, so "
            "at most 1 GiB is read. Take a sample of its lines."
        )
    return path.read_bytes()


def _decoded(path: Path, raw: bytes, encoding: str) -> str:
    """The text of the file, without byte order mark."""
    try:
        text = raw.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except LookupError as error:
        raise TextError(
            f"There is no encoding {encoding!r}. Python's names are 'utf-8', 'cp1252', 'utf-16', …"
        ) from error
    except UnicodeError as error:
        raise TextError(_undecodable(path.name, raw, encoding, error)) from error
    if not text.strip():
        raise TextError(f"{path.name} is empty. Give a file with texts and labels.")
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise TextError(
            f"{path.name} holds a NUL byte in line {line}: it is no text file, or not in "
            f"{encoding}. {_remedy(raw)}"
        )
    return text


def _undecodable(file: str, raw: bytes, encoding: str, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return f"{file} is not {encoding}: {error}. {_remedy(raw)}"
    line = raw[: error.start].count(b"\n") + 1
    place = f"byte {raw[error.start]:#04x} at offset {error.start}, line {line}"
    if error.reason == "unexpected end of data" and error.end == len(raw):
        return (
            f"{file} ends in the middle of a character ({place}): it was copied incompletely, "
            f"or is not {encoding}. Copy it again."
        )
    return f"{file} is not {encoding}: {place}. {_remedy(raw)}"


def _remedy(raw: bytes) -> str:
    """What the file's encoding probably is, and what to do about it."""
    likely = _likely_encoding(raw)
    if likely is None:
        return "Save it again as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
    return f"It looks like {likely}: save it again as UTF-8, or give encoding={likely!r}."


def _likely_encoding(raw: bytes) -> str | None:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = raw[:4096]
    if head.count(b"\x00") > len(head) // 4:
        return "utf-16-le" if head[1:2] == b"\x00" else "utf-16-be"
    if b"\x00" in raw:
        return None
    return next((name for name in WESTERN if _decodes(raw, name)), None)


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_json(path: Path, text: str) -> bool:
    """By the first sign of the content; a `.jsonl` file that begins with a header is a CSV file."""
    if text.lstrip().startswith(("{", "[")):
        return True
    header = text.lstrip().split("\n", 1)[0]
    return path.suffix.lower() in JSON_ENDINGS and not any(s in header for s in SEPARATORS)


def _json_rows(file: str, text: str) -> Rows:
    lines, values = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            lines.append(number)
            values.append(_json_object(file, number, line))
    columns = list(dict.fromkeys(name for row in values for name in row))
    return Rows(file, columns, lines, values)


def _json_object(file: str, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        if number == 1 and line.strip() in ("[", "{"):
            why = "a JSON document over several lines"
        else:
            why = f"no JSON: {error}"
        raise TextError(
            f"{file}, line {number} is {why}. Write one object a line, such as "
            '{"text": "…", "label": "…"}.'
        ) from error
    if not isinstance(value, dict):
        raise TextError(
            f"{file}, line {number} holds {shown(value)}, which is no object. Write one object a "
            'line, such as {"text": "…", "label": "…"}.'
        )
    return value


def _csv_rows(file: str, text: str, separator: str | None) -> Rows:
    separator = separator or _separator_of(text)
    if len(separator) != 1 or separator in '"\r\n':
        raise TextError(f"separator = {separator!r} must be one character, such as ',' or ';'.")
    with _long_fields():
        found = list(_csv_lines(file, text, separator))
    if not found:
        raise TextError(f"{file} holds nothing but separators. Give a file with texts and labels.")
    (_, header), rows = found[0], found[1:]
    columns = [name.strip() for name in header]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise TextError(
            f"{file} has several columns named {', '.join(map(repr, twice))}. "
            "Give every column its own name in the first line."
        )
    if not rows:
        raise TextError(f"{file} has a header but no rows. Add at least one row below it.")
    for line, row in rows:
        if len(row) != len(columns):
            raise TextError(
                f"{file}, line {line} has {len(row)} fields, the header has {len(columns)}. Quote "
                "texts that hold the separator, or name it with separator=."
            )
    values = [dict(zip(columns, row, strict=True)) for _, row in rows]
    return Rows(file, columns, [line for line, _ in rows], values)


def _separator_of(text: str) -> str:
    """The separator that occurs most in the header: texts hold commas, column names do not."""
    header = text.lstrip().split("\n", 1)[0]
    return max(SEPARATORS, key=header.count)


def _csv_lines(file: str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, and the line it begins in."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            open_quote = "unexpected end of data" in str(error)
            why = "a quote that opens there is never closed" if open_quote else str(error)
            raise TextError(
                f"{file}, line {line}: {why}. Put texts that hold quotes into quotes and write "
                'the inner ones twice, as in "a ""quoted"" word".'
            ) from error
        if any(field.strip() for field in row):
            yield line, row


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lets `csv` read fields as long as the file; its own limit is 131,072 characters."""
    before = csv.field_size_limit(2 * MOST_BYTES - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def shown(value: Any) -> str:
    """A value for a sentence, not more than forty characters of it."""
    written = repr(value[:60] if isinstance(value, str) else value)
    return written if len(written) <= 40 else written[:39] + "…"
