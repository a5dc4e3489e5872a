"""Gradient ascent under a budget: quick, general, and without a proof."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float

from channelwise.decisions.channels.channel_value import ChannelValue
from channelwise.decisions.channels.projection import project
from channelwise.decisions.channels.strength import StrengthError, require_budget

Method = Literal["gradient", "adam", "adam_own_metric"]
_EPSILON, _MEMORY = 1e-8, 0.999


class Climb(NamedTuple):
    """Where ascents from several starts led.

    Attributes:
      spend: the last spend of each.
      worth: its value, less the spend if that was asked for, currency per period.
      path: the spend after every step, the start first.
    """

    spend: Float[np.ndarray, "start channel"]
    worth: Float[np.ndarray, " start"]
    path: Float[np.ndarray, "start step channel"]


def climb(
    value: ChannelValue,
    starts: Float[np.ndarray, "start channel"],
    budget: float,
    *,
    method: str = "adam",
    rate: float = 0.01,
    steps: int = 2000,
    upper: Float[ArrayLike, "channel"] | float = np.inf,
    keep: bool = True,
) -> Climb:
    """Projected gradient ascent on the value of channels, from several starts at once.

    s ← P(s + r d),   s = x/B,   g = ∂V/∂x − 1   (without − 1 if unspent money does not count)

    gradient         d = g,                  P the Euclidean projection on {0 ≤ s ≤ u/B, Σ s ≤ 1}
    adam             d = m̂ / (√v̂ + ε),       the same P: the usual recipe
    adam_own_metric  d = m̂ / (√v̂ + ε),       P in the metric √v̂ + ε in which Adam's step is short

    The usual recipe is not an ascent: while the gradient is steady, d is its sign, the same for all
    channels that pay, and the projection takes that step back whole. Any split of the whole budget
    then looks stationary. In its own metric Adam rests only where all marginal values are equal.

    Args:
      value: what channels are worth.
      starts: spends to start from, ≥ 0, currency per period; projected on the budget first.
      budget: B > 0, currency per period.
      method: one of the three above.
      rate: r > 0, as a share of the budget.
      steps: of each ascent.
      upper: u ≥ 0, the most that each channel can take, currency per period.
      keep: money that is not spent counts.

    Returns:
      The last spend of each start, its worth, and the path.

    Raises:
      StrengthError: if the budget is not a positive number, or the method is unknown.

    Numerical note: in shares of the budget nothing depends on the unit of currency. Compiled in
    float64, once for each value, method and number of steps.

    Source: Kingma, Ba 2015; the projection's metric: Duchi, Hazan, Singer 2011, §1, and Reddi,
      Kale, Kumar 2018, algorithm 1.
    """
    require_budget(budget)
    if method not in get_args(Method):
        raise StrengthError(f"method = {method!r} must be one of {', '.join(get_args(Method))}.")
    limit = np.broadcast_to(np.asarray(upper, np.float64) / budget, starts.shape[1:])
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # optax counts in int32
        run = _compiled(value, method, steps)
        shares = run(starts / budget, limit, float(budget), float(rate), float(keep))
        path = budget * np.asarray(shares, np.float64)
    spend = path[:, -1]
    return Climb(spend, value.value(spend) - float(keep) * spend.sum(-1), path)


@functools.lru_cache(maxsize=32)
def _compiled(value: ChannelValue, method: str, steps: int) -> Callable[..., Array]:
    """The paths of all starts, in shares of the budget: compiled once for all budgets and rates."""
    marginal = jax.grad(value.value)
    adam = optax.scale_by_adam(b2=_MEMORY, eps=_EPSILON)

    def run(s: Array, limit: Array, budget: Array, rate: Array, cost: Array) -> Array:
        def move(carry: tuple, _: None) -> tuple:
            s, state = carry
            d, metric = marginal(budget * s) - cost, 1.0
            if method != "gradient":
                d, state = adam.update(d, state)
            if method == "adam_own_metric":
                metric = jnp.sqrt(state.nu / (1 - _MEMORY**state.count)) + _EPSILON
            s = project(s + rate * d, 1.0, upper=limit, weight=metric)
            return (s, state), s

        s = project(s, 1.0, upper=limit)
        _, path = jax.lax.scan(move, (s, adam.init(s)), None, length=steps)
        return jnp.concatenate([s[None], path])

    return jax.jit(jax.vmap(run, in_axes=(0, None, None, None, None)))
