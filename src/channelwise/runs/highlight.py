"""Source code as HTML, coloured by classes so that one page serves light and dark."""

from markupsafe import Markup


def highlighted(source: str, language: str = "python") -> Markup:
    """Code as `<pre class="code">` with pygments' token classes; unknown languages stay plain."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripall=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    body = highlight(source.rstrip("\n"), lexer, HtmlFormatter(nowrap=True)).rstrip("\n")
    return Markup(f'<pre class="code" tabindex="0"><code>{body}</code></pre>')
