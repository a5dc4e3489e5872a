"""The pages of runs, read as text: complete, offline, escaped, truthful."""

import json
import math
import re
from pathlib import Path

import pytest

import report_samples as samples
from channelwise.runs.index import first_sentence, key_results
from channelwise.runs.report import (
    RenderError,
    render,
    render_index,
    render_ledger,
    render_sweep,
)
from page_checks import Page, assert_no_latex, assert_offline_and_safe


def report_of(folder: Path, cells=None, **changes) -> Page:
    cells = samples.chapter() if cells is None else cells
    samples.write(folder, samples.manifest(**changes), cells)
    render(folder)
    return Page(folder / "report.html")


@pytest.fixture(scope="module")
def chapter(tmp_path_factory) -> Page:
    return report_of(tmp_path_factory.mktemp("runs") / "01_activations" / "default")


def test_a_report_is_one_offline_page_without_scripts(chapter):
    assert_offline_and_safe(chapter)
    assert_no_latex(chapter)
    assert len(chapter.source.encode()) < 400_000


def test_a_report_puts_the_question_and_the_answer_first(chapter):
    order = [
        "Activations and vanishing gradients",
        "which number predicts it?",
        "Each sigmoid layer multiplies",
        "Succeeded",
        "layers stacked",
        "Whoever trains a deep net",
        "A layer of weights",
        "Claimed and recomputed",
        "A rerun agrees",
        "careful: 3 units are dead",
        "channelwise run 01_activations -p depth=30",
        "5f5f5f5f",
    ]
    places = [chapter.text.index(words) for words in order]
    assert places == sorted(places)
    assert chapter.text.count("Each sigmoid layer multiplies") == 1
    assert "Question." not in chapter.text and "<strong>0.236</strong>" in chapter.source


def test_a_report_shows_the_parameters_and_marks_the_changed_one(chapter):
    row = re.search(r'<tr [^>]*class="changed">.*?</tr>', chapter.source, re.DOTALL)[0]
    assert "depth" in row and "<strong>30</strong>" in row and "changed" in row
    assert chapter.source.count('class="changed"') == 1
    assert "sigmoid, tanh, relu, gelu" in chapter.text and "integer, 1 to 200" in chapter.text


def test_a_report_folds_the_code_away_and_the_set_up_into_one_place(chapter):
    folds = chapter.all("details")
    assert folds and all("open" not in fold for fold in folds)
    assert "Code · 9 lines" in chapter.text
    setup = re.search(r"Set-up.*?</details>", chapter.source, re.DOTALL)[0]
    assert setup.count("<pre") == 4 and "explore(" not in chapter.text


def test_code_that_shows_nothing_is_folded_together_with_the_code_below_it(tmp_path):
    cells = [samples.code("a = 1\nb = 2"), samples.code("c = 3"), samples.code("print(c)")]
    page = report_of(tmp_path / "a" / "b", [*cells[:2], samples.text("So."), cells[2]])
    assert "Code · 3 lines" in page.text and "Code · 1 line" in page.text


def test_numbers_in_tables_are_set_as_books_set_them(tmp_path):
    table = {"caption": "", "columns": ["name", "error", "note"]}
    rows = [["a-b", "-1.678e+07", ""], ["1e-5", "2e-13", ""], ["c", "–", ""], ["d", "1 000", ""]]
    output = samples.shows({"application/vnd.channelwise.table+json": table | {"rows": rows}})
    page = report_of(tmp_path / "a" / "b", [samples.code("table()", output)])
    for expected in ("<td>a-b", "−1.678 × 10<sup>7</sup>", "<td>1e-5", "2 × 10<sup>−13</sup>"):
        assert expected in page.source
    assert page.source.count('<td class="number">') == 4


def test_a_report_gives_a_verdict_in_words_for_every_claim(chapter):
    table = re.search(r'<table class="claims.*?</table>', chapter.source, re.DOTALL)[0]
    assert table.count("Holds</span>") == 1 and table.count("Wrong</span>") == 2
    assert 'id="claims"' in chapter.source


def test_a_report_lists_every_recorded_result_with_its_tolerance(chapter):
    table = chapter.source[chapter.source.index('id="results"') :]
    for expected in ("chi_sigmoid", "3.1 × 10<sup>−13</sup>", "± 5 %", "exact", "% of units"):
        assert expected in table


def test_a_long_table_scrolls_inside_itself(tmp_path):
    table = {"caption": "", "columns": ["n"], "rows": [[str(n)] for n in range(40)]}
    output = samples.shows({"application/vnd.channelwise.table+json": table})
    page = report_of(tmp_path / "a" / "b", [samples.code("table()", output)])
    assert page.source.count('class="scroll broad tall"') == 1


def test_the_contents_lead_to_the_sections(chapter):
    anchors = {attributes["id"] for _, attributes in chapter.elements if "id" in attributes}
    links = [a["href"][1:] for a in chapter.all("a") if a["href"].startswith("#")]
    assert {"the-variance-map", "depth-times-gain", "conclusion", "rerun"} <= set(links)
    assert set(links) <= anchors


def test_formulas_become_mathml_before_emphasis_is_looked_for(chapter):
    assert chapter.source.count("<math") >= 10
    assert "<mi>χ</mi>" in chapter.source
    assert "from $5 to $6" in chapter.text  # money stays money
    assert "<em>layer by layer</em>" in chapter.source


def test_names_and_values_from_outside_are_escaped_everywhere(tmp_path):
    evil = samples.ATTACK
    page = report_of(
        tmp_path / "01_activations" / "evil",
        name=evil,
        title=f"# {evil}",
        question=evil,
        answer=f"Use {evil} and [this](javascript:alert(1)) ![x](data:text/html,x)"[:60],
        command=f"channelwise run '{evil}'",
        parameter_set=evil,
        warnings=[{"cell": 1, "text": evil}],
        versions={evil: evil},
    )
    assert_offline_and_safe(page)
    assert page.text.count(evil) >= 10
    assert "javascript:" not in "".join(a.get("href", "") for a in page.all("a"))


def test_html_of_a_cell_keeps_its_table_and_loses_its_teeth(chapter):
    assert "<b>bold</b>" in chapter.source and 'scope="row">a</th>' in chapter.source
    for tooth in ("evil.example", "steal()", "javascript:", "position:fixed", "color: red}"):
        assert tooth not in chapter.source


def test_raw_html_in_a_text_is_shown_and_not_obeyed(tmp_path):
    page = report_of(
        tmp_path / "a" / "b", [samples.text(f"# T\n\nHello {samples.ATTACK} <b>x</b>")]
    )
    assert_offline_and_safe(page)
    assert samples.ATTACK in page.text and "<b>" in page.text


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        (r"\frac{1", "do not balance"),
        (r"\mysymbol{x}", r"\\mysymbol"),
        (r"x \\ y", "aligned"),
        (r"x_", "could not be converted"),
        (r"\href{http://evil.example}{x}", "link"),
    ],
)
def test_a_formula_that_cannot_be_drawn_is_an_error_that_names_it(tmp_path, formula, reason):
    cells = [samples.text(f"# T\n\nHere ${formula}$ is.")]
    with pytest.raises(RenderError, match=reason) as error:
        report_of(tmp_path / "a" / "b", cells)
    assert formula in str(error.value) and "Cell 0" in str(error.value)
    assert not (tmp_path / "a" / "b" / "report.html").exists()


def test_a_text_is_set_with_the_signs_a_keyboard_lacks(tmp_path):
    typed = (
        """# T\n\nIt's "so" (-0.5 to -3), a 64-32-10 net, 1e-5, 95 % `it's -1`, "*all*" of it."""
    )
    page = report_of(tmp_path / "a" / "b", [samples.text(typed)])
    expected = "It’s “so” (−0.5 to −3), a 64-32-10 net, 1e-5, 95\u00a0% it's -1, “all” of it."
    assert expected.replace("\u00a0", " ") in page.text and "95\u00a0%" in page.source


def test_latex_outside_a_formula_is_an_error(tmp_path):
    with pytest.raises(RenderError, match="dollar signs"):
        report_of(tmp_path / "a" / "b", [samples.text("# T\n\nThe rate \\alpha is small.")])


def test_a_formula_in_a_computed_text_is_shown_as_code_if_it_cannot_be_drawn(tmp_path):
    page = report_of(tmp_path / "a" / "b", answer=r"Column $\weird{a}$ wins, at $x^2$.")
    assert r"<code>\weird{a}</code>" in page.source and "<msup>" in page.source


def test_an_image_from_elsewhere_is_an_error_and_an_attached_one_is_shown(tmp_path):
    with pytest.raises(RenderError, match=r"https://example.org/x.png"):
        report_of(tmp_path / "a" / "b", [samples.text("![x](https://example.org/x.png)")])
    cell = samples.text("# T\n\n![A falling line](attachment:x.png)")
    cell["attachments"] = {"x.png": {"image/png": samples.drawing()}}
    page = report_of(tmp_path / "a" / "b", [cell])
    assert page.all("img")[0]["alt"] == "A falling line"


def test_a_figure_without_a_description_is_reported_as_such(tmp_path):
    cells = [samples.text("# T"), samples.code("plot()", samples.shows({"image/png": "aGk="}))]
    page = report_of(tmp_path / "a" / "b", cells)
    assert "Figure 1 (cell 1) has no description" in page.text
    assert page.all("img")[0]["alt"]


def test_lines_follow_the_page_into_the_dark_and_maps_keep_their_colours(chapter):
    assert [label["class"] for label in chapter.all("label")] == ["figure", "figure filled"]


def test_printed_text_loses_its_colours_and_its_excess(tmp_path):
    cells = [samples.code("x", samples.prints("\x1b[31mred\x1b[0m\n" + "y" * 100_000))]
    page = report_of(tmp_path / "a" / "b", cells)
    assert "red" in page.text and "[31m" not in page.text
    assert "characters left out" in page.text and len(page.source) < 80_000


def failed_cells() -> list[dict]:
    cells = samples.chapter()
    error = {"output_type": "error", "ename": "ValueError", "evalue": "depth must be <b>1</b>"}
    trace = ["\x1b[31mTraceback\x1b[0m", f"ValueError: {samples.ATTACK}"]
    cells[10]["outputs"] = [error | {"traceback": trace}]
    return cells


def failed_run(**changes) -> dict:
    message = "Cell 10 (section Depth times gain) raised ValueError: depth must be <b>1</b>"
    error = {"cell": 10, "section": None, "ename": "ValueError", "evalue": "", "message": message}
    none = {"answer": None, "results": [], "claims": [], "warnings": []}
    return {"status": "failed", "error": error} | none | changes


def test_a_failed_run_tells_where_it_ended_and_nothing_that_was_not_computed(tmp_path):
    page = report_of(tmp_path / "a" / "b.failed", failed_cells(), **failed_run())
    assert_offline_and_safe(page)
    assert "raised ValueError: depth must be <b>1</b>" in page.text
    assert "figures.show(fig, alt=...)" in page.text and "Traceback" in page.text
    assert "Succeeded" not in page.text and "The answer" not in page.text
    assert "The claims, recomputed" not in page.text and "Conclusion" not in page.text
    assert "4 more code cells did not run" in page.text
    assert [fold for fold in page.all("details") if "open" in fold] == [
        {"class": "fold", "open": "", "id": "end-of-run"}
    ]


@pytest.mark.parametrize("status", ["kernel_died", "timed_out", "interrupted"])
def test_a_run_without_a_notebook_gets_a_page_of_what_is_known(tmp_path, status):
    folder = tmp_path / "a" / "b.failed"
    run = failed_run(status=status)
    run["error"] = run["error"] | {"cell": None, "message": "The kernel died in cell 3."}
    samples.write(folder, samples.manifest(**run))
    render(folder)
    page = Page(folder / "report.html")
    assert_offline_and_safe(page)
    assert "The kernel died in cell 3." in page.text and "layers stacked" in page.text


def test_a_run_that_ended_between_cells_is_told_up_to_there(tmp_path):
    cells = samples.chapter()
    for cell in cells[8:]:
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    run = failed_run(status="interrupted")
    run["error"] = run["error"] | {"cell": None, "message": "Interrupted by Ctrl-C."}
    page = report_of(tmp_path / "a" / "b.failed", cells, **run)
    assert "width 512, 32 seeds" in page.text and "Only a thin ridge trains" not in page.text
    assert "Here the run ended. 6 more code cells did not run." in page.text
    assert all("open" not in fold for fold in page.all("details"))


def test_links_between_notebooks_become_links_between_reports(tmp_path):
    links = (
        "[a](02_losses.ipynb) [b](../README.md) [c](https://a.org/x) [d](#rerun) [e](mailto:a@b.c)"
    )
    page = report_of(tmp_path / "a" / "b", [samples.text("# T\n\n" + links)])
    assert {
        "../../02_losses/default/report.html",
        "../../../README.md",
        "https://a.org/x",
        "mailto:a@b.c",
    } <= {a["href"] for a in page.all("a")}
    point = tmp_path / "a" / "sweep" / "points" / "1"
    page = report_of(point, [samples.text("# T\n\n" + links)])
    assert "../../../../02_losses/default/report.html" in page.source


def test_an_old_page_stays_when_a_new_one_cannot_be_rendered(tmp_path):
    folder = tmp_path / "a" / "b"
    before = report_of(folder).source
    with pytest.raises(RenderError):
        report_of(folder, [samples.text(r"# T $\nothing$")])
    assert (folder / "report.html").read_text(encoding="utf-8") == before
    assert not list(folder.glob(".report*"))


@pytest.fixture
def reports(tmp_path) -> Path:
    """Two chapters, a failed attempt, a second parameter set and a sweep."""
    one, two = tmp_path / "01_activations", tmp_path / "02_losses"
    report_of(one / "default")
    report_of(one / "default.failed", failed_cells(), **failed_run())
    deep = [row | {"recomputed": "of the deep set"} for row in samples.CLAIMS]
    report_of(one / "deep", name="deep", claims=deep, started="2026-11-23T00:00:00Z")
    losses = [samples.CLAIMS[1] | {"number": 14, "recomputed": f"300 {samples.ATTACK}"}]
    report_of(two / "default", notebook="02_losses", title="Losses", claims=losses)
    samples.write(one / "sweep-1", sample_sweep({"depth": [10, 20]}))
    render_sweep(one / "sweep-1")
    return tmp_path


def test_the_index_shows_each_chapter_with_answer_results_and_picture(reports):
    render_index(reports)
    page = Page(reports / "index.html")
    assert_offline_and_safe(page)
    assert_no_latex(page)
    assert len(page.all("h2")) == 2 and "Losses" in page.text
    assert "of it is left." in page.text and "The number that predicts" not in page.text
    assert "gradient factor of a sigmoid layer at gain 1" in page.text
    assert len(page.all("img")) == 2 and all(len(i["src"]) < 60_000 for i in page.all("img"))
    assert "sweep of 2 points" in page.text and "raised ValueError" in page.text


def test_a_figure_that_cannot_be_read_does_not_stop_the_index(tmp_path):
    broken = samples.shows({"image/png": "aGk="})
    report_of(tmp_path / "a" / "default", [samples.code("x", broken)], notebook="a")
    render_index(tmp_path)
    assert not Page(tmp_path / "index.html").all("img")


def test_every_link_of_the_index_and_the_ledger_leads_somewhere(reports):
    render_index(reports)
    for name in ("index.html", "ledger.html"):
        links = [a["href"] for a in Page(reports / name).all("a")]
        assert len(links) > 4
        for link in links:
            path, _, anchor = link.partition("#")
            assert (reports / path).is_file(), link
            assert not anchor or f'id="{anchor}"' in (reports / path).read_text(encoding="utf-8")


def test_reports_and_sweeps_link_back_to_the_index(reports):
    render_index(reports)
    for folder in ("01_activations/default", "01_activations/sweep-1"):
        for link in Page(reports / folder / "report.html").all("a")[:3]:
            assert (reports / folder / link["href"]).resolve().is_file()


def test_the_index_of_no_runs_says_what_to_type(tmp_path):
    render_index(tmp_path)
    assert "make reports" in Page(tmp_path / "index.html").text


def test_the_ledger_holds_what_the_default_runs_recorded_and_nothing_else(reports):
    claims = render_ledger(reports)
    page = Page(reports / "ledger.html")
    assert_offline_and_safe(page)
    assert [claim["number"] for claim in claims] == [1, 2, 14, "P1"]
    assert "of the deep set" not in page.text
    assert f"300 {samples.ATTACK}" in page.text
    assert "3 of 19" in page.text
    assert "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19" in page.text
    articles, public = page.source.split('<section id="public">')
    assert "UvA tutorial 4" in public and "UvA tutorial 4" not in articles


def test_a_failed_run_settles_no_claim(tmp_path):
    samples.write(tmp_path / "01_a" / "default.failed", samples.manifest(status="failed"))
    assert render_ledger(tmp_path) == []


def sample_sweep(grid: dict, fail=lambda **_: False, **changes) -> dict:
    def results(**point):
        if fail(**point):
            return None
        size = sum(v if isinstance(v, int | float) else len(v) for v in point.values())
        return [samples.result("loss", 1 / (1 + size), "nats", "validation loss")]

    return samples.sweep(grid, results, **changes)


def sweep_page(folder: Path, manifest: dict) -> Page:
    samples.write(folder, manifest)
    render_sweep(folder)
    page = Page(folder / "report.html")
    assert_offline_and_safe(page)
    return page


@pytest.mark.parametrize(
    ("grid", "kind"),
    [
        ({"depth": [10, 20, 40]}, "Line chart"),
        (
            {"rate": [1e-4, 1e-3, 1e-2], "activation": ["relu", "tanh"], "seed": [0, 1]},
            "Line chart",
        ),
        ({"depth": [10, 20], "width": [64, 128, 256]}, "Map"),
        ({"activation": ["relu", "$x$"], "optimizer": ["adam", "<b>"]}, "Dots"),
        ({"seed": [0, 1, 2]}, "Line chart"),
        ({"flag": [True, False], "depth": [1, 2]}, "Line chart"),
    ],
)
def test_a_sweep_is_a_table_and_a_figure_that_fits_what_was_varied(tmp_path, grid, kind):
    page = sweep_page(tmp_path / "01_activations" / "sweep", sample_sweep(grid))
    (image,) = page.all("img")
    assert image["alt"].startswith(f"{kind} of loss [nats] against")
    table = page.source.split('id="points"')[1].split("</tbody>")[0]
    rows = re.findall(r"<tr>.*?</tr>", table.split("<tbody>")[1], re.DOTALL)
    assert len(rows) == math.prod(len(values) for values in grid.values())
    assert "nats" in page.text and "validation loss" in page.text


def test_a_result_that_nothing_moved_is_named_and_not_drawn(tmp_path):
    def results(depth):
        still, moved = samples.result("still", 1 + 1e-5 * depth), samples.result("moved", depth)
        return [still, moved, *(samples.result(f"more_{n}", depth * n) for n in range(1, 8))]

    page = sweep_page(tmp_path / "a" / "sweep", samples.sweep({"depth": [10, 20]}, results))
    assert len(page.all("img")) == 6 and "of moved against" in page.all("img")[0]["alt"]
    assert "by anything varied here: still." in page.text
    assert "Also moved, and in the table below: more_6, more_7." in page.text


def test_the_figure_of_a_sweep_names_only_what_its_best_points_share(tmp_path):
    def results(depth, activation):
        return [samples.result("accuracy", 0.9 if depth == 20 else 0.8)]

    grid = {"depth": [10, 20], "activation": ["relu", "tanh"]}
    page = sweep_page(tmp_path / "01_activations" / "sweep", samples.sweep(grid, results))
    alt = page.all("img")[0]["alt"].replace("\u00a0", " ")
    assert alt.endswith("accuracy runs from 0.8 to 0.9, highest at depth = 20.")


def test_a_sweep_tells_of_the_points_that_failed(tmp_path):
    error = {"cell": None, "message": "1 of 3 points did not succeed."}
    sweep = sample_sweep(
        {"depth": [10, 20, 40]},
        fail=lambda depth: depth == 20,
        status="failed",
        error=error,
    )
    page = sweep_page(tmp_path / "01_activations" / "sweep", sweep)
    assert "1 of 3 points did not succeed." in page.text and "2 of 3" in page.text
    assert f"Cell 7 raised ValueError: {samples.ATTACK}" in page.text


def test_a_sweep_of_which_every_point_failed_still_has_its_table(tmp_path):
    sweep = sample_sweep({"depth": [10, 20]}, fail=lambda **_: True)
    page = sweep_page(tmp_path / "01_activations" / "sweep", sweep)
    assert not page.all("img") and page.text.count("Cell 7 raised") == 2


def test_the_key_results_are_those_that_the_answer_states():
    values = {"one": 1.0, "flag": True, "word": "relu", "rate": 0.08452, "steps": 690.8, "x": -3.25}
    rows = [samples.result(name, value) for name, value in values.items()]

    def names(answer):
        return [row["name"] for row in key_results(rows, answer)]

    assert names("In 691 steps, at 0.0845 and −3.2 or 0.08452.") == ["steps", "rate", "x"]
    assert names("First −3.2, then 691.") == ["steps", "x", "one"]
    assert names("Nothing from 5 to 0.1 is here.") == ["one", "flag", "word"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It is 0.236 a layer. More.", "It is 0.236 a layer."),
        ("Use $a. B$ here. Then stop.", "Use $a. B$ here."),
        ("Take e.g. ReLU first. Then.", "Take e.g. ReLU first."),
        ("**Bold. Still bold.** Then.", "**Bold. Still bold.**"),
        ("No end", "No end"),
    ],
)
def test_the_first_sentence_ends_where_a_reader_would_end_it(text, first):
    assert first_sentence(text) == first


def test_the_samples_are_what_the_notebook_format_says():
    import nbformat

    book = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": samples.chapter()}
    nbformat.validate(nbformat.reads(json.dumps(book), as_version=4))
