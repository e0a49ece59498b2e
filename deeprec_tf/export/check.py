"""How far an exported file is from the model it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deeprec_tf.engine import RecModel
from deeprec_tf.export.artifact import largest_difference
from deeprec_tf.export.cuts import inference_model
from deeprec_tf.export.onnx_file import load_onnx
from deeprec_tf.export.raw_answers import IDS
from deeprec_tf.export.saved_model import (
    ID_SIGNATURE,
    SERVING_SIGNATURE,
    artifact_of,
    open_saved_model,
)
from deeprec_tf.graph import inference_outputs, inputs_of, prediction_outputs
from deeprec_tf.string_keys import string_keys_of_array


def check_export(
    model: keras.Model,
    path: str | Path,
    x: Mapping[str, Any],
    *,
    raw_x: Mapping[str, Any] | None = None,
    batch_size: int = 1024,
) -> float:
    """Largest absolute difference between a model and its export, over all rows and outputs.

    Args:
        model: the model that was exported.
        path: a SavedModel's folder (of the model or of one version) or an ".onnx" file.
        x: arrays by input name, as for `model.predict`; more names than needed may be given.
        raw_x: the same rows before the encoder, for a SavedModel that was exported with one;
            without them its signature `ids` is checked.
        batch_size: rows at a time.

    Returns:
        The difference, NaN where the export gives NaN; scores of -inf, where a model that
        generates has no further item, count as equal. With `raw_x` the items that such a model
        answers are raw keys, which are not compared; their scores are.

    Raises:
        ValueError: the export has other outputs than the model, or an input is missing.

    Example:
        >>> import tempfile
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.export import export_saved_model
        >>> from deeprec_tf.models import DeepFM
        >>> model = DeepFM([SparseFeat("user", 10), SparseFeat("item", 20)])
        >>> path = export_saved_model(model, tempfile.mkdtemp())
        >>> check_export(model, path, {"user": [1, 2], "item": [3, 4]}) < 1e-6
        True
    """
    outputs = inference_outputs(model)
    names = [tensor.name for tensor in inputs_of(outputs.values())]
    missing = [name for name in names if name not in x]
    if missing:
        raise ValueError(
            f"check_export: the input {missing[0]!r} of {model.name} is missing; given were "
            f"{list(x)}."
        )
    arrays = {name: np.asarray(x[name]) for name in names}
    # A RecModel leaves out training's inputs and outputs itself, and keeps what it traced.
    is_served = isinstance(model, RecModel) and set(prediction_outputs(model)) == set(outputs)
    served = model if is_served else inference_model(model)
    expected = served.predict(arrays, batch_size=batch_size, verbose=0)
    if not isinstance(expected, Mapping):
        expected = {next(iter(outputs)): expected}
    if Path(path).suffix == ".onnx":
        artifact = load_onnx(path)
        arrays = {name: string_keys_of_array(array) for name, array in arrays.items()}
    else:
        folder, loaded = open_saved_model(path)
        by_ids = raw_x is None and ID_SIGNATURE in loaded.signatures
        artifact = artifact_of(folder, loaded, ID_SIGNATURE if by_ids else SERVING_SIGNATURE)
    answers = artifact(arrays if raw_x is None else raw_x, batch_size=batch_size)
    if set(answers) != set(outputs):
        raise ValueError(
            f"check_export: {path} gives {sorted(answers)}, {model.name} gives "
            f"{sorted(outputs)}. Is it the export of another model?"
        )
    keys = set() if raw_x is None else {IDS}
    differences = [
        largest_difference(expected[name], answers[name]) for name in outputs if name not in keys
    ]
    return float(np.max(differences))  # NaN if any is; Python's max would drop it
