import numpy as np

from deeprec_tf.layers import BilinearAttention
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.behavior import bilinear_attention

GENERATOR = np.random.default_rng(0)
TARGET = GENERATOR.normal(size=(3, 4)).astype("float32")
STATES = GENERATOR.normal(size=(3, 5, 2)).astype("float32")
MASK = np.arange(5) < np.array([[5], [0], [2]])


def test_numbers():
    layer = BilinearAttention()
    layer.build(TARGET.shape, STATES.shape)
    kernel = randomize(layer)["kernel"]
    got = check_layer(layer, TARGET, STATES, MASK)
    np.testing.assert_allclose(got, bilinear_attention(TARGET, STATES, MASK, kernel), atol=1e-6)
    np.testing.assert_allclose(got.sum(1), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(layer.explain(TARGET, STATES, MASK)["weights"], got, atol=1e-6)
    check_half_precision(layer, TARGET, STATES, MASK)


def test_padding_has_no_influence():
    layer = BilinearAttention()
    noisy = np.where(MASK[..., None], STATES, 99).astype("float32")
    np.testing.assert_allclose(layer(TARGET, noisy, MASK), layer(TARGET, STATES, MASK), atol=1e-6)
