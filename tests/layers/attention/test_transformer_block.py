import keras
import numpy as np
import pytest

from deeprec_tf.layers import TransformerBlock
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form
from tests.reference.sessions import gelu
from tests.reference.transformer import leaky_relu, relu, self_attention, transformer_block

GENERATOR = np.random.default_rng(1)
SEQUENCE = GENERATOR.normal(size=(3, 4, 6)).astype("float32")
MASK = np.arange(4) < np.array([[4], [0], [2]])


def built(**options):
    layer = TransformerBlock(2, **options)
    layer.build(SEQUENCE.shape)
    return layer, randomize(layer)


@pytest.mark.parametrize(("name", "function"), [
    ("leaky_relu", leaky_relu), ("relu", relu), ("gelu", gelu),
])
def test_numbers(name, function):
    layer, w = built(activation=name, feed_forward_units=5)
    wanted = transformer_block(SEQUENCE, MASK, w, 2, function)
    np.testing.assert_allclose(check_layer(layer, SEQUENCE, MASK), wanted, atol=1e-4)


def test_one_query_gives_what_it_gives_among_all():
    layer, w = built()
    last = SEQUENCE[:, -1:]
    got = check_layer(layer, SEQUENCE, MASK, last)
    np.testing.assert_allclose(got, layer(SEQUENCE, MASK)[:, -1:], atol=1e-5)
    wanted = transformer_block(SEQUENCE, MASK, w, 2, leaky_relu, queries=last)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_the_inner_width_is_four_times_the_outer():
    assert built()[0].inner.blocks[0][0].units == 24


def test_explain_gives_the_weights():
    layer, w = built()
    wanted = self_attention(
        SEQUENCE, MASK, w["attention/query_kernel"], w["attention/key_value_kernel"],
        w["attention/output_kernel"], 2,
    )[1]
    np.testing.assert_allclose(layer.explain(SEQUENCE, MASK)["weights"], wanted, atol=1e-5)


def test_padding_has_no_influence():
    layer, _ = built()
    noisy = np.where(MASK[..., None], SEQUENCE, 99).astype("float32")
    got, wanted = layer(noisy, MASK).numpy(), layer(SEQUENCE, MASK).numpy()
    np.testing.assert_allclose(got[MASK], wanted[MASK], atol=1e-5)


class RealSteps(keras.layers.Layer):
    """A block's outputs of the real steps, as whoever reads them has to mask them."""

    def __init__(self, block):
        super().__init__()
        self.block = block
        self.built = True

    def call(self, sequence, mask, training=False):
        steps = self.block(sequence, sequence_mask=mask, training=training)
        return keras.ops.where(mask[..., None], steps, 0.0)


@pytest.mark.parametrize(
    "lengths", [[4, 0, 2], [1], [0, 0], [], [3, 1, 4, 1, 5, 7, 2, 6, 5, 0, 7]], ids=str
)
def test_groups_of_like_length_have_the_values_and_gradients_of_the_whole(lengths):
    mask = np.arange(7) < np.array(lengths, int)[:, None]
    mask[:, 6] |= mask[:, 0]  # not all of it in front
    sequence = np.random.default_rng(2).normal(size=(len(lengths), 7, 6)).astype("float32")
    check_fast_form(RealSteps(built()[0]), sequence, mask, forms=("eager", "graph"))


def test_half_precision():
    check_half_precision(TransformerBlock(2), SEQUENCE, MASK)


def test_the_width_must_be_a_multiple_of_the_heads():
    with pytest.raises(ValueError, match="a width of 6 cannot be split into 4 heads"):
        TransformerBlock(4).build(SEQUENCE.shape)
