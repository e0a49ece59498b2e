"""Attention weights and gates of whole models, by one call."""

import keras
import numpy as np
import pytest

from deeprec_tf import SparseFeat
from deeprec_tf.engine import part_of
from deeprec_tf.evaluation import look_inside
from deeprec_tf.models import DIEN, DIN, DeepFM, MaskNet
from tests.export.samples import lively
from tests.models.samples import COLUMNS, ITEM, LABELS, WITH_NEGATIVES, batch, history
from tests.reference.behavior import bilinear_attention, weighted_sum

REAL = np.arange(5) < np.array([[5], [0], [2], [1]])


def given_to(model, layer, x):
    """The arrays that a layer of a model is given."""
    tensors = model.get_layer(layer)._inbound_nodes[0].input_tensors
    cut = part_of(model, {str(k): tensor for k, tensor in enumerate(tensors)}, "given")
    values = cut.predict_on_batch({name: x[name] for name in cut.input})
    return [np.asarray(values[str(k)], "float64") for k in range(len(tensors))]


@pytest.mark.parametrize("attention", ["bilinear", "mlp"])
def test_attention_of_dien_is_a_softmax_over_the_real_steps(attention):
    model = lively(DIEN(COLUMNS, ["item_id"], attention=attention, attention_units=(6, 3)))
    inside = look_inside(model, batch())
    assert list(inside.layers) == ["relevance"] and inside.importance is None
    weights = inside.layers["relevance"]["weights"]
    assert weights.shape == (4, 5) and weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(1), REAL.any(1), atol=1e-6)
    assert np.all(weights[~REAL] == 0)
    if attention == "bilinear":
        target, states, _ = given_to(model, "relevance", batch())
        kernel = model.get_layer("relevance").kernel.numpy()
        np.testing.assert_allclose(
            weights, bilinear_attention(target, states, REAL, kernel), atol=1e-5
        )


def test_weights_of_din_are_those_that_its_layer_sums_with():
    model = lively(DIN(COLUMNS, ["item_id"], attention_units=(6, 3)))
    weights = look_inside(model, batch()).layers["interest"]["weights"]
    assert np.all(weights[~REAL] == 0) and np.ptp(weights[REAL]) > 0.1
    behaviors = given_to(model, "interest", batch())[1]
    pooled = part_of(model, {"pooled": model.get_layer("interest").output}, "pooled")
    pooled = pooled.predict_on_batch({name: batch()[name] for name in pooled.input})["pooled"]
    np.testing.assert_allclose(weighted_sum(weights, behaviors), pooled, atol=1e-5)


def test_batches_of_any_size_give_the_same():
    model = lively(DIEN(COLUMNS, ["item_id"]))
    whole = look_inside(model, batch()).layers["relevance"]["weights"]
    for size in (1, 3):
        parts = look_inside(model, batch(), batch_size=size).layers["relevance"]["weights"]
        np.testing.assert_allclose(parts, whole, atol=1e-6)


def test_inputs_of_training_alone_may_be_left_out_and_others_may_stand_there():
    model = lively(DIEN(WITH_NEGATIVES, ["item_id"]))
    x = batch(WITH_NEGATIVES) | {"user": np.arange(4)}
    whole = look_inside(model, x).layers["relevance"]["weights"]
    del x["neg_hist_item_id"]
    np.testing.assert_array_equal(look_inside(model, x).layers["relevance"]["weights"], whole)


def test_a_reloaded_model(tmp_path):
    model = lively(DIEN(WITH_NEGATIVES, ["item_id"]))
    model.save(tmp_path / "dien.keras")
    again = keras.saving.load_model(tmp_path / "dien.keras")
    x = batch(WITH_NEGATIVES)
    np.testing.assert_allclose(
        look_inside(again, x).layers["relevance"]["weights"],
        look_inside(model, x).layers["relevance"]["weights"], atol=1e-6,
    )


def test_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = lively(DIN(COLUMNS, ["item_id"], attention_units=(6, 3), normalize=True))
    keras.config.set_dtype_policy("float32")
    full = lively(DIN(COLUMNS, ["item_id"], attention_units=(6, 3), normalize=True))
    full.set_weights(half.get_weights())
    weights = look_inside(half, batch()).layers["interest"]["weights"]
    assert weights.dtype == np.float32
    np.testing.assert_allclose(
        weights, look_inside(full, batch()).layers["interest"]["weights"], atol=0.1
    )
    np.testing.assert_allclose(weights.sum(1), REAL.any(1), atol=1e-5)


def test_gates_of_a_model_without_a_history():
    columns = [SparseFeat("user", 5), SparseFeat("item", 7)]
    model = lively(MaskNet(columns, block_units=(6, 6), hidden_units=(4,)))
    x = {"user": np.arange(3), "item": np.arange(3)}
    inside = look_inside(model, x)
    names = [layer.name for layer in model.layers if hasattr(layer, "explain")]
    assert len(names) == 2 and list(inside.layers) == names
    for name in names:
        assert inside.layers[name]["masks"].shape[0] == 3
        assert (name, "masks") in inside.per_row


@keras.saving.register_keras_serializable(package="test")
class Scaled(keras.layers.Layer):
    """Weighs fields by numbers that are the same for all rows, and by some that are not."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.scale

    def explain(self, x):
        return {"scale": self.scale, "product": x * self.scale}


def test_weights_of_a_layer_and_weights_of_a_row_are_told_apart_and_uses_are_numbered():
    x = keras.Input((2,), name="x")
    layer = Scaled(name="scaled")
    model = keras.Model({"x": x}, layer(layer(x)))
    layer.scale.assign([2.0, 3.0])
    rows = np.arange(4.0, dtype="float32").reshape(2, 2)  # as many rows as there are weights
    inside = look_inside(model, {"x": rows}, batch_size=1)
    assert list(inside.layers) == ["scaled_1", "scaled_2"]
    assert inside.per_row == {("scaled_1", "product"), ("scaled_2", "product")}
    np.testing.assert_array_equal(inside.layers["scaled_1"]["scale"], [2, 3])
    np.testing.assert_array_equal(inside.layers["scaled_2"]["product"], rows * [4, 9])


def test_importance_comes_with_labels_also_where_there_is_nothing_to_look_into():
    model = lively(DeepFM([SparseFeat("user", 5), SparseFeat("item", 7)], hidden_units=(4,)))
    x = {"user": np.arange(5), "item": np.arange(5)}
    inside = look_inside(model, x, [0, 1, 0, 1, 1], repeats=2)
    assert inside.layers == {} and set(inside.importance.index) == {"user", "item"}
    assert inside.plot().axes[0].get_title(loc="left") == "AUC drop"


def test_the_picture_has_a_panel_an_array_and_is_saved(tmp_path):
    model = lively(DIN(COLUMNS, ["item_id"], attention_units=(6, 3)))
    inside = look_inside(model, batch(), LABELS, repeats=1)
    figure = inside.plot(tmp_path / "inside.png", rows=3)
    assert (tmp_path / "inside.png").stat().st_size > 5000
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:2] == ["interest: weights", "AUC drop"]
    (image,) = figure.axes[0].images
    np.testing.assert_array_equal(image.get_array(), inside.layers["interest"]["weights"][:3])
    with pytest.raises(ValueError, match="rows must be at least 1, got 0"):
        inside.plot(rows=0)


def test_errors():
    fields = DeepFM([SparseFeat("user", 5), SparseFeat("item", 7)], hidden_units=(4,))
    with pytest.raises(ValueError, match="no layer that weighs its inputs.*Give labels"):
        look_inside(fields, {"user": [1], "item": [1]})
    model = DIN([ITEM, history("hist_item_id")], ["item_id"])
    with pytest.raises(ValueError, match="input 'hist_item_id' is missing in x"):
        look_inside(model, {"item_id": [1]})
    with pytest.raises(TypeError, match="x must be a dict of arrays or a DataFrame, got list"):
        look_inside(model, [[1]])
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        look_inside(model, batch(), batch_size=0)
    with pytest.raises(ValueError, match="id 99"):
        look_inside(model, batch() | {"item_id": np.array([99, 1, 1, 1])})
