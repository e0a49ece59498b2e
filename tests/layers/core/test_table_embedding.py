import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers.core.table_embedding import TableEmbedding
from tests.devices import zeros_for_outside

VALUES = np.arange(12, dtype="float32").reshape(6, 2)


def table(**options):
    return TableEmbedding(6, 2, pretrained=VALUES, name="table", **options)


def model(layer):
    ids = keras.Input((None,), dtype="int64", name="ids")
    return keras.Model(ids, layer(ids))


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 1, 3)])
def test_rows_are_looked_up(dtype, shape):
    ids = np.random.default_rng(0).integers(0, 6, shape).astype(dtype)
    vectors = table()(ids)
    np.testing.assert_array_equal(vectors, VALUES[ids])
    assert vectors.shape == (*shape, 2)


def test_symbolic_shape_dtype_and_mask():
    ids = keras.Input((None, 3), dtype="int32")
    vectors = table(dtype="mixed_bfloat16")(ids)
    assert vectors.shape == (None, None, 3, 2)
    assert vectors.dtype == "bfloat16"
    assert not vectors.sparse
    assert keras.src.backend.get_keras_mask(vectors) is None
    assert table().compute_output_shape((None, 5)) == (None, 5, 2)


def test_a_mask_on_the_ids_ends_here():
    ids = keras.ops.convert_to_tensor([[1, 0]])
    keras.src.backend.set_keras_mask(ids, keras.ops.convert_to_tensor([[True, False]]))
    assert keras.src.backend.get_keras_mask(table()(ids)) is None


@zeros_for_outside
def test_large_ids_are_not_truncated():
    with pytest.raises(tf.errors.InvalidArgumentError):
        table()(np.array([2**32 + 1]))                # 1 once cut to 32 bits


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_table_is_never_read_whole_and_its_gradient_is_float32_rows(policy):
    layer = table(dtype=policy)
    layer.build((None,))

    @tf.function
    def gradient(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(ids)))
        return tape.gradient(loss, layer.trainable_variables)[0]

    graph = gradient.get_concrete_function(tf.TensorSpec((3,), tf.int64)).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "ResourceGather" in kinds
    assert "ReadVariableOp" not in kinds
    rows = gradient(tf.constant([1, 4, 1], tf.int64))
    assert isinstance(rows, tf.IndexedSlices)
    assert rows.dtype == "float32"
    np.testing.assert_array_equal(rows.indices, [1, 4, 1])
    np.testing.assert_array_equal(rows.values, 2 * VALUES[[1, 4, 1]])
    assert layer.embeddings.dtype == "float32"


def test_compiled_by_xla():
    layer = table()
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_array_equal(compiled(tf.constant([[5, 0]])), VALUES[[[5, 0]]])


def test_saved_models_keep_the_weights_and_no_start_values(tmp_path):
    built = model(table(trainable=False))
    built.layers[1].embeddings.assign_add(np.ones((6, 2)))
    built.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    layer = loaded.get_layer("table")
    np.testing.assert_array_equal(layer.embeddings.numpy(), VALUES + 1)
    assert not layer.trainable
    assert "pretrained" not in layer.get_config()
    assert layer.get_config() == built.layers[1].get_config()


def test_exported(tmp_path):
    built = model(table())
    built.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_array_equal(served.serve(np.array([[3, 1]])), VALUES[[[3, 1]]])


def test_onnx():
    tf2onnx = pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    built = model(table())
    proto, _ = tf2onnx.convert.from_function(
        tf.function(lambda ids: {"vectors": built(ids)}),
        input_signature=[tf.TensorSpec((None, None), tf.int64, name="ids")],
        opset=18,
    )
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (vectors,) = session.run(None, {"ids": np.array([[3, 1, 5]])})
    np.testing.assert_array_equal(vectors, VALUES[[[3, 1, 5]]])


def test_start_values():
    array = VALUES.copy()
    layer = TableEmbedding(6, 2, pretrained=array)
    array[:] = -1                                     # the layer has its own copy
    layer.build((None,))
    np.testing.assert_array_equal(layer.embeddings.numpy(), VALUES)

    keras.utils.set_random_seed(3)
    shared = keras.initializers.RandomNormal(stddev=2.0)
    tables = [TableEmbedding(500, 4, embeddings_initializer=i) for i in (None, shared, shared)]
    for layer in tables:
        layer.build((None,))
    default, one, two = (layer.embeddings.numpy() for layer in tables)
    assert not np.array_equal(one, two)
    assert 0.009 < default.std() < 0.011
    assert 1.8 < one.std() < 2.2


def test_seeds_give_equal_tables():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        layer = TableEmbedding(6, 2)
        layer.build((None,))
        weights.append(layer.embeddings.numpy())
    np.testing.assert_array_equal(*weights)


def test_errors():
    with pytest.raises(TypeError, match=r"'table': ids must be integers, got float32.*dtype='int"):
        table()(keras.Input((3,)))
    with pytest.raises(TypeError, match=r"ids must be integers, got float"):
        table()(np.array([1.0]))
    with pytest.raises(ValueError, match=r"\(vocabulary_size, embedding_dim\) = \(5, 2\), got \(6"):
        TableEmbedding(5, 2, pretrained=VALUES)
    for sizes, name in (((0, 2), "vocabulary_size"), ((5, 2.0), "embedding_dim")):
        with pytest.raises(ValueError, match=rf"{name} must be an integer of at least 1"):
            TableEmbedding(*sizes)
