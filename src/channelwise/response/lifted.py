"""What the model expects of lift tests, and how likely it makes what they measured.

For a test in the cells (geo, period) of its window and tail, with the saturated, carried-over media
c of the record and c* of the changed spend,

    expected lift = Σ_m β_m Σ_{g,t} heads_g share exp(η_m z_gm) (c*_gmt − c_gmt) = Σ_m β_m L_m,
    measured lift ~ N(expected lift, se²).

It is linear in the effects, so a test adds L_m²/se² to what is known of β_m at given curves.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from channelwise.response.design import Design
from channelwise.response.layout import Layout
from channelwise.response.media import media_response

_LN_2PI = float(np.log(2 * np.pi))


def lift_per_effect(
    named: dict[str, Float[Array, " owner"]],
    factor: Float[Array, "geo medium"],
    data: Design,
    layout: Layout,
) -> Float[Array, "trial medium"]:
    """L: the expected lift of each test at β = 1, in the test's standard errors.

    Args:
        named: parameters of adstock and saturation.
        factor: exp(η z), of each geo on each medium.
        data: with its trials.
        layout: its static shape.
    """
    trials = data.trials
    changed, record = jnp.split(
        media_response(named, data._replace(lagged=trials.lagged), layout), 2
    )
    gain = jnp.sum(changed - record, axis=2)
    return trials.weight @ (gain * (trials.geo @ factor))


def log_lift(
    per_effect: Float[Array, "trial medium"], beta: Float[Array, " medium"], data: Design
) -> Float[Array, ""]:
    """Σ ln N(measured lift; expected lift, se²), the lifts in units of the outcome."""
    z = data.trials.lift - per_effect @ beta
    return -jnp.sum(0.5 * z**2 + jnp.log(data.trials.error) + 0.5 * _LN_2PI)
