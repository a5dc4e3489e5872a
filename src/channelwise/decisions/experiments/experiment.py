"""Analysis of a test with a fixed horizon: compare two arms once, when all data are in.

`compare` takes what each arm brought; `cuped` and `stratified` use what was known before the test
to remove noise. All give an object with the same verbs: `.difference()`, `.lift()`, `.p_value()`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from channelwise.decisions.experiments.arms import Arm, Counts, ExperimentError, finite
from channelwise.decisions.experiments.estimate import Comparison
from channelwise.decisions.experiments.proportions import Rates


def compare(control: Arm, treatment: Arm) -> Comparison | Rates:
    """Two arms, once: score test for counts, Welch's t test for measured outcomes.

    Args:
      control: `Counts`, or `Moments` (of a ratio metric: `ratio_moments`).
      treatment: of the same kind.

    Returns:
      The comparison. With counts it holds without any conversion; see `Rates.lift`.

    Raises:
      ExperimentError: for arms of two kinds, or means that do not vary.
    """
    if isinstance(control, Counts) and isinstance(treatment, Counts):
        return Rates(control, treatment)
    if isinstance(control, Counts) or isinstance(treatment, Counts):
        raise ExperimentError("one arm holds counts, the other means; give both as the same kind.")
    errors = np.array([control.variance / control.n, treatment.variance / treatment.n])
    df = _welch_df(errors, np.array([control.n, treatment.n]))
    n = control.n + treatment.n
    return Comparison(control.mean, treatment.mean, np.diag(errors), n, df)


def sample_ratio(units: Sequence[int], shares: Sequence[float] | None = None) -> float:
    """Sample-ratio mismatch: the p-value of the arms' sizes if units were assigned as planned.

    Σ (n_k − N s_k)² / (N s_k) against χ²(K − 1)

    A tiny p (below 0.001, say) means that assignment or logging is broken: no result of such an
    experiment can be believed, whatever its own p-value.

    Args:
      units: n_k, in each of K ≥ 2 arms.
      shares: s_k > 0 planned; normalized; None for equal ones.

    Raises:
      ExperimentError: for one arm, no units, shares that do not fit the arms.

    Source: Fabijan et al. 2019, "Diagnosing sample ratio mismatch in online experiments".
    """
    from scipy.stats import chisquare

    n = finite("units", np.asarray(units))
    s = np.ones(len(n)) if shares is None else finite("shares", np.asarray(shares))
    if len(n) < 2:
        raise ExperimentError(f"{len(n)} arm: a ratio needs at least 2. Give every arm's units.")
    if len(s) != len(n) or not (s > 0).all():
        raise ExperimentError(f"shares are {list(s)} for {len(n)} arms; give one above 0 for each.")
    if (n < 0).any() or n.sum() == 0:
        raise ExperimentError(f"units are {list(n)}; give counts of 0 or more, not all 0.")
    return float(chisquare(n, n.sum() * s / s.sum()).pvalue)


def cuped(
    control: Shaped[np.ndarray, " unit_a"],
    control_before: Shaped[np.ndarray, "one_each_a ..."],
    treatment: Shaped[np.ndarray, " unit_b"],
    treatment_before: Shaped[np.ndarray, "one_each_b ..."],
) -> Comparison:
    """Two arms adjusted by what was known of each unit before the test.

    m_k = ȳ_k − θ'(x̄_k − x̄),   θ = S_xx⁻¹ s_xy within the arms, pooled

    The variance shrinks by the share the covariates explain, ρ² for one with correlation ρ; the
    estimate stays the same effect, as assignment has nothing to do with x.

    Args:
      control: y, outcome of each unit.
      control_before: x, one or several covariates, measured before the assignment.
      treatment: y of the treated.
      treatment_before: x of the treated.

    Returns:
      The comparison, with `theta` and the share `explained`. Its covariance counts the estimation
      of θ and of x̄, the population's mean; the first matters for few units, the second for lifts.

    Raises:
      ExperimentError: for rows that do not match, values that are not finite, or covariates that
        do not vary or repeat each other.

    Source: Deng, Xu, Kohavi, Walker 2013, "Improving the sensitivity of online controlled
    experiments by utilizing pre-experiment data", §3.
    """
    y = [finite("outcomes", control), finite("outcomes", treatment)]
    x = [_columns(control_before), _columns(treatment_before)]
    _check_rows(y, x)
    sizes, k = np.array([len(v) for v in y]), x[0].shape[1]
    x_in, y_in = (np.concatenate([v - v.mean(0) for v in both]) for both in (x, y))
    s_xx = x_in.T @ x_in
    theta = _slopes(s_xx, x_in.T @ y_in)
    spare = (sizes.sum() - 2) / (sizes.sum() - 2 - k)
    rest = [v - w @ theta for v, w in zip(y, x, strict=True)]
    errors = np.array([r.var(ddof=1) / len(r) for r in rest]) * spare
    centre = np.concatenate(x).mean(0)
    off = np.stack([v.mean(0) - centre for v in x])
    noise = (errors * sizes) @ (sizes - 1) / (sizes.sum() - 2)
    shared = theta @ (s_xx / (sizes.sum() - 2)) @ theta / sizes.sum()
    covariance = np.diag(errors) + noise * off @ np.linalg.solve(s_xx, off.T) + shared
    means = [float(v.mean() - o @ theta) for v, o in zip(y, off, strict=True)]
    left = sum(r.var() * len(r) for r in rest) / (y_in @ y_in) if y_in.any() else 1.0
    df = _welch_df(errors, sizes) - k
    return Comparison(*means, covariance, int(sizes.sum()), df, float(1 - left), tuple(theta))


def stratified(
    control: Mapping[str, Arm],
    treatment: Mapping[str, Arm],
    shares: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare within strata, then average: removes the noise of who happened to be in which arm.

    m_k = Σ_s w_s m_ks,   V_k = Σ_s w_s² σ²_ks / n_ks

    Args:
      control: an arm for each stratum, by name.
      treatment: the same strata.
      shares: w of each stratum in the population, normalized; None takes them from both arms
        together (post-stratification), and counts the error of doing so.

    Returns:
      The comparison, with the share of the variance `explained` by the strata.

    Raises:
      ExperimentError: for strata that one arm lacks, an arm of one unit, or shares that do not fit.

    Source: Miratrix, Sekhon, Yu 2013, "Adjusting treatment effect estimates by
    post-stratification"; Cochran 1977, §5A.
    """
    names = _strata(control, treatment, shares)
    arms = [[arm[s] for s in names] for arm in (control, treatment)]
    n = np.array([[a.n for a in arm] for arm in arms], dtype=float)
    mean = np.array([[a.mean for a in arm] for arm in arms])
    w = n.sum(0) if shares is None else np.array([shares[s] for s in names], dtype=float)
    w = w / w.sum()
    unit = np.array([[_unit_variance(a) for a in arm] for arm in arms])
    terms = w**2 * unit / n
    total = mean @ w
    apart = mean - total[:, None]
    between = (w * apart) @ apart.T
    covariance = np.diag(terms.sum(1)) + (between / n.sum() if shares is None else 0.0)
    within = (w * unit).sum(1)
    explained = np.trace(between) / (np.trace(between) + within.sum())
    df = _welch_df(terms.ravel(), n.ravel())
    return Comparison(*map(float, total), covariance, int(n.sum()), df, float(explained))


def _welch_df(errors: Float[np.ndarray, " part"], n: Shaped[np.ndarray, " part"]) -> float:
    """Welch–Satterthwaite: (Σ e)² / Σ e² / (n − 1)."""
    if not errors.any():
        return float((n - 1).sum())
    return float(errors.sum() ** 2 / (errors**2 / (n - 1)).sum())


def _unit_variance(arm: Arm) -> float:
    if arm.n < 2:
        raise ExperimentError("a stratum has an arm of 1 unit; merge strata until each has 2.")
    return arm.variance * arm.n / (arm.n - 1) if isinstance(arm, Counts) else arm.variance


def _columns(x: Shaped[np.ndarray, "unit *covariate"]) -> Float[np.ndarray, "unit covariate"]:
    x = finite("covariates", x)
    return x[:, None] if x.ndim == 1 else x


def _check_rows(y: list[np.ndarray], x: list[np.ndarray]) -> None:
    for name, v, w in zip(("control", "treatment"), y, x, strict=True):
        if len(v) != len(w):
            raise ExperimentError(
                f"{name}: {len(v)} outcomes but {len(w)} rows of covariates. Give a covariate to "
                "every unit; a unit not seen before the test may get the mean and a flag."
            )
        if len(v) < 2:
            raise ExperimentError(f"{name}: {len(v)} units; at least 2 are needed in each arm.")
    if x[0].shape[1] != x[1].shape[1]:
        raise ExperimentError(
            f"control has {x[0].shape[1]} covariates, treatment {x[1].shape[1]}; give the same."
        )
    if sum(map(len, y)) <= x[0].shape[1] + 2:
        raise ExperimentError(
            f"{sum(map(len, y))} units cannot carry {x[0].shape[1]} covariates; leave some out."
        )


def _slopes(
    s_xx: Float[np.ndarray, "covariate covariate"], s_xy: Float[np.ndarray, " covariate"]
) -> Float[np.ndarray, " covariate"]:
    """θ, or a sentence if covariates are constant or repeat each other."""
    spread = np.sqrt(np.diag(s_xx))
    if (spread == 0).any() or np.linalg.cond(s_xx / np.outer(spread, spread)) > 1e12:
        raise ExperimentError(
            "a covariate does not vary, or repeats another; leave it out. "
            "CUPED needs something that differs between units and was known before the test."
        )
    return np.linalg.solve(s_xx, s_xy)


def _strata(
    control: Mapping[str, Arm],
    treatment: Mapping[str, Arm],
    shares: Mapping[str, float] | None,
) -> list[str]:
    """Names of the strata, the same in both arms and in the shares."""
    known = set(control)
    for name, other in (("treatment", treatment), ("shares", shares)):
        odd = known ^ set(other) if other is not None else set()
        if odd:
            raise ExperimentError(
                f"stratum {min(odd)!r} is not in both control and {name}. Merge it with another, "
                "so that every stratum has units in both arms."
            )
    if not known:
        raise ExperimentError("no strata; give an arm for each, by name.")
    if shares is not None and not min(shares.values()) > 0:
        raise ExperimentError(f"shares are {dict(shares)}; each must be above 0.")
    return list(control)
