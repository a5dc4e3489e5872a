"""The front page of all runs: each chapter's answer, key results and first figure."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from channelwise.runs import manifest as manifests
from channelwise.runs.ledger import render_ledger
from channelwise.runs.notebooks import thumbnail
from channelwise.runs.pages import write_page
from channelwise.runs.prose import Prose

KEY_RESULTS = 3


def render_index(reports_dir: Path) -> None:
    """Writes `index.html` and the ledger it links to into the folder of reports.

    Args:
      reports_dir: The folder that holds `<notebook>/<run>/manifest.json`.
    """
    found = manifests.find(reports_dir)
    chapters: dict[str, list[tuple[Path, dict[str, Any]]]] = defaultdict(list)
    for folder, run in found:
        chapters[run["notebook"]].append((folder, run))
    rows = [_chapter(reports_dir, runs) for _, runs in sorted(chapters.items())]
    claims = render_ledger(reports_dir)
    write_page(
        reports_dir / "index.html",
        "index.html",
        chapters=rows,
        runs=len(found),
        good=sum(run["status"] == "succeeded" for _, run in found),
        claims=len(claims),
        wrong=sum(not claim["holds"] for claim in claims),
        home="index.html",
    )


def first_sentence(markdown: str) -> str:
    """The first sentence of a text, formulas and abbreviations kept whole."""
    text = " ".join(markdown.split())
    for end in re.finditer(r"[.!?][\"”*_)]*(?=\s+[\"“*_(`]*[A-Z0-9])", text):
        sentence = text[: end.end()]
        closed = all(sentence.count(mark) % 2 == 0 for mark in ("$", "`", "**"))
        if closed and not re.search(r"\b(e\.g|i\.e|vs|cf|Fig|No)\.$", sentence):
            return sentence
    return text


def key_results(results: Sequence[Mapping[str, Any]], answer: str) -> list[Mapping[str, Any]]:
    """The few results to show first: those whose numbers the answer states, then the first ones.

    Args:
      results: The recorded results of a run, in their order.
      answer: The run's answer; a number in it stands for every result that rounds to it, and
        one of three digits or more says so more surely than one of two.
    """
    stated = {number: place for place, number in reversed(list(enumerate(_numbers(answer))))}

    def rank(result: Mapping[str, Any]) -> tuple[int, int]:
        value = result["value"]
        if isinstance(value, bool | str):
            return 0, 0
        matches = [
            (-min(digits, 3), place)
            for (number, digits), place in stated.items()
            if float(f"{value:.{digits}g}") == number
        ]
        return min(matches, default=(0, 0))

    return sorted(results, key=rank)[:KEY_RESULTS]


def _numbers(text: str) -> list[tuple[float, int]]:
    """The numbers of a text that have at least two digits, each with how many it has."""
    found = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])", text.replace("−", "-"))
    sized = [(float(number), len(_digits(number))) for number in found]
    return [(number, digits) for number, digits in sized if digits > 1]


def _digits(number: str) -> str:
    return re.sub(r"e.*|[-.]", "", number).lstrip("0")


def main_run(runs: Sequence[tuple[Path, dict[str, Any]]]) -> tuple[Path, dict[str, Any]]:
    """The run that stands for its chapter: good before bad, default before others, then newest."""

    def rank(item: tuple[Path, Mapping[str, Any]]) -> tuple[bool, bool, bool, str]:
        _, run = item
        return (
            run["kind"] == "run",
            run["status"] == "succeeded",
            run["name"] == "default",
            run["started"] or "",
        )

    return max(runs, key=rank)


def _chapter(reports_dir: Path, runs: list[tuple[Path, dict[str, Any]]]) -> dict[str, Any]:
    folder, run = main_run(runs)
    others = [_line(reports_dir, *other) for other in runs if other[0] != folder]
    prose = Prose(strict=False)
    answer = run.get("answer")
    return {
        **_line(reports_dir, folder, run),
        "number": (re.match(r"(\d+)_", run["notebook"]) or ("", ""))[1],
        "title": prose.render_line(run["title"]),
        "question": prose.render_line(run["question"]) if run["question"] else "",
        "answer": prose.render_line(first_sentence(answer)) if answer else Markup(),
        "results": key_results(run.get("results", []), answer or ""),
        "thumbnail": thumbnail(folder),
        "others": others,
    }


def _line(reports_dir: Path, folder: Path, run: Mapping[str, Any]) -> dict[str, Any]:
    path = folder.relative_to(reports_dir) / "report.html"
    return {
        "run": run,
        "href": quote(path.as_posix()) if (reports_dir / path).exists() else "",
        "message": run["error"]["message"] if run["error"] else "",
        "sweep": run["kind"] == "sweep",
        "attempt": run["status"] != "succeeded" and folder.name != run["name"],
    }
