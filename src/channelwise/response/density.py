"""The posterior log density of a response model, with everything normal integrated out.

Given the nonlinear parameters (adstock, saturation, effects, σ), the baseline's coefficients are
normal a priori and enter linearly, so they integrate out exactly:

    ln ∫ N(r; Zγ, σ²I) N(γ; m, V) dγ = ln N(r; Zm, K⁻¹),   K⁻¹ = σ²I + Z V Z′,   r = y − M β

That leaves two to four numbers a medium and σ. With one geo Z V Z′ = U diag(d) U′ is fixed; with
several, the geos' own intercepts N(0, τ²) join by Woodbury's identity.

The effects are the hard part: as saturation gets sharp, β and K trade off along a curved valley up
to the wall of β's prior. They are therefore sampled in units of their conditional spread,

    β = b(θ, σ) g(e),   b = 1/√((h/s)² + Σ_t (c − c̄)²/σ²),

where c_t(θ) is the saturated, carried-over medium, s the size of the prior, h what a unit of β is
in the prior's quantity (h = 1 for a coefficient, ROI per β for an ROI prior) and g the prior's own
warp. Where data speak, e is a t-statistic; where they are silent, it is the prior. A lift test adds
its own term to b and, given the effects, its normal log density (see `lifted`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from channelwise.response.design import Design
from channelwise.response.layout import Layout
from channelwise.response.lifted import lift_per_effect, log_lift
from channelwise.response.media import media_gain, media_response, pick
from channelwise.response.priors import bend, interval, log_positive, log_real, positive

_LN_2PI = float(np.log(2 * np.pi))


class Values(NamedTuple):
    """What a position stands for: the parameters, and what later needs of the fit."""

    named: dict[str, Float[Array, " owner"]]  # parameters of adstock, saturation, geos and noise
    beta: Float[Array, " medium"]
    sigma: Float[Array, ""]
    total: Float[Array, " medium"]  # Σ over geos and time of the contribution, in outcome units
    projection: Float[Array, " linear"]  # of the residual r on the baseline's columns
    geo: dict[str, Float[Array, "..."]]  # several geos: factors exp(η z), residual sums
    linear: Float[Array, " all"]  # Student-t: coefficients (and geo intercepts)


def log_density(
    position: Float[Array, " dimension"], data: Design, layout: Layout
) -> tuple[Float[Array, ""], Values]:
    """ln p(position | data) up to the evidence, every constant kept, and what it stands for.

    Args:
        position: the sampler's coordinates, near N(0, I) a priori for all but the effects and σ.
        data: the market in the model's units.
        layout: its static shape.
    """
    data = jax.tree.map(jnp.asarray, data)
    e = _blocks(position, layout)
    named, g, density = _own(position, data, layout)
    step = 1 / float(np.sqrt(2 * layout.geos * layout.times))
    sigma = data.sigma_guess * jnp.exp(step * e["sigma"])
    density += jnp.sum(log_positive(sigma, data.sigma_prior) + jnp.log(step * sigma))
    sigma = sigma[0]

    c = media_response(named, data, layout)
    factor, density = _geo_factors(e, named, density, layout)
    first, second = _held(jnp.sum(c, axis=2)), _held(jnp.sum(c**2, axis=2))
    centred = jnp.maximum(second - first**2 / data.times, 0.0)
    information = jnp.sum(factor**2 * centred, axis=0) / sigma**2
    if layout.trials:
        per_effect = lift_per_effect(named, factor, data, layout)
        information += jnp.sum(per_effect**2, axis=0)
    h = _quantity_per_beta(first, factor, named, data, layout)
    beta, density = _effects(e["effect"], g, h, information, density, data, layout)
    if layout.trials:
        density += log_lift(per_effect, beta, data)
    residual = data.y - jnp.einsum("gmt,gm->gt", c, factor * beta[None, :])
    total = beta * jnp.sum(first * factor * data.head[:, None], axis=0)
    if layout.student_t:
        linear, likelihood = _student_t(e["linear"], residual, sigma, named, data, layout)
        projection, geo = jnp.zeros(0), {}
    else:
        linear = jnp.zeros(0)
        evidence = _evidence_geo if layout.hierarchical else _evidence
        projection, geo, likelihood = evidence(residual - data.offset, sigma, named, data, layout)
    if layout.hierarchical:
        geo["factor"] = factor
    return density + likelihood, Values(named, beta, sigma, total, projection, geo, linear)


def _blocks(position: Float[Array, " dimension"], layout: Layout) -> dict[str, Array]:
    ends = np.cumsum(list(layout.sizes.values()))
    starts = ends - np.array(list(layout.sizes.values()))
    return {n: position[a:b] for n, a, b in zip(layout.sizes, starts, ends, strict=True)}


def _own(position: Array, data: Design, layout: Layout) -> tuple[dict[str, Array], Array, Array]:
    """Parameters with their own priors by name, g(e) of the effects, the log densities in e."""
    p = len(layout.interval) + len(layout.positive)
    end = p if layout.signed else p + layout.media
    e = position[:end]
    data = (jax.tree.map(lambda v: v[:end], data.warp), data.interval_prior, data.positive_prior)
    x, density = _bent(e, data, len(layout.interval), p)
    x = _held(x)
    named = {name: pick(x, layout.slots(name)) for name in layout.names}
    return named, x[p:], jnp.sum(density)


def _bent(e: Array, data: tuple, i: int, p: int) -> tuple[Array, Array]:
    """x(e) and its log density in e: i interval, p − i positive coordinates, then effects."""
    warp, of_interval, of_positive = data
    bent = bend(e, warp)
    part = lambda tree, a, b: jax.tree.map(lambda v: v[a:b], tree)  # noqa: E731
    inside, first = interval(part(bent, 0, i), part(warp, 0, i), of_interval)
    above, jacobian = positive(part(bent, i, None), warp.scale[i:])
    second = log_positive(above[: p - i], of_positive) + jacobian[: p - i]
    return jnp.concatenate([inside, above]), jnp.concatenate([first, second, jacobian[p - i :]])


def _held(x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """x, computed once: XLA's CPU compiler recomputes what is small inside every loop that reads
    it, over all periods, but not the result of a matrix product, such as this one with I."""
    return x @ jnp.eye(x.shape[-1], dtype=x.dtype)


def _geo_factors(e: dict, named: dict, density: Array, layout: Layout) -> tuple[Array, Array]:
    """exp(η_m z_gm), and the density with z ~ N(0, 1) added."""
    if not layout.hierarchical:
        return jnp.ones((1, layout.media)), density
    z = e["z"].reshape(layout.geos, layout.media)
    density += -0.5 * jnp.sum(z**2) - 0.5 * _LN_2PI * z.size
    return jnp.exp(z * named["eta"][None, :]), density


def _effects(
    e: Array, g: Array, h: Array, information: Array, density: Array, data: Design, layout: Layout
) -> tuple[Float[Array, " medium"], Float[Array, ""]]:
    """β = b g(e), and the density with ln p(h β) + ln |d(h β)/dg| added."""
    b = jax.lax.rsqrt((h / data.effect_scale) ** 2 + information)
    beta = b * (e if layout.signed else g)
    prior = log_real if layout.signed else log_positive
    return beta, density + jnp.sum(prior(h * beta, data.effect_prior) + jnp.log(h * b))


def _quantity_per_beta(
    first: Array, factor: Array, named: dict, data: Design, layout: Layout
) -> Float[Array, " medium"]:
    """h: the prior's quantity at β = 1. 1 for coefficients and for organic media."""
    if layout.prior_on == "coefficient":
        return data.per
    if layout.prior_on == "marginal_roi":
        first = jnp.sum(media_gain(named, data, layout), axis=2)
    paid = jnp.arange(layout.media) < layout.channels
    reach = jnp.sum(first * factor * data.head[:, None], axis=0) * data.per
    return jnp.where(paid, reach, data.per)


def _evidence(
    r: Float[Array, "1 time"], sigma: Array, named: dict, data: Design, layout: Layout
) -> tuple[Array, dict, Array]:
    """ln N(r; 0, σ²I + U diag(d) U′), and U′r."""
    s2, d = sigma**2, data.eigen
    projection = data.basis @ r[0]
    quadratic = (jnp.sum(r**2) - jnp.sum(projection**2 * d / (s2 + d))) / s2
    rest = data.times - layout.linear
    determinant = jnp.sum(jnp.log(s2 + d)) + rest * jnp.log(s2)
    return projection, {}, -0.5 * (quadratic + determinant + data.times * _LN_2PI)


def _evidence_geo(
    r: Float[Array, "geo time"], sigma: Array, named: dict, data: Design, layout: Layout
) -> tuple[Array, dict, Array]:
    """The same with the geos' own intercepts N(0, τ²), by Woodbury's identity twice."""
    s2, t2, T = sigma**2, named["tau"][0] ** 2, data.times
    w = T * t2 / (s2 + T * t2)
    sums = jnp.sum(r, axis=1)
    projection = jnp.einsum("gtp,gt->p", data.columns, r) * data.spread
    inner = jnp.eye(layout.linear) + (data.gram - w / T * data.totals.T @ data.totals) / s2
    cross = (projection - w / T * (sums @ data.totals)) / s2
    lower = jnp.linalg.cholesky(inner)
    half = jax.lax.linalg.triangular_solve(lower, cross[:, None], left_side=True, lower=True)
    quadratic = (jnp.sum(r**2) - w / T * jnp.sum(sums**2)) / s2 - jnp.sum(half**2)
    determinant = layout.geos * ((T - 1) * jnp.log(s2) + jnp.log(s2 + T * t2))
    determinant += 2 * jnp.sum(jnp.log(jnp.diagonal(lower)))
    constant = layout.geos * T * _LN_2PI
    return projection, {"residual_sum": sums}, -0.5 * (quadratic + determinant + constant)


def _student_t(
    e: Array, residual: Array, sigma: Array, named: dict, data: Design, layout: Layout
) -> tuple[Array, Array]:
    """Explicit coefficients, their prior, and Student-t errors.

    The coefficients are sampled as their whitened distance from what normal errors would make of
    the residual, so that they follow the media without being pulled along.
    """
    P, nu = layout.linear, named["nu"][0]
    cross = jnp.einsum("gtp,gt->p", data.columns, residual)
    spread, mean = data.spread, data.mean
    if layout.hierarchical:
        cross = jnp.concatenate([cross, jnp.sum(residual, axis=1)])
        spread = jnp.concatenate([spread, jnp.full(layout.geos, named["tau"][0])])
        mean = jnp.concatenate([mean, jnp.zeros(layout.geos)])
    root = data.linear_root
    linear = root @ (root.T @ (cross / data.sigma_guess**2 + data.linear_pull) + e)
    baseline = jnp.einsum("gtp,p->gt", data.columns, linear[:P])
    if layout.hierarchical:
        baseline += linear[P:, None]
    prior = jnp.sum(-0.5 * ((linear - mean) / spread) ** 2 - jnp.log(spread) - 0.5 * _LN_2PI)
    volume = jnp.sum(jnp.log(jnp.diagonal(root)))
    z2 = ((residual - baseline) / sigma) ** 2
    gammaln = jax.scipy.special.gammaln
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(nu * np.pi) - jnp.log(sigma)
    each = (constant - (nu + 1) / 2 * jnp.log1p(z2 / nu)) * data.seen[None, :]
    return linear, prior + volume + jnp.sum(each)


def packed(layout: Layout):
    """Value and gradient of `log_density` over a leading axis of positions, values as one array.

    One array in place of a tree: a sampler that keeps or drops a proposal then does so once.
    """

    def density(position: Array, data: Design) -> tuple[Array, Array]:
        value, values = log_density(position, data, layout)
        return value, jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(values)])

    return jax.vmap(jax.value_and_grad(density, has_aux=True), in_axes=(0, None))


def packed_size(layout: Layout) -> int:
    """Numbers in a row of `packed`."""
    return sum(int(np.prod(shape)) for shape in jax.tree.leaves(_shapes(layout), is_leaf=_is_shape))


def unpacked(rows: Float[np.ndarray, "*draws packed"], layout: Layout) -> Values:
    """The values of many positions, from the rows that `packed` gives."""
    shapes, tree = jax.tree.flatten(_shapes(layout), is_leaf=_is_shape)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    parts = zip(np.split(rows, ends, axis=-1), shapes, strict=True)
    return jax.tree.unflatten(tree, [x.reshape(*rows.shape[:-1], *shape) for x, shape in parts])


def _shapes(layout: Layout) -> Values:
    """The shape of each array in `Values`."""
    named = {name: (len(layout.owners(name)),) for name in layout.names}
    geo = {"factor": (layout.geos, layout.media)} if layout.hierarchical else {}
    if layout.hierarchical and not layout.student_t:
        geo["residual_sum"] = (layout.geos,)
    projection = 0 if layout.student_t else layout.linear
    media = (layout.media,)
    return Values(named, media, (), media, (projection,), geo, (layout.sizes["linear"],))


def _is_shape(x) -> bool:
    return type(x) is tuple
