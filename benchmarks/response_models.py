"""The task's model as each tool writes it; tools are imported where they are used.

The names of the parameters are those of `response_task.py` everywhere.
"""

from collections.abc import Mapping

import numpy as np
from response_task import LAGS, GeoTask, Prior, Saturation, Task, carry_over

BASELINE = ("intercept", "controls", "fourier")
"""What is linear and normal a priori."""
PYMC_NAMES = {
    "intercept": "intercept_contribution",
    "controls": "gamma_control",
    "fourier": "gamma_fourier",
    "alpha": "adstock_alpha",
    "sigma": "y_sigma",
}
"""Name here: name in PyMC-Marketing's graph, whatever the saturation."""
PYMC_CURVES = {
    "michaelis_menten": {"beta": "saturation_alpha", "half_saturation": "saturation_lam"},
    "logistic": {"beta": "saturation_beta", "half_saturation": "saturation_lam"},
    "hill": {
        "beta": "saturation_beta",
        "half_saturation": "saturation_kappa",
        "slope": "saturation_slope",
    },
}


# NumPyro.


def numpyro_model(media, target, controls, seasons, priors, saturation="michaelis_menten"):
    """The plain program, for one market or several geos (a leading axis of media and target)."""
    import jax.numpy as jnp
    import numpyro
    from numpyro.distributions import Normal

    scalars = dict.fromkeys(("intercept", "sigma", "tau"), 0)
    size = scalars | {"controls": controls.shape[-1], "fourier": seasons.shape[-1]}
    p = {
        name: numpyro.sample(name, numpyro_prior(prior, size.get(name, media.shape[-1])))
        for name, prior in priors.items()
    }
    base, beta = p["intercept"], p["beta"]
    if media.ndim == 3:
        geos, channels = media.shape[0], media.shape[-1]
        u = numpyro.sample("u", Normal(0.0, p["tau"]).expand([geos, 1]).to_event(2))
        z = numpyro.sample("z", Normal(0.0, 1.0).expand([geos, 1, channels]).to_event(3))
        base, beta = base + u, beta * jnp.exp(p["eta"] * z)
    response = numpyro_response(media, p, saturation)
    mean = base + (beta * response).sum(-1) + controls @ p["controls"] + seasons @ p["fourier"]
    numpyro.sample("y", Normal(mean, p["sigma"]), obs=target)


def numpyro_collapsed(media, target, controls, seasons, priors, saturation="michaelis_menten"):
    """The same posterior of one market with intercept, controls and seasons integrated out.

    y ~ N(response beta, Z V Z' + sigma² I), Z their columns and V their prior variances. Where
    lambda is small, intercept and beta cancel along a ridge that the plain program's NUTS hardly
    enters; here the ridge is gone.
    """
    import jax.numpy as jnp
    import numpyro
    from numpyro.distributions import LowRankMultivariateNormal

    columns = jnp.concatenate([jnp.ones((len(target), 1)), controls, seasons], axis=1)
    widths = [1, controls.shape[1], seasons.shape[1]]
    spread = np.repeat([priors[name][2] for name in BASELINE], widths)
    p = {
        name: numpyro.sample(name, numpyro_prior(prior, media.shape[1] * (name != "sigma")))
        for name, prior in priors.items()
        if name not in BASELINE
    }
    mean = numpyro_response(media, p, saturation) @ p["beta"]
    noise = jnp.full(len(target), p["sigma"] ** 2)
    numpyro.sample("y", LowRankMultivariateNormal(mean, columns * spread, noise), obs=target)


def numpyro_response(media, p, saturation: Saturation):
    """saturation(adstock(media)), time and channel last."""
    import jax.numpy as jnp

    weights = p["alpha"] ** jnp.arange(LAGS + 1)[:, None]
    weights = weights / weights.sum(0)
    time = media.shape[-2]
    padded = jnp.concatenate([jnp.zeros_like(media[..., :LAGS, :]), media], axis=-2)
    shifted = [padded[..., LAGS - i : LAGS - i + time, :] for i in range(LAGS + 1)]
    stock = sum(w * x for w, x in zip(weights, shifted, strict=True))
    return numpyro_saturation(stock, p, saturation)


def numpyro_saturation(stock, p, saturation: Saturation):
    import jax.numpy as jnp

    if saturation == "logistic":
        return jnp.tanh(p["half_saturation"] * stock / 2)
    if saturation == "michaelis_menten":
        return stock / (p["half_saturation"] + stock)
    power = jnp.where(stock > 0, jnp.where(stock > 0, stock, 1.0) ** p["slope"], 0.0)
    return power / (p["half_saturation"] ** p["slope"] + power)


def numpyro_prior(prior: Prior, size: int):
    from numpyro import distributions as d

    family, a, b = prior
    laws = {
        "normal": d.Normal,
        "gamma": d.Gamma,
        "beta": d.Beta,
        "log_normal": d.LogNormal,
        "half_normal": lambda scale, _: d.HalfNormal(scale),
    }
    law = laws[family](a, b)
    return law.expand([size]).to_event(1) if size else law


def numpyro_arguments(task: Task | GeoTask) -> tuple[np.ndarray, ...]:
    return task.media, task.target, task.controls, task.fourier


# Channelwise.


def our_market(task: Task | GeoTask, priors: Mapping[str, Prior]):
    """The task as a market, with trend and seasons as columns, so that all engines share them.

    Events are the columns that Channelwise leaves unscaled. They have one prior, that of the
    controls, so a season is given as half of itself where its prior is half as wide.
    """
    from channelwise.response.market import MarketData

    seasons = our_season_scale(priors) * task.fourier
    seasons = np.broadcast_to(seasons, (*task.controls.shape[:-1], seasons.shape[-1]))
    columns = np.concatenate([task.controls, seasons], axis=-1)
    geo = isinstance(task, GeoTask)
    lead = (lambda x: x) if geo else (lambda x: x[None])
    return MarketData(
        dates=task.dates,
        outcome=lead(task.outcome),
        spend=lead(task.spend),
        channels=tuple(task.channels),
        events=lead(columns),
        event_names=tuple(f"column_{i + 1}" for i in range(columns.shape[-1])),
        geos=tuple(f"geo_{i + 1}" for i in range(len(task.outcome))) if geo else ("national",),
        population=task.population if geo else None,
    )


def our_season_scale(priors: Mapping[str, Prior]) -> float:
    return priors["fourier"][2] / priors["controls"][2]


def our_model(priors: Mapping[str, Prior], saturation: Saturation):
    """The specification of the task."""
    from channelwise.response.mmm import Model
    from channelwise.response.priors import Prior as OurPrior

    rate = {"half_saturation": "rate"} if saturation == "logistic" else {}
    names = {"beta": "effect", "controls": "event"} | rate
    ours = {
        names.get(name, name): OurPrior(family, a, b or 1.0)
        for name, (family, a, b) in priors.items()
        if name != "fourier"
    }
    return Model(lags=LAGS, saturation=saturation, trend="none", seasonality=0, priors=ours)


# The baseline given everything else, without any tool.


def conditional(task: Task, chosen: Mapping[str, Prior], point, saturation: Saturation):
    """Mean and covariance of (intercept, controls, fourier) given the other parameters."""
    columns = np.column_stack([np.ones(len(task.dates)), task.controls, task.fourier])
    spread = np.repeat([chosen[n][2] for n in BASELINE], [1, 3, 4])
    response = saturated(carry_over(task.media, point["alpha"]), point, saturation)
    residual = task.target - response @ point["beta"]
    precision = columns.T @ columns / point["sigma"] ** 2 + np.diag(spread**-2.0)
    covariance = np.linalg.inv(precision)
    return covariance @ (columns.T @ residual) / point["sigma"] ** 2, covariance


def saturated(
    stock: np.ndarray, point: Mapping[str, np.ndarray], saturation: Saturation
) -> np.ndarray:
    half = point["half_saturation"]
    if saturation == "logistic":
        return (1 - np.exp(-half * stock)) / (1 + np.exp(-half * stock))
    power = point.get("slope", 1.0)
    return stock**power / (half**power + stock**power)


# PyMC-Marketing.


def pymc_mmm(task: Task, priors: Mapping[str, Prior], saturation: Saturation):
    """An MMM with the task's priors, and its X and y."""
    import pandas as pd
    from pymc_marketing.mmm import (
        GeometricAdstock,
        HillSaturation,
        LogisticSaturation,
        MichaelisMentenSaturation,
    )
    from pymc_marketing.mmm.multidimensional import MMM

    curves = {
        "michaelis_menten": MichaelisMentenSaturation,
        "logistic": LogisticSaturation,
        "hill": HillSaturation,
    }
    shapes = {
        name.removeprefix("saturation_"): pymc_prior(priors[ours], "channel")
        for ours, name in PYMC_CURVES[saturation].items()
    }
    mmm = MMM(
        date_column="date",
        target_column="y",
        channel_columns=task.channels,
        control_columns=task.control_names,
        yearly_seasonality=2,
        adstock=GeometricAdstock(
            l_max=LAGS + 1, normalize=True, priors={"alpha": pymc_prior(priors["alpha"], "channel")}
        ),
        saturation=curves[saturation](priors=shapes),
        model_config={
            "intercept": pymc_prior(priors["intercept"]),
            "gamma_control": pymc_prior(priors["controls"], "control"),
            "gamma_fourier": pymc_prior(priors["fourier"], "fourier_mode"),
            "likelihood": pymc_likelihood(priors["sigma"]),
        },
    )
    frame = pd.DataFrame(task.spend, columns=task.channels)
    frame[task.control_names] = task.controls
    frame.insert(0, "date", pd.to_datetime(task.dates))
    return mmm, frame, pd.Series(task.outcome, name="y")


def pymc_prior(prior: Prior, dims: str | tuple = ()):
    from pymc_extras.prior import Prior as PyMCPrior

    family, a, b = prior
    laws = {
        "normal": ("Normal", {"mu": a, "sigma": b}),
        "half_normal": ("HalfNormal", {"sigma": a}),
        "gamma": ("Gamma", {"alpha": a, "beta": b}),
        "beta": ("Beta", {"alpha": a, "beta": b}),
        "log_normal": ("LogNormal", {"mu": a, "sigma": b}),
    }
    name, numbers = laws[family]
    return PyMCPrior(name, **numbers, dims=dims)


def pymc_likelihood(sigma: Prior):
    from pymc_extras.prior import Prior as PyMCPrior

    return PyMCPrior("Normal", sigma=pymc_prior(sigma), dims=("date",))


# Meridian: everything is rescaled, so the priors are too.


def meridian_model(task: Task, priors: Mapping[str, Prior], saturation: Saturation):
    """A national Meridian with the task's priors, trend and seasons as controls, one knot.

    Meridian divides media by the median of the positive values, standardizes the outcome and the
    controls, and knows geometric adstock (max_lag = 8) with Hill; slope 1 is Michaelis–Menten.
    The one difference left: its intercept belongs to centred controls.
    """
    from meridian.data.nd_array_input_data_builder import NDArrayInputDataBuilder
    from meridian.model import model, prior_distribution, spec

    if saturation == "logistic":
        raise ValueError("Meridian has no logistic saturation; choose michaelis_menten or hill.")
    controls = np.column_stack([task.controls, task.fourier])
    names = [*task.control_names, "sin_1", "sin_2", "cos_1", "cos_2"]
    builder = NDArrayInputDataBuilder(kpi_type="revenue")
    builder.time_coords = builder.media_time_coords = [str(d) for d in task.dates]
    data = (
        builder.with_kpi(task.outcome[None])
        .with_media(task.spend[None], task.spend[None], task.channels)
        .with_controls(controls[None], names)
        .build()
    )
    media, money = meridian_scales(task)
    spread = np.repeat([priors["controls"][2], priors["fourier"][2]], [3, 4])
    settings = {
        "knot_values": scaled_prior(priors["intercept"], money),
        "gamma_c": scaled_prior(("normal", 0.0, 1.0), spread * controls.std(0) * money),
        "alpha_m": scaled_prior(priors["alpha"]),
        "ec_m": scaled_prior(priors["half_saturation"], media),
        "beta_m": scaled_prior(priors["beta"], money),
        "sigma": scaled_prior(priors["sigma"], money),
    }
    if saturation == "hill":
        settings["slope_m"] = scaled_prior(priors["slope"])
    return model.Meridian(
        input_data=data,
        model_spec=spec.ModelSpec(
            prior=prior_distribution.PriorDistribution(**settings),
            media_prior_type="coefficient",
            max_lag=LAGS,
            knots=1,
        ),
    )


def meridian_geo_model(task: GeoTask):
    """Meridian's own hierarchy and default priors, one knot, the seasons as controls."""
    from meridian.data.nd_array_input_data_builder import NDArrayInputDataBuilder
    from meridian.model import model, spec

    seasons = np.broadcast_to(task.fourier, (*task.outcome.shape, task.fourier.shape[1]))
    controls = np.concatenate([task.controls, seasons], axis=-1)
    builder = NDArrayInputDataBuilder(kpi_type="revenue")
    builder.time_coords = builder.media_time_coords = [str(d) for d in task.dates]
    builder.geos = [f"geo_{i + 1}" for i in range(len(task.outcome))]
    data = (
        builder.with_kpi(task.outcome)
        .with_population(task.population)
        .with_media(task.spend, task.spend, task.channels)
        .with_controls(controls, [f"column_{i + 1}" for i in range(controls.shape[-1])])
        .build()
    )
    return model.Meridian(input_data=data, model_spec=spec.ModelSpec(max_lag=LAGS, knots=1))


def meridian_scales(task: Task) -> tuple[np.ndarray, float]:
    """Meridian's media unit per ours (maximum / positive median); its outcome unit per ours."""
    median = np.array([np.median(s[s > 0]) for s in task.spend.T])
    return task.spend.max(0) / median, task.scale / task.outcome.std()


def scaled_prior(prior: Prior, factor=1.0):
    """The law of factor times a variable with this prior (Meridian's float type)."""
    from meridian import backend

    family, a, b = prior
    a, b, factor = (np.asarray(v, backend.np_float_dtype) for v in (a, b, factor))
    laws = {
        "normal": lambda: backend.tfd.Normal(a * factor, b * factor),
        "half_normal": lambda: backend.tfd.HalfNormal(a * factor),
        "gamma": lambda: backend.tfd.Gamma(a, b / factor),
        "beta": lambda: backend.tfd.Beta(a, b),
        "log_normal": lambda: backend.tfd.LogNormal(a + np.log(factor), b),
    }
    return laws[family]()
