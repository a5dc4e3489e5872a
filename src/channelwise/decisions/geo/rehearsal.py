"""How small a lift could a geo test see? Ask the past: insert known lifts and count detections."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from channelwise.decisions.geo.matching import difference, distances, paired, tracked
from channelwise.decisions.geo.panel import GeoEffect, GeoTestError, Panel, check_confidence
from channelwise.decisions.geo.regression import LEAST_BEFORE, regress
from channelwise.decisions.geo.synthetic_control import mix, placebo_groups

Method = Literal["pairs", "regression", "synthetic"]
Sides = tuple[Int[np.ndarray, " test"], Int[np.ndarray, " control"]]


class PlaceboPower(NamedTuple):
    """What a design would have seen in the past, where nothing was tested.

    Attributes:
      method: "pairs", "regression" or "synthetic".
      size: geos of the test.
      periods: its length.
      confidence: of the interval that must exclude zero.
      found: estimate e of each rehearsal, where the truth is 0, as a share of the outcome; for
        pairs the difference in logarithms.
      margin: half-width h of its interval, in the same unit.
      outcome: of the test geos in the test, in units of the outcome.
    """

    method: str
    size: int
    periods: int
    confidence: float
    found: Float[np.ndarray, " placebo"]
    margin: Float[np.ndarray, " placebo"]
    outcome: Float[np.ndarray, " placebo"]

    @property
    def smallest(self) -> Float[np.ndarray, " placebo"]:
        """The relative lift that would just have been detected: h − e, for pairs e^(h − e) − 1."""
        missing = self.margin - self.found
        return np.expm1(missing) if self.method == "pairs" else missing

    @property
    def false_alarms(self) -> float:
        """Share of rehearsals that found what is not there; 1 − confidence is promised."""
        return float(np.mean(np.abs(self.found) > self.margin))

    def power(self, lift: float) -> float:
        """Share of rehearsals that detect a relative lift that is inserted.

        Args:
          lift: added to the outcome of the test geos, as a share of it, above 0.
        """
        return float(np.mean(self.smallest < lift))

    def minimal_lift(self, power: float = 0.8) -> float:
        """The smallest relative lift that is detected with this power: a quantile of `smallest`.

        Args:
          power: share of the rehearsals that must detect it, in (0, 1].
        """
        return max(0.0, float(np.quantile(self.smallest, power, method="inverted_cdf")))

    @property
    def widening(self) -> float:
        """By how much the margins must grow to hold what they promise: a quantile of |e| / h."""
        ratio = np.abs(self.found) / self.margin
        return float(np.quantile(ratio, self.confidence, method="inverted_cdf"))

    def calibrated(self) -> "PlaceboPower":
        """The same design with margins widened until false alarms are as rare as promised.

        Methods compare fairly only so: one that raises false alarms also detects more.
        """
        return self._replace(margin=self.widening * self.margin)


def placebo_power(
    panel: Panel,
    method: Method,
    geos: int | Sequence[str],
    periods: int,
    *,
    choose: Literal["lot", "tracked"] = "lot",
    before: int = 52,
    windows: int = 20,
    draws: int = 10,
    placebos: int = 39,
    confidence: float = 0.9,
    seed: int = 0,
) -> PlaceboPower:
    """Rehearse a geo test in the past, where the true lift is known to be 0, or what is inserted.

    In each of many windows of the record geos are chosen, by what is known before the window, and
    the window is analysed as if it were the test. A lift δ multiplies the outcome of the test geos
    by 1 + δ, which moves the estimate but not its margin; so each rehearsal yields the smallest δ
    that it would have detected, and the power at any δ is the share of rehearsals below it.

    Args:
      panel: outcomes without a test in them.
      method: "pairs" (`paired_difference`, a coin tossed in the most alike pairs), "regression"
        (`time_based_regression`) or "synthetic" (`synthetic_control`).
      geos: how many to test, 1 (2 for pairs) to half of all; or their names.
      periods: length of the test, with the periods in which media still carry over.
      choose: "lot", or "tracked": those that the others followed best (`best_tracked`).
      before: periods in front of the test that are compared.
      windows: starts at most, spread evenly over the record; they overlap where it is short.
      draws: choices of geos by lot in each window.
      placebos: groups of `synthetic_control`.
      confidence: of the interval that must exclude zero.
      seed: of everything drawn.

    Raises:
      GeoTestError: if the record is too short, the group too large, or the method cannot do it.

    Note: rehearsals in overlapping windows are not independent: 200 of them from three years are
    worth far fewer. `false_alarms` far from 1 − confidence says that the method does not hold what
    it promises on this market.
    """
    check_confidence(confidence)
    y, rng = panel.outcome, np.random.default_rng(seed)
    fixed = None if isinstance(geos, int) else panel.split(geos, None)
    size = geos if fixed is None else len(fixed[0])
    _check(panel, method, size, periods, before, fixed)
    results = []
    for start in _starts(y.shape[1], before, periods, windows):
        window = y[:, start - before : start + periods]
        sides = [fixed] if fixed else _chosen(window[:, :before], method, size, choose, draws, rng)
        results += [_analysed(window, s, method, before, confidence, placebos, rng) for s in sides]
    return PlaceboPower(
        method,
        size,
        periods,
        confidence,
        *np.transpose([_estimate(r) for r in results]),
        outcome=np.array([r.observed[r.first :].sum() for r in results]),
    )


def _estimate(effect: GeoEffect) -> tuple[float, float]:
    """Estimate and margin as shares of the outcome; for pairs in logarithms."""
    share = effect.lift / effect.observed[effect.first :].sum()
    if effect.method == "pairs":
        return -np.log1p(-share), np.log1p(effect.smallest) - np.log1p(-share)
    return share, effect.smallest + share


def _starts(times: int, before: int, periods: int, windows: int) -> Int[np.ndarray, " window"]:
    return np.unique(np.linspace(before, times - periods, windows).round().astype(int))


def _chosen(
    y: Float[np.ndarray, "geo time"],
    method: Method,
    size: int,
    choose: str,
    draws: int,
    rng: np.random.Generator,
) -> list[Sides]:
    """Test and control geos of several rehearsals, chosen by what was known before them."""
    if method == "pairs":
        pairs = paired(distances(y), size)
        tossed = [rng.permuted(pairs, axis=1) for _ in range(draws)]
        return [(toss[:, 0], toss[:, 1]) for toss in tossed]
    if choose == "tracked":
        return [_against(tracked(y, size, rng), len(y))]
    return [_against(rng.choice(len(y), size, replace=False), len(y)) for _ in range(draws)]


def _against(test: Int[np.ndarray, " test"], count: int) -> Sides:
    return test, np.setdiff1d(np.arange(count), test)


def _analysed(
    y: Float[np.ndarray, "geo time"],
    sides: Sides,
    method: Method,
    first: int,
    confidence: float,
    placebos: int,
    rng: np.random.Generator,
) -> GeoEffect:
    test, control = sides
    if method == "pairs":
        return difference(y[test], y[control], first, confidence)
    together = y[test].sum(axis=0)
    if method == "regression":
        return regress(y[control].sum(axis=0), together, first, confidence)
    groups = placebo_groups(len(control), len(test), placebos, rng)
    return mix(together, y[control], groups, first, confidence)[0]


def _check(panel: Panel, method: Method, size: int, periods: int, before: int, fixed) -> None:
    if method == "pairs" and fixed:
        raise GeoTestError("Named geos have no partners; give how many pairs to test.")
    count, least = len(panel.geos), 2 if method == "pairs" else 1
    if not least <= size <= count // 2:
        raise GeoTestError(
            f"{size} of {count} geos cannot be tested by {method}; test {least} to {count // 2}."
        )
    if periods < 1 or before < LEAST_BEFORE or before + periods > len(panel.dates):
        raise GeoTestError(
            f"A test of {periods} periods after {before} does not fit a record of "
            f"{len(panel.dates)}; shorten one (at least 1 and {LEAST_BEFORE} are needed)."
        )
