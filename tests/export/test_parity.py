"""SavedModel and ONNX answer as the model does, at other batch sizes and lengths."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat
from deeprec_tf.export import (
    check_export,
    export_onnx,
    export_saved_model,
    inference_model,
    load_onnx,
    load_saved_model,
)
from deeprec_tf.export.artifact import largest_difference
from deeprec_tf.models import DeepFM, SharedBottom
from deeprec_tf.string_keys import string_keys_of_array
from tests.export.samples import batch, lively, two_towers

MODELS = [
    ("dien", "AUGRU"), ("dien", "AGRU"), ("dien", "AIGRU"), ("dien", "GRU"),
    ("din",), ("deepfm",), ("wide_deep",), ("two_towers",),
]
SHAPES = [(7, 5), (1, 2), (3, 8)]


@pytest.mark.parametrize("name", MODELS, ids="-".join)
def test_saved_model_and_onnx_agree_with_the_model(name, sample, saved, onnx_of):
    model = sample(*name)
    by_tensorflow, by_onnxruntime = load_saved_model(saved(*name)), load_onnx(onnx_of(*name))
    assert set(by_tensorflow.inputs) == set(inference_model(model).input)
    assert set(by_onnxruntime.inputs) == set(by_tensorflow.inputs)
    for rows, steps in SHAPES:
        x = batch(model, rows, steps, seed=rows)
        expected = model.predict(x, verbose=0)
        assert rows == 1 or np.ptp(expected) > 0.01  # or agreement would say nothing
        np.testing.assert_allclose(by_tensorflow(x)["probability"], expected, rtol=0, atol=1e-6)
        keys = {key: string_keys_of_array(array) for key, array in x.items()}
        answer = by_onnxruntime(keys)["probability"]
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [("wide_deep",), ("dien", "AUGRU")], ids="-".join)
def test_check_export_is_near_zero(name, sample, saved, onnx_of):
    model = sample(*name)
    x = batch(model, 20, 4)  # holds training's inputs too
    assert check_export(model, saved(*name), x, batch_size=8) <= 1e-6
    assert check_export(model, saved(*name).parent, x) <= 1e-6
    assert check_export(model, onnx_of(*name), x, batch_size=8) <= 1e-5


def test_check_export_sees_other_weights_and_another_model(tmp_path, sample, saved):
    model = two_towers()
    x = batch(model, 40, 4)
    folder = export_saved_model(model, tmp_path)
    lively(model, seed=1)
    assert check_export(model, folder, x, batch_size=16) > 0.01
    with pytest.raises(ValueError, match="is missing"):
        check_export(model, saved("wide_deep"), x)


def test_check_export_sees_nan_in_any_output(tmp_path):
    columns = [SparseFeat("user", 5), SparseFeat("item", 5)]
    model = SharedBottom(columns, task_names=["click", "buy"], task_types=["binary", "binary"])
    x = {"user": [1, 2], "item": [3, 4]}
    model.get_layer("buy").bias.assign([np.nan])
    assert np.isnan(check_export(model, export_saved_model(model, tmp_path), x))


def test_places_of_the_same_infinity_do_not_differ():
    assert largest_difference([1.0, -np.inf], [1.5, -np.inf]) == 0.5
    assert largest_difference([0.0, -np.inf], [0.0, 0.0]) == np.inf
    assert np.isnan(largest_difference([1.0, np.nan], [1.0, np.nan]))
    assert largest_difference([], []) == 0.0


def test_an_onnx_file_may_answer_minus_infinity_where_the_model_does(tmp_path):
    entry = keras.Input((2,), name="x")
    scores = keras.layers.Lambda(lambda x: tf.where(x > 0, x, -np.inf), output_shape=(2,))(entry)
    model = keras.Model({"x": entry}, {"score": scores})
    x = {"x": np.array([[1.0, 0.0], [0.0, 2.0]], "float32")}
    file = export_onnx(model, tmp_path / "model.onnx")
    assert np.isneginf(load_onnx(file)(x)["score"]).sum() == 2
    assert check_export(model, file, x) == 0.0


def test_check_export_names_a_missing_input(sample, saved):
    model = sample("two_towers")
    x = batch(model, 3, 4)
    del x["item_id"]
    with pytest.raises(ValueError, match="'item_id' of towers is missing"):
        check_export(model, saved("two_towers"), x)


def test_int8_weights_take_a_third_of_the_space_and_stay_near(tmp_path):
    columns = [SparseFeat("user", 3000, embedding_dim=16), SparseFeat("item", 99, embedding_dim=16)]
    model = lively(DeepFM(columns, hidden_units=(32,)))
    generator = np.random.default_rng(0)
    x = {"user": generator.integers(0, 3000, 500), "item": generator.integers(0, 99, 500)}
    whole = export_onnx(model, tmp_path / "whole.onnx")
    small = export_onnx(model, tmp_path / "small.onnx", quantize="dynamic")
    assert small.stat().st_size < whole.stat().st_size / 3
    assert np.ptp(model.predict(x, verbose=0)) > 0.5
    assert 0 < check_export(model, small, x) < 0.05


def test_int8_weights_reach_into_the_recurrence(sample, onnx_of, tmp_path):
    model = sample("dien", "AUGRU")
    x = batch(model, 50, 8)
    small = export_onnx(model, tmp_path / "small.onnx", quantize="dynamic")
    assert set(load_onnx(small).inputs) == set(load_onnx(onnx_of("dien", "AUGRU")).inputs)
    assert 0 < check_export(model, small, x) < 0.05
