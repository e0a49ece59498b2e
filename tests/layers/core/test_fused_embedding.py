import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat
from deeprec_tf.layers import FusedEmbedding, RowNumbers, RowPart
from deeprec_tf.models import WideDeep
from deeprec_tf.tables import set_table_values, table_values
from tests.devices import zeros_for_outside

TABLES = {"user": 3, "item": 5}


def rows_by_hand(table, offsets, ids):
    """ids (B, F) to rows, one at a time."""
    return np.array([[table[offsets[f] + i] for f, i in enumerate(row)] for row in ids])


def test_rows_are_those_of_the_tables():
    layer = FusedEmbedding(TABLES, 2)
    numbers = RowNumbers([0, 3], [3, 5], 8)
    ids = [np.array([0, 2, 1]), np.array([4, 0, 3])]
    rows = numbers(*ids)
    assert rows.dtype == "int32" and rows.numpy().tolist() == [[0, 7], [2, 3], [1, 6]]
    layer.build(rows.shape)
    wanted = rows_by_hand(layer.embeddings.numpy(), [0, 3], np.stack(ids, axis=1))
    np.testing.assert_array_equal(layer(rows), wanted)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8"])
def test_ids_of_any_integer_dtype(dtype):
    numbers = RowNumbers([0, 300], [3, 5], 305)
    rows = numbers(np.array([1], dtype), np.array([2], "int32"))
    assert rows.numpy().tolist() == [[1, 302]]


@zeros_for_outside
@pytest.mark.parametrize("bad", [-1, 3, 2**32 + 1, -(2**40)])
def test_an_id_outside_its_table_reads_no_neighbor(bad):
    layer = FusedEmbedding(TABLES, 2)
    numbers = RowNumbers([0, 3], [3, 5], 8)
    rows = numbers(np.array([1, bad]), np.array([1, 1]))
    assert rows.numpy().tolist() == [[1, 4], [8, 4]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in .0, 8"):
        layer(rows)


def test_more_rows_than_int32():
    numbers = RowNumbers([0, 2**31], [2**31, 5], 2**31 + 5)
    rows = numbers(np.array([7], "int32"), np.array([4], "int32"))
    assert rows.dtype == "int64" and rows.numpy().tolist() == [[7, 2**31 + 4]]


def test_starts():
    start = np.arange(10, dtype="float32").reshape(5, 2)
    layer = FusedEmbedding(
        {"a": 4, "user": 3, "item": 5, "b": 6}, 2, linear=True, pretrained={"item": start},
        embeddings_initializers={"user": "ones"},
    )
    values = layer(np.arange(18)).numpy()
    assert values.shape == (18, 3) and not values[:, 2].any()
    np.testing.assert_array_equal(values[4:7, :2], np.ones((3, 2)))
    np.testing.assert_array_equal(values[7:12, :2], start)
    normal = np.concatenate([values[:4, :2], values[12:, :2]])
    assert len(np.unique(normal)) == normal.size and np.abs(normal).max() < 0.06


def test_config_holds_everything_but_start_values():
    layer = FusedEmbedding(
        TABLES, 2, linear=True, pretrained={"user": np.ones((3, 2))}, name="tables",
        embeddings_initializers={"item": keras.initializers.Constant(2.0)},
    )
    again = FusedEmbedding.from_config(layer.get_config())
    assert again.offsets == {"user": 0, "item": 3} and again.linear and again.name == "tables"
    values = again(np.arange(8)).numpy()
    np.testing.assert_array_equal(values[3:, :2], np.full((5, 2), 2.0))
    assert np.abs(values[:3, :2]).max() < 0.06
    numbers = RowNumbers.from_config(RowNumbers([0, 3], [3, 5], 8).get_config())
    assert numbers(np.array([1]), np.array([1])).numpy().tolist() == [[1, 4]]
    part = RowPart.from_config(RowPart(1, 3).get_config())
    assert part(np.arange(8.0).reshape(2, 4)).numpy().tolist() == [[1, 2], [5, 6]]


def test_rows_with_linear_weights_are_float32_in_half_precision():
    policy = keras.DTypePolicy("mixed_bfloat16")
    assert FusedEmbedding(TABLES, 2, linear=True, dtype=policy)(np.array([1])).dtype == "float32"
    assert FusedEmbedding(TABLES, 2, dtype=policy)(np.array([1])).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"user": 0}, 2), "table 'user' must have a row, got 0"),
        (({"user": 3}, 0), "embedding_dim must be an integer of at least 1"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        FusedEmbedding(*arguments)
    with pytest.raises(ValueError, match=r"table 'user' must have the shape .* = \(3, 2\), got"):
        FusedEmbedding(TABLES, 2, pretrained={"user": np.ones((4, 2))})


def test_values_by_the_name_of_the_table():
    columns = [
        SparseFeat("user", 4, embedding_dim=2), SparseFeat("item", 3, embedding_dim=2),
        SparseFeat("shop", 5, embedding_dim=3), DenseFeat("price"),
    ]
    model = WideDeep(columns[:1], columns, hidden_units=(2,))
    for name, shape in (("user", (4, 2)), ("item", (3, 2)), ("shop", (5, 3))):
        values = np.random.default_rng(0).normal(size=shape).astype("float32")
        set_table_values(model, name, values)
        np.testing.assert_array_equal(table_values(model, name), values)
    set_table_values(model, "user", [[1], [2], [3], [4]], linear=True)
    assert table_values(model, "user", linear=True)[:, 0].tolist() == [1, 2, 3, 4]
    with pytest.raises(KeyError, match="no linear_table 'item', only .'user'."):
        table_values(model, "item", linear=True)
    with pytest.raises(KeyError, match="no embedding_table 'price'"):
        table_values(model, "price")
    with pytest.raises(ValueError, match=r"table 'shop' has the shape .* = \(5, 3\), got \(3, 5\)"):
        set_table_values(model, "shop", np.ones((3, 5)))
