"""The ledger "Claimed and recomputed": every claim that a chapter has settled, on one page."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from channelwise.runs import manifest as manifests
from channelwise.runs.pages import write_page

ARTICLE_CLAIMS = 19
"""The claims of the source articles are numbered from 1 to this."""


def render_ledger(reports_dir: Path) -> list[dict[str, Any]]:
    """Writes `ledger.html` from the claims recorded in the runs' manifests.

    Of each chapter the default run speaks, else its newest good run. A claim whose chapter has
    not been run is not there; the page says which numbers of the articles are missing.

    Args:
      reports_dir: The folder that holds `<notebook>/<run>/manifest.json`.

    Returns:
      The claims of the page, in its order.
    """
    claims = [claim for folder, run in _speakers(reports_dir) for claim in _rows(folder, run)]
    articles = sorted((c for c in claims if _article(c) is not None), key=_order)
    public = sorted((c for c in claims if _article(c) is None), key=_order)
    settled = {_article(claim) for claim in articles}
    write_page(
        reports_dir / "ledger.html",
        "ledger.html",
        articles=articles,
        public=public,
        settled=len(settled),
        wrong=len({_article(claim) for claim in articles if not claim["holds"]}),
        missing=[n for n in range(1, ARTICLE_CLAIMS + 1) if n not in settled],
        total=ARTICLE_CLAIMS,
        home="index.html",
    )
    return articles + public


def _speakers(reports_dir: Path) -> list[tuple[Path, dict[str, Any]]]:
    """One good run of each notebook."""
    best: dict[str, tuple[Path, dict[str, Any]]] = {}
    for folder, run in manifests.find(reports_dir):
        if run["kind"] == "run" and run["status"] == "succeeded":
            held = best.get(run["notebook"])
            if held is None or _rank(run) > _rank(held[1]):
                best[run["notebook"]] = (folder, run)
    return [best[notebook] for notebook in sorted(best)]


def _rank(run: dict[str, Any]) -> tuple[bool, str]:
    return run["name"] == "default", run["started"]


def _rows(folder: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    href = quote(f"{run['notebook']}/{folder.name}/report.html") + "#claims"
    return [{**claim, "href": href, "notebook": run["notebook"]} for claim in run["claims"]]


def _article(claim: dict[str, Any]) -> int | None:
    number = re.fullmatch(r"(\d+)[a-z]?", str(claim["number"]))
    return int(number[1]) if number and 1 <= int(number[1]) <= ARTICLE_CLAIMS else None


def _order(claim: dict[str, Any]) -> tuple[int, str, str]:
    digits = re.search(r"\d+", str(claim["number"]))
    return int(digits[0]) if digits else 0, str(claim["number"]), claim["source"]
