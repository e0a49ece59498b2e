import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from deeprec_tf.optimizers import rows as rows_module
from deeprec_tf.optimizers import sum_repeated_rows
from deeprec_tf.optimizers.rows import summed_rows
from tests.devices import cpu_only
from tests.reference.optimizers import dense

FORMS = [False, True]


@pytest.mark.parametrize("static_shapes", FORMS)
@settings(deadline=None, max_examples=40)
@given(ids=st.lists(st.integers(0, 9), max_size=12), dtype=st.sampled_from(["int32", "int64"]))
def test_sums_equal_the_dense_gradient(static_shapes, ids, dtype):
    values = np.random.default_rng(len(ids)).normal(size=(len(ids), 2)).astype("float32")
    slices = tf.IndexedSlices(tf.constant(values), tf.constant(ids, dtype), tf.constant([10, 2]))
    summed = sum_repeated_rows(slices, static_shapes=static_shapes)
    expected = dense(ids, values, (10, 2))
    rows = summed.indices.numpy().tolist()
    np.testing.assert_allclose(dense(rows, summed.values.numpy(), (10, 2)), expected, atol=1e-5)
    # No row but the first of an id carries anything, so squares and norms are right as well.
    squares = dense(rows, summed.values.numpy() ** 2, (10, 2))
    np.testing.assert_allclose(squares, expected**2, atol=1e-4)
    assert summed.indices.dtype == dtype
    assert len(rows) == (len(ids) if static_shapes else len(set(ids)))
    assert set(rows) == set(ids)
    assert summed.dense_shape.numpy().tolist() == [10, 2]


def test_the_static_form_keeps_static_shapes():
    graph = tf.function(
        lambda values, ids: sum_repeated_rows(tf.IndexedSlices(values, ids), static_shapes=True)
    ).get_concrete_function(tf.TensorSpec((6, 2)), tf.TensorSpec((6,), tf.int64))
    assert graph.structured_outputs.values.shape == (6, 2)
    assert graph.structured_outputs.indices.shape == (6,)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_form_follows_the_compiler(jit_compile):
    @tf.function(jit_compile=jit_compile)
    def compiled(values, ids):
        # A function and a branch inside the compiled one are compiled with it.
        inner = tf.function(lambda: sum_repeated_rows(tf.IndexedSlices(values, ids)).values)
        return tf.cond(tf.size(ids) > 0, inner, lambda: values)

    graph = compiled.get_concrete_function(tf.TensorSpec((6, 2)), tf.TensorSpec((6,), tf.int64))
    operations = {
        node.op for function in graph.graph.as_graph_def().library.function
        for node in function.node_def
    }
    assert ("Unique" in operations) is not jit_compile


@pytest.mark.parametrize(("table_rows", "expected"), [(4, 4), (6, 5)])
def test_a_table_smaller_than_the_gradient_is_summed_without_a_sort(table_rows, expected):
    ids, values = tf.constant([3, 1, 3, 3, 1]), tf.reshape(tf.range(10.0), (5, 2))
    rows = summed_rows(tf.IndexedSlices(values, ids), static_shapes=True, table_rows=table_rows)
    assert rows.indices.shape == (expected,)
    real = rows.real.numpy()
    assert sorted(rows.indices.numpy()[real]) == [1, 3]
    assert not rows.values.numpy()[~real].any()
    total = dense(rows.indices.numpy(), rows.values.numpy(), (table_rows, 2))
    np.testing.assert_array_equal(total, dense(ids.numpy(), values.numpy(), (table_rows, 2)))


@pytest.mark.parametrize("static_shapes", FORMS)
def test_ids_beyond_32_bits_and_values_of_higher_rank(static_shapes):
    ids = tf.constant([2**40, 3, 2**40], tf.int64)
    summed = sum_repeated_rows(
        tf.IndexedSlices(tf.ones((3, 2, 2)), ids), static_shapes=static_shapes)
    sums = dict(zip(summed.indices.numpy().tolist()[:2], summed.values.numpy(), strict=False))
    np.testing.assert_array_equal(sums[2**40], np.full((2, 2), 2))
    np.testing.assert_array_equal(sums[3], np.ones((2, 2)))


@cpu_only("the plain sum is used")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1,), (4,), (17,), (31,), (32,), (37,), (2, 33), (64,), ()])
def test_the_fast_sum_is_bit_for_bit_the_plain_one(shape, dtype):
    generator = np.random.default_rng(3)
    values = tf.constant(generator.normal(size=(300, *shape)), dtype)
    ids = tf.constant(generator.integers(0, 40, 300), tf.int64)

    @tf.function
    def summed(values, ids):
        return sum_repeated_rows(tf.IndexedSlices(values, ids), static_shapes=False)

    different, position = tf.unique(ids)
    expected = tf.math.unsorted_segment_sum(values, position, tf.size(different))
    got = summed(values, ids)
    assert got.values.dtype == dtype
    np.testing.assert_array_equal(got.indices, different)
    np.testing.assert_array_equal(got.values, expected)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((9, 16), "float32", 1), ((9, 4, 16), "float32", 4), ((9, 33), "float32", 3),
        ((9, 3), "float32", None), ((9, 37), "float32", None), ((9,), "float32", None),
        ((9, 16), "bfloat16", None),
    ],
)
def test_which_rows_are_summed_by_a_product(shape, dtype, expected):
    assert rows_module._pieces(tf.zeros(shape, dtype)) == expected


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(("dtype", "factor"), [("int32", 1), ("int64", 1), ("int64", 2**33)])
@pytest.mark.parametrize(("size", "different"), [(1, 1), (2, 9), (700, 3), (700, 10**6)])
def test_hashing_finds_the_last_occurrence_of_every_id(size, different, dtype, factor, jit_compile):
    ids = np.random.default_rng(size).integers(0, different, size) * factor
    place_of = {number: place for place, number in enumerate(ids.tolist())}
    found = tf.function(rows_module._last_occurrences, jit_compile=jit_compile)(
        tf.constant(ids, dtype))
    np.testing.assert_array_equal(found, [place_of[number] for number in ids.tolist()])


@pytest.mark.parametrize("ids", [[3], [5, 3, 5], [7, 7, 7, 7], list(range(20)), [4, 2**40, 4]])
def test_sorting_and_hashing_give_the_same_rows(ids):
    values = np.random.default_rng(4).normal(size=(len(ids), 2)).astype("float32")
    slices = tf.IndexedSlices(tf.constant(values), tf.constant(ids, tf.int64))
    found = []
    for rows in (rows_module._rows_by_sort(slices), rows_module._rows_by_hash(slices)):
        real = rows.real.numpy()
        assert real[: real.sum()].all()                              # the real rows come first
        assert set(rows.indices.numpy().tolist()) == set(ids)
        assert not rows.values.numpy()[~real].any()
        order = np.argsort(rows.indices.numpy()[real])
        found.append((rows.indices.numpy()[real][order], rows.values.numpy()[real][order]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)
    assert int(rows.count) == len(set(ids))


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 2048, 2500])
def test_blocks_hold_every_real_row_once(count):
    rows = rows_module.Rows(
        tf.range(2500), tf.ones((2500, 2)), tf.range(2500) < count, tf.constant(count))
    seen = tf.Variable(tf.zeros((2500,)))
    sums = tf.Variable(tf.zeros((2500, 2)))

    @tf.function(jit_compile=True)
    def collect():
        def update(block):
            assert block.indices.shape == block.real.shape == (1024,)
            assert block.values.shape == (1024, 2)
            seen.scatter_add(tf.IndexedSlices(tf.cast(block.real, tf.float32), block.indices))
            sums.scatter_add(tf.IndexedSlices(block.values, block.indices))

        rows_module.in_blocks(update, rows)

    collect()
    expected = np.arange(2500) < count
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(sums, np.stack([expected, expected], 1))
