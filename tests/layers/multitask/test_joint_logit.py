import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.layers import JointLogit
from tests.layers.contract import check_layer

GRID = np.linspace(-12, 12, 9)
A, B = (grid.reshape(-1, 1).astype("float32") for grid in np.meshgrid(GRID, GRID))


def test_numbers():
    logit = check_layer(JointLogit(), A, B, time_axes=())
    product = 1 / (1 + np.exp(-A.astype("float64"))) / (1 + np.exp(-B.astype("float64")))
    np.testing.assert_allclose(keras.ops.sigmoid(logit), product, atol=1e-6)
    np.testing.assert_allclose(logit, np.log(product) - np.log1p(-product), atol=1e-4)


def test_extremes_keep_their_gradient():
    """As a product of two sigmoids the loss of a sure mistake would have none."""
    a = tf.constant([[60.0], [-60.0], [60.0]])
    b = tf.constant([[60.0], [-60.0], [-60.0]])
    labels = tf.constant([[0.0], [1.0], [1.0]])
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        loss = tf.nn.sigmoid_cross_entropy_with_logits(labels, JointLogit()(a, b))
    np.testing.assert_allclose(loss[:, 0], [60 - np.log(2), 120, 60], rtol=1e-5)
    of_a, of_b = tape.gradient(loss, [a, b])
    np.testing.assert_allclose(of_a[:, 0], [0.5, -1, 0], atol=1e-5)
    np.testing.assert_allclose(of_b[:, 0], [0.5, -1, -1], atol=1e-5)
