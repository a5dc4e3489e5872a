"""What the draws say about the market: contributions, response curves, marginal ROI, forecasts.

Everything here is a function of a posterior, or of draws from the prior (see `prior.prior_draws`).
Nothing is fitted again. Amounts are in units of the outcome; the axes come in the order (draw, geo,
time, medium), with the draws of all chains in one row, thinned to at most `draws` of them.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from channelwise.response.design import Design, Problem, Units, design
from channelwise.response.layout import Layout
from channelwise.response.lift import LiftTest
from channelwise.response.lifted import lift_per_effect
from channelwise.response.market import MarketData
from channelwise.response.media import media_gain, media_response
from channelwise.response.posterior import Posterior


class Effects:
    """The consequences of a posterior's draws.

    Args:
        posterior: of `fit`, or of `prior_draws`.
        draws: at most so many are used, evenly spaced over the chains.
        market: one that goes on after the posterior's own, period for period the same until then;
            everything is then about all its periods, with trend and controls as in the fit.

    Raises:
        ValueError: if the market does not begin as the posterior's own.
    """

    def __init__(self, posterior: Posterior, draws: int = 1000, market: MarketData | None = None):
        self.posterior, self.market = posterior, posterior.market if market is None else market
        self._problem = problem_of(posterior, self.market)
        total = posterior.n_chains * posterior.n_draws
        self._kept = np.linspace(0, total - 1, min(draws, total)).astype(int)

    def draws_of(self, name: str) -> np.ndarray:
        """The thinned draws of one quantity, (draw, …)."""
        return self.posterior.flat(name)[self._kept]

    @functools.cached_property
    def _named(self) -> dict[str, np.ndarray]:
        return {
            n: self.draws_of(n).reshape(len(self._kept), -1) for n in self._problem.layout.names
        }

    @functools.cached_property
    def _beta(self) -> Float[np.ndarray, "draw geo medium"]:
        """Outcome units of each geo per unit of response."""
        layout, beta = self._problem.layout, self.draws_of("beta")[:, None, :]
        factor = self.draws_of("geo_factor") if layout.hierarchical else 1.0
        return beta * factor * self._problem.design.head[:, None]

    @property
    def parameters(self) -> tuple[dict[str, np.ndarray], np.ndarray, Problem]:
        """By draw: parameters by name, β (draw, geo, medium) in outcome units; and their design."""
        return self._named, self._beta, self._problem

    def contributions(self) -> Float[np.ndarray, "draw geo time medium"]:
        """What each medium brought in each period."""
        response = per_draw(media_response, self._named, self._problem)
        return np.swapaxes(response * self._beta[..., None], 2, 3)[:, :, : self.market.n_observed]

    def baseline(self) -> Float[np.ndarray, "draw geo time"]:
        """The expected outcome without any media."""
        data = self._problem.design
        columns = data.columns[:, : self.market.n_observed]
        linear = np.einsum("gtp,sp->sgt", columns, self.draws_of("coefficient"))
        if self._problem.layout.hierarchical:
            linear = linear + self.draws_of("geo_intercept")[:, :, None]
        return linear * data.head[:, None]

    def expected(self) -> Float[np.ndarray, "draw geo time"]:
        """The expected outcome: baseline and all contributions."""
        return self.baseline() + self.contributions().sum(axis=-1)

    def noise(self, seed: int = 0) -> Float[np.ndarray, "draw geo time"]:
        """Noise of the model, drawn anew, in units of σ."""
        rng = np.random.default_rng(seed)
        shape = (len(self._kept), self.market.n_geos, self.market.n_observed)
        if self._problem.layout.student_t:
            return rng.standard_t(self.draws_of("nu")[:, None, None], shape)
        return rng.standard_normal(shape)

    @property
    def sigma(self) -> Float[np.ndarray, "draw geo 1"]:
        """Standard deviation (scale, for Student-t) of a period's outcome."""
        return self.draws_of("sigma")[:, None, None] * self._problem.design.head[:, None]

    def predicted(self, seed: int = 0) -> Float[np.ndarray, "draw geo time"]:
        """The outcome as the model would make it again: expected plus noise."""
        return self.expected() + self.sigma * self.noise(seed)

    def residuals(self) -> Float[np.ndarray, "draw geo time"]:
        """(observed − expected)/σ."""
        return (self.market.outcome[:, self.market.before :] - self.expected()) / self.sigma

    def curves(
        self, multipliers: Float[np.ndarray, " multiplier"]
    ) -> Float[np.ndarray, "draw multiplier medium"]:
        """A medium's total contribution if all its exposure were multiplied by a factor ≥ 0.

        The pattern over time stays, and carry-in from before the window is scaled as well.
        """
        multipliers = np.asarray(multipliers, np.float64)
        given = (self._named, self._beta, multipliers, self._problem.design)
        with jax.enable_x64(True):
            return np.asarray(_scaled_totals(*given, layout=self._problem.layout))

    def marginal_roi(self) -> Float[np.ndarray, "draw channel"]:
        """Currency back for the next unit of currency, spread as today's spend is; NaN without."""
        gain = per_draw(media_gain, self._named, self._problem).sum(axis=3)
        paid = (gain * self._beta).sum(axis=1)[:, : self.market.n_channels]
        return self.market.value * paid / self.spend

    def lift(self, test: LiftTest) -> Float[np.ndarray, " draw"]:
        """The lift that an experiment of this kind should show; what it measured is not read.

        Raises:
            LiftError: if the test does not fit the market.
        """
        problem = problem_of(self.posterior, self.market, (test,))
        hierarchical = problem.layout.hierarchical
        factor = self.draws_of("geo_factor") if hierarchical else np.ones((len(self._kept), 1, 1))
        factor = np.broadcast_to(factor, (*factor.shape[:2], problem.layout.media))
        with jax.enable_x64(True):
            each = _lifts(self._named, factor, problem.design, layout=problem.layout)[:, 0]
        return test.standard_error * (np.asarray(each) * self.draws_of("beta")).sum(axis=1)

    def roi(self) -> Float[np.ndarray, "draw channel"]:
        """Currency back per unit of currency spent; NaN without spend."""
        own = self.market is self.posterior.market
        total = self.draws_of("contribution") if own else self.contributions().sum(axis=(1, 2))
        paid = total[:, : self.market.n_channels]
        return self.market.value * paid / self.spend

    @property
    def spend(self) -> Float[np.ndarray, " channel"]:
        """Total spend in the periods with an outcome; NaN where there was none."""
        total = self.market.total_spend
        return np.where(total > 0, total, np.nan)


def predicted_lift(
    posterior: Posterior, test: LiftTest, draws: int = 1000
) -> Float[np.ndarray, " draw"]:
    """The lift that an experiment of this kind should show, one for each draw of a posterior.

    Args:
        posterior: of `fit`, or of `prior_draws`.
        test: what it changes, where and when; what it measured is not read.
        draws: at most so many are used, evenly spaced over the chains.

    Returns:
        Expected lifts in units of the outcome, without the test's own error of measurement.

    Raises:
        LiftError: if the test does not fit the posterior's market.
    """
    return Effects(posterior, draws).lift(test)


def problem_of(
    posterior: Posterior,
    market: MarketData | None = None,
    lift_tests: Sequence[LiftTest] = (),
) -> Problem:
    """The design that a posterior was drawn for, or that of a market which goes on after it.

    Of the lift tests it holds those given.
    """
    own = posterior.market
    market = own if market is None else market
    if market.before != own.before or not np.array_equal(market.dates[: own.n_times], own.dates):
        raise ValueError(
            f"The market must begin as the posterior's own, whose {own.n_times} periods run from "
            f"{own.dates[0]} to {own.dates[-1]} with {own.before} before the outcome."
        )
    return design(market, posterior.model, units_of(posterior), own.n_observed, lift_tests)


def units_of(posterior: Posterior) -> Units:
    """The units that a posterior was drawn in."""
    return Units(float(posterior.state["outcome_scale"]), posterior.state["media_scale"])


def per_draw(
    function, named: dict[str, Float[np.ndarray, "draw owner"]], problem: Problem
) -> Float[np.ndarray, "draw geo medium time"]:
    """Evaluates `media_response` or `media_gain` for many draws of their parameters."""
    with jax.enable_x64(True):
        return np.asarray(
            _per_draw(named, problem.design, function=function, layout=problem.layout)
        )


@functools.partial(jax.jit, static_argnames=("function", "layout"))
def _per_draw(named: dict, data: Design, function, layout: Layout) -> Array:
    return jax.vmap(lambda one: function(one, data, layout))(named)


@functools.partial(jax.jit, static_argnames="layout")
def _lifts(
    named: dict, factor: Float[Array, "draw geo medium"], data: Design, layout: Layout
) -> Float[Array, "draw trial medium"]:
    return jax.vmap(lambda one, f: lift_per_effect(one, f, data, layout))(named, factor)


@functools.partial(jax.jit, static_argnames="layout")
def _scaled_totals(
    named: dict, beta: Array, multipliers: Array, data: Design, layout: Layout
) -> Float[Array, "draw multiplier medium"]:
    def at(multiplier):
        scaled = data._replace(lagged=data.lagged * multiplier)
        response = jax.vmap(lambda one: media_response(one, scaled, layout))(named)
        return jnp.sum(jnp.sum(response, axis=3) * beta, axis=1)

    return jnp.swapaxes(jax.lax.map(at, multipliers), 0, 1)
