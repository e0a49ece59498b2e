"""The compiled dense part trains exactly as the one graph does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import (
    DenseFeat,
    RecModel,
    SparseFeat,
    VarLenSparseFeat,
    build_embedding_layers,
    build_input_layers,
)
from deeprec_tf.dense_part import compiled_forward_and_back, forward_and_back
from deeprec_tf.layers import Dropout, PredictionLayer
from deeprec_tf.models import DIN, AutoInt, DeepFM, MaskNet, WideDeep

COMPILED = True

GENERATOR = np.random.default_rng(3)
ROWS = 70
COLUMNS = [
    SparseFeat("user", 9, embedding_dim=4),
    SparseFeat("city", 6, embedding_dim=4, trainable=False),
    SparseFeat("raw", 50, embedding_dim=4, use_hash=True),
    DenseFeat("price", 2),
]
X = {
    "user": GENERATOR.integers(0, 9, ROWS), "city": GENERATOR.integers(0, 6, ROWS),
    "raw": GENERATOR.integers(0, 2**40, ROWS),
    "price": GENERATOR.normal(size=(ROWS, 2)).astype("float32"),
}
Y = GENERATOR.integers(0, 2, ROWS)
WEIGHTS = GENERATOR.uniform(0.5, 2, ROWS)


def trained(builder, jit_compile, **options):
    keras.utils.set_random_seed(5)
    model = builder(COLUMNS, hidden_units=(8, 4), jit_compile=jit_compile, **options)
    model.shuffle_seed = 1
    history = model.fit(
        X, Y, sample_weight=WEIGHTS, batch_size=16, epochs=2, verbose=0
    ).history  # 70 = 4 · 16 + 6: the last batch is smaller
    return model, history


@pytest.mark.parametrize("builder", [DeepFM, WideDeep])
@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": "sgd"}, {"batch_norm": True}, {"task": "regression"}],
    ids=["adam", "sgd", "batch norm", "regression"],
)
def test_training_is_that_of_one_graph(builder, options):
    fast, fast_history = trained(builder, "auto", **options)
    assert int(fast._first_rows) == 16, "the dense part was compiled, for the size of a batch"
    plain, plain_history = trained(builder, False, **options)
    assert int(plain._first_rows) == 0
    for mine, other in zip(fast.weights, plain.weights, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-5, err_msg=mine.path)
    for name, values in plain_history.items():
        np.testing.assert_allclose(fast_history[name], values, rtol=1e-4, err_msg=name)


def test_dropout_is_not_compiled():
    """XLA draws three times as slowly on a CPU."""
    model, history = trained(DeepFM, "auto", dropout=0.5)
    assert int(model._first_rows) == 0
    assert np.isfinite(history["loss"]).all()


def test_a_dropout_of_nothing_is_compiled():
    model = MaskNet(COLUMNS[:3], hidden_units=(4,))
    assert any(isinstance(layer, Dropout) for layer in model._flatten_layers())
    model.fit({column.name: X[column.name] for column in COLUMNS[:3]}, Y, batch_size=16, verbose=0)
    assert int(model._first_rows) == 16


@keras.saving.register_keras_serializable(package="tests")
class TiedScore(keras.layers.Layer):
    """Reads the whole table beside the look-up, as a full softmax does."""

    def __init__(self, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def call(self, rows):
        everything = keras.ops.convert_to_tensor(self.table.embeddings)
        scores = keras.ops.matmul(rows, keras.ops.transpose(everything))
        return keras.ops.sum(scores, axis=-1, keepdims=True)


def test_gradients_of_a_table_that_is_also_read_as_a_whole():
    column = SparseFeat("user", 9, embedding_dim=4, embeddings_initializer="glorot_normal")
    inputs, table = build_input_layers([column]), build_embedding_layers([column])["user"]
    score = TiedScore(table)(table(inputs["user"]))
    model = RecModel(inputs, PredictionLayer()(score), feature_columns=[column])
    model.compile("adam", "binary_crossentropy")
    x = {"user": tf.constant([1, 1, 5])}
    y = tf.constant([[0.0], [1.0], [1.0]])
    first_rows = tf.Variable(0, dtype="int64")

    @tf.function
    def both():
        fast = compiled_forward_and_back(model, x, y, None, first_rows)
        plain = forward_and_back(model, x, y, None)
        return [
            [tf.convert_to_tensor(g) for g in done.gradients] for done in (fast, plain)
        ] + [fast.loss, plain.loss]

    fast, plain, fast_loss, plain_loss = both()
    assert float(fast_loss) == pytest.approx(float(plain_loss), rel=1e-6)
    assert float(tf.reduce_max(tf.abs(plain[0]))) > 1e-3
    for mine, other in zip(fast, plain, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


def test_a_table_looked_up_twice_gets_both_gradients():
    columns = [SparseFeat("a", 7, embedding_dim=3, embedding_name="t"),
               SparseFeat("b", 7, embedding_dim=3, embedding_name="t")]  # fmt: skip
    x = {"a": np.array([1, 2, 3, 1]), "b": np.array([3, 3, 1, 6])}

    def moved(jit_compile):
        keras.utils.set_random_seed(2)
        inputs = build_input_layers(columns)
        table = build_embedding_layers(columns)["t"]
        product = keras.layers.Dot(1)([table(inputs["a"]), table(inputs["b"])])
        model = RecModel(inputs, PredictionLayer()(product), feature_columns=columns)
        model.compile("sgd", "binary_crossentropy", jit_compile=jit_compile)
        before = table.embeddings.numpy()
        model.fit(x, [0, 1, 1, 0], epochs=1, verbose=0, shuffle=False)
        return table.embeddings.numpy() - before

    np.testing.assert_allclose(moved("auto"), moved(False), atol=1e-7)


def test_a_loss_that_xla_refuses_stays_in_one_graph():
    def loss(y, p):
        penalty = tf.numpy_function(lambda v: v.astype("float32"), [y], tf.float32)
        return keras.losses.binary_crossentropy(y, p) + 0 * tf.reduce_sum(penalty)

    model = WideDeep([COLUMNS[0]], hidden_units=(2,), loss=loss)
    history = model.fit({"user": X["user"]}, Y, verbose=0).history
    assert int(model._first_rows) == 0 and np.isfinite(history["loss"]).all()


def test_what_is_not_in_the_graph_stays_in_one_graph():
    """Tables inside other models, Lambda layers, functions of the user's own."""
    column = SparseFeat("user", 9, embedding_dim=4)

    def history(make, dataset=None):
        inputs, table = build_input_layers([column]), build_embedding_layers([column])["user"]
        hidden = make(table, inputs["user"])
        model = RecModel(
            inputs, PredictionLayer()(keras.layers.Dense(1)(hidden)), feature_columns=[column]
        )
        model.compile("adam", "binary_crossentropy")
        losses = model.fit({"user": X["user"]}, Y, verbose=0).history["loss"]
        assert int(model._first_rows) == 0 and np.isfinite(losses).all()

    def refused(values):
        same = tf.numpy_function(lambda v: v, [values], tf.float32)
        return values + tf.stop_gradient(tf.ensure_shape(same, values.shape))

    def nested(table, ids):
        inner = keras.Input((), dtype="int32")
        part = keras.Model(inner, keras.layers.Dense(3)(table(inner)))
        return keras.layers.Concatenate()([table(ids), part(ids)])

    history(nested)
    history(lambda table, ids: keras.layers.Lambda(refused, output_shape=(4,))(table(ids)))
    history(lambda table, ids: keras.layers.Dense(4, activation=refused)(table(ids)))


def test_datasets_of_tuples_and_tensors_train():
    column = SparseFeat("user", 9, embedding_dim=4)
    inputs, table = build_input_layers([column]), build_embedding_layers([column])["user"]
    output = PredictionLayer()(keras.layers.Dense(1)(table(inputs["user"])))
    for given in ([inputs["user"]], inputs["user"]):
        model = RecModel(given, output, feature_columns=[column])
        model.compile("adam", "binary_crossentropy")
        x = (X["user"],) if isinstance(given, list) else X["user"]
        dataset = tf.data.Dataset.from_tensor_slices((x, Y)).batch(16)
        assert np.isfinite(model.fit(dataset, verbose=0).history["loss"]).all()


def test_steps_per_epoch_counts_steps():
    model = WideDeep([COLUMNS[0]], hidden_units=(2,))
    model.fit({"user": X["user"]}, Y, batch_size=8, epochs=2, steps_per_epoch=3, verbose=0)
    assert int(model.optimizer.iterations) == 6


def test_histories_and_strategies_are_not_compiled():
    item = SparseFeat("item", 9, embedding_dim=4)
    past = VarLenSparseFeat(
        SparseFeat("hist_item", 9, embedding_dim=4, embedding_name="item"), maxlen=3
    )
    model = DIN([item, past], ["item"], hidden_units=(4,))
    x = {"item": [1, 2], "hist_item": [[1, 0, 0], [2, 3, 0]]}
    model.fit(x, [0, 1], verbose=0)
    assert int(model._first_rows) == 0
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = WideDeep([item], hidden_units=(4,))
    model.fit({"item": [1, 2]}, [0, 1], verbose=0)
    assert int(model._first_rows) == 0


def test_layers_that_are_slower_compiled_are_not_compiled():
    model = AutoInt(COLUMNS, num_layers=1, hidden_units=(4,))
    model.fit(X, Y, verbose=0)
    assert int(model._first_rows) == 0


def test_products_of_bfloat16_are_not_compiled():
    model = DeepFM(COLUMNS, hidden_units=(8,))
    model.fit(X, Y, batch_size=35, verbose=0)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = DeepFM(COLUMNS, hidden_units=(8,))
        half.fit(X, Y, batch_size=35, verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert (int(model._first_rows), int(half._first_rows)) == (35, 0)


def test_the_first_size_counts_in_every_fit():
    model = WideDeep([COLUMNS[0]], hidden_units=(2,))
    for size in (8, 32):
        model.fit({"user": X["user"]}, Y, batch_size=size, verbose=0)
        assert int(model._first_rows) == size


@pytest.mark.parametrize("call", ["fit", "train_on_batch"])
def test_a_step_is_traced_once(call):
    """And the model but for the step: the variables of its metrics come from shapes alone."""
    traces, calls = [], []

    class Counted(RecModel):
        def train_step(self, data):
            traces.append(1)
            return super().train_step(data)

        def call(self, *args, **options):
            calls.append(1)
            return super().call(*args, **options)

    column = SparseFeat("user", 9, embedding_dim=4)
    inputs, table = build_input_layers([column]), build_embedding_layers([column])["user"]
    output = PredictionLayer()(keras.layers.Dense(1)(table(inputs["user"])))
    model = Counted(inputs, output, feature_columns=[column])
    metrics = [keras.metrics.AUC(name="auc"), keras.metrics.F1Score(threshold=0.5, name="f1")]
    model.compile("adam", "binary_crossentropy", metrics=metrics)
    if call == "fit":
        figures = model.fit({"user": X["user"]}, Y, verbose=0).history
    else:
        figures = model.train_on_batch({"user": X["user"]}, Y, return_dict=True)
    assert len(traces) == 1 and set(figures) == {"loss", "auc", "f1"}
    assert len(calls) == 2, "in the step: compiled, and for batches of another size"
