"""Adstock: how the effect of one period's media spreads over the following periods.

    adstock_t = Σ_l w_l x_{t−l},   l = 0 … L

Each form below gives the L + 1 weights w from its parameters, one row of weights a channel.
Normalized weights sum to 1: carry-over then moves media in time without adding any, and adstocked
media keep the unit and size of the media. `lagged` shifts the data once; `carry_over` then is one
weighted sum, so that a model that evaluates it a million times holds nothing else in its graph.
Every function follows the dtype of its first argument.
"""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from channelwise.response._positive import positive

PARAMETERS: dict[str, tuple[str, ...]] = {
    "none": (),
    "geometric": ("alpha",),
    "delayed": ("alpha", "theta"),
    "binomial": ("alpha",),
    "weibull_pdf": ("weibull_shape", "weibull_scale"),
    "weibull_cdf": ("weibull_shape", "weibull_scale"),
}
"""The parameters of each form, in the order of its arguments; "none" is no carry-over."""

_CAP = 20.0  # e^-e^20 is 0 in every floating-point type


def _lags(lags: int, dtype: jnp.dtype) -> Float[Array, "lag"]:
    if lags < 0:
        raise ValueError(f"lags is {lags}; give 0 (no carry-over) or more periods.")
    return jnp.arange(lags + 1, dtype=dtype)


def _column(p: Float[ArrayLike, "*batch"], lags: int) -> Float[Array, "*batch lag"]:
    """Repeat a parameter along a new last axis of lags."""
    p = jnp.asarray(p)
    return jnp.broadcast_to(p[..., None], (*p.shape, lags + 1))


def _row(
    values: Float[Array, "lag"], like: Float[Array, "*batch lag"]
) -> Float[Array, "*batch lag"]:
    return jnp.broadcast_to(values, like.shape)


def _share(w: Float[Array, "*batch lag"], normalized: bool) -> Float[Array, "*batch lag"]:
    return w / jnp.sum(w, axis=-1, keepdims=True) if normalized else w


def geometric(
    alpha: Float[ArrayLike, "*batch"], lags: int, *, normalized: bool = True
) -> Float[Array, "*batch lag"]:
    """Geometric weights: each period keeps the share alpha of the period before.

    w_l = αˡ,   half-life ln ½ / ln α periods

    Args:
      alpha: the retention rate α in [0, 1); 0 is no carry-over.
      lags: L ≥ 0, the last period in which media still act.
      normalized: divide by Σw, so that carry-over adds no media.

    Returns:
      The weights of lags 0 … L on a new last axis.

    Raises:
      ValueError: if `lags` is negative.

    Numerical note: lag 0 is written as 1, because the derivative of α⁰ at α = 0 computes as 0 · ∞.

    Source: Broadbent 1979; Jin et al. 2017, §2.1, equation (2).
    """
    later = _lags(lags, jnp.asarray(alpha).dtype)[1:]
    a = _column(alpha, lags)
    w = jnp.concatenate([jnp.ones_like(a[..., :1]), a[..., 1:] ** _row(later, a[..., 1:])], axis=-1)
    return _share(w, normalized)


def delayed(
    alpha: Float[ArrayLike, "*batch"],
    theta: Float[ArrayLike, "*batch"],
    lags: int,
    *,
    normalized: bool = True,
) -> Float[Array, "*batch lag"]:
    """Delayed weights: the effect peaks theta periods after the media.

    w_l = α^((l−θ)²)

    Args:
      alpha: the retention rate α in [0, 1); as α → 0 only the lag nearest to θ remains.
      theta: the delay θ of the peak in periods, in [0, L].
      lags: L ≥ 0, the last period in which media still act.
      normalized: divide by Σw, so that carry-over adds no media.

    Returns:
      The weights of lags 0 … L on a new last axis.

    Raises:
      ValueError: if `lags` is negative.

    Numerical note: computed as e^((l−θ)² ln α); normalized weights are taken relative to the
    largest, so that they sum to 1 even where every αˣ underflows. Below the smallest normal number
    α counts as that number.

    Source: Jin et al. 2017, §2.1, equation (3).
    """
    a, peak = _column(alpha, lags), _column(theta, lags)
    log_a = jnp.log(jnp.maximum(a, float(jnp.finfo(a.dtype).tiny)))
    log_w = jnp.square(_row(_lags(lags, a.dtype), a) - peak) * log_a
    if normalized:
        log_w = log_w - jnp.max(log_w, axis=-1, keepdims=True)
    return _share(jnp.exp(log_w), normalized)


def binomial(
    alpha: Float[ArrayLike, "*batch"], lags: int, *, normalized: bool = True
) -> Float[Array, "*batch lag"]:
    """Binomial weights: a decay that reaches exactly zero after the last lag.

    w_l = (1 − l/(L+1))^(1/α − 1)

    α < ½ is convex, α = ½ a straight line, α > ½ concave: much of the effect comes late.

    Args:
      alpha: α in [0, 1]; 0 is no carry-over, 1 the plain mean of the last L + 1 periods.
      lags: L ≥ 0, the last period in which media still act.
      normalized: divide by Σw, so that carry-over adds no media.

    Returns:
      The weights of lags 0 … L on a new last axis.

    Raises:
      ValueError: if `lags` is negative.

    Source: Meridian 1.2 and later, `adstock_hill.compute_decay_weights`.
    """
    a = positive(_column(alpha, lags))
    left = jnp.log1p(-_lags(lags, a.dtype) / (lags + 1))
    return _share(jnp.exp(_row(left, a) * (1 / a - 1)), normalized)


def _hazard(
    shape: Float[ArrayLike, "*batch"], scale: Float[ArrayLike, "*batch"], lags: int
) -> tuple[Float[Array, "*batch lag"], Float[Array, "*batch lag"], Float[Array, "*batch lag"]]:
    """The shape k, the times t = 1 … L+1, and (t/λ)ᵏ, which grows linearly in ln t past e^20."""
    k, s = _column(shape, lags), positive(_column(scale, lags))
    t = _row(_lags(lags, k.dtype) + 1, k)
    z = k * (jnp.log(t) - jnp.log(s))
    return k, t, jnp.exp(jnp.minimum(z, _CAP)) * (1 + jnp.maximum(z - _CAP, 0.0))


def weibull_pdf(
    shape: Float[ArrayLike, "*batch"],
    scale: Float[ArrayLike, "*batch"],
    lags: int,
    *,
    normalized: bool = True,
) -> Float[Array, "*batch lag"]:
    """Weibull density weights: with a shape above 1 the effect builds up before it decays.

    w_l = (f(l+1) − min f) / (max f − min f),   f(t) = (k/λ) (t/λ)^(k−1) e^(−(t/λ)ᵏ)

    The minimum and maximum are those over the lags, so that one lag has weight 1 and one has 0.
    Where all densities are equal (a single lag, an infinite scale) there is no carry-over.

    Args:
      shape: k > 0; k ≤ 1 decays from the first period on.
      scale: λ > 0 in periods; as λ → 0 there is no carry-over.
      lags: L ≥ 0, the last period in which media still act.
      normalized: divide by Σw, so that carry-over adds no media.

    Returns:
      The weights of lags 0 … L on a new last axis.

    Raises:
      ValueError: if `lags` is negative.

    Numerical note: computed from ln f relative to its maximum, so that it neither underflows for
    short scales nor cancels for long ones.

    Source: Robyn, `adstock_weibull(type = "pdf")`; PyMC-Marketing, `weibull_adstock`. Robyn gives
    λ as a quantile of the window, PyMC-Marketing and we in periods.
    """
    k, t, hazard = _hazard(shape, scale, lags)
    log_f = (k - 1) * jnp.log(t) - hazard
    below = jnp.expm1(log_f - jnp.max(log_f, axis=-1, keepdims=True))
    lowest = jnp.min(below, axis=-1, keepdims=True)
    spread = positive(-lowest)
    flat = spread > -lowest
    w = (below - lowest) / spread
    no_carry_over = _row(jnp.zeros(lags + 1, k.dtype).at[0].set(1.0), k)
    return _share(jnp.where(flat, no_carry_over, w), normalized)


def weibull_cdf(
    shape: Float[ArrayLike, "*batch"],
    scale: Float[ArrayLike, "*batch"],
    lags: int,
    *,
    normalized: bool = True,
) -> Float[Array, "*batch lag"]:
    """Weibull survival weights: a retention rate that itself falls with time.

    w_l = Π_{i=1…l} S(i),   S(t) = e^(−(t/λ)ᵏ),   w_0 = 1

    Args:
      shape: k > 0; small shapes decay like a geometric adstock, large ones in an S.
      scale: λ > 0 in periods; as λ → 0 there is no carry-over.
      lags: L ≥ 0, the last period in which media still act.
      normalized: divide by Σw, so that carry-over adds no media.

    Returns:
      The weights of lags 0 … L on a new last axis.

    Raises:
      ValueError: if `lags` is negative.

    Source: Robyn, `adstock_weibull(type = "cdf")`; PyMC-Marketing, `weibull_adstock`. Robyn gives
    λ as a quantile of the window, PyMC-Marketing and we in periods.
    """
    hazard = _hazard(shape, scale, lags)[2]
    decay = jnp.cumsum(hazard[..., :-1], axis=-1)
    none_yet = jnp.zeros_like(hazard[..., :1])
    return _share(jnp.exp(-jnp.concatenate([none_yet, decay], axis=-1)), normalized)


def lagged(
    media: Float[ArrayLike, "*geo time channel"], lags: int, before: int = 0
) -> Float[Array, "*geo lag kept channel"]:
    """Media shifted by every lag: what `carry_over` weighs. Compute it once per data set.

    lagged[l, t] = x_{before + t − l},   0 before the first period of the record

    Args:
      media: x ≥ 0, spend or exposure; its first `before` periods serve as carry-in only.
      lags: L ≥ 0, the last period in which media still act.
      before: periods at the start without an outcome, in [0, time); the answer leaves them out,
        but media run in them still act in the periods that follow.

    Returns:
      x_{t−l} for each lag l and each of the time − before periods t that remain.

    Raises:
      ValueError: if `lags` is negative or `before` leaves no period.
    """
    media = jnp.asarray(media)
    time = media.shape[-2]
    if not 0 <= before < time:
        raise ValueError(f"before is {before} with {time} periods of media; give 0 to {time - 1}.")
    if lags < 0:
        raise ValueError(f"lags is {lags}; give 0 (no carry-over) or more periods.")
    no_media = [(0, 0)] * (media.ndim - 2)
    x = jnp.pad(media, [*no_media, (lags, 0), (0, 0)])
    starts = [lags - lag + before for lag in range(lags + 1)]
    return jnp.stack([x[..., s : s + time - before, :] for s in starts], axis=-3)


def carry_over(
    lagged: Float[Array, "*geo lag time channel"], weights: Float[Array, "channel lag"]
) -> Float[Array, "*geo time channel"]:
    """Adstocked media: the weighted sum over lags.

    adstock_t = Σ_l w_l x_{t−l}

    Args:
      lagged: what `lagged` returns.
      weights: one row of weights a channel.

    Returns:
      Adstocked media, in the unit of the media where the weights are normalized.

    Numerical note: one contraction; batched over chains it is a matrix product, two to four times
    as fast as the sum of products written out.
    """
    return jnp.einsum("...ltc,cl->...tc", lagged, weights)
