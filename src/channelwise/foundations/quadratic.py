"""What theory says of descent on a quadratic bowl: rates, best settings, and the noise floor.

On a quadratic every eigendirection is on its own, so that one curvature λ at a time is enough.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def momentum_rate(
    step: Float[Array, "*grid"], momentum: Float[Array, "*grid"]
) -> Float[Array, "*grid"]:
    """Factor by which heavy-ball momentum shrinks the error of one eigendirection a step.

    v ← β v + λ x,  x ← x − η v  is linear; its matrix has the eigenvalues
    σ± = (s ± √(s² − 4β)) / 2  with  s = 1 + β − ηλ,  and the rate is max(|σ+|, |σ−|).
    Complex pairs have |σ±| = √β whatever the step. Convergence: rate < 1, i.e. 0 < ηλ < 2 + 2β.

    Args:
      step: ηλ, step size times curvature; no unit, above 0.
      momentum: β in [0, 1); 0 is gradient descent, whose rate is |1 − ηλ|.

    Returns:
      The asymptotic factor a step. At a double root (s² = 4β) the error falls like t · rateᵗ.

    Note:
      |s| + √(s² − 4β) adds two positive terms, so that nothing cancels.

    Source: Goh (2017), "Why Momentum Really Works", section "The Dynamics of Momentum"; its
      footnote prints 2√β for the complex pairs, which is twice their modulus.
    """
    s = 1 + momentum - step
    discriminant = s**2 - 4 * momentum
    real = (jnp.abs(s) + jnp.sqrt(jnp.maximum(discriminant, 0))) / 2
    return jnp.where(discriminant < 0, jnp.sqrt(momentum), real)


def best_step(smallest: float, largest: float) -> tuple[float, float]:
    """Step size of gradient descent with the best worst-case rate on a quadratic.

    η = 2 / (λ_min + λ_max),  rate (κ − 1) / (κ + 1),  κ = λ_max / λ_min

    Args:
      smallest: λ_min, smallest curvature, above 0.
      largest: λ_max, largest curvature, at least λ_min.

    Returns:
      (η, rate): the two ends of the spectrum then shrink by the same factor a step.

    Raises:
      ValueError: unless 0 < smallest ≤ largest.

    Source: Nesterov (2004), Introductory Lectures on Convex Optimization, theorem 2.1.15.
    """
    _check_spectrum(smallest, largest)
    return 2 / (smallest + largest), (largest - smallest) / (largest + smallest)


def best_momentum(smallest: float, largest: float) -> tuple[float, float, float]:
    """Step size and momentum of the heavy ball with the best worst-case rate on a quadratic.

    η = (2 / (√λ_min + √λ_max))²,  β = ((√κ − 1) / (√κ + 1))²,  rate √β

    Args:
      smallest: λ_min, smallest curvature, above 0.
      largest: λ_max, largest curvature, at least λ_min.

    Returns:
      (η, β, rate): every eigendirection then falls at the same asymptotic rate √β.

    Raises:
      ValueError: unless 0 < smallest ≤ largest.

    Source: Polyak (1964), Some methods of speeding up the convergence of iteration methods.
    """
    _check_spectrum(smallest, largest)
    low, high = smallest**0.5, largest**0.5
    rate = (high - low) / (high + low)
    return (2 / (low + high)) ** 2, rate**2, rate


def noise_floor(
    step: Float[Array, "*grid"],
    curvature: Float[Array, ""] | float,
    variance: Float[Array, ""] | float,
    momentum: Float[Array, ""] | float = 0.0,
) -> Float[Array, "*grid"]:
    """Variance at which stochastic descent on λx²/2 comes to rest.

    Var(x) = η σ² (1 + β) / ((1 − β) λ (2 + 2β − ηλ)),  for β = 0:  η σ² / (λ (2 − ηλ))

    Args:
      step: η, step size, in (0, (2 + 2β)/λ).
      curvature: λ, above 0.
      variance: σ² of the gradient's noise, independent from step to step, at least 0; the mean
        of a batch of B examples has 1/B of the variance of one.
      momentum: β in [0, 1).

    Returns:
      Stationary variance of x, infinite at and beyond the bound ηλ = 2 + 2β.

    Note:
      x_t is the AR(2) process with φ₁ = 1 + β − ηλ, φ₂ = −β and innovations ησ.

    Source: Mandt, Hoffman & Blei (2017), Stochastic Gradient Descent as Approximate Bayesian
      Inference, section 3, for small η; the form here is exact.
    """
    room = 2 + 2 * momentum - step * curvature
    floor = step * variance * (1 + momentum) / ((1 - momentum) * curvature * room)
    return jnp.where(room > 0, floor, jnp.inf)


def _check_spectrum(smallest: float, largest: float) -> None:
    if not 0 < smallest <= largest:
        raise ValueError(
            f"The curvatures must satisfy 0 < smallest <= largest; got {smallest} and {largest}. "
            "A quadratic with a flat or a falling direction has no best step."
        )
