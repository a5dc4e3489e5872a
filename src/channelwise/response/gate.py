"""May these draws be used? No ROI, curve or plan passes a failed gate unless it says so.

| check | fails | why there |
|---|---|---|
| finite | any draw or baseline is not finite | nothing can be computed from it |
| chains | fewer than 2 chains | one chain cannot see a mode that it never visits |
| rhat | R-hat of any scalar > 1.01, or undefined | Vehtari et al. 2021 |
| ess_bulk, ess_tail | any scalar < 400 | below it R-hat is unsure itself (the same) |
| divergences | more than 0.1 % of the transitions | any at all is a caution |
| energy | E-BFMI of any chain < 0.3 | Betancourt 2016 |
| baseline | below 0 in > 20 % of draws, periods | nobody buys less than nothing; > 5 %: caution |
| autocorrelation, outliers | predictive p outside [0.01, 0.99] | the model cannot make such data |
| prior | every channel's contraction < 0.1 | the data say nothing of any channel |

A channel with a contraction below 0.5 is *marked*, not stopped: more than half of what is shown of
it was put in by the prior. That may be all there is to know, and is honest if it is said.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from channelwise.response import checks
from channelwise.response.checks import Verdict
from channelwise.response.evidence import PredictiveP
from channelwise.response.posterior import Posterior


class GateError(ValueError):
    """Draws that may not be used; the message says why, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentences alone, not the library's inner frames."""
        return [f"GateError: {self}"]


@dataclass(frozen=True)
class Gate:
    """The verdicts on one posterior."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if not v.passed)

    @property
    def cautions(self) -> tuple[Verdict, ...]:
        """Checks that passed, but should be told."""
        return tuple(v for v in self.verdicts if v.passed and v.remedy)

    @property
    def marked(self) -> tuple[str, ...]:
        """Channels of which the prior says more than the data."""
        return tuple(dict.fromkeys(c for v in self.verdicts for c in v.channels))

    def require(self, override: Collection[str] | None = None) -> str:
        """Stop unless every check passed or is overridden by its name.

        Args:
          override: names of checks whose failure the user accepts, e.g. ("rhat", "energy").

        Returns:
          Empty if no failure was overridden; else the stamp that every figure, table and plan
          from these draws must show: "OVERRIDDEN: R-hat 1.08 (limit 1.01)".

        Raises:
          GateError: for each failure not overridden its sentence and its remedy, or for a name
            that no check has.
        """
        names = (override,) if isinstance(override, str) else tuple(override or ())
        known = [v.check for v in self.verdicts]
        for name in names:
            if name not in known:
                raise GateError(f"No check is called {name!r}; there are {', '.join(known)}.")
        stopped = [v for v in self.failures if v.check not in names]
        if stopped:
            raise GateError(_refusal(stopped))
        return _stamp(self.failures)

    def __str__(self) -> str:
        lines = [f"{_word(v):8}{v.check:16}{v.sentence} {v.remedy}".rstrip() for v in self.verdicts]
        return "\n".join(lines)


def judge(
    posterior: Posterior,
    *,
    contraction: Float[np.ndarray, " channel"],
    baseline: Float[np.ndarray, "*draws"],
    predictive: PredictiveP,
) -> Gate:
    """Put a posterior through every check of the table above.

    Args:
      posterior: all its scalars are judged; the sampler's "energy" and "diverging" are needed.
      contraction: of each paid channel's ROI, from `evidence.contraction`.
      baseline: draws of the outcome without media, of any shape, e.g. (draw, geo, time).
      predictive: from `evidence.predictive_p`.

    Raises:
      ValueError: if the contractions are not one for each channel, or a statistic is missing.
    """
    channels, statistics = posterior.market.channels, posterior.statistics
    if len(contraction) != len(channels):
        raise ValueError(f"{len(contraction)} contractions for {len(channels)} channels.")
    for name in ("energy", "diverging"):
        if name not in statistics:
            raise ValueError(f"The gate needs the sampler's {name!r}, which the posterior lacks.")
    return Gate(
        (
            checks.finite(posterior, baseline),
            checks.chains(posterior.n_chains),
            *checks.converged(posterior),
            checks.divergences(statistics["diverging"]),
            checks.energy(statistics["energy"]),
            checks.baseline(baseline),
            *(checks.predictive(name, p) for name, p in predictive._asdict().items()),
            checks.prior(channels, contraction),
        )
    )


def _refusal(failures: list[Verdict]) -> str:
    lines = [f"{v.check}: {v.sentence} {v.remedy}" for v in failures]
    names = ", ".join(f'"{v.check}"' for v in failures)
    return (
        "These draws may not be used yet.\n- "
        + "\n- ".join(lines)
        + f"\nTo use them all the same, with a stamp on every figure: override=({names},)."
    )


def _stamp(failures: tuple[Verdict, ...]) -> str:
    return f"OVERRIDDEN: {'; '.join(v.brief for v in failures)}" if failures else ""


def _word(verdict: Verdict) -> str:
    return "FAILED" if not verdict.passed else "caution" if verdict.remedy else "passed"
