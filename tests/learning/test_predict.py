"""`channelwise predict`: new files are predicted or refused in a sentence, never half written."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from channelwise.foundations import losses
from channelwise.foundations.activations import sigmoid
from channelwise.learning.data.files import TableError
from channelwise.learning.data.preparation import prepare
from channelwise.learning.data.simulated import churn
from channelwise.learning.data.splits import split_table
from channelwise.learning.data.tables import load_table, make_table
from channelwise.learning.evaluate import baselines, classification_report
from channelwise.learning.fit import fit, predict
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.persist import ModelFolderError, load_model, save_model
from channelwise.learning.predict import predict_file

CREDIT = Path(__file__).parents[3] / "shared" / "data" / "german_credit.csv"
TABLE = churn(400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    parts = prepare(TABLE, split_table(TABLE))
    network, _ = fit(
        pure_mlp((parts.train[0].shape[1], 6, 1)),
        losses.binary_cross_entropy,
        parts.train,
        epochs=3,
    )
    path = tmp_path_factory.mktemp("models") / "churn"
    save_model(path, network, parts.preparation, name="churn", threshold=0.4)
    return path


@pytest.fixture
def new(tmp_path):
    def write(frame=None, name="new.csv", **options):
        frame = TABLE.frame.head(6) if frame is None else frame
        frame.to_csv(tmp_path / name, index=False, **options)
        return tmp_path / name

    return write


def test_every_row_is_predicted_beside_its_own_columns(folder, new, tmp_path):
    done = predict_file(folder, new(), tmp_path / "out.csv")
    out = pd.read_csv(tmp_path / "out.csv")
    p = load_model(folder).predict(TABLE.frame.head(6))
    assert (done.rows, done.out) == (6, tmp_path / "out.csv")
    np.testing.assert_allclose(out["probability of yes"], p, rtol=1e-5)
    assert out["predicted churned"].tolist() == np.where(p >= 0.4, "yes", "no").tolist()
    assert list(out.columns[:7]) == list(TABLE.features)


def test_the_threshold_can_be_moved(folder, new, tmp_path):
    predict_file(folder, new(), tmp_path / "out.csv", threshold=0.0)
    assert set(pd.read_csv(tmp_path / "out.csv")["predicted churned"]) == {"yes"}


def test_without_a_file_the_predictions_go_to_the_screen(folder, new, capsys):
    done = predict_file(folder, new())
    assert done.out is None
    assert capsys.readouterr().out.splitlines()[0].endswith("probability of yes,predicted churned")


def test_new_columns_are_passed_through_and_named(folder, new, tmp_path):
    frame = TABLE.frame.head(3).assign(**{"<b>note</b>": "x"})
    done = predict_file(folder, new(frame), tmp_path / "out.csv")
    assert "<b>note</b>" in pd.read_csv(tmp_path / "out.csv").columns
    assert done.notes == ("not used by the model: '<b>note</b>'",)


def test_semicolons_and_another_order_of_columns_change_nothing(folder, new, tmp_path):
    predict_file(folder, new(), tmp_path / "a.csv")
    turned = TABLE.frame.head(6)[list(reversed(TABLE.features))]
    predict_file(folder, new(turned, "turned.csv", sep=";", decimal=","), tmp_path / "b.csv")
    a, b = (pd.read_csv(tmp_path / n)["probability of yes"] for n in ("a.csv", "b.csv"))
    np.testing.assert_allclose(a, b, rtol=1e-4)


def test_missing_values_are_filled_and_counted(folder, new, tmp_path):
    frame = TABLE.frame.head(4).copy()
    frame.loc[[0, 2], "tenure_months"] = np.nan
    done = predict_file(folder, new(frame), tmp_path / "out.csv")
    assert any(n == "'tenure_months': 2 missing values filled as in training" for n in done.notes)


def without(column):
    return TABLE.frame.head(4).drop(columns=column)


REFUSED = {
    "missing column": (without("contract"), "new rows: there is no column 'contract'"),
    "renamed column": (
        TABLE.frame.head(4).rename(columns={"contract": "contrakt"}),
        "Did you mean 'contrakt'",
    ),
    "unseen category": (
        TABLE.frame.head(4).assign(contract="weekly"),
        r"'contract' holds 'weekly' in row 1 \(4 such rows\)",
    ),
    "text for a number": (
        TABLE.frame.head(4).assign(support_calls=["1", "2", "many", "0"]),
        "'support_calls' holds 'many' in row 3",
    ),
    "no rows": (TABLE.frame.head(0), "has a header but no rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_cannot_be_predicted_are_a_sentence_and_nothing_is_written(
    case, folder, new, tmp_path
):
    frame, sentence = REFUSED[case]
    with pytest.raises(TableError, match=sentence):
        predict_file(folder, new(frame), tmp_path / "out.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["new.csv"]


def test_unseen_categories_may_count_as_other(folder, new, tmp_path):
    frame = TABLE.frame.head(4).assign(contract="weekly")
    assert predict_file(folder, new(frame), tmp_path / "out.csv", unseen="other").rows == 4


def test_an_empty_file_and_no_file_are_sentences(folder, tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(TableError, match=r"empty.csv is empty"):
        predict_file(folder, tmp_path / "empty.csv", tmp_path / "out.csv")
    with pytest.raises(TableError, match="does not exist"):
        predict_file(folder, tmp_path / "none.csv", tmp_path / "out.csv")


def test_the_input_is_never_overwritten(folder, new):
    path = new()
    before = path.read_bytes()
    with pytest.raises(TableError, match="is the input itself"):
        predict_file(folder, path, path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_a_sentence(folder, new, tmp_path):
    with pytest.raises(TableError, match=r"could not be written .*Choose a folder that exists"):
        predict_file(folder, new(), tmp_path / "none" / "out.csv")


def test_a_folder_that_is_no_model_is_a_sentence(new, tmp_path):
    with pytest.raises(ModelFolderError, match="is no model folder"):
        predict_file(tmp_path, new(), tmp_path / "out.csv")


def test_a_model_of_odd_names_travels_whole(tmp_path):
    """Columns and categories with markup, quotes, commas and other scripts."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            '<script>alert("1")</script>': rng.normal(size=60),
            "größe, cm; 数": rng.choice(['a "b"', "c,d", "é;è"], 60),
            "y": ["<no>", "<yes>"] * 30,
        }
    )
    table = make_table(frame, "y")
    parts = prepare(table, split_table(table))
    save_model(
        tmp_path / "m", pure_mlp((parts.train[0].shape[1], 1)), parts.preparation, name="odd"
    )
    frame.to_csv(tmp_path / "new.csv", index=False)
    predict_file(tmp_path / "m", tmp_path / "new.csv", tmp_path / "out.csv")
    out = pd.read_csv(tmp_path / "out.csv")
    np.testing.assert_allclose(
        out["probability of <yes>"], load_model(tmp_path / "m").predict(frame), rtol=1e-5
    )


def test_predicting_needs_neither_flax_nor_scikit_learn_nor_orbax(folder, new, tmp_path):
    import subprocess

    program = (
        "import sys; from channelwise.learning.predict import predict_file; "
        f"predict_file({str(folder)!r}, {str(new())!r}, {str(tmp_path / 'out.csv')!r}); "
        "print(sorted({'flax', 'sklearn', 'orbax', 'matplotlib'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


@pytest.mark.skipif(not CREDIT.exists(), reason="the German credit file is not in ../shared/data")
def test_german_credit_from_file_to_predictions(tmp_path):
    table = load_table(CREDIT, "Label", positive="1")
    assert (table.rows, len(table.features), table.target.sum()) == (1000, 20, 300)
    parts = prepare(table, split_table(table, seed=1))
    network, history = fit(
        pure_mlp((parts.train[0].shape[1], 128, 64, 1)),
        losses.binary_cross_entropy,
        parts.train,
        validation=parts.validation,
        epochs=60,
        patience=8,
    )
    assert history.stopped_early
    x, y = parts.test
    report = classification_report(y, np.asarray(sigmoid(predict(network, x))))
    simple = baselines("classification", parts.train, x)
    majority = classification_report(y, simple["majority"], replicates=10)
    logistic = classification_report(y, simple["logistic"], replicates=10)
    assert report["roc_auc"].low > 0.5
    assert report["roc_auc"].value > 0.7
    assert report["log_loss"].value < majority["log_loss"].value
    assert abs(report["roc_auc"].value - logistic["roc_auc"].value) < 0.08
    save_model(tmp_path / "credit", network, parts.preparation, name="credit")
    done = predict_file(tmp_path / "credit", CREDIT, tmp_path / "scored.csv")
    assert done.rows == 1000
    assert set(pd.read_csv(tmp_path / "scored.csv")["predicted Label"]) == {0, 1}
