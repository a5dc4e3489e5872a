"""A trained table model as a folder: `model.json` and `weights.npz`, whole or not at all."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from channelwise.foundations.activations import sigmoid
from channelwise.learning.data.preparation import Preparation, Unseen
from channelwise.learning.fit import predict
from channelwise.learning.model_folder import whole
from channelwise.learning.models.dense import Layer, application, check_sizes
from channelwise.learning.models.pure import PureModel

FORMAT = "channelwise table model"
VERSION = 1


class ModelFolderError(ValueError):
    """A model folder that cannot be read or written; the message says why and what to do."""


class TabularModel(NamedTuple):
    """A network and everything needed to use it on a new table.

    Attributes:
      name: what it predicts, for people.
      network: standardized inputs to logits, or to standardized values.
      preparation: columns to standardized inputs.
      threshold: probability from which a row is called positive; unused in a regression.
      notes: of whoever saved it.
    """

    name: str
    network: PureModel
    preparation: Preparation
    threshold: float = 0.5
    notes: str = ""

    def predict(self, frame: pd.DataFrame, unseen: Unseen = "refuse") -> Float[np.ndarray, " row"]:
        """Probability of the positive class, or the predicted value in the target's own unit.

        Args:
          frame: must have the columns the model was trained on; others are left alone.
          unseen: what to do with categories no training row had, see `Preparation.transform`.

        Raises:
          TableError: if the rows cannot be turned into inputs.
        """
        outputs = predict(self.network, self.preparation.transform(frame, unseen))
        if self.preparation.task == "classification":
            return np.asarray(sigmoid(outputs))
        return self.preparation.restore_target(outputs)


def save_model(
    folder: Path | str,
    model: Any,
    preparation: Preparation,
    *,
    name: str,
    threshold: float = 0.5,
    notes: str = "",
) -> None:
    """Write a trained network and its preparation; an earlier model of the folder is replaced.

    Args:
      folder: made if absent; written beside and renamed, so it is never half a model.
      model: a trained `MLP` or a `PureModel` from `pure_mlp`.
      preparation: the one its inputs were made with.
      name: what it predicts, for people.
      threshold: probability from which a row is called positive, in (0, 1).
      notes: anything a user of the model should know.

    Raises:
      ModelFolderError: if the folder holds something else, cannot be written, or the network is
        not one of these or does not fit the preparation.
    """
    folder = Path(folder)
    pure = model if isinstance(model, PureModel) else getattr(model, "pure", lambda: None)()
    if pure is None or pure.config.get("kind") != "mlp":
        raise ModelFolderError(
            f"Only an MLP or a PureModel from pure_mlp can be saved, got {type(model).__name__}."
        )
    _check_fit(pure.config["sizes"], preparation, folder)
    if folder.exists() and _not_ours(folder):
        raise ModelFolderError(
            f"{folder} exists and is no model folder: nothing was written. Choose another name."
        )
    with whole(folder, ModelFolderError) as beside:
        _write(beside, pure, preparation, name=name, threshold=threshold, notes=notes)


def load_model(folder: Path | str) -> TabularModel:
    """Read a model folder; nothing in it is executed.

    Raises:
      ModelFolderError: if there is no model, or it is damaged, foreign or of a newer version.
    """
    folder = Path(folder)
    record = _read_record(folder)
    try:
        preparation = Preparation.from_json(record["preparation"])
        sizes, activation = record["network"]["sizes"], record["network"]["activation"]
        check_sizes(sizes, activation)
        threshold, name, notes = float(record["threshold"]), record["name"], record["notes"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFolderError(
            f"{folder}/model.json is incomplete or changed ({error!r}). Save the model again."
        ) from error
    _check_fit(sizes, preparation, folder)
    network = PureModel(
        application(activation), _read_layers(folder, record, sizes), record["network"]
    )
    return TabularModel(name, network, preparation, threshold, notes)


def _write(folder: Path, network: PureModel, preparation: Preparation, **texts: Any) -> None:
    arrays = {}
    for i, (kernel, bias) in enumerate(network.params):
        arrays |= {f"kernel_{i}": np.asarray(kernel), f"bias_{i}": np.asarray(bias)}
    np.savez(folder / "weights.npz", **arrays)
    checksum = hashlib.sha256((folder / "weights.npz").read_bytes()).hexdigest()
    record = {"format": FORMAT, "version": VERSION, **texts, "network": network.config}
    record |= {"preparation": preparation.to_json(), "weights_sha256": checksum}
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "model.json").write_text(text, encoding="utf-8")


def _not_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return True
    return any(folder.iterdir()) and not (folder / "model.json").is_file()


def _read_record(folder: Path) -> dict[str, Any]:
    if not (folder / "model.json").is_file():
        what = "does not exist" if not folder.exists() else "has no model.json"
        raise ModelFolderError(
            f"{folder} is no model folder: it {what}. Give a folder written by save_model."
        )
    try:
        record = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelFolderError(
            f"{folder}/model.json is damaged ({error}). Save the model again."
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ModelFolderError(
            f"{folder}/model.json is not a {FORMAT}: it was written by another program. "
            "Give a folder written by save_model."
        )
    if record.get("version") != VERSION:
        raise ModelFolderError(
            f"{folder} has version {record.get('version')!r} of the format, this program reads "
            f"{VERSION}. Update channelwise, or save the model again."
        )
    return record


def _read_layers(folder: Path, record: dict[str, Any], sizes: Sequence[int]) -> tuple[Layer, ...]:
    path = folder / "weights.npz"
    if not path.is_file():
        raise ModelFolderError(f"{folder} has no weights.npz. Save the model again.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != record.get("weights_sha256"):
        raise ModelFolderError(
            f"{path} is damaged or from another model: its checksum is not the one in model.json. "
            "Save the model again."
        )
    shapes = list(itertools.pairwise(sizes))
    with np.load(path, allow_pickle=False) as arrays:
        layers = [
            Layer(arrays[f"kernel_{i}"], arrays[f"bias_{i}"]) for i in range(len(arrays) // 2)
        ]
    if [layer.kernel.shape for layer in layers] != shapes:
        raise ModelFolderError(
            f"{path} does not hold the network {tuple(sizes)} of model.json. Save the model again."
        )
    return tuple(layers)


def _check_fit(sizes: Sequence[int], preparation: Preparation, folder: Path) -> None:
    inputs = len(preparation.features)
    if sizes[0] != inputs or sizes[-1] != 1:
        raise ModelFolderError(
            f"{folder}: the network takes {sizes[0]} inputs and gives {sizes[-1]} outputs, but "
            f"the preparation makes {inputs} inputs for 1 output. Use two that belong together."
        )
