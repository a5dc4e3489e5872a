"""Many comparisons against their definitions and simulated false discoveries."""

import numpy as np
import pytest

from channelwise.decisions.experiments.arms import Counts, ExperimentError, Moments
from channelwise.decisions.experiments.multiple import compare_arms, discover, discover_e


def named(values) -> dict[str, float]:
    return {f"t{i}": float(v) for i, v in enumerate(values)}


def p_values(seed: int, m: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).beta(0.3, 2, m)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("method", ["bh", "by"])
def test_discoveries_are_all_up_to_the_last_p_below_its_line(seed, method):
    p = p_values(seed)
    m, order = len(p), np.argsort(p)
    penalty = (1 / np.arange(1, m + 1)).sum() if method == "by" else 1.0
    below = np.flatnonzero(p[order] <= 0.05 * np.arange(1, m + 1) / (m * penalty))
    expected = {f"t{i}" for i in order[: below.max() + 1]} if len(below) else set()
    assert set(discover(named(p), 0.05, method).found) == expected


@pytest.mark.parametrize("seed", range(8))
def test_holm_steps_down_until_the_first_failure(seed):
    p = p_values(seed)
    expected = set()
    for step, i in enumerate(np.argsort(p)):
        if p[i] > 0.05 / (len(p) - step):
            break
        expected.add(f"t{i}")
    found = discover(named(p), 0.05, "holm")
    assert set(found.found) == expected
    assert list(found.adjusted) == [1.0 if a > 1 else a for a in found.adjusted]


@pytest.mark.parametrize("seed", range(8))
def test_e_values_are_found_as_by_their_definition(seed):
    e = np.random.default_rng(seed).lognormal(2, 2, 12)
    ranked = np.sort(e)[::-1]
    fits = [k for k in range(1, 13) if ranked[k - 1] >= 12 / (k * 0.1)]
    expected = {f"t{i}" for i in range(12) if fits and e[i] >= ranked[max(fits) - 1]}
    assert set(discover_e(named(e), 0.1).found) == expected


def test_one_test_needs_no_adjustment():
    for method in ("bh", "by", "holm"):
        assert discover({"a": 0.03}, method=method).adjusted == (pytest.approx(0.03),)
    assert discover_e({"a": 20.0}).found == ("a",)
    assert discover_e({"a": 19.9, "b": 0.0}).found == ()


def test_the_share_of_false_discoveries_stays_below_alpha():
    """15 of 20 nulls, positively dependent; the plain p-values find far too many."""
    rng, false, plain, cases = np.random.default_rng(1), [], [], 1500
    away = np.repeat([0.0, 3.0], [15, 5])
    from scipy.special import ndtr

    for _ in range(cases):
        z = away + 0.5 * rng.normal() + np.sqrt(0.75) * rng.normal(size=20)
        p = 2 * ndtr(-np.abs(z))
        found = {int(name[1:]) for name in discover(named(p), 0.1).found}
        false.append(sum(i < 15 for i in found) / max(1, len(found)))
        hits = p <= 0.1
        plain.append(hits[:15].sum() / max(1, hits.sum()))
    assert np.mean(false) <= 0.1 and np.mean(plain) > 0.2


def test_arms_are_compared_with_the_control():
    arms = {"old": Counts(50, 1000), "red": Counts(60, 1000), "blue": Counts(90, 1000)}
    found = compare_arms(arms, "old")
    assert list(found) == ["red", "blue"]
    result = discover({name: c.p_value() for name, c in found.items()})
    assert result.found == ("blue",) and str(result) == "1 of 2 found at 0.05 (bh): blue"


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: compare_arms({"a": Counts(1, 2)}, "a"), "1 arm: nothing to compare it with"),
        (
            lambda: compare_arms({"control": Counts(1, 2), "b": Counts(1, 2)}, "contorl"),
            r"no arm is called 'contorl' \(did you mean control\?\); there are control, b",
        ),
        (lambda: compare_arms({"a": Counts(1, 2), "b": Moments(2, 1.0, 1.0)}, "a"), "the other me"),
        (lambda: discover({}), "no p-values; give one for each comparison"),
        (lambda: discover({"a": 1.2}), "p of 'a' is 1.2; it must lie between 0 and 1"),
        (lambda: discover({"a": float("nan")}), "p of 'a' is nan"),
        (lambda: discover({"a": 0.1}, method="bonferoni"), "there are bh, by and holm"),
        (lambda: discover_e({"a": -1.0}), "e of 'a' is -1; it must lie between 0 and inf"),
        (lambda: discover({"a": 0.1}, alpha=0.0), "alpha is 0; it must lie strictly"),
    ],
)
def test_what_is_no_family_of_tests_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ExperimentError, match=sentence):
        call()
