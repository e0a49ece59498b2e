import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import MultiHeadSelfAttention
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form
from tests.reference.transformer import self_attention

GENERATOR = np.random.default_rng(0)
SEQUENCE = GENERATOR.normal(size=(3, 5, 6)).astype("float32")
MASK = np.arange(5) < np.array([[5], [0], [2]])
QUERIES = GENERATOR.normal(size=(3, 2, 6)).astype("float32")


def built(num_heads=3):
    layer = MultiHeadSelfAttention(num_heads)
    layer.build(SEQUENCE.shape)
    return layer, randomize(layer)


def twin(w, heads, sequence=SEQUENCE, mask=MASK, queries=None):
    return self_attention(
        sequence, mask, w["query_kernel"], w["key_value_kernel"], w["output_kernel"], heads, queries
    )


@pytest.mark.parametrize("heads", [1, 3])
def test_numbers(heads):
    layer, w = built(heads)
    got = check_layer(layer, SEQUENCE, MASK)
    np.testing.assert_allclose(got, twin(w, heads)[0], atol=1e-5)
    assert np.all(got[1] == 0), "nothing to look at, nothing seen"


def test_numbers_of_other_queries():
    layer, w = built()
    got = check_layer(layer, SEQUENCE, MASK, QUERIES)
    np.testing.assert_allclose(got, twin(w, 3, queries=QUERIES)[0], atol=1e-5)


def test_a_step_alone_as_query_gives_what_it_gives_among_all():
    layer, _ = built()
    whole = layer(SEQUENCE, MASK)
    np.testing.assert_allclose(
        layer(SEQUENCE, MASK, SEQUENCE[:, 1:2]), whole[:, 1:2], atol=1e-6
    )


def test_explain_gives_the_weights():
    layer, w = built()
    weights = layer.explain(SEQUENCE, MASK)["weights"].numpy()
    assert weights.shape == (3, 3, 5, 5)
    np.testing.assert_allclose(weights, twin(w, 3)[1], atol=1e-6)
    np.testing.assert_allclose(weights.sum(-1)[[0, 2]], 1, atol=1e-6)
    assert np.all(weights[1] == 0) and np.all(weights[2, :, :, 2:] == 0)
    one = layer.explain(SEQUENCE, MASK, QUERIES)["weights"]
    np.testing.assert_allclose(one, twin(w, 3, queries=QUERIES)[1], atol=1e-6)


def test_without_a_mask_every_step_is_real():
    layer, _ = built()
    np.testing.assert_allclose(layer(SEQUENCE), layer(SEQUENCE, np.ones((3, 5), bool)), atol=1e-6)


def test_padding_has_no_influence():
    layer, _ = built()
    noisy = np.where(MASK[..., None], SEQUENCE, 99).astype("float32")
    real = MASK[..., None]
    got, wanted = layer(noisy, MASK).numpy(), layer(SEQUENCE, MASK).numpy()
    np.testing.assert_allclose(np.where(real, got, 0), np.where(real, wanted, 0), atol=1e-6)


def test_order_is_not_seen():
    layer, _ = built()
    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(
        layer(SEQUENCE[:1, order]), layer(SEQUENCE[:1]).numpy()[:, order], atol=1e-5
    )


def test_dropout_acts_in_training_only():
    layer = MultiHeadSelfAttention(3, dropout=0.5)
    calm = layer(SEQUENCE, MASK)
    assert not np.allclose(layer(SEQUENCE, MASK, training=True), calm)
    np.testing.assert_array_equal(layer(SEQUENCE, MASK), calm)


def test_gradients_agree_in_all_forms():
    check_fast_form(built()[0], SEQUENCE, MASK)


def test_gradients_of_few_queries_are_those_among_all():
    layer, _ = built()
    sequence = tf.Variable(SEQUENCE)
    found = []
    for few in (True, False):
        with tf.GradientTape() as tape:
            seen = layer(sequence, MASK, sequence[:, :2] if few else None)[:, :2]
            total = tf.reduce_sum(tf.square(seen))
        found.append(tape.gradient(total, [sequence, *layer.trainable_weights]))
    for few, whole in zip(*found, strict=True):
        np.testing.assert_allclose(few, whole, rtol=1e-4, atol=1e-5)


def test_half_precision():
    check_half_precision(MultiHeadSelfAttention(3), SEQUENCE, MASK)


@pytest.mark.parametrize("heads", [4, 0])
def test_the_width_must_be_a_multiple_of_the_heads(heads):
    with pytest.raises(ValueError, match=f"a width of 6 cannot be split into {heads} heads"):
        MultiHeadSelfAttention(heads).build(SEQUENCE.shape)
