"""Prints by how much the memory of a process grows in a step of the softmax over all items, MB."""

import resource
import sys

import numpy as np
import tensorflow as tf

from deeprec_tf.layers import CatalogueLoss


def peak_mb():
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(positions, items, width=16):
    """Runs a step of few positions, for what is always needed, and then the whole one."""
    table = tf.random.normal((items + 1, width))
    queries = tf.random.normal((positions, width))
    labels = tf.constant(np.arange(positions) % items + 1)
    layer = CatalogueLoss()

    @tf.function(input_signature=[tf.TensorSpec((None, width)), tf.TensorSpec((None,), tf.int64)])
    def step(queries, labels):
        with tf.GradientTape() as tape:
            tape.watch([queries, table])
            loss = tf.reduce_mean(layer(queries, labels, table, training=True))
        return loss, tape.gradient(loss, [queries, table])

    step(queries[:8], labels[:8])
    before = peak_mb()
    loss, gradients = step(queries, labels)
    if not np.isfinite(loss) or not all(np.isfinite(one).all() for one in gradients):
        raise ValueError("the step is not finite")
    sys.stdout.write(f"{peak_mb() - before:.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
