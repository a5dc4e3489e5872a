"""Source code as HTML, coloured by classes so that one page serves light and dark."""

from collections.abc import Iterator
from html import escape

from markupsafe import Markup

KINDS = {
    "Keyword": "k",
    "Operator.Word": "k",
    "Literal.String": "s",
    "Literal.Number": "m",
    "Name.Function": "f",
    "Name.Class": "f",
    "Name.Decorator": "f",
    "Comment": "c",
}
"""The few kinds of token that are coloured, and their classes; all others stay plain."""


def highlighted(source: str, language: str = "python") -> Markup:
    """Code as `<pre class="code">`; a language that pygments does not know stays plain."""
    body = "".join(
        f"<i class={kind}>{escape(text, quote=False)}</i>" if kind else escape(text, quote=False)
        for kind, text in _pieces(source.rstrip("\n"), language)
    )
    return Markup(f'<pre class="code" tabindex="0"><code>{body}</code></pre>')


def _pieces(source: str, language: str) -> Iterator[tuple[str, str]]:
    """The code as runs of one kind each: its class, or nothing, and its text."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        yield "", source
        return
    held, text = "", ""
    for token, piece in lexer.get_tokens(source):
        kind = _kind(str(token).removeprefix("Token."))
        if kind != held and piece.strip():
            yield held, text
            held, text = kind, ""
        text += piece
    yield held, text


def _kind(token: str) -> str:
    parts = token.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((KINDS[name] for name in names if name in KINDS), "")
