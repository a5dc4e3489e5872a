"""LaTeX formulas as MathML that browsers draw without a script or a font download.

`latex2mathml` does the parsing. What it leaves to the reader's browser (bold letters through
`mathvariant`, the thin space after "log", limits under "max") is settled here, because the
MathML that browsers implement today ("MathML Core") ignores those hints.
"""

import re
import unicodedata
from xml.etree import ElementTree as ET

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"

# Written by authors, unknown to latex2mathml, with the same meaning.
REWRITES = (
    (r"\begin{aligned}", r"\begin{align*}"),
    (r"\end{aligned}", r"\end{align*}"),
    (r"\arg\min", r"\argmin"),
    (r"\arg\max", r"\argmax"),
    (r"\lVert", r"\left\|"),
    (r"\rVert", r"\right\|"),
    (r"\lvert", r"\left|"),
    (r"\rvert", r"\right|"),
)
LIMITS = {"max", "min", "sup", "inf", "lim", "arg\u2009min", "arg\u2009max"}
CONTAINERS = {"math", "mrow", "mstyle", "mtd", "msqrt"}
BARS = {"|", "‖"}
OPENING = {"(", "[", "{", "⟨"} | BARS
CLOSING = {")", "]", "}", "⟩", "!", "′", "″"}
SIGNS = {"−", "+", "±", "∓"}
TIGHT = BARS | {"/"}  # operators that TeX sets without space around them
LETTERLIKE = {"∞", "⊤", "⊥", "∅", "∇"}  # symbols that TeX spaces like letters

# All that latex2mathml writes; anything else came out of the text of a formula.
TAGS = re.compile(
    r"math|m[inos]|mrow|mtext|mspace|mstyle|mfrac|msqrt|mroot|msub|msup|msubsup|munder|mover"
    r"|munderover|mmultiscripts|mprescripts|mtable|mtr|mtd|mpadded|mphantom|menclose|none"
)
ATTRIBUTES = re.compile(
    r"accent|accentunder|column(align|lines|spacing)|depth|display|displaystyle|fence|form|height"
    r"|largeop|linethickness|[lr]space|math(color|variant)|maxsize|minsize|movablelimits|notation"
    r"|row(lines|spacing)|scriptlevel|separator|stretchy|symmetric|voffset|width"
)

# (letter class, variant) -> first code point of the mathematical alphabet.
ALPHABETS = {
    "bold": {"A": 0x1D400, "a": 0x1D41A, "0": 0x1D7CE, "Α": 0x1D6A8, "α": 0x1D6C2},
    "bold-italic": {"A": 0x1D468, "a": 0x1D482, "0": 0x1D7CE, "Α": 0x1D71C, "α": 0x1D736},
    "double-struck": {"A": 0x1D538, "a": 0x1D552, "0": 0x1D7D8},
    "sans-serif": {"A": 0x1D5A0, "a": 0x1D5BA, "0": 0x1D7E2},
    "monospace": {"A": 0x1D670, "a": 0x1D68A, "0": 0x1D7F6},
}


class FormulaError(ValueError):
    """A formula that cannot be drawn as MathML; the message names the formula and the reason."""


def mathml(latex: str, *, display: bool = False) -> str:
    r"""One formula as a `<math>` element.

    Args:
      latex: The formula without its dollar signs, for instance `\frac{1}{m}\sum_i x_i`.
      display: True for a formula on a line of its own.

    Returns:
      The element as text, without a namespace (HTML needs none).

    Raises:
      FormulaError: The formula has unbalanced braces, an unknown command, or a line break
        outside `\begin{aligned}`.
    """
    from latex2mathml.converter import convert

    _check_braces(latex)
    try:
        markup = convert(_rewritten(latex), display="block" if display else "inline")
        root = ET.fromstring(markup)
    except Exception as error:
        raise FormulaError(
            f"The formula ${latex}$ could not be converted to MathML ({type(error).__name__}"
            f"{': ' + str(error) if str(error) else ''}). Write it in simpler LaTeX."
        ) from error
    for element in root.iter():
        element.tag = element.tag.removeprefix(NAMESPACE)
    _refuse_leftovers(root, latex)
    _settle(root, display=display)
    return ET.tostring(root, encoding="unicode")


def _rewritten(latex: str) -> str:
    for old, new in REWRITES:
        end = r"(?![A-Za-z])" if old[-1].isalpha() else ""
        latex = re.sub(re.escape(old) + end, lambda _, new=new: new + " ", latex)
    return latex.strip()


def _check_braces(latex: str) -> None:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", latex):
        depth += (brace == "{") - (brace == "}")
        if depth < 0:
            break
    if depth:
        raise FormulaError(f"The braces of the formula ${latex}$ do not balance. Close each {{.")


def _refuse_leftovers(root: ET.Element, latex: str) -> None:
    for element in root.iter():
        unknown = re.search(r"\\[A-Za-z]*", element.text or "")
        if unknown:
            raise FormulaError(
                f"The formula ${latex}$ uses {unknown[0]}, which has no MathML form here. "
                "Write it with standard commands or \\text{…}."
            )
        if element.get("linebreak"):
            raise FormulaError(
                f"The formula ${latex}$ breaks its line; put it between \\begin{{aligned}} and "
                "\\end{aligned}."
            )
        foreign = [element.tag] if not TAGS.fullmatch(element.tag) else []
        foreign += [name for name in element.attrib if not ATTRIBUTES.fullmatch(name)]
        if foreign:
            raise FormulaError(
                f"The formula ${latex}$ holds {foreign[0]!r}, which is no part of a "
                "formula; put links and markup into the text around it."
            )


def _settle(parent: ET.Element, *, display: bool) -> None:
    """Rewrites a tree in place, children first, into what MathML Core draws correctly."""
    for child in parent:
        _settle(child, display=display)
        _settle_symbol(child)
        if display and child.tag == "msub" and child[0].text in LIMITS:
            child.tag = "munder"
    if parent.tag in CONTAINERS:
        _join_letters(parent)
        _sign_operators(parent)
        _space_functions(parent)


def _settle_symbol(element: ET.Element) -> None:
    text = (element.text or "").strip()
    variant = element.get("mathvariant")
    if variant and variant != "normal":
        element.text = "".join(_letter(character, variant) for character in text)
        del element.attrib["mathvariant"]
    if element.tag == "mo" and (text in LETTERLIKE or (text[:1].isalpha() and len(text) > 1)):
        element.tag, element.attrib = "mi", {}
    elif element.tag == "mi" and text == "~":  # what latex2mathml makes of \sim
        element.tag, element.text = "mo", "∼"
    elif element.tag == "mi" and len(text) == 1 and _is_sign(text):
        element.tag = "mo"
    elif element.tag == "mo" and text in TIGHT:
        element.set("lspace", "0")
        element.set("rspace", "0")
    elif element.tag == "mo" and text == "\u2015":  # \overline: a bar that grows
        element.text = "\u00af"
        element.set("stretchy", "true")
    elif element.get("width") == "negativethinmathspace":
        element.set("width", "-0.167em")


def _is_sign(character: str) -> bool:
    prime = "′" <= character <= "‴"
    return prime or (unicodedata.category(character) == "Sm" and character not in LETTERLIKE)


def _letter(character: str, variant: str) -> str:
    if variant == "double-struck" and character in "CHNPQRZ":
        return "ℂℍℕℙℚℝℤ"["CHNPQRZ".index(character)]
    for first, last in (("A", "Z"), ("a", "z"), ("0", "9"), ("Α", "Ω"), ("α", "ω")):
        if first <= character <= last and first in ALPHABETS.get(variant, {}):
            return chr(ALPHABETS[variant][first] + ord(character) - ord(first))
    return character


def _join_letters(parent: ET.Element) -> None:
    r"""Makes one upright word of the single letters that `\mathrm{softmax}` becomes."""
    previous = None
    for child in list(parent):
        upright = child.tag == "mi" and child.get("mathvariant") == "normal"
        if upright and previous is not None:
            previous.text += child.text
            parent.remove(child)
        else:
            previous = child if upright else None
    for child in parent:
        if child.tag == "mi" and len(child.text or "") > 1:
            child.attrib.pop("mathvariant", None)


def _sign_operators(parent: ET.Element) -> None:
    """Sets a sign that follows another operator, as in "= −1", close to what it signs."""
    before = None
    for child in parent:
        follows = before is not None and before.tag == "mo" and before.text not in CLOSING
        if follows and _is_mo(child, SIGNS):
            child.set("form", "prefix")
        before = before if child.tag == "mspace" else child


def _space_functions(parent: ET.Element) -> None:
    """Puts TeX's thin space around a function's name, but none before its parenthesis."""
    children = list(parent)
    parent[:] = []
    for i, child in enumerate(children):
        before = children[i - 1] if i else None
        after = children[i + 1] if i + 1 < len(children) else None
        if _is_function(child) and (_is_operand(before) or _is_mo(before, CLOSING)):
            parent.append(_thin_space())
        parent.append(child)
        if _is_function(child) and (_is_operand(after) or _is_mo(after, BARS)):
            parent.append(_thin_space())


def _is_mo(element: ET.Element | None, signs: set[str]) -> bool:
    return element is not None and element.tag == "mo" and element.text in signs


def _is_function(element: ET.Element) -> bool:
    scripted = element.tag in {"msub", "msup", "msubsup", "munder"}
    name = element[0] if scripted else element
    return name.tag == "mi" and len(name.text or "") > 1 and (name.text or "").isascii()


def _is_operand(element: ET.Element | None) -> bool:
    """Whether an element is something a function is applied to without a parenthesis."""
    if element is None or element.tag in {"mo", "mspace", "mtext"}:
        return False
    if element.tag != "mrow":
        return True
    return not (len(element) and _is_mo(element[0], OPENING))


def _thin_space() -> ET.Element:
    return ET.Element("mspace", {"width": "0.167em"})
