"""The baseline's coefficients, drawn from what was integrated out.

Given the nonlinear parameters θ the coefficients are normal, so each draw of θ gets exactly one
independent draw of them: nothing is lost by having integrated them out, and nothing approximated.
In units of their priors, η = (γ − m)/spread with r = y − Mβ − Zm:

    one geo:    η = Q ζ,  ζ_j ~ N(√d_j (U′r)_j / (d_j + σ²), σ²/(d_j + σ²)),  (Z·spread) = U √d Q′
    several:    η ~ N(A⁻¹ b, A⁻¹),  A = I + Z′KZ,  b = Z′Kr,  K⁻¹ = σ²I + τ² 11′ within each geo
                u_g ~ N(τ² Σ_t (r − Zη)_gt / (σ² + Tτ²), τ²σ²/(σ² + Tτ²))
"""

import numpy as np
from jaxtyping import Float

from channelwise.response.density import Values
from channelwise.response.design import Problem


def draw_baseline(
    values: Values, problem: Problem, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "*draws linear"], Float[np.ndarray, "*draws geo"]]:
    """Coefficients of the baseline's columns and intercepts of the geos, in the model's units.

    Args:
        values: of the draws, with any leading axes.
        problem: what they were drawn for.
        rng: random numbers.

    Returns:
        One draw of the coefficients for each draw of `values`, and of the geos' own intercepts
        (no entries with one geo).
    """
    data, layout = problem.design, problem.layout
    if layout.student_t:
        return values.linear[..., : layout.linear], values.linear[..., layout.linear :]
    if not layout.hierarchical:
        eta = _one_geo(values, data, rng)
        return data.mean + data.spread * eta, np.zeros((*values.sigma.shape, 0))
    eta, own = _several_geos(values, data, rng)
    return data.mean + data.spread * eta, own


def _one_geo(values: Values, data, rng) -> np.ndarray:
    s2, d = values.sigma[..., None] ** 2, data.eigen
    mean = np.sqrt(d) * values.projection / (d + s2)
    zeta = mean + np.sqrt(s2 / (d + s2)) * rng.standard_normal(mean.shape)
    return zeta @ data.axes.T


def _several_geos(values: Values, data, rng) -> tuple[np.ndarray, np.ndarray]:
    s2, times = values.sigma[..., None] ** 2, data.times
    t2 = values.named["tau"] ** 2
    w = times * t2 / (s2 + times * t2)
    sums = values.geo["residual_sum"]
    gram = data.gram - (w / times)[..., None] * (data.totals.T @ data.totals)
    precision = np.eye(len(data.mean)) + gram / s2[..., None]
    pull = (values.projection - w / times * (sums @ data.totals)) / s2
    lower = np.linalg.cholesky(precision)
    upper = np.swapaxes(lower, -1, -2)
    half = np.linalg.solve(lower, pull[..., None])
    eta = np.linalg.solve(upper, half + rng.standard_normal(half.shape))[..., 0]
    left = sums - eta @ data.totals.T
    mean, variance = t2 * left / (s2 + times * t2), t2 * s2 / (s2 + times * t2)
    return eta, mean + np.sqrt(variance) * rng.standard_normal(mean.shape)
