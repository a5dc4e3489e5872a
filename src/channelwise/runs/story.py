"""A notebook's cells as the blocks of a page: text, folded code, figures, tables, results."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from channelwise.notebook.outputs import ANSWER, CLAIMS, RECORD, TABLE
from channelwise.runs.highlight import highlighted
from channelwise.runs.notebooks import is_code, last_executed, last_setup_cell
from channelwise.runs.pictures import address, is_filled
from channelwise.runs.printed import plain, shortened, table_block, text_of
from channelwise.runs.prose import Prose, RenderError
from channelwise.runs.sanitize import clean

TITLE = re.compile(r"\A\s*# +(?P<title>.+?)\s*#*\s*(?:\n|\Z)")
QUESTION = re.compile(r"^\*\*Question\.?\*\*\.?\s+(?P<question>.+?)\s*(?:\n\s*\n|\Z)", re.M | re.S)
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass
class Block:
    """One piece of the page; `kind` names the part of the template that draws it.

    Attributes:
      kind: prose, code, figure, table, text, records, claims, html or error.
      html: The block's safe HTML, where it has any.
      data: What its template part needs otherwise.
    """

    kind: str
    html: Markup = field(default_factory=Markup)
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Story:
    """The page's middle: everything between the parameters and the appendix.

    Attributes:
      title: The first heading, as HTML; empty if the notebook has none.
      question: The chapter's question, as HTML; empty if none.
      setup: The code of the imports and the parameters.
      blocks: What follows, in order.
      headings: Level, id and HTML of every heading.
      answer: The markdown of the last answer, if any.
      notes: What a reader should know about this page (a figure without a description, say).
      ended: Whether the run ended before its last cell, so that the story stops short.
      unrun: How many code cells stand after the place where it ended.
    """

    title: Markup = field(default_factory=Markup)
    question: Markup = field(default_factory=Markup)
    setup: list[Markup] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    headings: list[tuple[int, str, Markup]] = field(default_factory=list)
    answer: str | None = None
    notes: list[str] = field(default_factory=list)
    ended: bool = False
    unrun: int = 0


def tell(
    cells: Sequence[Mapping[str, Any]],
    *,
    whole: bool = True,
    ended_in: int | None = None,
    root: str = "../../",
) -> Story:
    """Lays out a notebook's cells.

    Args:
      cells: The cells in nbformat 4 form.
      whole: False if the run did not get to its end; nothing behind the cell at which it ended is
        told then, because nothing behind it was computed.
      ended_in: Index of that cell; None if the run ended between cells.
      root: The way from the page to the folder of reports, for links between chapters.

    Raises:
      RenderError: A text of the notebook cannot be rendered (a formula, a remote image).
    """
    teller = _Teller(root)
    last = len(cells) if whole else last_executed(cells) if ended_in is None else ended_in
    last_setup = last_setup_cell(cells)
    teller.story.ended = not whole
    for index, cell in enumerate(cells):
        if index > last:
            teller.story.unrun += is_code(cell)
        elif cell["cell_type"] == "markdown":
            teller.markdown(index, cell)
        elif is_code(cell):
            teller.code(index, cell, setup=index <= last_setup, ended_here=index == ended_in)
    teller.story.headings = [(level, at, Markup(h)) for level, at, h in teller.authored.headings]
    return teller.story


class _Teller:
    """Collects the story while the cells go by."""

    def __init__(self, root: str) -> None:
        self.story = Story()
        self.authored = Prose(strict=True, root=root)
        self.computed = Prose(strict=False)
        self.figures = 0
        self.claims = 0

    def markdown(self, index: int, cell: Mapping[str, Any]) -> None:
        text = text_of(cell["source"])
        if not self.story.title:
            text = self._take_title(text)
        if not text.strip():
            return
        try:
            html = self.authored.render(text, cell.get("attachments"))
        except RenderError as error:
            raise RenderError(f"Cell {index} cannot be rendered. {error}") from error
        self.story.blocks.append(Block("prose", html))

    def _take_title(self, text: str) -> str:
        """Hoists the title and the question out of the first text."""
        title = TITLE.search(text)
        if title:
            self.story.title = self.authored.render_line(title["title"])
            text = text[title.end() :]
        question = QUESTION.search(text)
        if question:
            self.story.question = self.authored.render_line(question["question"])
            text = text[: question.start()] + text[question.end() :]
        return text

    def code(self, index: int, cell: Mapping[str, Any], *, setup: bool, ended_here: bool) -> None:
        source = text_of(cell["source"]).strip("\n")
        outputs = cell.get("outputs", [])
        failed = ended_here or any(output["output_type"] == "error" for output in outputs)
        if setup and not failed:
            self.story.setup.append(highlighted(source))
        else:
            self._fold(source, failed)
        for block in _joined(self._output(index, output) for output in outputs):
            self.story.blocks.append(block)

    def _fold(self, source: str, failed: bool) -> None:
        """Folds code away, together with the code right above it that showed nothing."""
        lines = source.count("\n") + 1
        last = self.story.blocks[-1] if self.story.blocks else None
        if last and last.kind == "code" and not failed:
            last.html += highlighted(source)
            last.data["lines"] += lines
        else:
            data = {"lines": lines, "open": failed}
            self.story.blocks.append(Block("code", highlighted(source), data))

    def _output(self, index: int, output: Mapping[str, Any]) -> Block | None:
        kind = output["output_type"]
        if kind == "stream":
            return self._stream(output)
        if kind == "error":
            return self._error(output)
        data, metadata = output.get("data", {}), output.get("metadata", {})
        if ANSWER in data:
            self.story.answer = data[ANSWER]["markdown"]
            return None
        if WIDGET in data:
            return None
        return self._shown(index, data, metadata)

    def _shown(self, index: int, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Block:
        if CLAIMS in data:
            self.claims += 1
            anchor = "claims" if self.claims == 1 else f"claims-{self.claims}"
            return Block("claims", data={"rows": data[CLAIMS]["claims"], "id": anchor})
        if RECORD in data:
            return Block("records", data={"rows": [data[RECORD]]})
        if TABLE in data:
            return Block("table", data=table_block(data[TABLE]))
        if "text/markdown" in data:
            return Block("prose", self.computed.render(text_of(data["text/markdown"])))
        for image in ("image/png", "image/jpeg"):
            if image in data:
                return self._figure(index, image, text_of(data[image]), metadata.get(image, {}))
        if "text/html" in data:
            return Block("html", clean(text_of(data["text/html"])))
        return Block("text", data={"text": shortened(text_of(data.get("text/plain", "")))})

    def _figure(self, index: int, kind: str, data: str, metadata: Mapping[str, Any]) -> Block:
        self.figures += 1
        alt = str(metadata.get("alt", "")).strip()
        if not alt:
            alt = f"Figure {self.figures}, without a description."
            self.story.notes.append(
                f"Figure {self.figures} (cell {index}) has no description; "
                "show it with figures.show(figure, alt=…)."
            )
        data = "".join(data.split())
        source = address(data) if kind == "image/png" else f"data:{kind};base64,{data}"
        width = metadata.get("width")
        width = int(width) if isinstance(width, int | float) and 0 < width < 10_000 else None
        values = {"source": source, "alt": alt, "width": width, "number": self.figures}
        values["filled"] = is_filled(data)
        return Block("figure", data=values)

    def _stream(self, output: Mapping[str, Any]) -> Block | None:
        if output.get("name") == "stderr":
            return None  # listed under "Warnings", from the manifest
        text = shortened(text_of(output["text"]))
        return Block("text", data={"text": text}) if text.strip() else None

    def _error(self, output: Mapping[str, Any]) -> Block:
        trace = plain("\n".join(output.get("traceback", [])))
        name, value = plain(output.get("ename", "")), plain(output.get("evalue", ""))
        return Block("error", data={"name": name, "value": value, "trace": shortened(trace)})


def _joined(blocks: Iterator[Block | None]) -> Iterator[Block]:
    """Puts neighbouring results of one cell into one list, and printed lines into one text."""
    held: Block | None = None
    for block in blocks:
        if block is None:
            continue
        if held and held.kind == block.kind == "records":
            held.data["rows"] += block.data["rows"]
        elif held and held.kind == block.kind == "text":
            held.data["text"] = held.data["text"].rstrip("\n") + "\n" + block.data["text"]
        else:
            if held:
                yield held
            held = block
    if held:
        yield held
