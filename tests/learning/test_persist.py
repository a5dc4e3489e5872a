"""A saved model comes back the same, and a folder that is none is refused by name."""

import json

import numpy as np
import pytest

from channelwise.foundations import losses
from channelwise.learning.data.builtin import diabetes
from channelwise.learning.data.preparation import prepare
from channelwise.learning.data.simulated import churn
from channelwise.learning.data.splits import split_table
from channelwise.learning.fit import fit
from channelwise.learning.models.dense import pure_mlp
from channelwise.learning.models.mlp import MLP
from channelwise.learning.models.pure import PureModel
from channelwise.learning.persist import ModelFolderError, load_model, save_model

TABLE = churn(400)
PARTS = prepare(TABLE, split_table(TABLE))
SIZES = (PARTS.train[0].shape[1], 6, 1)


@pytest.fixture(scope="module")
def model():
    return fit(pure_mlp(SIZES), losses.binary_cross_entropy, PARTS.train, epochs=3)[0]


@pytest.fixture
def folder(tmp_path, model):
    save_model(tmp_path / "model", model, PARTS.preparation, name="churn", threshold=0.3)
    return tmp_path / "model"


def test_a_model_comes_back_with_the_same_predictions(folder, model):
    loaded = load_model(folder)
    rows = TABLE.frame.head(50)
    logits = np.asarray(model(PARTS.preparation.transform(rows)), np.float64)
    np.testing.assert_allclose(loaded.predict(rows), 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert (loaded.name, loaded.threshold) == ("churn", 0.3)
    assert loaded.preparation == PARTS.preparation
    for ours, theirs in zip(loaded.network.params, model.params, strict=True):
        np.testing.assert_array_equal(ours.kernel, theirs.kernel)


def test_a_module_is_saved_like_the_pure_form(tmp_path):
    for name, build in (("module", MLP), ("pure", pure_mlp)):
        save_model(tmp_path / name, build(SIZES, seed=4), PARTS.preparation, name="churn")
    rows = TABLE.frame.head(5)
    np.testing.assert_array_equal(
        load_model(tmp_path / "module").predict(rows), load_model(tmp_path / "pure").predict(rows)
    )


def test_a_regression_answers_in_the_unit_of_its_target(tmp_path):
    table = diabetes()
    parts = prepare(table, split_table(table))
    network, _ = fit(pure_mlp((10, 8, 1)), losses.squared_error, parts.train, epochs=150)
    save_model(tmp_path / "model", network, parts.preparation, name="diabetes")
    values = load_model(tmp_path / "model").predict(table.frame)
    assert values.mean() == pytest.approx(table.target.mean(), rel=0.1)
    assert np.corrcoef(values, table.target)[0, 1] > 0.6


def test_the_folder_holds_json_and_plain_arrays_alone(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "weights.npz"]
    json.loads((folder / "model.json").read_text())
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype == np.float32 for name in arrays)


def test_saving_again_replaces_the_model_and_leaves_nothing_beside(folder, model):
    save_model(folder, model, PARTS.preparation, name="second")
    assert load_model(folder).name == "second"
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_earlier_model(folder, model, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ModelFolderError, match=r"No space left on device.*with free space"):
        save_model(folder, model, PARTS.preparation, name="second")
    assert load_model(folder).name == "churn"
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_folder_with_other_things_is_not_overwritten(tmp_path, model):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("cat")
    with pytest.raises(ModelFolderError, match="photos exists and is no model folder"):
        save_model(tmp_path / "photos", model, PARTS.preparation, name="churn")
    assert (tmp_path / "photos" / "cat.png").read_text() == "cat"


def test_a_network_that_does_not_fit_the_preparation_is_refused(tmp_path):
    with pytest.raises(ModelFolderError, match="takes 3 inputs and gives 1 outputs, but the prep"):
        save_model(tmp_path / "model", pure_mlp((3, 1)), PARTS.preparation, name="churn")


def test_a_network_of_another_kind_is_refused(tmp_path):
    other = PureModel(lambda params, x: x[:, 0], {})
    with pytest.raises(ModelFolderError, match="Only an MLP"):
        save_model(tmp_path / "model", other, PARTS.preparation, name="churn")


def edit(folder, **changes):
    record = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(record | changes))


def drop(folder, key):
    record = json.loads((folder / "model.json").read_text())
    del record[key]
    (folder / "model.json").write_text(json.dumps(record))


DAMAGE = {
    "no weights": (lambda f: (f / "weights.npz").unlink(), "has no weights.npz"),
    "no record": (lambda f: (f / "model.json").unlink(), "it has no model.json"),
    "cut record": (lambda f: (f / "model.json").write_text('{"format": '), "is damaged"),
    "not text": (lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"), "is damaged"),
    "a list": (lambda f: (f / "model.json").write_text("[]"), "written by another program"),
    "foreign": (lambda f: edit(f, format="keras"), "written by another program"),
    "newer": (lambda f: edit(f, version=2), "version 2 of the format, this program reads 1"),
    "no preparation": (lambda f: drop(f, "preparation"), "incomplete or changed"),
    "odd preparation": (lambda f: edit(f, preparation=[1]), "incomplete or changed"),
    "odd network": (
        lambda f: edit(f, network={"sizes": [1], "activation": "relu"}),
        "incomplete or changed",
    ),
    "other network": (
        lambda f: edit(f, network={"sizes": [SIZES[0], 7, 1], "activation": "relu"}),
        "does not hold the network",
    ),
    "other inputs": (
        lambda f: edit(f, network={"sizes": [2, 1], "activation": "relu"}),
        "takes 2 inputs",
    ),
    "cut weights": (
        lambda f: (f / "weights.npz").write_bytes((f / "weights.npz").read_bytes()[:-9]),
        "its checksum is not the one",
    ),
    "pickled weights": (
        lambda f: (f / "weights.npz").write_bytes(np.array([{}]).dumps()),
        "its checksum is not the one",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_or_foreign_folder_is_refused_by_name(case, folder):
    damage, sentence = DAMAGE[case]
    damage(folder)
    with pytest.raises(ModelFolderError, match=sentence) as caught:
        load_model(folder)
    assert "model" in str(caught.value)
    assert str(caught.value).endswith((".", "together."))


def test_a_folder_that_does_not_exist_is_a_sentence(tmp_path):
    with pytest.raises(ModelFolderError, match="is no model folder: it does not exist"):
        load_model(tmp_path / "none")
