import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec_tf import (
    DenseFeat,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    build_embedding_layers,
    build_input_layers,
    check_batch,
    embedding_lookup,
)
from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import (
    field_groups,
    field_lookup,
    linear_logit,
    merge_columns,
    padding_mask,
)
from deeprec_tf.models import LR
from deeprec_tf.string_keys import string_keys_of_array
from deeprec_tf.tables import table_values
from tests.reference import core

USER = SparseFeat("user", 5, embedding_dim=3)
ITEM = SparseFeat("item", 7, embedding_dim=2)
PAST = VarLenSparseFeat(SparseFeat("hist_item", 7, embedding_dim=2, embedding_name="item"), 4)
PRICE = DenseFeat("price", 2)


def run(columns, batch, make, tables=None):
    """Evaluates make(inputs, tables) on a batch; (value, tables with noise in them)."""
    inputs = build_input_layers(columns)
    layers = build_embedding_layers(columns)
    output = make(inputs, layers)
    generator = np.random.default_rng(0)
    values, noisy = {}, {}
    for name, table in layers.items():
        layer = getattr(table, "layer", table)
        if layer.built:
            first = getattr(layer, "offsets", {}).get(name, 0)
            if id(layer) not in noisy:
                noisy[id(layer)] = generator.normal(size=layer.embeddings.shape)
                layer.embeddings.assign(noisy[id(layer)])
            values[name] = noisy[id(layer)][first:].astype("float32")
    arrays = check_batch(columns, batch)
    arrays = {name: string_keys_of_array(array) for name, array in arrays.items()}
    return np.asarray(keras.Model(inputs, output)(arrays)), values


def lookup(columns, batch):
    return run(columns, batch, lambda i, t: embedding_lookup(i, t, columns))


# ---- inputs and tables -------------------------------------------------------------------


def test_inputs_are_named_as_the_columns_with_an_open_time_axis():
    timed = VarLenSparseFeat(SparseFeat("past", 5), 9, length_name="n", weight_name="w", group=1)
    inputs = build_input_layers([USER, PRICE, timed])
    shapes = {name: (x.name, tuple(x.shape), x.dtype) for name, x in inputs.items()}
    assert shapes == {
        "user": ("user", (None,), "int32"), "price": ("price", (None, 2), "float32"),
        "past": ("past", (None, None), "int32"), "n": ("n", (None,), "int32"),
        "w": ("w", (None, None), "float32"),
    }


def test_one_table_for_columns_that_share_a_name():
    tables = build_embedding_layers([USER, ITEM, PAST, PRICE])
    assert {name: table.name for name, table in tables.items()} == {
        "user": "embedding_user", "item": "embedding_item",
    }
    batch = {"item": [1, 2], "hist_item": [[1], [2]]}
    value, values = run(
        [ITEM, PAST], batch,
        lambda i, t: [embedding_lookup(i, t, [c]) for c in (ITEM, PAST)][0],
    )
    np.testing.assert_allclose(value, values["item"][[1, 2]])


def test_equal_columns_do_not_share_tables_between_models():
    first, second = build_embedding_layers([USER]), build_embedding_layers([USER])
    assert first["user"] is not second["user"]


def test_tables_of_one_shape_start_different():
    tables = build_embedding_layers([USER, SparseFeat("other", 5, embedding_dim=3)])
    layer = tables["user"].layer
    assert layer is tables["other"].layer and layer.offsets == {"user": 0, "other": 5}
    layer.build(())
    assert len(np.unique(layer.embeddings)) == 30


def test_a_table_is_called_like_a_layer_wherever_it_is_stored():
    """The ids of the second table must not read the first one's rows."""
    columns = [USER, SparseFeat("other", 4, embedding_dim=3)]
    for options in ({}, {"fuse": False}, {"linear_feature_columns": columns}):
        inputs, tables = build_input_layers(columns), build_embedding_layers(columns, **options)
        model = keras.Model(inputs, tables["other"](inputs["other"]), name="m")
        values = table_values(model, "other")
        x = {"user": np.array([0, 0]), "other": np.array([3, 1])}
        np.testing.assert_array_equal(model(x), values[[3, 1]])
        assert values.shape == (4, 3) and len(np.unique(values)) == 12


def test_the_column_with_start_values_speaks_for_the_table():
    start = np.arange(14, dtype="float32").reshape(7, 2)
    filled = SparseFeat("other", 7, embedding_dim=2, embedding_name="item", pretrained=start)
    for columns in ([ITEM, filled], [filled, ITEM], [PAST, filled, ITEM]):
        table = build_embedding_layers(columns)["item"]
        table.build(())
        np.testing.assert_array_equal(table.embeddings, start)


def test_one_table_has_one_start():
    start = np.arange(14.0).reshape(7, 2)
    columns = [
        SparseFeat(name, 7, embedding_dim=2, embedding_name="item", pretrained=values)
        for name, values in (("item", start), ("same", start.copy()), ("other", start + 1))
    ]
    build_embedding_layers(columns[:2])
    with pytest.raises(ValueError, match="'item' and 'other' share the table 'item' but differ in"):
        build_embedding_layers(columns)


def test_initializer_of_the_column():
    column = SparseFeat("user", 5, embeddings_initializer="ones")
    table = build_embedding_layers([column])["user"]
    table.build(())
    assert np.all(table.embeddings.numpy() == 1)


def test_frozen_table():
    table = build_embedding_layers([SparseFeat("user", 5, trainable=False)])["user"]
    table.build(())
    assert table.trainable_weights == []


# ---- look-ups ----------------------------------------------------------------------------


def test_lookup_joins_in_the_order_of_the_columns():
    batch = {"price": [[1.0, 2.0]], "user": [4], "item": [3]}
    value, tables = lookup([PRICE, USER, ITEM], batch)
    wanted = np.concatenate([[1, 2], tables["user"][4], tables["item"][3]])
    np.testing.assert_allclose(value[0], wanted, atol=1e-6)


@pytest.mark.parametrize("combiner", ["mean", "sum", "max"])
@pytest.mark.parametrize("masked_by", ["ids", "length"])
def test_lookup_pools_sequences(combiner, masked_by):
    length_name = "n" if masked_by == "length" else None
    column = VarLenSparseFeat(
        SparseFeat("past", 7, embedding_dim=2), 4, combiner=combiner, length_name=length_name
    )
    batch = {"past": [[1, 2, 0], [0, 0, 0], [3, 3, 3]]}
    if length_name:
        batch["n"] = [2, 0, 3]
    value, tables = lookup([column], batch)
    ids = np.array(batch["past"])
    wanted = core.sequence_pooling(tables["past"][ids], ids != 0, combiner)
    np.testing.assert_allclose(value, wanted, atol=1e-6)


@pytest.mark.parametrize("weight_norm", [True, False])
def test_lookup_weighs_sequences(weight_norm):
    column = VarLenSparseFeat(
        SparseFeat("past", 7, embedding_dim=2), 4, weight_name="w", weight_norm=weight_norm
    )
    weights = np.array([[0.5, 2.0, 9.0], [1.0, 1.0, 1.0]], "float32")
    ids = np.array([[1, 2, 0], [4, 5, 6]])
    value, tables = lookup([column], {"past": ids, "w": weights})
    wanted = core.sequence_pooling(
        tables["past"][ids], ids != 0, "mean", weights, weight_norm=weight_norm
    )
    np.testing.assert_allclose(value, wanted, atol=1e-6)


def test_sequences_join_only_sequences():
    kept = VarLenSparseFeat(PAST.sparsefeat, 4, combiner="none")
    stamps = VarLenDenseFeat("stamps", 4, dtype="int64")
    batch = {"hist_item": [[1, 2]], "stamps": [[10, 20]]}
    value, tables = lookup([kept, stamps], batch)
    assert value.shape == (1, 2, 3)
    np.testing.assert_allclose(value[0, 1], [*tables["item"][2], 20], atol=1e-6)
    with pytest.raises(ValueError, match="cannot be joined with single rows"):
        lookup([kept, USER], {"hist_item": [[1]], "user": [1]})


def test_groups_keep_their_axis_and_cannot_be_pooled():
    groups = VarLenSparseFeat(PAST.sparsefeat, 4, combiner="none", group=2)
    value, tables = lookup([groups], {"hist_item": [[[1, 2], [3, 0]]]})
    np.testing.assert_allclose(value[0, 1, 0], tables["item"][3])
    assert value.shape == (1, 2, 2, 2)
    pooled = VarLenSparseFeat(PAST.sparsefeat, 4, group=2)
    with pytest.raises(ValueError, match="hist_item: a column with group=2 cannot be pooled"):
        lookup([pooled], {"hist_item": [[[1, 2]]]})


def test_lookup_needs_columns():
    with pytest.raises(ValueError, match="no columns were given"):
        embedding_lookup({}, {}, [])


def test_field_lookup():
    other = SparseFeat("other", 4, embedding_dim=2)
    columns = [ITEM, PRICE, PAST, other]
    batch = {"item": [1], "hist_item": [[2, 0]], "other": [3], "price": [[0.0, 0.0]]}
    value, tables = run(columns, batch, lambda i, t: field_lookup(i, t, columns))
    wanted = [tables["item"][1], tables["item"][2], tables["other"][3]]
    np.testing.assert_allclose(value[0], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([USER, ITEM], "need one embedding_dim, got .'user': 3, 'item': 2."),
        ([PRICE], "no categorical column"),
        ([VarLenSparseFeat(PAST.sparsefeat, 4, combiner="none")], "'hist_item' has combiner"),
        ([ITEM, VarLenDenseFeat("stamps", 4)], "'stamps' has no combiner"),
    ],
)
def test_field_lookup_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        field_lookup(build_input_layers(columns), build_embedding_layers(columns), columns)


def test_linear_logit():
    columns = [USER, PRICE]
    inputs = build_input_layers(columns)
    model = keras.Model(inputs, linear_logit(inputs, columns))
    x = {"user": np.array([1, 4]), "price": np.array([[1.0, 2.0], [0.0, 3.0]])}
    model.get_layer("linear_dense").kernel.assign([[10.0], [100.0]])
    np.testing.assert_allclose(model(x), [[210], [300]])  # the weight of an id starts at 0
    model.get_layer("linear_user").embeddings.assign(np.arange(5.0)[:, None])
    np.testing.assert_allclose(model(x), [[211], [304]])


@pytest.mark.parametrize("name", ["dense", "logit"])
def test_linear_parts_make_way_for_a_table(name):
    columns = [SparseFeat("id", 4, embedding_name=name), DenseFeat("x")]
    model = LR(columns)
    assert {"linear_dense", "linear_logit", f"linear_{name}_"} <= {x.name for x in model.layers}
    assert model.get_layer(f"linear_{name}").embeddings.shape == (4, 1)
    fused = {layer.name for layer in LR([*columns, SparseFeat("user", 5)]).layers}
    assert {"linear_dense", "linear_logit"} <= fused, "no name moves where none is taken"


def test_two_parts_of_one_name_are_refused():
    inputs = build_input_layers([USER])
    table = build_embedding_layers([USER], fuse=False)["user"]
    rows = keras.layers.Dense(1, name=table.name)(table(inputs["user"]))
    with pytest.raises(ValueError, match="two parts of the model are named 'embedding_user'"):
        RecModel(inputs, rows, feature_columns=[USER])


def test_linear_logit_of_dense_columns_only():
    inputs = build_input_layers([PRICE])
    assert linear_logit(inputs, [PRICE]).shape == (None, 1)


def test_field_groups():
    other = SparseFeat("other", 4, group_name="g")
    groups, dense = field_groups([USER, PRICE, other, PAST])
    assert groups == {"default_group": [USER, PAST], "g": [other]} and dense == [PRICE]
    with pytest.raises(ValueError, match="DeepFM: interactions need at least one"):
        field_groups([PRICE], owner="DeepFM")


def test_merge_columns():
    assert merge_columns([USER, PRICE], [PRICE, ITEM]) == [USER, PRICE, ITEM]


# ---- masks -------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_masks_by_ids_and_by_length_agree(lengths):
    ids = np.array([[2] * n + [0] * (4 - n) for n in lengths])
    timed = VarLenSparseFeat(PAST.sparsefeat, 4, length_name="n")
    by_ids, _ = run([PAST], {"hist_item": ids}, lambda i, t: padding_mask(i, [PAST]))
    by_length, _ = run(
        [timed], {"hist_item": ids, "n": lengths}, lambda i, t: padding_mask(i, [timed])
    )
    np.testing.assert_array_equal(by_ids, ids != 0)
    np.testing.assert_array_equal(by_length, ids != 0)


def test_mask_takes_the_length_where_one_column_names_it():
    timed = VarLenSparseFeat(SparseFeat("hist_cate", 5), 4, length_name="n")
    batch = {"hist_item": [[3, 0]], "hist_cate": [[1, 2]], "n": [2]}
    mask, _ = run([PAST, timed], batch, lambda i, t: padding_mask(i, [PAST, timed]))
    assert mask.tolist() == [[True, True]]


def test_mask_needs_a_sequence():
    with pytest.raises(ValueError, match="none of .'user'. is a VarLenSparseFeat"):
        padding_mask(build_input_layers([USER]), [USER])


# ---- hashing -----------------------------------------------------------------------------


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5), st.integers(2, 99))
def test_integers_hash_in_the_graph(ids, size):
    column = SparseFeat("user", size, embedding_dim=2, use_hash=True)
    value, tables = lookup([column], {"user": ids})
    rows = [core.hash_id(raw, size) for raw in ids]
    np.testing.assert_allclose(value, tables["user"][rows])


def test_strings_hash_by_the_same_rule():
    column = SparseFeat("city", 20, embedding_dim=2, use_hash=True, dtype="string")
    value, tables = lookup([column], {"city": ["Rom", "", "Köln"]})
    keys = string_keys_of_array(np.array(["Rom", "", "Köln"]))
    assert keys[1] == 0 and keys[0] != keys[2]
    rows = [core.hash_id(int(key), 20) for key in keys]
    np.testing.assert_allclose(value, tables["city"][rows])


def test_hashed_history_keeps_its_padding():
    feat = SparseFeat("hist", 20, embedding_dim=2, use_hash=True, dtype="string")
    column = VarLenSparseFeat(feat, 4, combiner="sum")
    value, _ = lookup([column], {"hist": [["", ""], ["a", ""]]})
    assert np.all(value[0] == 0) and np.any(value[1] != 0)
