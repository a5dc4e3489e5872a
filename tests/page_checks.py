"""What every page of a report must be: offline, safe, free of LaTeX, and readable in a browser."""

import re
from html.parser import HTMLParser
from pathlib import Path

ADDRESSES = {"src", "srcset", "data", "poster", "background", "action", "formaction"}
VOID = {"meta", "link", "br", "img", "input", "hr", "path", "wbr"}


class Page(HTMLParser):
    """A page as its elements and its visible words."""

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.prose: list[str] = []
        self._open: list[str] = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)
            if not {"code", "pre", "td"} & set(self._open):
                self.prose.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_offline_and_safe(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "video", "audio", "base"}
    assert "default-src 'none'" in page.all("meta")[1]["content"]
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ADDRESSES & set(attributes):
            assert attributes[name].startswith("data:"), (tag, name, attributes[name][:60])
        assert not re.match(r"\s*(javascript|data|vbscript):", attributes.get("href", "")) or (
            tag == "link" and attributes["href"] == "data:,"
        )
    for link in page.all("link"):
        assert link["href"] == "data:,"
    for style in re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL):
        assert "url(" not in style and "@import" not in style
    for image in page.all("img"):
        assert image["alt"].strip()


def assert_no_latex(page: Page) -> None:
    assert not re.search(r"\\[a-zA-Z(\[]", "".join(page.prose))
    assert not re.search(r"\$[^\s\d$][^$]*\$", "".join(page.prose))


# The luminance contrast of every visible text against what lies behind it, as WCAG defines it.
CONTRASTS = """
() => {
  const context = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = rgba(getComputedStyle(e).backgroundColor);
      if (color[3] === 255) return color;
    }
    return rgba('Canvas');
  };
  const luminance = (color) => color.slice(0, 3)
    .map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || !element.getClientRects().length) continue;
    const [a, b] = [getComputedStyle(element).color, null].map((c) => c && rgba(c));
    const pair = [luminance(a), luminance(behind(element))].sort((x, y) => y - x);
    found.push([(pair[0] + 0.05) / (pair[1] + 0.05), text.slice(0, 40)]);
  }
  return found;
}
"""

OVERFLOWING = """
() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (e) => e && (['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  return [...document.body.querySelectorAll('*')]
    .filter((e) => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
    .map((e) => e.tagName + '.' + e.className);
}
"""


def opened(context, path: Path):
    """The page, and every request that it made."""
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    assert not complaints
    return page, requests


def assert_reads_well(context, path: Path) -> None:
    page, requests = opened(context, path)
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    width, shown = page.evaluate(
        "[document.scrollingElement.scrollWidth, document.scrollingElement.clientWidth]"
    )
    assert width <= shown, page.evaluate(OVERFLOWING)
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    weak = [text for ratio, text in page.evaluate(CONTRASTS) if ratio < 4.5]
    assert not weak
    page.close()
