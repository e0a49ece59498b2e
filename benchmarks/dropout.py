"""What dropout costs, forward and backward: draws of 16 bits, and Keras's layer.

2,097,152 numbers, rate .1, on one core, as one TensorFlow graph and compiled by XLA. All forms take
turns in one process; a figure is the median CPU time of their turns.

    python benchmarks/dropout.py
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.layers import Dropout

SHAPE, RATE = (1024, 2048), 0.1


def step(layer, *, jit_compile):
    """A function that passes numbers through the layer, and their gradient back."""
    @tf.function(jit_compile=jit_compile)
    def both_ways(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return tape.gradient(y, x, output_gradients=x)

    return both_ways


def main(argv=None):
    """Parses the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    options = parser.parse_args(argv)
    x = tf.random.normal(SHAPE)
    forms = {
        f"{name}, {'XLA' if jit_compile else 'graph'}": step(layer, jit_compile=jit_compile)
        for name, layer in (
            ("Dropout", Dropout(RATE)), ("keras.layers.Dropout", keras.layers.Dropout(RATE)),
        )
        for jit_compile in (False, True)
    }  # fmt: skip
    spent = {name: [] for name in forms}
    for turn in range(-2, options.turns):
        for name, form in forms.items():
            begin = time.process_time()
            form(x).numpy()
            if turn >= 0:
                spent[name].append(time.process_time() - begin)
    for name, seconds in spent.items():
        print(f"{name:<30}{1000 * np.median(seconds):8.1f} ms")


if __name__ == "__main__":
    main()
