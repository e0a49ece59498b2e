"""Data sets of the user's own: what is refused in words."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.graph import input_facts
from deeprec_tf.models import BST, DIEN, DIN, DSIN, HSTU, LR, DeepFM, SASRec, SharedBottom
from deeprec_tf.recall import next_item_columns
from tests.contract.checks import dtype_policy
from tests.models.samples import COLUMNS, ITEM, ITEMS, PRICE, WITH_NEGATIVES, batch, history

MAXLEN, LONGER = 3, 5
MESSAGE = r"has (5|too many) steps, more than its maxlen 3\. Keep the newest 3 of each row or raise"


def sasrec():
    return SASRec(*next_item_columns(9, maxlen=MAXLEN, embedding_dim=4), num_layers=1, num_heads=1)


def din():
    item = SparseFeat("item_id", 10, embedding_dim=4)
    past = SparseFeat("hist_item_id", 10, embedding_dim=4, embedding_name="item_id")
    columns = [item, VarLenSparseFeat(past, maxlen=MAXLEN, weight_name="weight")]
    return DIN(columns, ["item_id"], attention_units=(4,), hidden_units=(4,))


def batches(steps, *, known):
    """Batches of four rows, their number of steps known beforehand or not."""
    x = {
        "item_id": np.arange(1, 9), "hist_item_id": np.full((8, steps), 2),
        "weight": np.ones((8, steps), "float32"),
    }  # fmt: skip
    data = tf.data.Dataset.from_tensor_slices((x, np.ones(8, "float32"))).batch(4)
    if known:
        return data

    def hidden(value):
        shape = tf.TensorShape([None] * value.shape.rank)
        return tf.raw_ops.PlaceholderWithDefault(input=value, shape=shape)

    return data.map(lambda x, y: ({name: hidden(x[name]) for name in x}, y))


def without_weight(dataset):
    return dataset.map(lambda x, y: ({n: x[n] for n in ("item_id", "hist_item_id")}, y))


@pytest.mark.parametrize("known", [True, False])
def test_histories_longer_than_maxlen_are_refused(known):
    error = ValueError if known else tf.errors.InvalidArgumentError
    too_long, fits = (without_weight(batches(n, known=known)) for n in (LONGER, MAXLEN))
    model = sasrec()
    with pytest.raises(error, match="sasrec: '?hist_item_id'? " + MESSAGE):
        model.fit(too_long, verbose=0)
    with pytest.raises(error, match="sasrec: '?hist_item_id'? " + MESSAGE):
        model.evaluate(too_long, verbose=0)
    with pytest.raises(error, match=MESSAGE):
        model.predict(too_long, verbose=0)
    model.fit(fits, validation_data=fits, verbose=0)
    with pytest.raises(error, match="sasrec: '?hist_item_id'? " + MESSAGE):
        model.fit(fits, validation_data=too_long, verbose=0)
    assert model.predict(fits, verbose=0).shape == (8, 1)


def test_so_are_weights_along_a_history():
    model = din()
    with pytest.raises(ValueError, match="din: '(hist_item_id|weight)' " + MESSAGE):
        model.fit(batches(LONGER, known=True), verbose=0)


@pytest.mark.parametrize("name", ["a_first", "z_last"])
def test_what_is_no_input_is_refused_and_shifts_nothing(name):
    """Keras takes the values of a dict by the order of their names."""
    model = LR([SparseFeat("item", 5), SparseFeat("user", 5)])
    x, y = {"item": np.array([1, 2, 3, 4]), "user": np.array([4, 3, 2, 1])}, np.ones(4, "float32")
    data = tf.data.Dataset.from_tensor_slices((x | {name: np.array([0, 0, 1, 1])}, y)).batch(2)
    message = f"lr: the batches have '{name}', which is no input of the model. Drop it"
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=message):
            call(data, verbose=0)
    without = data.map(lambda x, y: ({"user": x["user"]}, y))
    with pytest.raises(ValueError, match="lr: input 'item' is missing in the batches"):
        model.fit(without, verbose=0)


class Batches(keras.utils.PyDataset):
    """Two batches with a name too many."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {"a_first": np.ones(3), "item": np.arange(3), "user": np.arange(3)}, np.ones((3, 1))


def test_so_it_is_in_batches_that_keras_reads():
    model = LR([SparseFeat("item", 5), SparseFeat("user", 5)])
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="'a_first' is no input of the model"):
            call(Batches(), verbose=0)


# ---- padding before a real step --------------------------------------------------------------

PRE_PADDED = r"'hist_item_id' has padding \(0\) before a real id in row 2: .* left-aligned"
BST_SIZES = {"num_heads": 2, "hidden_size": 4, "hidden_units": (4,)}
Y = np.ones(4, "float32")


def pre_padded(columns):
    return {n: v[:, ::-1] if "hist_" in n else v for n, v in batch(columns).items()}


@pytest.mark.parametrize("readout", ["target", "flatten"])
def test_what_counts_steps_from_the_target_refuses_padding_in_front(readout, tmp_path):
    model = BST(COLUMNS, ["item_id"], readout=readout, **BST_SIZES)
    model.save(tmp_path / "model.keras")
    for one in (model, keras.saving.load_model(tmp_path / "model.keras")):
        for call in (lambda x, m=one: m.fit(x, Y, verbose=0), one.predict, one.predict_on_batch):
            with pytest.raises(ValueError, match=f"bst.*: {PRE_PADDED}"):
                call(pre_padded(COLUMNS))
        one.predict_on_batch(batch(COLUMNS))


@pytest.mark.parametrize("sessions", [[[0, 0], [1, 2]], [[1, 2], [0, 3]]])
def test_sessions_and_what_is_in_them_stand_in_front(sessions):
    past = SparseFeat("hist_item_id", ITEMS, embedding_dim=4, embedding_name="item_id")
    columns = [ITEM, VarLenSparseFeat(past, maxlen=3, group=2)]
    model = DSIN(columns, ["item_id"], num_heads=2, hidden_units=(4,))
    model.predict({"item_id": [1, 2], "hist_item_id": [[[1, 2], [3, 0]]] * 2}, verbose=0)
    with pytest.raises(ValueError, match="dsin.predict: 'hist_item_id' has padding .* in row 1"):
        model.predict({"item_id": [1, 2], "hist_item_id": [[[1, 2], [3, 0]], sessions]})


def test_the_auxiliary_loss_does_too_and_predictions_need_not():
    model = DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(4,))
    x, turned = batch(WITH_NEGATIVES), pre_padded(WITH_NEGATIVES)
    with pytest.raises(ValueError, match=f"dien.fit: {PRE_PADDED}"):
        model.fit(turned, Y, verbose=0)
    model.fit(x, Y, verbose=0)
    assert model.predict(turned, verbose=0).shape == (4, 1)


@pytest.mark.parametrize("builder", [DIN, DIEN])
def test_where_places_do_not_count_padding_stands_anywhere(builder):
    tags = VarLenSparseFeat(SparseFeat("tags", 5, embedding_dim=4), maxlen=3)
    model = builder([ITEM, PRICE, history("hist_item_id"), tags], ["item_id"], hidden_units=(4,))
    x = batch(COLUMNS) | {"tags": np.array([[0, 1, 2]] * 4)}
    turned = x | {"hist_item_id": np.array([[0, 0, 0, 3, 4]] * 4)}
    straight = x | {"hist_item_id": np.array([[3, 4, 0, 0, 0]] * 4)}
    np.testing.assert_allclose(
        model.predict(turned, verbose=0), model.predict(straight, verbose=0), atol=1e-6
    )


def test_pooled_sequences_of_a_model_that_counts_steps_may_have_holes():
    tags = VarLenSparseFeat(SparseFeat("tags", 5, embedding_dim=4), maxlen=3)
    model = BST([*COLUMNS, tags], ["item_id"], **BST_SIZES)
    model.predict(batch(COLUMNS) | {"tags": np.array([[0, 1, 2]] * 4)}, verbose=0)


@pytest.mark.parametrize("known", [True, False])
def test_recall_refuses_padding_in_front_in_datasets(known):
    model = sasrec()

    def turned(data, name="hist_item_id"):
        return data.map(lambda x, y: (x | {name: x[name] * tf.constant([0, 1, 1], "int64")}, y))

    good = without_weight(batches(MAXLEN, known=known))
    bad, message = turned(good), (
        r"hist_item_id has padding \(0\) before a real id\. Sequences are left-aligned: put all "
        r"padding at the end\. The first such row:.*\[0 2 2\]"
    )
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(tf.errors.InvalidArgumentError, match=rf"sasrec\.\w+: {message}"):
            call(bad, verbose=0)
        call(good, verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"sasrec\.fit\(validation_data\): h"):
        model.fit(good, validation_data=bad, verbose=0)


def test_so_does_what_counts_steps_where_the_layer_that_counts_is_run():
    def data(x):
        return tf.data.Dataset.from_tensor_slices((x, Y)).batch(2)

    bst = BST(COLUMNS, ["item_id"], **BST_SIZES)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"bst.predict: hist_item_id has padd"):
        bst.predict(data(pre_padded(COLUMNS)), verbose=0)
    dien = DIEN(WITH_NEGATIVES, ["item_id"], hidden_units=(4,))
    with pytest.raises(tf.errors.InvalidArgumentError, match="dien.fit: .*has padding"):
        dien.fit(data(pre_padded(WITH_NEGATIVES)), verbose=0)
    assert dien.predict(data(pre_padded(WITH_NEGATIVES)), verbose=0).shape == (4, 1)
    din_columns = [ITEM, PRICE, history("hist_item_id")]
    model = DIN(din_columns, ["item_id"], hidden_units=(4,))
    model.fit(data(pre_padded(din_columns)), verbose=0)


@pytest.mark.parametrize("sessions", [[[0, 0], [1, 2]], [[1, 2], [0, 3]]])
def test_sessions_in_datasets_stand_in_front(sessions):
    past = SparseFeat("hist_item_id", ITEMS, embedding_dim=4, embedding_name="item_id")
    columns = [ITEM, VarLenSparseFeat(past, maxlen=3, group=2)]
    model = DSIN(columns, ["item_id"], num_heads=2, hidden_units=(4,))
    x = {"item_id": [1, 2], "hist_item_id": [[[1, 2], [3, 0]]] * 2}
    model.predict(tf.data.Dataset.from_tensor_slices(x).batch(2), verbose=0)
    x["hist_item_id"] = [[[1, 2], [3, 0]], sessions]
    with pytest.raises(tf.errors.InvalidArgumentError, match="dsin.predict: hist_item_id has padd"):
        model.predict(tf.data.Dataset.from_tensor_slices(x).batch(2), verbose=0)


def test_texts_stand_in_front_too():
    item = SparseFeat("item_id", 50, embedding_dim=4, use_hash=True, dtype="string")
    past = SparseFeat("hist_item_id", 50, embedding_dim=4, embedding_name="item_id",
                      use_hash=True, dtype="string")  # fmt: skip
    model = BST([item, VarLenSparseFeat(past, maxlen=3)], ["item_id"], **BST_SIZES)

    def data(past):
        x = {"item_id": ["a", "b"], "hist_item_id": [["a", "b", ""], past]}
        return tf.data.Dataset.from_tensor_slices(x).batch(2)

    model.predict(data(["c", "", ""]), verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="hist_item_id has padding"):
        model.predict(data(["", "", "c"]), verbose=0)


# ---- labels ------------------------------------------------------------------------------------

NAN = np.nan
USER = [SparseFeat("user", 5)]
REFUSED = tf.errors.InvalidArgumentError


def labelled(y, dtype="float32"):
    """Four rows with these labels, in two batches."""
    y = tf.nest.map_structure(lambda values: np.asarray(values, dtype), y)
    return tf.data.Dataset.from_tensor_slices(({"user": [1, 2, 3, 4]}, y)).batch(2)


def of_tasks(**labels):
    y = {"ctr": [0, 1, 0, 1], "kind": [0, 1, 2, 3], "pay": [0.5, 7, -2, 1e6]} | labels
    return labelled({task: np.array(values) for task, values in y.items()})


@pytest.mark.parametrize(
    ("labels", "dtype", "message"),
    [
        ([0, 1, NAN, 1], "float32", "holds NaN or infinity.*In models of several tasks NaN marks"),
        ([0, 1, np.inf, 1], "float64", "holds NaN or infinity"),
        ([0, -1, 1, 5], "int64", r"lies outside 0\.\.1\. Mend the label.*\[-1\]"),
        ([0, 1, 1, 2.5], "float32", r"lies outside 0\.\.1.*\[2.5\]"),
        ([0, 1, 1, 255], "uint8", r"lies outside 0\.\.1"),
    ],
)
def test_labels_of_datasets_are_refused_as_those_of_arrays(labels, dtype, message):
    model = LR(USER)
    with pytest.raises(REFUSED, match=rf"lr\.evaluate: y {message}"):
        model.evaluate(labelled(np.array(labels), dtype), verbose=0)
    with pytest.raises(REFUSED, match=r"lr\.fit\(validation_data\): y "):
        model.fit(labelled(np.ones(4)), validation_data=labelled(np.array(labels), dtype),
                  verbose=0)  # fmt: skip
    with pytest.raises(REFUSED, match=rf"lr\.fit: y {message}"):
        model.fit(labelled(np.array(labels), dtype), verbose=0)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.trainable_weights)
    assert model.predict(labelled(np.array(labels), dtype), verbose=0).shape == (4, 1)


def test_labels_of_datasets_that_fit():
    for labels, dtype in (([0, 1, 0.5, 1], "float32"), ([0, 1, 0, 1], "uint8"),
                          ([0, 1, 0, 1], "bool")):  # fmt: skip
        LR(USER).fit(labelled(np.array(labels), dtype), verbose=0)
    LR(USER, task="regression").fit(labelled(np.array([-3.0, 7, 0, 1])), verbose=0)
    model = SharedBottom(USER, task_names=["kind"], task_types=[300], hidden_units=(2,))
    model.fit(labelled(np.array([0, 255, 2, 1]), "uint8"), verbose=0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(ignore_class=-1))
    model.fit(labelled(np.array([0, -1, 2, 1])), verbose=0)


@pytest.mark.parametrize("labels", [[0, 300, 1, 1], [0, -1, 1, 1], [0, 0.5, 1, 1]])
def test_classes_of_datasets(labels):
    model = SharedBottom(USER, task_names=["kind"], task_types=[300], hidden_units=(2,))
    with pytest.raises(REFUSED, match=r"fit: y lies outside the classes 0\.\.299\. Mend"):
        model.fit(labelled(np.array(labels)), verbose=0)


def test_texts_as_labels_of_datasets():
    with pytest.raises(TypeError, match="lr.fit: y must hold numbers, got dtype string. Encode"):
        LR(USER).fit(labelled(np.array(["a", "b", "a", "b"]), str), verbose=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"ctr": [0, 1, 1, 2]}, r"y\[ctr\] lies outside 0\.\.1\. .*; NaN marks a row"),
        ({"kind": [0, 1, 7, -1]}, r"y\[kind\] lies outside the classes 0\.\.3\. .*\[7 -1\]"),
        ({"pay": [0, 1, np.inf, NAN]}, r"y\[pay\] holds infinity\. NaN marks a row without label"),
    ],
)
def test_labels_of_several_tasks_in_datasets(labels, message):
    model = SharedBottom(
        USER, task_names=("ctr", "kind", "pay"), task_types=("binary", 4, "regression"),
        hidden_units=(2,),
    )  # fmt: skip
    with pytest.raises(REFUSED, match=rf"shared_bottom\.fit: {message}"):
        model.fit(of_tasks(**labels), verbose=0)
    lacking = {task: [NAN, 1, NAN, 0] for task in ("ctr", "kind", "pay")}
    model.fit(of_tasks(**lacking), verbose=0)
    model.predict(of_tasks(**labels), verbose=0)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def test_rewards_of_recall_are_finite():
    def data(reward):
        return without_weight(batches(MAXLEN, known=True)).map(lambda x, y: (x, y * reward))

    model = sasrec()
    model.fit(data(-2.5), verbose=0)
    with pytest.raises(REFUSED, match="sasrec.fit: y holds NaN or infinity"):
        model.fit(data(NAN), verbose=0)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_numbers_beyond_float16_are_refused_where_a_layer_reads_them_in_it(dtype, tmp_path):
    columns = [SparseFeat("user", 3), SparseFeat("item", 3), DenseFeat("price", dtype=dtype)]
    x = {"user": np.array([0, 1]), "item": np.array([1, 2]), "price": np.array([3, 70_000])}
    with dtype_policy("mixed_float16"):
        model = DeepFM(columns, hidden_units=(4,))
        linear = DeepFM(columns, hidden_units=())  # which reads numbers in float32
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"fit: 'price' holds .*70000.* in row 1, too large for f"):
        model.fit(x, np.array([0, 1]), verbose=0)
    model = keras.models.load_model(tmp_path / "model.keras", compile=False)
    with pytest.raises(ValueError, match=r"predict: 'price' holds .* too large for float16\. Sc"):
        model.predict(x, verbose=0)
    assert np.isfinite(model.predict({**x, "price": x["price"] / 1000 // 1}, verbose=0)).all()
    assert input_facts(model).float16 == {"price"} and not input_facts(linear).float16
    assert np.isfinite(linear.predict(x, verbose=0)).all()
    assert np.isfinite(DeepFM(columns, hidden_units=(4,)).predict(x, verbose=0)).all()


# ---- numbers, weights and lengths --------------------------------------------------------------


def priced(prices, dtype="float32", **more):
    x = {"user": [1, 2, 3, 4], "price": np.asarray(prices, dtype)} | more
    return tf.data.Dataset.from_tensor_slices((x, [0.0, 1, 0, 1])).batch(2)


@pytest.mark.parametrize("bad", [NAN, -np.inf])
def test_numbers_of_datasets_are_finite(bad):
    model = LR([*USER, DenseFeat("price")])
    model.fit(priced([1, 2, 3, 4]), verbose=0)
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(REFUSED, match=r"lr\.\w+: price holds NaN or infinity\. Fill missing"):
            call(priced([1, 2, bad, 4]), verbose=0)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.trainable_weights)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_numbers_of_datasets_fit_into_float16_where_that_reads_them(dtype):
    columns = [*USER, DenseFeat("price", dtype=dtype)]
    with dtype_policy("mixed_float16"):
        model = DeepFM(columns, hidden_units=(4,))
    model.fit(priced([1, 2, 65504, 4], dtype), verbose=0)
    message = r"deepfm\.\w+: price holds a number too large for float16\..* The largest:.*65505"
    for call in (model.fit, model.predict):
        with pytest.raises(REFUSED, match=message):
            call(priced([1, 2, -65505, 4], dtype), verbose=0)
    DeepFM(columns, hidden_units=(4,)).fit(priced([1, 2, -65505, 4], dtype), verbose=0)


def test_weights_along_a_history_of_datasets_are_finite():
    good = batches(MAXLEN, known=False)
    bad = good.map(lambda x, y: (x | {"weight": x["weight"] / 0.0}, y))
    din().fit(good, verbose=0)
    with pytest.raises(REFUSED, match=r"din\.fit: weight holds NaN or infinity"):
        din().fit(bad, verbose=0)


@pytest.mark.parametrize("name", ["item_id", "hist_item_id"])
def test_ids_of_datasets_are_integers(name):
    data = without_weight(batches(MAXLEN, known=True))
    data = data.map(lambda x, y: (x | {name: tf.cast(x[name], tf.float64)}, y))
    model, message = sasrec(), f"sasrec: '{name}' must hold integers, got float64"
    with pytest.raises(TypeError, match=message):
        model.fit(data, verbose=0)
    with pytest.raises(TypeError, match=message):
        model.predict(data, verbose=0)


def test_lengths_of_datasets_are_integers():
    past = SparseFeat("hist_item_id", 10, embedding_dim=4, embedding_name="item_id")
    columns = [
        SparseFeat("item_id", 10, embedding_dim=4), VarLenSparseFeat(past, 3, length_name="length"),
    ]  # fmt: skip
    model = DIN(columns, ["item_id"], attention_units=(4,), hidden_units=(4,))
    x = {"item_id": [1, 2], "hist_item_id": [[1, 2, 0], [3, 0, 0]], "length": [2.0, 1.0]}
    data = tf.data.Dataset.from_tensor_slices((x, [0.0, 1.0])).batch(2)
    with pytest.raises(TypeError, match="'length' must hold integers, got float32"):
        model.fit(data, verbose=0)


def test_ragged_histories_are_padded():
    rows = [[3, 5], [], [1, 2, 3], [7]]
    padded = np.array([[3, 5, 0], [0, 0, 0], [1, 2, 3], [7, 0, 0]])
    model, item_id = sasrec(), np.arange(1, 5)
    wanted = model.predict({"hist_item_id": padded, "item_id": item_id}, verbose=0)
    x = {"hist_item_id": tf.ragged.constant(rows), "item_id": item_id}
    np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)
    data = tf.data.Dataset.from_tensor_slices(x).batch(3)  # of two lengths
    np.testing.assert_allclose(model.predict(data, verbose=0), wanted, rtol=1e-6)
    assert np.isfinite(model.fit(data, verbose=0).history["loss"]).all()
    with pytest.raises(REFUSED, match=MESSAGE):
        model.predict(data.map(lambda x: x | {"hist_item_id": tf.ragged.constant([[1] * 5])}))


def test_items_of_datasets_of_recall_are_no_padding():
    data = without_weight(batches(MAXLEN, known=True))
    bad = data.map(lambda x, y: (x | {"item_id": x["item_id"] - 1}, y))
    with pytest.raises(REFUSED, match=r"sasrec\.fit: item_id is 0, but id 0 is padding\. Give"):
        sasrec().fit(bad, verbose=0)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, NAN, 1, 1], REFUSED, "holds NaN or infinity"),
        ([1, 1, 1, np.inf], REFUSED, "holds NaN or infinity"),
        (np.ones((4, 2)), ValueError, r"has the shape \(None, 2\)\. Give one weight a row"),
        (["1", "1", "2", "1"], TypeError, "must hold numbers, got dtype string"),
    ],
)
def test_weights_of_rows_of_datasets(weights, error, message):
    def data(weights):
        rows = ({"user": [1, 2, 3, 4]}, [0.0, 1, 0, 1], weights)
        return tf.data.Dataset.from_tensor_slices(rows).batch(2)

    model = LR(USER)
    for good in ([1.0, 0, 0.5, 1], [1, 0, 2, 1], np.ones((4, 1))):
        model.fit(data(good), verbose=0)
    with pytest.raises(error, match=f"lr.fit: sample_weight {message}"):
        model.fit(data(weights), verbose=0)


def test_weights_by_task_of_datasets():
    def data(weight):
        weights = {"ctr": np.array([1, 1, 0.5, 0]), "pay": np.array([1, 1, weight, 1])}
        labels = {"ctr": np.ones(4), "pay": np.ones(4)}
        rows = ({"user": [1, 2, 3, 4]}, labels, weights)
        return tf.data.Dataset.from_tensor_slices(rows).batch(2)

    model = SharedBottom(
        USER, task_names=("ctr", "pay"), task_types=("binary", "regression"), hidden_units=(2,)
    )
    model.fit(data(2.0), verbose=0)
    with pytest.raises(REFUSED, match=r"shared_bottom\.fit: sample_weight holds NaN"):
        model.fit(data(NAN), verbose=0)


def test_labels_of_datasets_have_the_width_of_the_output():
    with pytest.raises(ValueError, match=r"lr\.fit: y has 2 columns, the output has 1\. Give one"):
        LR(USER).fit(labelled(np.ones((4, 2))), verbose=0)
    LR(USER).fit(labelled(np.ones((4, 1))), verbose=0)
    model = SharedBottom(USER, task_names=("a", "b"), hidden_units=(2,))
    with pytest.raises(ValueError, match=r"y\[b\] has 2 columns, the output has 1"):
        model.fit(labelled({"a": np.ones(4), "b": np.ones((4, 2))}), verbose=0)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([2, 0, 3, 4], r"counts real steps: 0 to the steps of hist_item_id\. .*\[3\] \[4\]"),
        ([2, -1, 3, 1], r"counts real steps: .* \[-1\]"),
        ([2, 0, 2, 1], r"and hist_item_id disagree\. Ids are real .* \[2\] .*\[4 5 6\]"),
        ([2, 0, 3, 2], r"and hist_item_id disagree\. .* \[2\] .*\[7 0 0\]"),
    ],
)
def test_lengths_of_datasets_agree_with_their_histories(lengths, message):
    past = SparseFeat("hist_item_id", 10, embedding_dim=4, embedding_name="item_id")
    columns = [
        SparseFeat("item_id", 10, embedding_dim=4),
        VarLenSparseFeat(past, maxlen=MAXLEN, length_name="length"),
    ]

    def data(lengths):
        histories = np.array([[1, 2, 0], [0, 0, 0], [4, 5, 6], [7, 0, 0]])
        x = {"item_id": [1, 2, 3, 4], "hist_item_id": histories, "length": lengths}
        return tf.data.Dataset.from_tensor_slices((x, np.ones(4))).batch(2)

    model = DIN(columns, ["item_id"], attention_units=(4,), hidden_units=(4,))
    model.fit(data([2, 0, 3, 1]), verbose=0)
    for call in (model.fit, model.predict):
        with pytest.raises(REFUSED, match=rf"din\.\w+: length {message}"):
            call(data(lengths), verbose=0)


# ---- texts and numbers -----------------------------------------------------------------------

DIGITS = np.array(["1", "2", "3", "4"])
KINDS = [
    (DenseFeat("f"), DIGITS, "'f' must hold numbers, got dtype string"),
    (SparseFeat("f", 9), DIGITS, "'f' must hold integers, got dtype string"),
    (
        SparseFeat("f", 9, use_hash=True), DIGITS,
        "'f' must hold integers, got dtype string. Declare the column with dtype='string'",
    ),
    (
        SparseFeat("f", 9, use_hash=True, dtype="string"), np.arange(4),
        "'f' has dtype 'string' but the batches hold int64",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("column", "values", "message"), KINDS)
def test_texts_are_no_numbers_and_numbers_no_texts(column, values, message):
    """Either was hashed in silence, and served other rows than arrays are."""
    model = LR([column])
    data = tf.data.Dataset.from_tensor_slices(({"f": values}, Y)).batch(2)
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(TypeError, match="lr.*: " + message):
            call(data, verbose=0)
    with pytest.raises(TypeError, match="'f'"):
        model.predict({"f": values}, verbose=0)


def test_weights_are_no_texts():
    item = VarLenSparseFeat(SparseFeat("past", 9), maxlen=3, weight_name="weight")
    x = {"past": np.ones((4, 3), int), "weight": np.full((4, 3), "0.5")}
    data = tf.data.Dataset.from_tensor_slices((x, Y)).batch(2)
    with pytest.raises(TypeError, match="'weight' must hold numbers, got dtype string"):
        LR([item]).fit(data, verbose=0)


def test_fractions_of_whole_numbers():
    model = LR([DenseFeat("age", dtype="int32")])
    good = tf.data.Dataset.from_tensor_slices(({"age": [1.0, 2, 3, 4]}, Y)).batch(2)
    bad = tf.data.Dataset.from_tensor_slices(({"age": [1.0, 2, 3.5, 4]}, Y)).batch(2)
    model.fit(good, verbose=0)
    message = "age is declared int32. Round it or declare a float dtype. It holds a fraction"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.fit(bad, verbose=0)


def test_labels_that_are_missing():
    model = LR([SparseFeat("item", 9)])
    data = tf.data.Dataset.from_tensor_slices({"item": [1, 2]}).batch(2)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"y is missing\. Give one label a row"):
            call(data, verbose=0)
    with pytest.raises(ValueError, match=r"train_on_batch: y is missing\. Give one label a row"):
        model.train_on_batch({"item": np.array([1, 2])})


# ---- sequences that go side by side ----------------------------------------------------------

CATEGORY = SparseFeat("category", 5, embedding_dim=4)
SIDE = [
    VarLenSparseFeat(SparseFeat("hist_item_id", 9, embedding_dim=4, embedding_name="item_id"), 8),
    VarLenSparseFeat(SparseFeat("hist_category", 5, embedding_dim=4, embedding_name="category"), 8),
]


def side_by_side(builder):
    items = [SparseFeat("item_id", 9, embedding_dim=4), CATEGORY]
    if builder is DIN:
        sizes = {"attention_units": (4,), "hidden_units": (4,)}
        return DIN([*items, *SIDE], ["item_id", "category"], **sizes)
    table = {"category": np.arange(9) % 4 + 1}
    return SASRec(SIDE, items, item_table=table, num_layers=1, num_heads=1)


@pytest.mark.parametrize("builder", [DIN, SASRec])
def test_histories_of_other_steps(builder):
    model = side_by_side(builder)
    x = {
        "item_id": np.arange(1, 5), "category": np.arange(1, 5),
        "hist_item_id": np.ones((4, 5), int), "hist_category": np.ones((4, 7), int),
    }  # fmt: skip
    first, other = (("hist_item_id", 5), ("hist_category", 7))
    message = rf"'{other[0]}' has 7 steps, '{first[0]}' has 5\. They go side by side: pad both"
    data = tf.data.Dataset.from_tensor_slices((x, Y)).batch(2)
    with pytest.raises(ValueError, match=message):
        model.fit(x, Y, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.fit(data, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.predict(x, verbose=0)

    def hidden(x, y):
        return {
            n: tf.raw_ops.PlaceholderWithDefault(input=v, shape=[None] * v.shape.rank)
            for n, v in x.items()
        }, y

    with pytest.raises(tf.errors.InvalidArgumentError, match="hist_category has other steps"):
        model.fit(data.map(hidden), verbose=0)
    model.fit(x | {"hist_category": np.ones((4, 5), int)}, Y, verbose=0)


def test_pooled_histories_may_have_any_steps():
    items = [SparseFeat("item_id", 9, embedding_dim=4), CATEGORY]
    model = DeepFM([*items, *SIDE], hidden_units=(4,))
    x = {
        "item_id": np.arange(1, 5), "category": np.arange(1, 5),
        "hist_item_id": np.ones((4, 5), int), "hist_category": np.ones((4, 7), int),
    }  # fmt: skip
    model.fit(x, Y, verbose=0)


def test_a_call_takes_texts():
    """As in a loop of one's own, under a GradientTape."""
    model = DeepFM([SparseFeat("city", 50, use_hash=True, dtype="string")], hidden_units=(4,))
    x = {"city": np.array(["Rome", "", "Oslo"])}
    wanted = model.predict(x, verbose=0)
    tensors = {"city": tf.constant(x["city"])}
    for given in (x, tensors):
        np.testing.assert_allclose(model(given), wanted, atol=1e-6)
    np.testing.assert_allclose(tf.function(model)(tensors), wanted, atol=1e-6)


def test_weights_of_other_steps_than_their_ids():
    past = VarLenSparseFeat(SparseFeat("past", 9, embedding_dim=4), maxlen=5, weight_name="weight")
    model = LR([past])
    x = {"past": np.ones((4, 5), int), "weight": np.ones((4, 1), "float32")}
    data = tf.data.Dataset.from_tensor_slices((x, Y)).batch(2)
    with pytest.raises(ValueError, match="'weight' has 1 steps, 'past' has 5. They go side"):
        model.fit(data, verbose=0)


@pytest.mark.parametrize("name", ["hist_action", "hist_time"])
@pytest.mark.parametrize("ranks", [True, False])
def test_what_stands_beside_the_steps_of_hstu(name, ranks):
    """One action was broadcast over the history, in silence."""
    columns = [
        VarLenSparseFeat(SparseFeat("hist_item_id", 9, embedding_name="item_id"), 6),
        VarLenDenseFeat("hist_action", 6), VarLenDenseFeat("hist_time", 6, dtype="int64"),
        DenseFeat("time", dtype="int64"),
    ]  # fmt: skip
    model = HSTU(
        columns, [SparseFeat("item_id", 9)], mode="ranking" if ranks else "retrieval",
        transformer_params={"num_layers": 1, "num_heads": 1},
    )  # fmt: skip
    x = {
        "item_id": np.arange(1, 5), "hist_item_id": np.ones((4, 3), int),
        "hist_action": np.ones((4, 3)), "hist_time": np.ones((4, 3), int), "time": np.arange(4) + 1,
    }  # fmt: skip
    model.predict(x, verbose=0)
    with pytest.raises(ValueError, match=f"'{name}' has 1 steps|'{name}' has 1. They go side by"):
        model.predict({**x, name: x[name][:, :1]}, verbose=0)
