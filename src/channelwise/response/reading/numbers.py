"""Numbers as people and spreadsheets write them: 1234.5, 1,234.50, 1.234,50, € 12, (7)."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from channelwise.response.reading.sheet import is_missing

_POINT = re.compile(r"[-+]?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?(e[-+]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+)?(,\d*)?(e[-+]?\d+)?", re.IGNORECASE)
_SURE_POINT = re.compile(r"[^,]*\.(\d{0,2}|\d{4,})|0?\.\d+|.*,\d{3}\.\d*|[-+]?\d{1,3}(,\d{3}){2,}")
_SURE_COMMA = re.compile(r"[^.]*,(\d{0,2}|\d{4,})|0?,\d+|.*\.\d{3},\d*|[-+]?\d{1,3}(\.\d{3}){2,}")
_MONEY = r"[$€£¥]|\b(?:USD|EUR|GBP|CHF|JPY)\b"
_ENDS = re.compile(rf"^(?:{_MONEY})\s*|\s*(?:{_MONEY})$", re.IGNORECASE)
_TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_GROUPS = re.compile("(?<=\\d)[ '’\u00a0\u202f](?=\\d{3})")


class Numbers(NamedTuple):
    """A column read as numbers.

    Attributes:
      values: float64, NaN where there is none.
      missing: indices of empty cells, "n/a" and the like.
      unreadable: indices of texts that are no number, or could be two.
      rewritten: indices of texts with a currency sign or separated thousands.
    """

    values: np.ndarray
    missing: list[int]
    unreadable: list[int]
    rewritten: list[int]


def read_numbers(texts: list[str], decimal: str | None = None) -> Numbers:
    """Reads a column; the decimal sign is the one that its own texts show.

    Args:
      texts: cells without outer blanks.
      decimal: "." or ",", where the column itself does not show it; None if unknown: then a text
        such as "1,234", which could be either, is unreadable.
    """
    plain = _plain(texts)
    if plain is not None and (decimal != "," or not any("." in text for text in texts)):
        return Numbers(plain, [], [], [])
    bare = {text: _bare(text) for text in set(texts) if not is_missing(text)}
    decimal = decimal_sign(bare.values()) or decimal
    number = {text: _number(short, decimal) for text, short in bare.items()}
    changed = {text for text, short in bare.items() if _is_rewritten(text, short, decimal)}
    values = np.array([number.get(text, np.nan) for text in texts])
    none = np.flatnonzero(np.isnan(values)).tolist()
    return Numbers(
        values,
        [i for i in none if texts[i] not in number],
        [i for i in none if texts[i] in number],
        [i for i, text in enumerate(texts) if text in changed and not np.isnan(values[i])],
    )


def sheet_decimal(columns: Iterable[list[str]]) -> str | None:
    """The decimal sign of a whole table, from the columns that are not numbers as they stand."""
    others = ([_bare(text) for text in texts] for texts in columns if _plain(texts) is None)
    signs = {decimal_sign(texts) for texts in others}
    return None if ("," in signs) == ("." in signs) else "," if "," in signs else "."


def _plain(texts: list[str]) -> np.ndarray | None:
    """The fast way, for columns in which every cell is a plain number."""
    try:
        values = np.array(texts).astype(np.float64)
    except ValueError:
        return None
    return None if np.isnan(values).any() else values


def decimal_sign(texts: Iterable[str]) -> str | None:
    """ "." or "," if the texts show it beyond doubt and never the other one, else None."""
    texts = list(texts)
    point = any(_SURE_POINT.fullmatch(t) for t in texts if _POINT.fullmatch(t))
    comma = any(_SURE_COMMA.fullmatch(t) for t in texts if _COMMA.fullmatch(t))
    return None if point == comma else "." if point else ","


def _bare(text: str) -> str:
    """Without currency signs and blanks between thousands; an accountant's (7) is -7."""
    text = _GROUPS.sub("", _ENDS.sub("", text.strip())).strip()
    inside = re.fullmatch(r"\((.+)\)", text)
    return f"-{_ENDS.sub('', inside[1])}" if inside else text


def _number(text: str, decimal: str | None) -> float:
    if re.fullmatch(r"[-+]?inf(inity)?", text, re.IGNORECASE):
        return float(text)
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if not re.search(r"\d", text):
        return np.nan
    if decimal == ",":
        ok, plain = _COMMA.fullmatch(text), text.replace(".", "").replace(",", ".")
    else:
        ok, plain = _POINT.fullmatch(text), text.replace(",", "")
        if decimal is None and "," in text:
            return np.nan
    return float(plain) if ok else np.nan


def _is_rewritten(text: str, bare: str, decimal: str | None) -> bool:
    return bare != text or ("." if decimal == "," else ",") in text
