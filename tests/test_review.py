"""Inputs and columns that once passed in silence, failed without a reason, or lost precision."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from deeprec_tf import (
    DenseFeat,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    build_embedding_layers,
    check_batch,
    get_feature_names,
)
from deeprec_tf.models import DIEN, DIN, DeepFM, WideDeep
from deeprec_tf.tables import set_table_values

USER = SparseFeat("user", 5)
ITEM = SparseFeat("item_id", 9, embedding_dim=4)
GENRES = VarLenSparseFeat(SparseFeat("genres", 6), maxlen=3)


def past(name="hist_item_id", **options):
    feat = SparseFeat(name, 9, embedding_dim=4, embedding_name="item_id")
    return VarLenSparseFeat(feat, maxlen=3, **options)


def checked(column, value):
    return check_batch([column], {column.name: value})[column.name]


def test_integers_in_an_object_array():
    values = checked(USER, np.array([1, np.int64(4)], dtype=object))
    assert values.dtype == "int32" and values.tolist() == [1, 4]


@pytest.mark.parametrize("value", [None, float("nan")])
@pytest.mark.parametrize("row", [0, 1])
def test_a_row_without_a_list_is_named(row, value):
    rows = [[1, 2], [3, 0]]
    rows[row] = value
    with pytest.raises(ValueError, match=f"'genres' holds lists, but {value!r} in row {row}"):
        checked(GENRES, pd.Series(rows))


def test_ragged_groups():
    column = past("neg_hist_item_id", group=2)
    with pytest.raises(ValueError, match="steps of different lengths. Pad the groups"):
        checked(column, pd.Series([[[1, 2], [3]], [[1, 2], [3, 4]]]))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_values_that_the_dtype_cannot_hold(dtype):
    value = 2**40 if dtype == "int32" else 1e300
    with pytest.raises(ValueError, match=f"'t' holds .* in row 1, too large for {dtype}"):
        checked(DenseFeat("t", dtype=dtype), np.array([1, value]))


def test_length_that_would_wrap_to_a_valid_one():
    batch = {"hist_item_id": [[1, 2]], "n": np.array([2**32 + 2])}
    with pytest.raises(ValueError, match="'n' holds 4294967298 in row 0, too large for int32"):
        check_batch([past(length_name="n")], batch)


def test_one_weight_an_id():
    batch = {"hist_item_id": [[1, 2]], "w": [[0.1, 0.2, 0.3]]}
    with pytest.raises(ValueError, match="'w' has 3 steps, 'hist_item_id' has 2"):
        check_batch([past(weight_name="w")], batch)


def test_strings_for_a_column_that_hashes_integers():
    with pytest.raises(TypeError, match="Declare the SparseFeat with dtype='string'"):
        checked(SparseFeat("city", 9, use_hash=True), ["Oslo", "Rome"])


def test_string_tensors_are_decoded():
    column = SparseFeat("city", 9, use_hash=True, dtype="string")
    assert checked(column, tf.constant(["Oslo", "Malmö", ""])).tolist() == ["Oslo", "Malmö", ""]


def test_a_table_hashes_strings_or_integers():
    columns = [
        SparseFeat("city", 9, use_hash=True, dtype="string", embedding_name="place"),
        SparseFeat("home", 9, use_hash=True, embedding_name="place"),
    ]
    with pytest.raises(ValueError, match="share the table 'place' but differ in dtype"):
        get_feature_names(columns)


def test_integer_dtypes_may_differ_in_a_table():
    columns = [SparseFeat("a", 9, embedding_name="t"),
               SparseFeat("b", 9, dtype="int64", embedding_name="t")]
    assert get_feature_names(columns) == ["a", "b"]


def test_initializer_of_a_later_column_is_not_ignored():
    feat = SparseFeat("b", 9, embedding_name="a", embeddings_initializer="ones")
    table = build_embedding_layers([SparseFeat("a", 9), feat])["a"]
    table.build((None,))
    np.testing.assert_array_equal(table.embeddings, np.ones((9, 8)))


@pytest.mark.parametrize("builder", [DIN, DIEN])
def test_histories_of_groups_are_refused(builder):
    with pytest.raises(ValueError, match="'hist_item_id' has group=2, but a behavior is one item"):
        builder([ITEM, past(group=2)], ["item_id"])


@pytest.mark.parametrize("builder", [DIN, DIEN])
@pytest.mark.parametrize("also", [[], [USER]])
def test_numbers_along_a_history_are_refused_where_nothing_reads_them(builder, also):
    columns = [ITEM, past(), VarLenDenseFeat("stamps", 3), *also]
    with pytest.raises(ValueError, match=f"{builder.__name__}: 'stamps' .*. Drop the column"):
        builder(columns, ["item_id"])


def test_metrics_reach_compile_as_they_are():
    model = WideDeep([USER], hidden_units=(2,), metrics={"probability": ["mae"]})
    history = model.fit({"user": [0, 1]}, [0, 1], verbose=0).history
    assert set(history) == {"loss", "mae"}


@pytest.mark.parametrize("builder", [WideDeep, DeepFM])
def test_half_precision_does_not_merge_predictions(builder):
    """Sums of logits in bfloat16 would give half of the rows the probability of another."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = builder([SparseFeat("user", 1000)], hidden_units=(8,))
    set_table_values(model, "user", np.linspace(0.5, 1, 1000)[:, None], linear=True)
    predictions = model.predict({"user": np.arange(1000)}, verbose=0)
    assert len(np.unique(predictions)) > 900


# ---- fit and predict ---------------------------------------------------------------------


X, Y = {"user": np.arange(4)}, np.array([0, 1, 1, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(X, verbose=0), "w.fit: y is missing"),
        (lambda m: m.evaluate(X, verbose=0), "w.evaluate: y is missing"),
        (lambda m: m.fit(X, np.stack([Y, 1 - Y], 1)), "labels have 2 columns, the output has 1"),
        (lambda m: m.fit(X, {"click": Y}), r"y is a dict of \['click'\], but the model has one"),
        (lambda m: m.fit(X, Y, sample_weight={"click": Y}), "sample_weight is a dict of"),
        (lambda m: m.fit(X, Y, sample_weight=[1, 1, np.nan, 1]), "sample_weight holds NaN.*row 2"),
        (lambda m: m.fit(X, Y, redraw=lambda epoch: {"item": Y}), "redraw gives 'item'"),
    ],
)
def test_a_wrong_call_is_named_and_spoils_nothing(call, message):
    """A call that failed while Keras traced its step would leave the model unusable."""
    model = WideDeep([USER], hidden_units=(2,), name="w")
    with pytest.raises(ValueError, match=message):
        call(model)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()


def test_a_dataset_may_leave_training_inputs_out_of_predict():
    model = DIEN([ITEM, past(), past("neg_hist_item_id")], ["item_id"], hidden_units=(2,))
    x = {"item_id": [1, 2, 3], "hist_item_id": [[1, 2, 0], [3, 0, 0], [4, 5, 6]]}
    wanted = model.predict(x, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(2)
    np.testing.assert_allclose(model.predict(dataset, verbose=0), wanted, rtol=1e-6)
    whole = dataset.map(lambda b: ({**b, "neg_hist_item_id": b["hist_item_id"]}, b["item_id"]))
    np.testing.assert_allclose(model.predict(whole, verbose=0), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["probability", "tower", "embedding_tables_8_and_weights"])
def test_a_column_named_like_a_layer(name):
    with pytest.raises(ValueError, match=f"wide_deep: the column '{name}' is named like the layer"):
        WideDeep([USER, SparseFeat(name, 5)])


def test_one_batch_serves_models_with_and_without_negatives():
    item = SparseFeat("item", 5, embedding_dim=4)
    past = [
        VarLenSparseFeat(SparseFeat(name, 5, embedding_dim=4, embedding_name="item"), 3)
        for name in ("hist_item", "neg_hist_item")
    ]
    x = {"item": [1, 2], "hist_item": [[1, 0], [2, 3]], "neg_hist_item": [[4, 0], [4, 1]]}
    for model in (
        DIN([item, *past], ["item"]),
        DIEN([item, *past], ["item"], use_negsampling=False),
    ):
        assert "neg_hist_item" not in model.input
        model.fit(x, [0, 1], verbose=0)
        revived = type(model).from_config(model.get_config())
        revived.set_weights(model.get_weights())
        np.testing.assert_array_equal(
            revived.predict(x, verbose=0), model.predict(x, verbose=0)
        )
        with pytest.raises(ValueError, match="'other' is no input"):
            model.predict({**x, "other": [1, 2]}, verbose=0)


@pytest.mark.parametrize("labels", [[-1.0, 1.0], [5, 3]])
def test_binary_cross_entropy_refuses_labels_outside_0_and_1(labels):
    model = WideDeep([SparseFeat("user", 3)], hidden_units=(2,))
    with pytest.raises(ValueError, match="row 0 lies outside 0..1"):
        model.fit({"user": [0, 1]}, labels, verbose=0)
    WideDeep([SparseFeat("user", 3)], hidden_units=(2,), task="regression").fit(
        {"user": [0, 1]}, labels, verbose=0
    )
