"""Simulated tables: labelled so, repeatable, and drawn from the law they state."""

import numpy as np
import pytest

from channelwise.learning.data import simulated
from channelwise.learning.data.preparation import prepare
from channelwise.learning.data.splits import split_table
from channelwise.learning.evaluate import baselines, classification_report

CLASSIFIED = [simulated.churn, simulated.machine_failure, simulated.credit]


@pytest.mark.parametrize("make", [*CLASSIFIED, simulated.uniform_noise])
def test_it_is_labelled_simulated_wherever_it_is_named(make):
    table = make(500)
    assert table.source == "simulated"
    assert "(simulated)" in table.name
    assert make.__doc__.startswith("SIMULATED")


@pytest.mark.parametrize("make", [*CLASSIFIED, simulated.uniform_noise])
def test_the_seed_decides_the_rows(make):
    first, again, other = make(500, seed=1), make(500, seed=1), make(500, seed=2)
    assert first.frame.equals(again.frame)
    np.testing.assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.target, other.target)


@pytest.mark.parametrize(
    ("make", "share"),
    [(simulated.churn, 0.33), (simulated.machine_failure, 0.042), (simulated.credit, 0.28)],
)
def test_the_share_of_positives_is_that_of_the_industry_it_stands_for(make, share):
    assert make(8000).target.mean() == pytest.approx(share, abs=0.02)


def test_churn_has_an_identifier_that_is_left_out_and_a_column_with_gaps():
    table = simulated.churn(3000)
    columns = {c.name: c for c in table.columns}
    assert columns["customer"].kind == "ignore"
    assert 0.01 < columns["monthly_charge"].missing / 3000 < 0.03


@pytest.mark.parametrize("make", CLASSIFIED)
def test_a_logistic_model_finds_signal_but_no_certainty(make):
    table = make(6000)
    parts = prepare(table, split_table(table))
    p = baselines("classification", parts.train, parts.test[0])["logistic"]
    auc = classification_report(parts.test[1], p, replicates=10)["roc_auc"].value
    assert 0.6 < auc < 0.95


def test_uniform_noise_has_the_variance_of_a_twelfth_and_no_signal():
    table = simulated.uniform_noise(20_000)
    assert table.target.var() == pytest.approx(1 / 12, rel=0.02)
    correlations = np.corrcoef(table.frame.to_numpy().T, table.target)[-1, :-1]
    assert np.abs(correlations).max() < 4 / np.sqrt(20_000)
