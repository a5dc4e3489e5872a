"""Predictions for the rows of a new file: what stands behind `channelwise predict`."""

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from channelwise.learning.data.files import TableError, read_frame
from channelwise.learning.data.preparation import Preparation, Unseen
from channelwise.learning.persist import TabularModel, load_model


class Predictions(NamedTuple):
    """What `predict_file` did.

    Attributes:
      rows: how many were predicted.
      out: the file they are in; None if they went to the standard output.
      notes: what the reader of the file should know.
    """

    rows: int
    out: Path | None
    notes: tuple[str, ...]


def predict_file(
    model_dir: Path | str,
    csv: Path | str,
    out: Path | str | None = None,
    *,
    unseen: Unseen = "refuse",
    threshold: float | None = None,
    separator: str | None = None,
) -> Predictions:
    """Predict every row of a CSV or Parquet file and write a CSV: its columns and the predictions.

    A classifier adds "probability of <class>" and "predicted <target>", a regression the latter.

    Args:
      model_dir: from `save_model`.
      csv: the new rows; columns the model does not know are passed through.
      out: written beside and renamed, must not be the input itself; the standard output if None.
      unseen: "refuse" rows with categories no training row had, or count them as "other".
      threshold: probability from which a row is called positive; the model's own if None.
      separator: of the input file, found from the file if None.

    Returns:
      How many rows, where, and notes on columns and missing values.

    Raises:
      ModelFolderError: if the model cannot be read.
      TableError: if the rows cannot be read, predicted or written.
    """
    model, csv = load_model(model_dir), Path(csv)
    out = None if out is None else Path(out)
    if out is not None and out.exists() and csv.exists() and out.samefile(csv):
        raise TableError(f"{out} is the input itself: name another file for the predictions.")
    frame = read_frame(csv, separator=separator)
    values = model.predict(frame, unseen)
    added = _columns(model, values, model.threshold if threshold is None else threshold)
    _write_csv(frame.drop(columns=[c for c in added if c in frame]).assign(**added), out)
    return Predictions(len(frame), out, _notes(model.preparation, frame))


def _columns(
    model: TabularModel, values: Float[np.ndarray, " row"], threshold: float
) -> dict[str, Any]:
    predicted = f"predicted {model.preparation.target_name}"
    if model.preparation.labels is None:
        return {predicted: values}
    negative, positive = model.preparation.labels
    named = np.where(values >= threshold, positive, negative)
    return {f"probability of {positive}": values, predicted: named}


def _notes(preparation: Preparation, frame: pd.DataFrame) -> tuple[str, ...]:
    extra = [c for c in frame.columns if c not in preparation.columns]
    notes = [f"not used by the model: {', '.join(map(repr, extra))}"] if extra else []
    for column in preparation.columns:
        missing = int(frame[column].isna().sum())
        if missing:
            notes.append(f"{column!r}: {missing} missing values filled as in training")
    return tuple(notes)


def _write_csv(frame: pd.DataFrame, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(frame.to_csv(index=False, float_format="%.6g"))
        return
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        frame.to_csv(beside, index=False, float_format="%.6g")
        beside.replace(out)
    except OSError as error:
        raise TableError(
            f"The predictions could not be written to {out} ({error.strerror or error}). "
            "Choose a folder that exists and that you may write to."
        ) from error
    finally:
        beside.unlink(missing_ok=True)
