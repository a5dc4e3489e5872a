"""Keeping a step's memory: what is asked of the C library, and the sentence where it cannot be."""

import ctypes
import subprocess
import sys

import pytest

from channelwise.learning import memory

TOUCH = """
import resource, threading
from channelwise.learning.memory import keep_memory
if {keep}: print(keep_memory())
import numpy as np
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4): np.ones(25_000_000, np.float32)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
np.ones(25_000_000, np.float32)
worker = threading.Thread(target=faults); worker.start(); worker.join()
"""


def faults(keep):
    """Pages touched anew by four blocks of 100 MB, in a thread of a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", TOUCH.format(keep=keep)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]), done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_blocks_are_used_again_instead_of_asked_for_anew():
    kept, said = faults(keep=True)
    given_back, _ = faults(keep=False)
    if "is kept" not in said:
        pytest.skip(said)
    assert kept < given_back / 10


def test_elsewhere_nothing_happens_and_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.keep_memory() == (
        "Memory is handled as before: mallopt is glibc's, and this is darwin."
    )


def test_a_c_library_without_mallopt_and_a_refusal_are_told(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert "has no mallopt" in memory.keep_memory()

    class Refusing:
        def mallopt(self, name, value):
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Refusing())
    assert "refused a setting" in memory.keep_memory()
