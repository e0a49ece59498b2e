import numpy as np

from deeprec_tf.layers import LearnedVector
from tests.layers.contract import check_half_precision, check_layer, randomize


def test_every_row_has_the_vector():
    layer, like = LearnedVector(3), np.zeros((4, 2), "int32")
    check_layer(layer, like)
    vector = randomize(layer)["vector"]
    np.testing.assert_allclose(layer(like), np.tile(vector, (4, 1)), rtol=1e-6)
    check_half_precision(LearnedVector(3), like)
