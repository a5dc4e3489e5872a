"""The pages as people see them: in a browser, on a desk and a phone, by day and by night."""

from pathlib import Path

import pytest

import report_samples as samples
from browser import chromium
from channelwise.runs.report import render, render_index, render_sweep
from page_checks import assert_reads_well, opened

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
PAGES = {
    "index": "index.html",
    "ledger": "ledger.html",
    "run": "01_activations/default/report.html",
    "failed": "01_activations/default.failed/report.html",
    "sweep": "01_activations/sweep/report.html",
}
WIDE_FORMULA = "## Wide\n\n$$" + " + ".join(f"x_{{{i}}}^2" for i in range(60)) + "$$"
WIDE_WORD = "## Long\n\n" + "w" * 300 + " and `" + "c" * 300 + "`"


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Path:
    """A folder of reports with one page of each kind, and the hardest content they may hold."""
    root = tmp_path_factory.mktemp("reports")
    one = root / "01_activations"
    hard = [samples.text(WIDE_FORMULA), samples.text(WIDE_WORD)]
    hard += [samples.code("print()", samples.prints("p" * 500))]
    cells = [*samples.chapter()[:-1], *hard]
    render(samples.write(one / "default", samples.manifest(), cells))
    cells = samples.chapter()
    error = {"output_type": "error", "ename": "ValueError", "evalue": "v" * 300}
    cells[10]["outputs"] = [error | {"traceback": ["t" * 300]}]
    failure = {
        "cell": 10,
        "section": None,
        "ename": "ValueError",
        "evalue": "",
        "message": "m" * 300,
    }
    run = samples.manifest(status="failed", error=failure, answer=None, results=[], claims=[])
    render(samples.write(one / "default.failed", run, cells))
    grid = {"rate": [1e-4, 1e-3, 1e-2], "activation": ["relu", "tanh"]}

    def results(rate, activation):
        value = 100 * rate + len(activation)
        return [samples.result(f"result_{i}", value + i, "nats") for i in range(9)]

    render_sweep(samples.write(one / "sweep", samples.sweep(grid, results)))
    render_index(root)
    return root


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(
    params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join
)
def context(browser, request):
    """A browser window without a network."""
    size, scheme = request.param
    width, height = SIZES[size]
    window = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    window.set_default_timeout(20_000)
    yield window
    window.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_reads_and_asks_nothing_of_the_network(context, reports, name):
    assert_reads_well(context, reports / PAGES[name])


def test_formulas_are_drawn(context, reports):
    page, _ = opened(context, reports / PAGES["run"])
    boxes = page.evaluate(
        "[...document.querySelectorAll('math')].map((m) => m.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) > 10
    assert all(box["width"] > 4 and box["height"] > 6 for box in boxes)
    fraction = page.evaluate(
        "[...document.querySelector('mfrac').children].map((c) => c.getBoundingClientRect().top)"
    )
    assert fraction[1] > fraction[0] + 8  # the denominator stands below: MathML is understood


def test_dark_and_light_are_two_pages(browser, reports):
    seen = {}
    for scheme in ("light", "dark"):
        window = browser.new_context(color_scheme=scheme, offline=True)
        page, _ = opened(window, reports / PAGES["run"])
        colors = page.evaluate(
            "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])"
        )
        seen[scheme] = [int(color.split("(")[1].split(",")[0]) for color in colors]
        window.close()
    (paper, ink), (night, chalk) = seen["light"], seen["dark"]
    assert paper > 240 and ink < 60 and night < 40 and chalk > 200


def test_a_figure_lies_on_the_page_without_an_edge(browser, reports):
    """The corner of a figure, drawn on white, has the colour of the page around it."""
    for scheme in ("light", "dark"):
        window = browser.new_context(color_scheme=scheme, offline=True)
        page, _ = opened(window, reports / PAGES["run"])
        figure = page.locator(".figure img").first
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        inside = pixel(page, box["x"] + 3, box["y"] + 3)
        outside = pixel(page, box["x"] - 6, box["y"] + 3)
        assert max(abs(a - b) for a, b in zip(inside, outside, strict=True)) <= 3
        window.close()


def pixel(page, x: float, y: float) -> tuple[int, int, int]:
    import io

    from PIL import Image

    shot = page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
    return Image.open(io.BytesIO(shot)).convert("RGB").getpixel((0, 0))


def test_a_figure_grows_when_it_is_clicked_and_shrinks_again(browser, reports):
    window = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page, _ = opened(window, reports / PAGES["run"])
    figure = page.locator(".figure img").first
    before = figure.bounding_box()["width"]
    figure.click()
    assert figure.bounding_box()["width"] > 1.4 * before
    figure.click()
    assert figure.bounding_box()["width"] == pytest.approx(before)
    window.close()


def test_a_wide_table_scrolls_inside_itself(browser, reports):
    window = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page, _ = opened(window, reports / PAGES["run"])
    widths = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map((e) => [e.scrollWidth, e.clientWidth])"
    )
    assert any(inner > outer for inner, outer in widths)
    window.close()


def test_a_page_prints_in_black_on_white_with_its_figures(browser, reports):
    window = browser.new_context(color_scheme="dark", offline=True)
    page, _ = opened(window, reports / PAGES["run"])
    page.emulate_media(media="print")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.figure img')).filter") == "none"
    assert len(page.pdf()) > 20_000
    window.close()


def test_nothing_in_a_page_can_run_even_if_it_got_in(browser, reports, tmp_path):
    """The page's own security policy refuses scripts and requests."""
    hole = "<script>document.title = 'ran'</script><img src='http://127.0.0.1:9/x.png' alt='x'>"
    page_with_hole = (reports / PAGES["run"]).read_text(encoding="utf-8")
    page_with_hole = page_with_hole.replace("</article>", hole + "</article>")
    path = tmp_path / "report.html"
    path.write_text(page_with_hole, encoding="utf-8")
    window = browser.new_context()
    page = window.new_page()
    sent = []
    page.on("requestfinished", lambda request: sent.append(request.url))
    page.goto(path.as_uri())
    assert page.title() != "ran"
    assert [url for url in sent if url.startswith("http")] == []
    window.close()
