"""How wrong a float32 result is, in units of the last place."""

import numpy as np
from jaxtyping import Array, Float32, Float64

LOST = 2.0**24  # an error of this size leaves none of float32's 24 binary digits


def ulp_error(
    y: Float32[Array, "*shape"] | Float32[np.ndarray, "*shape"],
    truth: Float64[np.ndarray, "*shape"],
) -> Float64[np.ndarray, "*shape"]:
    """Distance from the truth in float32 steps, |y − truth| / ulp(truth).

    Args:
        y: computed values.
        truth: the same values known to many more digits.

    Returns:
        The error, at most 2²⁴ (no digit is right): so count NaN, infinity and a wrong zero. Where
        the truth is no normal float32 (|truth| < 1.18e-38 or > 3.4e38) the error is 0: nothing
        can be asked there.

    Source: Goldberg (1991), "What every computer scientist should know about floating-point
    arithmetic", section 1.2.
    """
    limits = np.finfo(np.float32)
    asked = (np.abs(truth) >= limits.tiny) & (np.abs(truth) <= limits.max)
    step = np.spacing(np.where(asked, np.abs(truth), 1).astype(np.float32)).astype(np.float64)
    error = np.abs(np.asarray(y, np.float64) - truth) / step
    return np.where(asked, np.minimum(np.nan_to_num(error, nan=LOST, posinf=LOST), LOST), 0.0)
