import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import CausalDecoder
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.hllm import causal_decoder

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
LENGTHS = (5, 0, 2)
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


def test_numbers():
    layer = CausalDecoder(2, 2, 7)
    check_layer(layer, X, MASK)
    weights = randomize(layer)
    for got in (layer(X, MASK), tf.function(lambda: layer(X, MASK, training=True))()):
        for row, length in enumerate(LENGTHS):
            wanted = causal_decoder(X[row].astype("float64"), length, weights, 2, 2)
            np.testing.assert_allclose(got[row, :length], wanted, atol=5e-5)
    check_half_precision(CausalDecoder(1, 2, 7), X, MASK)


def test_a_later_step_moves_no_earlier_one():
    layer = CausalDecoder(2, 2, 7)
    before = np.asarray(layer(X, MASK))
    changed = X.copy()
    changed[:, 3:] = -changed[:, 3:] + np.arange(4)
    after = np.asarray(layer(changed, MASK))
    np.testing.assert_array_equal(after[:, :3], before[:, :3])
    assert np.abs(after[0, 3:] - before[0, 3:]).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 2, 5), "num_layers must be an integer of at least 1, got 0"),
     ((1, 2, True), "maxlen must be an integer of at least 1, got True")],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        CausalDecoder(*arguments)


def test_numpy_scalars_are_numbers():
    given = dict(num_layers=np.int64(1), num_heads=np.int32(2), maxlen=np.int64(3))
    config = CausalDecoder(**given).get_config()
    assert {name: config[name] for name in given} == given
    assert {type(config[name]) for name in given} <= {int, float}
