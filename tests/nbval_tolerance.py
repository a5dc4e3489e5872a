"""What nbval compares: text must be identical, numbers close, recorded results in their tolerance.

nbval compares exact strings. This plugin settles, output by output, whether a fresh output agrees
with the committed one; where it does, nbval is handed the committed text, and where it does not,
nbval reports the difference as it always does.
"""

import json
import math
import re

import pytest
from nbval.plugin import IPyNbCell, coalesce_streams

from channelwise.notebook.outputs import RECORD, TABLE

RTOL = 1e-3
"""Relative tolerance of a number in a text that states none of its own."""

_NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?")


def texts_agree(fresh: str, committed: str) -> bool:
    """Whether two texts have the same words, and numbers within RTOL or their last digit."""
    if _NUMBER.sub("#", fresh) != _NUMBER.sub("#", committed):
        return False
    pairs = zip(_NUMBER.findall(fresh), _NUMBER.findall(committed), strict=True)
    return all(_numbers_agree(a, b) for a, b in pairs)


def records_agree(fresh: dict, committed: dict) -> bool:
    """Whether a recorded result lies within the tolerance it was recorded with."""
    a, b = fresh["value"], committed["value"]
    if {**fresh, "value": None} != {**committed, "value": None}:
        return False
    if isinstance(a, bool | str) or isinstance(b, bool | str):
        return a == b
    return abs(a - b) <= committed["atol"] + committed["rtol"] * abs(b)


def outputs_agree(fresh: dict, committed: dict) -> bool:
    """Whether two cell outputs say the same."""
    if fresh["output_type"] == "stream" or "data" not in fresh or "data" not in committed:
        return fresh.get("name") == committed.get("name") and texts_agree(
            str(fresh.get("text", "")), str(committed.get("text", ""))
        )
    new, old = fresh["data"], committed["data"]
    if new.keys() != old.keys():
        return False
    if RECORD in old:
        return records_agree(new[RECORD], old[RECORD])
    if TABLE in old and not old[TABLE]["compare"]:
        return all(new[TABLE][k] == old[TABLE][k] for k in ("caption", "columns", "compare"))
    if "image/png" in old:  # a picture's title may hold numbers of its own run
        return _words(new["text/plain"]) == _words(old["text/plain"])
    return all(texts_agree(_text(new[key]), _text(old[key])) for key in old if key != "text/html")


def _numbers_agree(fresh: str, committed: str) -> bool:
    a, b = (float(t.replace("−", "-").replace("_", "")) for t in (fresh, committed))
    mantissa, _, exponent = committed.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - digits) if digits or exponent else 0.0
    return math.isclose(a, b, rel_tol=RTOL, abs_tol=1.001 * unit)


def _words(text: object) -> str:
    return _NUMBER.sub("#", _text(text))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _checked(outputs: list) -> list:
    """The outputs that count: everything but what went to stderr."""
    return [o for o in outputs if o.get("name") != "stderr"]


_nbval_compare = IPyNbCell.compare_outputs


def _compare(self: IPyNbCell, test: list, ref: list, skip_compare: tuple | None = None) -> bool:
    test, ref = coalesce_streams(_checked(test)), coalesce_streams(_checked(ref))
    if len(test) == len(ref) and all(map(outputs_agree, test, ref)):
        return True
    agreed = [b if outputs_agree(a, b) else a for a, b in zip(test, ref, strict=False)]
    same = _nbval_compare(self, agreed + test[len(agreed) :], ref, skip_compare)
    if same:  # nbval leaves pictures out; a changed one is a difference all the same
        self.comparison_traceback = ["the outputs of this cell differ in a figure's title"]
    return False


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Puts the comparison in nbval's place."""
    IPyNbCell.compare_outputs = _compare
