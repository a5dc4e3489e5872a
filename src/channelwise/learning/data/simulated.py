"""SIMULATED tables, for industries whose real data cannot be shipped.

Every row is drawn from the law in the function's docstring. They show how a chapter runs on such
data, not what is true of customers, machines or borrowers.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from channelwise.learning.data.tables import Table, make_table


def churn(rows: int = 5000, seed: int = 0) -> Table:
    """SIMULATED customers of a subscription; the target is leaving within the next month.

    logit P(leave) = −1.2 + 1.4 [monthly contract] − 0.9 [two-year contract] − 0.045 tenure
                     + 0.02 (charge − 60) + 0.35 calls + 0.5 [no autopay]
                     − 0.03 max(0, sessions − 4) + 0.8 [tenure < 4] [charge > 80]

    About 2 % of the charges are missing at random. Tenure in months, charge in currency a month,
    support calls and weekly sessions counted.

    Args:
      rows: customers, ≥ 100.
      seed: the same seed draws the same table.
    """
    rng = np.random.default_rng(seed)
    contract = rng.choice(["monthly", "yearly", "two years"], rows, p=[0.55, 0.25, 0.20])
    tenure = np.minimum(rng.exponential(24, rows).round(), 72)
    charge = np.clip(rng.normal(65, 22, rows), 15, 140).round(2)
    calls = rng.poisson(1.1, rows)
    sessions = rng.gamma(2.0, 3.0, rows).round(1)
    autopay = rng.random(rows) < 0.6
    channel = rng.choice(["web", "shop", "partner", "phone"], rows, p=[0.5, 0.2, 0.2, 0.1])
    logit = (
        -1.2
        + 1.4 * (contract == "monthly")
        - 0.9 * (contract == "two years")
        - 0.045 * tenure
        + 0.02 * (charge - 60)
        + 0.35 * calls
        + 0.5 * ~autopay
        - 0.03 * np.maximum(0, sessions - 4)
        + 0.8 * (tenure < 4) * (charge > 80)
    )
    frame = pd.DataFrame(
        {
            "customer": [f"C{seed:02d}{i:06d}" for i in range(rows)],
            "contract": contract,
            "tenure_months": tenure,
            "monthly_charge": np.where(rng.random(rows) < 0.02, np.nan, charge),
            "support_calls": calls,
            "weekly_sessions": sessions,
            "autopay": autopay,
            "signup_channel": channel,
            "churned": np.where(_happens(logit, rng), "yes", "no"),
        }
    )
    return _simulated(frame, "churned", "churn")


def machine_failure(rows: int = 8000, seed: int = 0) -> Table:
    """SIMULATED production runs of a milling machine; the target is a failure during the run.

    power P = torque · 2π · speed / 60 (watts);   strain S = wear · torque (minute newton metres)
    logit P(fail) = −4.6 + 5 max(0, (P − 9000)/1500) + 4 max(0, (3500 − P)/1000)
                    + 4 max(0, (S − 11000)/2000) + 1.5 max(0, (wear − 200)/20) + 0.4 [old machine]

    Failures are rare (a few per cent) and need products of columns: a straight line in the raw
    columns cannot see them. Speed in revolutions a minute, torque in newton metres, wear in
    minutes, temperatures in kelvin (they carry no signal).

    Args:
      rows: runs, ≥ 500.
      seed: the same seed draws the same table.
    """
    rng = np.random.default_rng(seed)
    torque = np.clip(rng.normal(40, 10, rows), 4, 77)
    speed = np.clip(2860 - 33 * torque + rng.normal(0, 90, rows), 1100, 2900)
    wear = rng.uniform(0, 250, rows)
    line = rng.choice(["A", "B", "C"], rows, p=[0.6, 0.3, 0.1])
    old = rng.random(rows) < 0.3
    air = rng.normal(300, 2, rows)
    power = torque * 2 * np.pi * speed / 60
    strain = wear * torque
    logit = (
        -4.6
        + 5 * np.maximum(0, (power - 9000) / 1500)
        + 4 * np.maximum(0, (3500 - power) / 1000)
        + 4 * np.maximum(0, (strain - 11000) / 2000)
        + 1.5 * np.maximum(0, (wear - 200) / 20)
        + 0.4 * old
    )
    frame = pd.DataFrame(
        {
            "line": line,
            "old_machine": old,
            "air_kelvin": air.round(1),
            "process_kelvin": (air + rng.normal(10, 1, rows)).round(1),
            "speed_rpm": speed.round(),
            "torque_nm": torque.round(1),
            "tool_wear_min": wear.round(),
            "failure": np.where(_happens(logit, rng), "failed", "ok"),
        }
    )
    return _simulated(frame, "failure", "machine failure")


def credit(rows: int = 1000, seed: int = 0) -> Table:
    """SIMULATED loans, in the shape of the German credit data; the target is a bad loan.

    logit P(bad) = −1.9 + 1.0 [account < 0] + 0.5 [account none] + 0.03 (months − 20)
                   + 0.00008 (amount − 3000) + 0.5 [savings low] − 0.02 (age − 35) + 0.4 [renting]
                   + 0.6 [purpose business]

    Args:
      rows: loans, ≥ 100.
      seed: the same seed draws the same table.
    """
    rng = np.random.default_rng(seed)
    account = rng.choice(
        ["overdrawn", "below 200", "above 200", "none"], rows, p=[0.3, 0.3, 0.1, 0.3]
    )
    savings = rng.choice(["low", "middle", "high"], rows, p=[0.6, 0.25, 0.15])
    purpose = rng.choice(
        ["car", "household", "business", "education"], rows, p=[0.4, 0.4, 0.12, 0.08]
    )
    housing = rng.choice(["own", "rent", "free"], rows, p=[0.7, 0.2, 0.1])
    months = rng.choice([6, 12, 18, 24, 36, 48], rows, p=[0.1, 0.25, 0.2, 0.25, 0.12, 0.08])
    amount = np.exp(rng.normal(6.9, 0.7, rows) + 0.03 * months).round()
    age = np.clip(19 + rng.gamma(2.2, 7.5, rows), 19, 75).round()
    logit = (
        -1.9
        + 1.0 * (account == "overdrawn")
        + 0.5 * (account == "none")
        + 0.03 * (months - 20)
        + 0.00008 * (amount - 3000)
        + 0.5 * (savings == "low")
        - 0.02 * (age - 35)
        + 0.4 * (housing == "rent")
        + 0.6 * (purpose == "business")
    )
    frame = pd.DataFrame(
        {
            "account": account,
            "months": months,
            "amount": amount,
            "savings": savings,
            "purpose": purpose,
            "housing": housing,
            "age": age,
            "outcome": np.where(_happens(logit, rng), "bad", "repaid"),
        }
    )
    return _simulated(frame, "outcome", "credit", positive="bad")


def uniform_noise(rows: int = 1000, columns: int = 10, seed: int = 0) -> Table:
    """SIMULATED noise: inputs and target are independent, both U(0, 1), so nothing can be learnt.

    The best prediction of a new target is its mean ½, and no model's expected squared error is
    below Var U(0, 1) = 1/12 ≈ 0.08333.

    Args:
      rows: ≥ 10.
      columns: inputs, ≥ 1.
      seed: the same seed draws the same table.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.random((rows, columns)), columns=[f"x{i + 1}" for i in range(columns)])
    return make_table(
        frame.assign(y=rng.random(rows)), "y", name="uniform noise (simulated)", source="simulated"
    )


def _happens(logit: Float[np.ndarray, " row"], rng: np.random.Generator) -> np.ndarray:
    return rng.random(len(logit)) < 1 / (1 + np.exp(-logit))


def _simulated(frame: pd.DataFrame, target: str, name: str, **options) -> Table:
    label = f"{name} (simulated)"
    return make_table(frame, target, name=label, source="simulated", **options)
