"""Evaluates one model on one device and over two replicas; a strategy needs its own process.

    python -m tests.evaluation.mirrored_run
"""

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf import DenseFeat
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr
from deeprec_tf.models import LR
from deeprec_tf.training import strategy


def build():
    inputs = keras.Input((2,), name="x")
    model = keras.Model({"x": inputs}, keras.layers.Dense(1, activation="sigmoid")(inputs))
    model.compile("sgd", "binary_crossentropy")
    return model


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one = build()
    with strategy("mirrored").scope():
        two = build()
    two.set_weights(one.get_weights())
    generator = np.random.default_rng(0)
    x, y = {"x": generator.normal(size=(21, 2))}, generator.integers(0, 2, 21)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)

    expected = evaluate_ctr(one, x, y, batch_size=5)
    for scores in (evaluate_ctr(two, x, y, batch_size=5), evaluate_ctr(two, data)):
        np.testing.assert_allclose(list(scores.values()), list(expected.values()), rtol=1e-6)
    history = two.fit(x, y, batch_size=8, verbose=0, callbacks=[CTREvaluation((x, y))]).history
    np.testing.assert_allclose(history["val_auc"], evaluate_ctr(two, x, y)["auc"])

    # A row once, where Keras's predict_on_batch gives each replica all of them.
    columns = [DenseFeat("x", 2)]
    alone = LR(columns)
    with strategy("mirrored").scope():
        shared = LR(columns)
    shared.set_weights(alone.get_weights())
    np.testing.assert_allclose(
        shared.predict_on_batch(x), alone.predict_on_batch(x), atol=1e-6
    )
