import numpy as np
import pytest

from deeprec_tf.layers import BiInteraction, PairAttention
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.pairs import pair_attention

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def built(**options):
    layer = PairAttention(6, **options)
    layer.build(FIELDS.shape)
    return layer, randomize(layer)


def test_numbers():
    layer, w = built(dropout=0.3)
    got = check_layer(layer, FIELDS, time_axes=())
    weights, pooled = pair_attention(
        FIELDS.astype("float64"), w["kernel"], w["bias"], w["projection"][:, 0]
    )
    np.testing.assert_allclose(got, pooled, atol=1e-5)
    explained = layer.explain(FIELDS)
    assert explained.keys() == {"weights"}
    np.testing.assert_allclose(explained["weights"], weights, atol=1e-6)


def test_half_precision():
    check_half_precision(PairAttention(6), 0.3 * FIELDS)
    half = PairAttention(6, dtype="mixed_bfloat16")
    half(FIELDS)
    np.testing.assert_allclose(np.sum(half.explain(FIELDS)["weights"], axis=1), 1, atol=1e-5)


def test_zero_projection_gives_every_pair_the_same_weight():
    layer, _ = built()
    layer.projection.assign(np.zeros((6, 1)))
    np.testing.assert_allclose(layer(FIELDS), BiInteraction()(FIELDS) / 10, atol=1e-6)


def test_dropout_is_of_the_attention_weights_in_training_only():
    layer, _ = built(dropout=0.5)
    np.testing.assert_array_equal(layer(FIELDS), layer(FIELDS, training=False))
    assert not np.allclose(layer(FIELDS, training=True), layer(FIELDS))


def test_the_penalty_is_on_the_matrix_alone():
    layer, w = built(l2=0.25)
    (loss,) = layer.losses
    np.testing.assert_allclose(loss, 0.25 * np.sum(w["kernel"] ** 2), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_units": 0}, "attention_units must be one positive integer.*got 0"),
        ({"attention_units": (8, 4)}, r"attention_units must be one .*\(8, 4\)"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        PairAttention(**options)


def test_one_field_has_no_pair():
    with pytest.raises(ValueError, match="pairs need two fields or more, got 1"):
        PairAttention()(FIELDS[:, :1])


def test_numpy_scalars_are_numbers():
    given = dict(attention_units=np.int64(3), dropout=np.float32(0.25))
    config = PairAttention(**given).get_config()
    assert {name: config[name] for name in given} == given
    assert {type(config[name]) for name in given} <= {int, float}
