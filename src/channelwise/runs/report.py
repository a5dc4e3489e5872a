"""The pages of a run: its report, the sweep's comparison, the index and the ledger.

Every page is one HTML file that is read from disk with the network off: no script, formulas as
MathML, figures inside the page, light and dark, on paper and on a phone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from channelwise.runs import manifest as manifests
from channelwise.runs.comparison import render_sweep
from channelwise.runs.index import render_index
from channelwise.runs.ledger import render_ledger
from channelwise.runs.notebooks import cells_of
from channelwise.runs.pages import write_page
from channelwise.runs.printed import plain
from channelwise.runs.prose import Prose, RenderError
from channelwise.runs.story import Story, tell

__all__ = ["RenderError", "render", "render_index", "render_ledger", "render_sweep"]


def render(run_dir: Path) -> None:
    """Writes `report.html` into a run's folder, from its `notebook.ipynb` and `manifest.json`.

    A run that did not succeed gets a page as well: it shows what was computed, the place where
    the run ended, and the error.

    Args:
      run_dir: The folder of one run, finished or about to be renamed.

    Raises:
      ManifestError: The folder has no readable manifest.
      RenderError: A text of the notebook cannot be shown as it should be; the message names the
        cell and the formula or image.
    """
    run = manifests.read(run_dir)
    up = "../../../../" if run_dir.parent.name == "points" else "../../"
    story = tell(
        cells_of(run_dir),
        whole=run["status"] == "succeeded",
        ended_in=run["error"]["cell"] if run["error"] else None,
        root=up,
    )
    write_page(
        run_dir / "report.html",
        "report.html",
        run=run,
        story=story,
        answer=_answer(run, story),
        warnings=_warnings(run, story),
        hashes=_hashes(run),
        home=f"{up}index.html",
        ledger=f"{up}ledger.html",
    )


def _answer(run: Mapping[str, Any], story: Story) -> str:
    markdown = run["answer"] or story.answer
    return Prose(strict=False).render(markdown) if markdown else ""


def _warnings(run: Mapping[str, Any], story: Story) -> list[str]:
    """What the cells wrote to stderr, each text once, and what this page has to say itself."""
    texts = [plain(warning["text"]).strip() for warning in run["warnings"]]
    return list(dict.fromkeys([*filter(None, texts), *story.notes]))


def _hashes(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    known = run["hashes"] or {}
    rows = [(name, digest) for name, digest in known.items() if name != "data" and digest]
    data = known.get("data") or {}
    return rows + [(f"{name}: {file['path']}", file["sha256"]) for name, file in data.items()]
