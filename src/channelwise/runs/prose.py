"""Markdown as HTML for a page read offline: math as MathML, no raw HTML, no remote image."""

import posixpath
import re
from collections.abc import Mapping

import mistune
from markupsafe import Markup, escape
from mistune.plugins.formatting import strikethrough
from mistune.plugins.table import table

from channelwise.runs.highlight import highlighted
from channelwise.runs.mathml import FormulaError, mathml

# A dollar sign opens a formula if no space follows it and closes one if no space stands before it
# and no digit after it, so that "from $5 to $6" stays money.
BLOCK_MATH = r"^ {0,3}\$\$(?P<block_math_text>[\s\S]+?)\$\$[ \t]*(?:\n|$)"
INLINE_MATH = (
    r"\$\$(?P<display_math_text>(?:[^$\\]|\\[\s\S])+?)\$\$"
    r"|\$(?![\s$])(?P<inline_math_text>(?:[^$\\]|\\[\s\S])+?)(?<!\s)\$(?!\d)"
)
STRAY = re.compile(r"\\(?:[a-zA-Z]{2,}|[\[(])")
# What a keyboard has no key for: apostrophes, quotation marks, minus, the space before "%".
TYPOGRAPHY = (
    (re.compile(r"(?<=\w)'(?=\w)"), "’"),
    (re.compile(r'(?<![^\s(\[])"(?![\s.,;:!?)\]])'), "“"),
    (re.compile(r'"'), "”"),
    (re.compile(r"(?<![\w.)\]–-])-(?=\.?\d)"), "−"),
    (re.compile(r"(?<=\d) (?=%)"), "\u00a0"),
)
IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif")


class RenderError(ValueError):
    """A page that cannot be written as it should be; the message says what to change."""


class Prose(mistune.HTMLRenderer):
    """Renders the texts of one page and remembers its headings.

    Args:
      strict: True for texts written by an author (a formula that cannot be drawn is an error),
        False for texts computed in a run (such a formula is shown as code).
      root: The way from the page to the folder of reports.
    """

    def __init__(self, *, strict: bool = True, root: str = "../../"):
        super().__init__(escape=True)
        self.strict = strict
        self.root = root
        self.headings: list[tuple[int, str, str]] = []  # level, id, HTML of the heading
        self._used: set[str] = set()
        self._attachments: Mapping[str, Mapping[str, str]] = {}
        self._parse = mistune.Markdown(self, plugins=[strikethrough, table, _math])

    def render(self, text: str, attachments: Mapping[str, Mapping[str, str]] | None = None):
        """One markdown text as safe HTML.

        Args:
          text: Markdown, with formulas between dollar signs.
          attachments: The images of a notebook cell, by name.

        Raises:
          RenderError: A formula cannot be drawn, or an image is not in the notebook.
        """
        self._attachments = attachments or {}
        return Markup(self._parse(text))

    def render_line(self, text: str) -> Markup:
        """A text of one paragraph without its `<p>`."""
        html = self.render(text).strip()
        single = html.startswith("<p>") and html.count("<p>") == 1 and html.endswith("</p>")
        return Markup(html[3:-4]) if single else html

    def block_math(self, text: str) -> str:
        return f'<div class="formula">{self._formula(text, display=True)}</div>\n'

    def inline_math(self, text: str) -> str:
        return self._formula(text, display=False)

    def text(self, text: str) -> str:
        stray = STRAY.search(text) if self.strict else None
        if stray:
            raise RenderError(
                f"The text {text.strip()!r} holds {stray[0]} outside a formula. "
                "Put formulas between dollar signs."
            )
        for pattern, character in TYPOGRAPHY:
            text = pattern.sub(character, text)
        return super().text(text)

    def heading(self, text: str, level: int, **attrs) -> str:
        level = max(level, 2)  # the page's title is its only first heading
        anchor = self._anchor(text)
        self.headings.append((level, anchor, text))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def block_code(self, code: str, info: str | None = None) -> str:
        language = (info or "").split(maxsplit=1)[:1]
        return f"{highlighted(code, language[0] if language else 'text')}\n"

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, self._moved(url), title)

    def table(self, text: str) -> str:
        region = '<div class="scroll" role="region" aria-label="Table" tabindex="0">'
        return f"{region}<table>\n{text}</table></div>\n"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        bundle = self._attachments.get(url.removeprefix("attachment:"), {})
        kind = next((kind for kind in IMAGE_TYPES if kind in bundle), None)
        if kind is None:
            raise RenderError(
                f"The image {url!r} is not in the notebook, so the page could not be read offline. "
                "Attach it to its cell, or draw it with figures.show."
            )
        data = "".join(bundle[kind].split())
        return f'<img src="data:{kind};base64,{escape(data)}" alt="{escape(text or url)}">'

    def _moved(self, url: str) -> str:
        """A link of a notebook as a link of its report: chapters lead to the chapters' reports."""
        chapter = re.fullmatch(r"(?:\./)?(\d\d_\w+)\.ipynb", url)
        if chapter:
            return f"{self.root}{chapter[1]}/default/report.html"
        if re.match(r"[a-zA-Z][\w+.-]*:|[/#]", url):
            return url
        return posixpath.normpath(f"{self.root}../notebooks/{url}")

    def _formula(self, latex: str, *, display: bool) -> str:
        try:
            return mathml(latex.strip(), display=display)
        except FormulaError as error:
            if self.strict:
                raise RenderError(str(error)) from error
            return f"<code>{escape(latex.strip())}</code>"

    def _anchor(self, html: str) -> str:
        words = re.sub(r"<[^>]+>|&\w+;", "", html).lower()
        slug = re.sub(r"[^\w]+", "-", words).strip("-") or "section"
        anchor, n = slug, 1
        while anchor in self._used:
            n += 1
            anchor = f"{slug}-{n}"
        self._used.add(anchor)
        return anchor


def _math(md: mistune.Markdown) -> None:
    """The mistune plugin for formulas: they are taken out before emphasis is looked for."""
    md.block.register("block_math", BLOCK_MATH, _parse_block_math, before="list")
    md.inline.register("inline_math", INLINE_MATH, _parse_inline_math, before="link")


def _parse_block_math(block, match, state) -> int:
    state.append_token({"type": "block_math", "raw": match["block_math_text"]})
    return match.end()


def _parse_inline_math(inline, match, state) -> int:
    display = match["display_math_text"]
    kind, text = ("block_math", display) if display else ("inline_math", match["inline_math_text"])
    state.append_token({"type": kind, "raw": text})
    return match.end()
