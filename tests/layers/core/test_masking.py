import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deeprec_tf.layers import PaddingMask, masked_softmax
from deeprec_tf.layers.core.masking import softmax_over_real
from tests.layers.contract import check_layer
from tests.reference import core

SCORES = arrays.arrays(
    "float32", arrays.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-80, 80, width=32),
)


@given(SCORES, st.data())
def test_masked_softmax_is_the_twin(scores, data):
    mask = data.draw(arrays.arrays("bool", scores.shape))
    got = masked_softmax(tf.constant(scores), tf.constant(mask)).numpy()
    np.testing.assert_allclose(got, core.masked_softmax(scores, mask), atol=1e-6)
    assert np.all(got[~mask] == 0)
    np.testing.assert_allclose(got.sum(1), mask.any(1), atol=1e-5)


@given(SCORES, st.data())
def test_softmax_over_real_is_the_twin_where_a_row_has_a_real_entry(scores, data):
    mask = data.draw(arrays.arrays("bool", scores.shape))
    got = softmax_over_real(tf.constant(scores), tf.constant(mask)).numpy()
    has_real = mask.any(1)
    wanted = core.masked_softmax(scores, mask)
    np.testing.assert_allclose(got[has_real], wanted[has_real], atol=1e-6)
    np.testing.assert_allclose(got[~has_real], 1 / scores.shape[1], atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_masked_softmax_is_finite_in_half_precision(dtype):
    scores = tf.cast([[60000.0 if dtype == "float16" else 3e38, -6e4, 1.0], [1.0, 2.0, 3.0]], dtype)
    mask = tf.constant([[True, True, False], [False, False, False]])
    got = masked_softmax(scores, mask)
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, [[1, 0, 0], [0, 0, 0]])


def test_masked_softmax_has_a_finite_gradient_on_an_empty_row():
    scores = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(masked_softmax(scores, tf.constant([[False, False]])))
    np.testing.assert_array_equal(tape.gradient(total, scores), [[0, 0]])


def test_padding_mask_of_ids():
    ids = np.array([[3, 0, 2], [0, 0, 0]], "int32")
    got = check_layer(PaddingMask(), ids)
    np.testing.assert_array_equal(got, [[True, False, True], [False, False, False]])


def test_padding_mask_of_lengths_reads_no_id():
    ids = np.array([[0, 0, 0], [5, 5, 5]], "int32")
    got = check_layer(PaddingMask(), ids, np.array([2, 0], "int32"))
    np.testing.assert_array_equal(got, [[True, True, False], [False, False, False]])


def test_padding_mask_of_groups_is_true_where_any_member_is():
    ids = np.array([[[0, 3], [0, 0]]], "int32")
    np.testing.assert_array_equal(check_layer(PaddingMask(), ids), [[True, False]])


def test_padding_mask_is_bool():
    assert PaddingMask()(keras.Input((None,), dtype="int32")).dtype == "bool"
