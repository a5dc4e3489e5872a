"""The single checks of the gate: each measures one thing and says what it found and what to do."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from channelwise.response.diagnostics import RHAT_LIMIT, convergence, e_bfmi
from channelwise.response.posterior import Posterior

RHAT = RHAT_LIMIT
ESS, DIVERGING, E_BFMI, CHAINS = 400, 0.001, 0.3, 2
NEGATIVE, NEGATIVE_CAUTION = 0.2, 0.05
PREDICTIVE = (0.01, 0.99)
MOSTLY_PRIOR, ONLY_PRIOR = 0.5, 0.1

_LONGER = "Draw more, or use the slower and more careful sampler"
_ISLANDS = (
    f"{_LONGER}; if chains sit in different places, the data allow several answers: give a tighter "
    "prior on that quantity, or an experiment on the channel."
)


class Verdict(NamedTuple):
    """What one check found.

    Attributes:
      check: its name, by which it can be overridden.
      passed: whether the draws may be used.
      value: what was measured, the worst of its kind.
      limit: where it would fail.
      brief: value and limit in a few words, for a stamp on a figure.
      sentence: what was found.
      remedy: what to do; empty if nothing need be done. A check that passed with a remedy is a
        caution.
      channels: those it marks.
    """

    check: str
    passed: bool
    value: float
    limit: float
    brief: str
    sentence: str
    remedy: str = ""
    channels: tuple[str, ...] = ()


def finite(posterior: Posterior, baseline: Float[np.ndarray, "*draws"]) -> Verdict:
    """Every draw, energy and baseline is a finite number."""
    arrays = {**posterior.draws, "energy": posterior.statistics["energy"], "baseline": baseline}
    broken = {name: int((~np.isfinite(x)).sum()) for name, x in arrays.items()}
    broken = {name: n for name, n in broken.items() if n}
    total = sum(broken.values())
    if not total:
        return Verdict("finite", True, 0, 0, "", "All draws are finite numbers.")
    told = ", ".join(f"{n:,} of {name}" for name, n in broken.items())
    remedy = "Look for a channel without spend, or a prior that allows an infinite effect."
    sentence = f"{total:,} numbers are not finite: {told}."
    return Verdict("finite", False, total, 0, f"{total:,} numbers not finite", sentence, remedy)


def chains(n: int) -> Verdict:
    """There are chains to compare."""
    brief = f"{n} chains (at least {CHAINS})"
    if n >= CHAINS:
        return Verdict("chains", True, n, CHAINS, brief, f"{n} chains were compared.")
    sentence = "A single chain cannot show what it missed."
    return Verdict("chains", False, n, CHAINS, brief, sentence, "Run at least 4 chains.")


def converged(posterior: Posterior) -> list[Verdict]:
    """R-hat, bulk and tail effective sizes: the worst scalar of each."""
    labels = [label for name in posterior.draws for label in posterior.labels(name)]
    shape = (posterior.n_chains, posterior.n_draws, -1)
    scalars = np.concatenate([x.reshape(shape) for x in posterior.draws.values()], axis=2)
    rhat, bulk, tail = convergence(scalars)
    return [
        _rhat(labels, rhat),
        _effective("ess_bulk", "bulk", labels, bulk),
        _effective("ess_tail", "tail", labels, tail),
    ]


def _rhat(labels: list[str], rhat: np.ndarray) -> Verdict:
    worst = int(np.argmax(np.where(np.isnan(rhat), np.inf, rhat)))
    value, name = float(rhat[worst]), labels[worst]
    brief = f"R-hat {_raised(value, 3)} (limit {RHAT})"
    bad = ~(rhat <= RHAT)
    if not bad.any():
        sentence = f"The chains agree: R-hat is at most {_raised(value, 3)} ({name})."
        return Verdict("rhat", True, value, RHAT, brief, sentence)
    if np.isnan(value):
        sentence = f"R-hat of {name} is undefined: a draw is not finite, or none ever moved."
        remedy = "A value that the model fixes does not belong among its draws; else start again."
        return Verdict("rhat", False, value, RHAT, brief, sentence, f"{remedy} {_ISLANDS}")
    sentence = (
        f"The chains disagree: R-hat is {_raised(value, 3)} for {name}, and above {RHAT} for "
        f"{int(bad.sum())} of {len(labels)} quantities."
    )
    return Verdict("rhat", False, value, RHAT, brief, sentence, _ISLANDS)


def _effective(check: str, part: str, labels: list[str], ess: np.ndarray) -> Verdict:
    worst = int(np.argmin(np.where(np.isnan(ess), -np.inf, ess)))
    value, name = float(ess[worst]), labels[worst]
    shown = _lowered(value, 0)
    brief = f"{part} ESS {shown} (at least {ESS})"
    sentence = f"The {part} of every quantity rests on {shown} effective draws or more ({name})."
    if value >= ESS:
        return Verdict(check, True, value, ESS, brief, sentence)
    sentence = f"The {part} of {name} rests on {shown} effective draws; {ESS} are needed."
    return Verdict(check, False, value, ESS, brief, sentence, f"{_LONGER}.")


def divergences(diverging: Bool[np.ndarray, "chain draw"]) -> Verdict:
    """The share of transitions whose energy went astray; any at all is a caution."""
    n, of = int(diverging.sum()), diverging.size
    share = n / of
    brief = f"{n:,} of {of:,} transitions diverged (limit {100 * DIVERGING:g} %)"
    remedy = (
        f"{_LONGER}: smaller steps, acceptance 0.95 or more. If they stay, the posterior has a "
        "corner it cannot enter: a tighter prior, or an experiment on the channel, removes it."
    )
    verdict = Verdict("divergences", share <= DIVERGING, share, DIVERGING, brief, f"{brief}.")
    if n:
        return verdict._replace(remedy=remedy)
    return verdict._replace(sentence=f"None of {of:,} transitions diverged.")


def energy(energy: Float[np.ndarray, "chain draw"]) -> Verdict:
    """E-BFMI of the worst chain."""
    bfmi = e_bfmi(energy)
    worst = int(np.argmin(np.where(np.isnan(bfmi), -np.inf, bfmi)))
    value = float(bfmi[worst])
    brief = f"E-BFMI {_lowered(value, 3)} (at least {E_BFMI})"
    if value >= E_BFMI:
        sentence = f"The chains move between energies freely: {brief}."
        return Verdict("energy", True, value, E_BFMI, brief, sentence)
    sentence = f"Chain {worst + 1} hardly moves between energies, so tails may be missed: {brief}."
    remedy = f"{_LONGER}; tighter priors on scales shorten heavy tails."
    return Verdict("energy", False, value, E_BFMI, brief, sentence, remedy)


def baseline(baseline: Float[np.ndarray, "*draws"]) -> Verdict:
    """Share of draws and periods in which more was credited to media than came back."""
    share = float(np.mean(baseline < 0)) if baseline.size else math.nan
    shown = f"{_raised(100 * share, 1)} % of draws and periods"
    brief = f"baseline negative in {shown} (limit {100 * NEGATIVE:g} %)"
    verdict = Verdict("baseline", share <= NEGATIVE, share, NEGATIVE, brief, _capital(brief))
    if share <= NEGATIVE_CAUTION:
        return verdict
    return verdict._replace(
        remedy="The media are credited with more than was sold: narrow the prior on their effects "
        "or on their ROI, name the controls and events that explain the troughs, or give more data."
    )


def predictive(name: str, p: float) -> Verdict:
    """A posterior predictive p-value, two-sided."""
    low, high = PREDICTIVE
    limit, shown = (high, _raised(p, 3)) if p > 0.5 else (low, _lowered(p, 3))
    brief = f"predictive p of {name} {shown} (within {low} to {high})"
    verdict = Verdict(name, low <= p <= high, p, limit, brief, _capital(brief))
    if verdict.passed:
        return verdict
    remedies = {
        "autocorrelation": "Neighbouring periods err alike, so intervals are too narrow: a more "
        "flexible trend, more seasonality, or the control that is missing.",
        "outliers": "Some periods err more, or less, than the noise can: name their events, or "
        "take noise='student_t'.",
    }
    return verdict._replace(
        remedy=remedies.get(name, "Change the part of the model that makes it.")
    )


def prior(channels: tuple[str, ...], contraction: Float[np.ndarray, " channel"]) -> Verdict:
    """Marks channels that the data tell less of than the prior; fails if they tell of none."""
    marked = tuple(c for c, k in zip(channels, contraction, strict=True) if not k >= MOSTLY_PRIOR)
    best = float(np.max(np.nan_to_num(contraction, nan=-np.inf), initial=-np.inf))
    told = ", ".join(f"{c} {_lowered(k, 2)}" for c, k in zip(channels, contraction, strict=True))
    brief = f"largest contraction of a channel {_lowered(best, 2)} (limit {ONLY_PRIOR})"
    verdict = Verdict("prior", best >= ONLY_PRIOR, best, ONLY_PRIOR, brief, "", "", marked)
    if not marked:
        return verdict._replace(sentence=f"The data say more than the prior of all: {told}.")
    remedy = f"An experiment on {marked[0]} would tell; more data, or more varied spend, help."
    sentence = (
        f"What is shown of {', '.join(marked)} is more prior than data (contraction of the ROI: "
        f"{told}; marked below {MOSTLY_PRIOR})."
    )
    if not verdict.passed:
        sentence = f"The data say next to nothing of any channel (contraction of the ROI: {told})."
    return verdict._replace(sentence=sentence, remedy=remedy)


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _raised(value: float, digits: int) -> str:
    """Rounded up where more is worse, so that 1.0104 is never shown as the 1.01 it exceeds."""
    return _lowered(-value, digits).replace("-", "") if value > 0 else _lowered(value, digits)


def _lowered(value: float, digits: int) -> str:
    """Rounded down where less is worse."""
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else "infinite"
    rounded = math.floor(round(value * 10**digits, 9)) / 10**digits
    return f"{rounded:,.{digits}f}".rstrip("0").rstrip(".") if digits else f"{rounded:,.0f}"
