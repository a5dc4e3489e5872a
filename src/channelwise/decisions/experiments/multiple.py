"""Many comparisons at once: several arms or metrics, and how many of the winners are false.

| method | holds | if the tests are |
|---|---|---|
| holm | P(any false discovery) ≤ α | anything |
| bh | expected share of false among the discoveries ≤ α | independent or positively dependent |
| by | the same | anything |
| e_bh | the same, of e-values, also at a time of one's choosing | anything |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from channelwise.decisions.experiments.arms import Arm, ExperimentError, check_share, nearest
from channelwise.decisions.experiments.estimate import Comparison
from channelwise.decisions.experiments.experiment import compare
from channelwise.decisions.experiments.proportions import Rates


@dataclass(frozen=True)
class Discoveries:
    """What was found among many comparisons.

    Attributes:
      names: of all comparisons.
      adjusted: p-value of each, adjusted for all; found if at most α.
      found: names of the discoveries, in their order.
      alpha: the error that was asked for.
      method: "bh", "by", "holm" or "e_bh".
    """

    names: tuple[str, ...]
    adjusted: tuple[float, ...]
    found: tuple[str, ...]
    alpha: float
    method: str

    def __str__(self) -> str:
        told = ", ".join(self.found) or "none"
        count = f"{len(self.found)} of {len(self.names)}"
        return f"{count} found at {self.alpha:g} ({self.method}): {told}"


def compare_arms(arms: Mapping[str, Arm], control: str) -> dict[str, Comparison | Rates]:
    """Every other arm against the control.

    Args:
      arms: `Counts` or `Moments` of each arm, by name; 2 or more.
      control: name of the one the others are compared with.

    Returns:
      A comparison for each other arm; its p-values are yet to be adjusted, see `discover`.

    Raises:
      ExperimentError: for one arm, or a control that is none of them.
    """
    if len(arms) < 2:
        raise ExperimentError(
            f"{len(arms)} arm: nothing to compare it with. Add the control, or see a rate before "
            "and after a change for what it is, no experiment."
        )
    if control not in arms:
        raise ExperimentError(nearest("arm", control, arms))
    return {name: compare(arms[control], arm) for name, arm in arms.items() if name != control}


def discover(p: Mapping[str, float], alpha: float = 0.05, method: str = "bh") -> Discoveries:
    """Which of many comparisons are discoveries, see the table of the module.

    holm: p̃_(i) = max_{j ≤ i} (m − j + 1) p_(j);   bh: p̃_(i) = min_{j ≥ i} m p_(j) / j

    Args:
      p: p-value of each comparison, by name, in [0, 1].
      alpha: share of false discoveries (bh, by) or probability of any (holm), in (0, 1).
      method: "bh" (Benjamini and Hochberg), "by" (Benjamini and Yekutieli) or "holm".

    Raises:
      ExperimentError: for no comparisons, p outside [0, 1], or an unknown method.

    Source: Holm 1979; Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001.
    """
    from scipy.stats import false_discovery_control

    check_share("alpha", alpha, 0.05)
    values = _values("p", p, 1.0)
    if method not in ("bh", "by", "holm"):
        raise ExperimentError(f"method is {method!r}; there are bh, by and holm.")
    adjusted = _holm(values) if method == "holm" else false_discovery_control(values, method=method)
    return _discoveries(tuple(p), adjusted, alpha, method)


def discover_e(e: Mapping[str, float], alpha: float = 0.05) -> Discoveries:
    """Discoveries among e-values, for always-valid tests: 1/p of `always_valid` is one.

    The k largest are found for the largest k with e_(k) ≥ m / (k α): `bh` of the p-values 1/e. It
    holds for any dependence, and at any time at which one stops looking at any of the tests.

    Args:
      e: e-value of each comparison at the present look, not the largest so far, by name, 0 or more.
      alpha: expected share of false discoveries, in (0, 1).

    Raises:
      ExperimentError: for no comparisons, or e below 0.

    Source: Wang and Ramdas 2022, "False discovery rate control with e-values".
    """
    check_share("alpha", alpha, 0.05)
    values = _values("e", e, np.inf)
    order = np.argsort(-values)
    with np.errstate(divide="ignore"):
        scaled = len(values) / (np.arange(1, len(values) + 1) * values[order])
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1)
    return _discoveries(tuple(e), adjusted, alpha, "e_bh")


def _holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]).clip(max=1)
    return adjusted


def _values(name: str, given: Mapping[str, float], most: float) -> Float[np.ndarray, " test"]:
    if not given:
        raise ExperimentError(f"no {name}-values; give one for each comparison, by name.")
    for test, value in given.items():
        if not 0 <= value <= most:
            raise ExperimentError(
                f"{name} of {test!r} is {value:g}; it must lie between 0 and {most:g}."
            )
    return np.array(list(given.values()), dtype=float)


def _discoveries(
    names: tuple[str, ...], adjusted: Float[np.ndarray, " test"], alpha: float, method: str
) -> Discoveries:
    found = tuple(n for n, a in zip(names, adjusted, strict=True) if a <= alpha * (1 + 1e-12))
    return Discoveries(names, tuple(map(float, adjusted)), found, alpha, method)
