"""The machine's roof: arithmetic by hand, and a measurement that must be plausible."""

import time

import jax.numpy as jnp
import pytest

from channelwise.learning import machine
from channelwise.learning.machine import Machine

V5E = Machine("TPU v5e", matmul_f32=1e14, matmul_bf16=1.97e14, bandwidth=8.2e11, cores=1)


def test_the_ridge_is_the_rate_over_the_bandwidth():
    assert V5E.ridge("bfloat16") == pytest.approx(240, abs=0.5)


def test_the_roof_rises_with_the_intensity_up_to_the_peak():
    assert V5E.roof(10.0) == 10 * 8.2e11
    assert V5E.roof(V5E.ridge()) == pytest.approx(V5E.peak())
    assert V5E.roof(1e6, "bfloat16") == 1.97e14


def test_of_two_measurements_the_higher_rates_count():
    disturbed = Machine("TPU v5e", matmul_f32=9e13, matmul_bf16=2e14, bandwidth=4e11, cores=1)
    assert V5E.best(disturbed) == Machine("TPU v5e", 1e14, 2e14, 8.2e11, 1)


def test_the_share_is_of_the_types_own_peak():
    assert V5E.share(1e14, 2.0) == pytest.approx(0.5)
    assert V5E.share(1.97e14, 2.0, "bfloat16") == pytest.approx(0.5)


def test_the_best_of_several_runs_is_timed_without_the_first():
    calls = []

    def slow_at_first():
        calls.append(1)
        time.sleep(0.2 if len(calls) == 1 else 0.01)

    assert 0.01 <= machine.best_seconds(slow_at_first, repeats=3) < 0.1
    assert len(calls) == 4


def test_this_machine_is_measured(monkeypatch):
    monkeypatch.setattr(machine, "_LARGEST", 256)  # one size will do for a test
    monkeypatch.setattr(machine, "_ARRAY_BYTES", {"cpu": 2**22})
    found = machine.measure()
    assert found.name
    assert found.cores >= 1
    assert 1e9 < found.matmul_f32 < 1e16
    assert 1e8 < found.matmul_bf16 < 1e16
    assert 1e8 < found.bandwidth < 1e14


def test_larger_products_are_tried_until_one_takes_long_enough(monkeypatch):
    sizes = []
    times = {256: 1e-4, 512: 4e-4, 1024: 5e-3, 2048: 6e-2}
    monkeypatch.setattr(
        machine, "best_seconds", lambda f, a, repeats: sizes.append(len(a)) or times[len(a)]
    )
    rate = machine._matrix_rate(machine._product, jnp.float32)
    assert sizes == [256, 512, 1024, 2048]
    assert rate == pytest.approx(2 * 512**3 / 4e-4)
