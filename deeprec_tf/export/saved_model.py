"""SavedModel: what TensorFlow Serving and every other TensorFlow runtime loads."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.export.artifact import Arrays, Artifact
from deeprec_tf.export.cuts import inference_model
from deeprec_tf.export.raw_answers import IDS, RawAnswers
from deeprec_tf.export.raw_inputs import RawInputs
from deeprec_tf.export.signatures import check_names, input_specs_of, tensor_infos
from deeprec_tf.model_input import model_input

SERVING_SIGNATURE = "serving_default"
ID_SIGNATURE = "ids"


def export_saved_model(
    model: keras.Model, path: str | Path, encoder: Any = None, version: int | None = None
) -> Path:
    """Writes the inference cut of a model as `<path>/<version>/saved_model.pb`.

    The signature `serving_default` gives a dict: "probability", the tasks, or the tower's
    vector. Without an encoder it takes the model's inputs by name, columns with
    `dtype="string"` as strings. With an encoder it takes raw strings and numbers: what the
    encoder was fitted on, and histories as raw values of the category whose table they share
    (see `RawInputs`); inputs the encoder knows nothing of stay as they are. A second signature,
    `ids`, then takes the model's inputs, for callers who encode themselves. A model that generates
    items answers with "ids" and "scores"; with an encoder the ids are the items' raw keys, and
    the model must be one that answers no others (`hidden_items=(1,)`).

    Batch and time axis are open. A version appears whole or not at all, so a server may watch
    the folder.

    Args:
        model: a trained model, an `inference_model`, or a tower of `user_encoder`.
        path: local folder of the model; versions are its subfolders.
        encoder: `deeprec_tf.data.FeatureEncoder` the training data were encoded with.
        version: positive number of the version; one more than the newest when None.

    Returns:
        The folder of the version.

    Raises:
        TypeError: the encoder is none.
        ValueError: nothing to cut at, a version that exists or is no positive integer, an encoder
            that makes none of the model's inputs, or one that has no keys for items which the
            model may generate, or an input whose name is no plain word (`user id`, `1st`).

    Example:
        >>> import tempfile
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.models import DeepFM
        >>> model = DeepFM([SparseFeat("user", 10), SparseFeat("item", 20)])
        >>> export_saved_model(model, tempfile.mkdtemp()).name
        '1'
    """
    target = version_folder("export_saved_model", path, version)
    served = inference_model(model)
    specs = input_specs_of(served)
    raw_inputs = None if encoder is None else RawInputs(encoder, served)
    check_names("export_saved_model", {**specs, **(raw_inputs.specs if raw_inputs else {})})
    archive = keras.export.ExportArchive()
    archive.track(served)

    def from_inputs(inputs):
        return served(
            {name: model_input(value) for name, value in inputs.items()}, training=False
        )

    if raw_inputs is None:
        archive.add_endpoint(SERVING_SIGNATURE, from_inputs, [specs])
    else:
        archive.track(raw_inputs.layer)
        answer = archive.add_endpoint(ID_SIGNATURE, from_inputs, [specs])
        to_keys = None
        if IDS in served.output:
            to_keys = RawAnswers(encoder, raw_inputs, served)
            archive.track(to_keys)

        def from_raw(raw):
            answers = answer(raw_inputs(raw))
            return answers if to_keys is None else to_keys(answers)

        archive.add_endpoint(SERVING_SIGNATURE, from_raw, [raw_inputs.specs])
    write_whole(archive, target)
    return target


def load_saved_model(path: str | Path, signature: str = SERVING_SIGNATURE) -> Artifact:
    """Loads an exported SavedModel; none of the model's Python code is needed.

    Args:
        path: the model's folder (its newest version is taken) or the folder of one version.
        signature: "serving_default" or, where there is one, "ids".

    Returns:
        A callable: dict of arrays in, dict of arrays out.

    Raises:
        ValueError: there is no SavedModel, or it has no such signature.
    """
    folder, loaded = open_saved_model(path)
    return artifact_of(folder, loaded, signature)


def open_saved_model(path: str | Path) -> tuple[Path, Any]:
    """The folder of the (newest) version, and what TensorFlow loads from it."""
    folder = Path(path)
    versions = _versions(folder)
    if not (folder / "saved_model.pb").is_file() and versions:
        folder = folder / str(max(versions))
    if not (folder / "saved_model.pb").is_file():
        raise ValueError(
            f"load_saved_model: there is no saved_model.pb in {folder}. Give the folder that "
            "export_saved_model was given, or the one it returned."
        )
    return folder, tf.saved_model.load(str(folder))


def artifact_of(folder: Path, loaded: Any, signature: str) -> Artifact:
    """One signature of a loaded SavedModel as a callable."""
    if signature not in loaded.signatures:
        raise ValueError(
            f"load_saved_model: {folder} has no signature {signature!r}; it has "
            f"{list(loaded.signatures)}."
        )
    function = loaded.signatures[signature]

    def run(batch: Arrays) -> Arrays:
        # By way of `loaded`: the function alone would not keep the variables alive.
        call = loaded.signatures[signature]
        values = call(**{name: tf.constant(array) for name, array in batch.items()})
        return {name: _plain(value.numpy()) for name, value in values.items()}

    inputs = tensor_infos(function.structured_input_signature[1])
    return Artifact(folder, inputs, tuple(function.structured_outputs), run)


def _plain(array: np.ndarray) -> np.ndarray:
    """The array, with texts as Python has them; TensorFlow gives their bytes."""
    if array.dtype != object:
        return array
    texts = [text.decode("utf-8", "surrogateescape") for text in array.ravel()]
    return np.array(texts, object).reshape(array.shape)


def _versions(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()]


def version_folder(owner: str, path: str | Path, version: int | None) -> Path:
    """The folder of a version that is to be written; the next free one when None.

    Raises:
        ValueError: the version exists or is no positive integer.
    """
    folder = Path(path)
    if version is None:
        return folder / str(max(_versions(folder), default=0) + 1)
    if isinstance(version, bool) or not hasattr(version, "__index__") or version < 1:
        raise ValueError(f"{owner}: version must be a positive integer, got {version!r}.")
    if (folder / str(version)).exists():
        raise ValueError(
            f"{owner}: {folder / str(version)} exists already, and servers may be "
            "reading it. Give another version, or leave it out for the next free one."
        )
    return folder / str(version)


def write_whole(archive: keras.export.ExportArchive, target: Path) -> None:
    """Writes an archive so that its folder appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        archive.write_out(str(partial / "model"), verbose=False)
        (partial / "model").rename(target)
    finally:
        shutil.rmtree(partial)
