"""The chapters' own reports, rendered from the committed notebooks without running them."""

import json
import shutil
from pathlib import Path

import pytest

import report_samples as samples
from browser import chromium
from channelwise.runs import manifest
from channelwise.runs.report import render, render_index
from page_checks import Page, assert_no_latex, assert_offline_and_safe, assert_reads_well

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NAMES = [notebook.stem for notebook in NOTEBOOKS]


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Path:
    """The reports of all committed notebooks, with the index and the ledger."""
    root = tmp_path_factory.mktemp("reports")
    for notebook in NOTEBOOKS:
        book = json.loads(notebook.read_text(encoding="utf-8"))
        told = manifest.headline(book, notebook.stem) | manifest.collect(book)
        run = samples.manifest(notebook=notebook.stem, **told)
        folder = samples.write(root / notebook.stem / "default", run)
        shutil.copy(notebook, folder / "notebook.ipynb")
        render(folder)
    render_index(root)
    return root


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_is_one_light_page_that_needs_no_network(reports, name):
    page = Page(reports / name / "default" / "report.html")
    assert_offline_and_safe(page)
    assert_no_latex(page)
    assert len(page.source.encode()) < 400_000
    assert page.all("img") and "The answer" in page.text and "has no description" not in page.text


def test_every_claim_of_the_articles_is_settled_at_most_once_a_chapter_and_in_order(reports):
    for name in NAMES:
        run = manifest.read(reports / name / "default")
        numbers = [claim["number"] for claim in run["claims"]]
        assert len(numbers) == len(set(numbers)), name


def test_the_index_and_the_ledger_of_all_chapters_are_offline_pages(reports):
    for name in ("index.html", "ledger.html"):
        page = Page(reports / name)
        assert_offline_and_safe(page)
        assert_no_latex(page)
        assert len(page.source.encode()) < 400_000


def test_the_chapters_read_well_on_a_phone_and_on_a_desk_at_night(reports):
    looks = (((390, 844), "light"), ((1280, 900), "dark"))
    with chromium() as browser:
        for (width, height), scheme in looks:
            window = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
            )
            for path in sorted(reports.rglob("*.html")):
                assert_reads_well(window, path)
            window.close()
