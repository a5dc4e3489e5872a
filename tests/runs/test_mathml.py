"""Formulas as MathML: what a browser needs to draw them as TeX would."""

import re

import pytest

from channelwise.runs.mathml import FormulaError, mathml


def flat(latex: str, **options) -> str:
    """The formula without its outer element and without attributes."""
    markup = re.sub(r"<(/?\w+)[^>]*?(/?)>", r"<\1\2>", mathml(latex, **options))
    return markup.removeprefix("<math><mrow>").removesuffix("</mrow></math>")


def test_a_formula_needs_no_namespace_and_no_script():
    markup = mathml(r"\frac{a}{b} < 1")
    assert markup.startswith('<math display="inline">') and "xmlns" not in markup
    assert "&lt;" in markup


def test_a_display_formula_is_a_block():
    assert mathml("x", display=True).startswith('<math display="block">')


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\mathbf{W}", "𝐖"),
        (r"\boldsymbol{\theta}", "𝜽"),
        (r"\boldsymbol{x}", "𝒙"),
        (r"\mathbb{1}", "𝟙"),
        (r"\mathbb{R}", "ℝ"),
        (r"\mathbb{E}", "𝔼"),
        (r"c^{\mathsf T}", "𝖳"),
        (r"z \sim y", "∼"),
    ],
)
def test_letters_are_the_characters_themselves_as_browsers_ignore_variants(latex, expected):
    markup = mathml(latex)
    assert expected in markup and "mathvariant" not in markup


def test_an_upright_word_is_one_word():
    assert "<mi>softmax</mi>" in mathml(r"\mathrm{softmax}(z)")
    assert "<mi>softplus</mi>" in mathml(r"\operatorname{softplus}(z)")


def test_a_function_is_set_apart_from_its_argument_but_not_from_a_parenthesis():
    assert flat(r"-p \log p").count("<mspace/>") == 2
    assert "mspace" not in flat(r"\log(p)")
    assert "mspace" not in flat(r"= \max(0, x)")


def test_a_function_is_set_apart_from_a_parenthesis_before_it_and_a_bar_behind_it():
    assert flat(r"(1-p)\ln(1-p)").count("<mspace/>") == 1
    assert flat(r"\max |x|").count("<mspace/>") == 1


@pytest.mark.parametrize(
    ("latex", "prefixes"),
    [("x = -1", 1), ("x - 1", 0), ("(-1)", 1), ("(a) - 1", 0), (r"a,\,-b", 1), ("f' - 1", 0)],
)
def test_a_sign_behind_an_operator_belongs_to_its_number(latex, prefixes):
    assert mathml(latex).count('form="prefix"') == prefixes


def test_limits_stand_below_in_a_display_and_beside_in_a_line():
    assert "<munder>" in flat(r"\max_{x} x", display=True)
    assert "<msub>" in flat(r"\max_{x} x")


def test_aligned_lines_become_a_table_with_sides():
    markup = mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", display=True)
    assert markup.count("<mtr>") == 2 and markup.count('columnalign="right"') == 2


@pytest.mark.parametrize("latex", [r"\lVert g \rVert", r"\lvert x \rvert", "|x|", "a/b"])
def test_bars_and_slashes_take_no_space(latex):
    markup = mathml(latex)
    assert 'lspace="0"' in markup and 'rspace="0"' in markup


@pytest.mark.parametrize("latex", [r"\frac{1", "a}", r"\nosuch x", "x_", r"a \\ b", "", r"a & b"])
def test_what_cannot_be_drawn_is_refused_by_name(latex):
    with pytest.raises(FormulaError) as error:
        mathml(latex)
    assert f"${latex}$" in str(error.value)


def test_markup_in_a_formula_stays_text():
    assert "<script" not in mathml("<script>alert(1)</script>")


@pytest.mark.parametrize("inside", ["<b>x</b>", "<script>alert(1)</script>", "<mi href='x'>y</mi>"])
def test_markup_in_the_text_of_a_formula_is_refused(inside):
    with pytest.raises(FormulaError):
        mathml(rf"\text{{{inside}}}")
