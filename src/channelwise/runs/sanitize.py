"""HTML that a cell showed, reduced to the few tags of a table or a text."""

import re

from markupsafe import Markup

TABLES = frozenset({"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"})
TEXTS = frozenset({"span", "div", "p", "br", "strong", "b", "em", "i", "code", "sub", "sup"})
ATTRIBUTES = {"th": ["colspan", "rowspan", "scope"], "td": ["colspan", "rowspan"]}
UNSEEN = re.compile(r"<(style|script|head|template)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


def clean(html: str) -> Markup:
    """Markup without scripts, styles, links, images, event handlers or unknown tags.

    Unknown tags lose their angle brackets and keep their text, so that nothing a cell said is
    silently dropped.

    Args:
      html: What a cell displayed as `text/html`, untrusted.
    """
    import bleach

    seen = UNSEEN.sub("", html)
    return Markup(bleach.clean(seen, tags=TABLES | TEXTS, attributes=ATTRIBUTES, strip=True))
