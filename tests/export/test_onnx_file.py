import sys

import keras
import numpy as np
import pytest

from deeprec_tf import DenseFeat, RecModel, SparseFeat, VarLenSparseFeat
from deeprec_tf.export import export_onnx, load_onnx, onnx_file
from deeprec_tf.inputs import build_input_layers
from deeprec_tf.models import DIN, DCNv2
from deeprec_tf.tasks import compiled, prediction
from tests.export.samples import batch


@keras.saving.register_keras_serializable(package="tests")
class Erfc(keras.layers.Layer):
    """tf2onnx writes this op without a word; onnxruntime doesn't know it."""

    def call(self, inputs):
        return keras.activations.gelu(inputs, approximate=False)


@keras.saving.register_keras_serializable(package="tests")
class LyingInONNX(keras.layers.Layer):
    """Answers another value each time the graph is traced."""

    traces = 0

    def call(self, inputs):
        LyingInONNX.traces += 1
        return inputs + LyingInONNX.traces


def dense_model(layer):
    columns = [DenseFeat("x", 2)]
    inputs = build_input_layers(columns)
    return compiled(RecModel(inputs, prediction(layer(inputs["x"])), feature_columns=columns))


def test_the_file_has_the_models_names_and_open_axes(onnx_of):
    import onnx

    file = onnx_of("dien", "AUGRU")
    assert [entry.name for entry in file.parent.iterdir()] == ["model.onnx"]
    assert {entry.version for entry in onnx.load(file).opset_import if not entry.domain} == {18}
    artifact = load_onnx(file)
    assert artifact.outputs == ("probability",)
    assert "neg_hist_item_id" not in artifact.inputs
    assert artifact.inputs["hist_item_id"].shape == (None, None)
    assert artifact.inputs["user"].dtype == "int64"


@pytest.mark.parametrize("layer", [Erfc, LyingInONNX])
def test_a_file_that_does_not_answer_alike_is_not_kept(layer, tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"the file of yesterday")
    with pytest.raises(ValueError, match="does not answer as the model does"):
        export_onnx(dense_model(layer()), file)
    assert file.read_bytes() == b"the file of yesterday"
    assert len(list(tmp_path.iterdir())) == 1


def test_wrong_arguments(sample, tmp_path, monkeypatch):
    model = sample("two_towers")
    with pytest.raises(ValueError, match=r"quantize must be one of \(None, 'dynamic'\), got 'int4"):
        export_onnx(model, tmp_path / "model.onnx", quantize="int4")
    with pytest.raises(ValueError, match="must end in '.onnx'"):
        export_onnx(model, tmp_path / "model")
    with pytest.raises(ValueError, match="there is no file"):
        load_onnx(tmp_path / "model.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match="onnxruntime cannot load"):
        load_onnx(tmp_path / "text.onnx")
    monkeypatch.setattr(onnx_file, "_LARGEST_FILE", 10)
    with pytest.raises(ValueError, match="the weights take .* GiB.*export_saved_model"):
        export_onnx(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("library", ["tf2onnx", "onnxruntime"])
def test_a_missing_library_is_named(library, sample, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library} is not installed.*deeprec-tf\[onnx\]"):
        export_onnx(sample("two_towers"), tmp_path / "model.onnx")


def test_rows_can_be_run_in_parts(sample, onnx_of):
    model, artifact = sample("two_towers"), load_onnx(onnx_of("two_towers"))
    x = batch(model, 5, 3)
    parts, whole = artifact(x, batch_size=2), artifact(x)
    np.testing.assert_allclose(parts["probability"], whole["probability"], atol=1e-6)


def dcn(policy):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(1)
    return DCNv2([DenseFeat("x", 512), SparseFeat("item", 10)], hidden_units=(512, 256))


def test_half_precision_may_differ_by_its_rounding(tmp_path):
    model = dcn("mixed_float16")
    x = {"x": np.random.default_rng(0).random((8, 512), "float32"), "item": np.arange(8)}
    found = load_onnx(export_onnx(model, tmp_path / "model.onnx"))(x)
    np.testing.assert_allclose(found["probability"], model.predict(x, verbose=0), atol=5e-3)


def test_bfloat16_is_refused_with_a_way_out_that_works(tmp_path):
    model = dcn("mixed_bfloat16")
    with pytest.raises(ValueError, match="dcnv2: the model computes in bfloat16.*load_weights"):
        export_onnx(model, tmp_path / "model.onnx")
    model.save_weights(tmp_path / "half.weights.h5")
    again = dcn("float32")
    again.load_weights(tmp_path / "half.weights.h5")
    export_onnx(again, tmp_path / "model.onnx")
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["item", "hist_item"])
def test_a_negative_id_is_no_item_from_the_end(name, tmp_path):
    """In ONNX's Gather -1 is the last row, and a request of -1, "unknown", had that answer."""
    past = SparseFeat("hist_item", 30, embedding_dim=4, embedding_name="item")
    model = DIN(
        [SparseFeat("item", 30, embedding_dim=4), VarLenSparseFeat(past, 5)], ["item"],
        attention_units=(4,), hidden_units=(4,),
    )  # fmt: skip
    artifact = load_onnx(export_onnx(model, tmp_path / "din.onnx"))
    x = {"item": [3, 4], "hist_item": [[1, 2], [3, 0]]}
    np.testing.assert_allclose(
        artifact(x)["probability"],
        model.predict({n: np.array(v) for n, v in x.items()}, verbose=0), atol=1e-5,
    )  # fmt: skip
    bad = np.array(x[name])
    bad[(0,) * bad.ndim] = -1
    with pytest.raises(Exception, match="out of data bounds|out of bounds"):
        artifact({**x, name: bad})
