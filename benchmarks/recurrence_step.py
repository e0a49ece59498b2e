"""What `DynamicGRU` costs: its fast forms against `keras.layers.RNN` over its own cell.

The first table is forward and backward (gradients by sequence, attention and weights) for several
shapes and paddings, in graph mode and, for the cell, under XLA. The second is the two recurrences
of DIEN in inference, by rows of the batch. All forms take turns in one process, on one thread; a
figure is the CPU time in ms of the best turn, with the ratio to the cell in brackets.

    python benchmarks/recurrence_step.py
    python benchmarks/recurrence_step.py --turns 30 --without-xla
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from deeprec_tf.layers import DynamicGRU

# Name, rows, steps, width, shortest row.
SHAPES = [
    ("1024 x 50 x 32, lengths 5..50", 1024, 50, 32, 5),
    ("1024 x 50 x 32, no padding", 1024, 50, 32, 50),
    ("1024 x 50 x 64, lengths 5..50", 1024, 50, 64, 5),
    ("256 x 50 x 32, lengths 5..50", 256, 50, 32, 5),
    ("256 x 20 x 16, lengths 1..20", 256, 20, 16, 1),
    ("32 x 50 x 32, lengths 5..50", 32, 50, 32, 5),
]


def batch(rows, steps, width, shortest):
    """Sequence, attention and mask, lengths uniform."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(shortest, steps + 1, rows)
    lengths[0] = steps
    sequence = generator.normal(size=(rows, steps, width)).astype("float32")
    attention = generator.uniform(size=(rows, steps)).astype("float32")
    return tuple(map(tf.constant, (sequence, attention, np.arange(steps) < lengths[:, None])))


def layer(width, gru_type, sequences):
    """A built layer."""
    built = DynamicGRU(gru_type=gru_type, return_sequences=sequences)
    shape = (None, None, width)
    built.build(shape, None if gru_type == "GRU" else shape[:2])
    return built


def by_cell(built, sequence, attention, mask):
    """What the layer gives, by `keras.layers.RNN`."""
    gate = tf.ones_like(sequence[..., 0]) if attention is None else attention
    real = tf.cast(mask, sequence.dtype)
    return built.rnn(tf.concat([sequence, gate[..., None], real[..., None]], -1))


def by_layer(built, sequence, attention, mask, training):
    """What the layer gives."""
    arguments = (sequence,) if attention is None else (sequence, attention)
    return built(*arguments, sequence_mask=mask, training=training)


def traced(function, jit, width):
    """The function with open batch and time axes; XLA wants them known."""
    if jit:
        return tf.function(function, jit_compile=True)
    return tf.function(function, input_signature=[
        tf.TensorSpec((None, None, width)), tf.TensorSpec((None, None)),
        tf.TensorSpec((None, None), tf.bool),
    ])


def step(built, form):
    """States and gradients of an AUGRU over all its inputs and weights."""
    weights = [weight.value for weight in built.trainable_weights]

    def gradients(sequence, attention, mask):
        with tf.GradientTape() as tape:
            tape.watch([sequence, attention])
            states = form(built, sequence, attention, mask)
        return states, tape.gradient(states, [sequence, attention, *weights])

    return gradients


def inference(first, second, form):
    """DIEN's pair: a GRU over the sequence, an AUGRU over its states."""
    return lambda sequence, attention, mask: form(
        second, form(first, sequence, None, mask), attention, mask
    )


def packed(*arguments):
    """The form of training."""
    return by_layer(*arguments, training=True)


def padded(*arguments):
    """The form of inference and exports."""
    return by_layer(*arguments, training=False)


def best_times(functions, tensors, turns):
    """The best CPU time in ms of each function, the functions taking turns."""
    best = dict.fromkeys(functions, float("inf"))
    for function in functions.values():
        function(*tensors)
    for _ in range(turns):
        for name, function in functions.items():
            start = time.process_time()
            function(*tensors)
            best[name] = min(best[name], 1000 * (time.process_time() - start))
    return best


def print_line(name, times):
    """One line of a Markdown table."""
    base = next(iter(times.values()))
    cells = [f"{value:.2f} ({base / value:.2f})" for value in times.values()]
    print(f"| {name} | " + " | ".join(cells) + " |")


def print_head(*columns):
    """Name and rule of a Markdown table's columns."""
    print("\n| | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))


def main(options):
    """Prints both tables."""
    compilers = {"cell": (by_cell, False), "packed": (packed, False)}
    if not options.without_xla:
        compilers["cell, XLA"] = (by_cell, True)
    print_head(*compilers)
    for name, rows, steps, width, shortest in SHAPES:
        for sequences in (True, False):
            built = layer(width, "AUGRU", sequences)
            functions = {
                label: traced(step(built, form), jit, width)
                for label, (form, jit) in compilers.items()
            }
            times = best_times(functions, batch(rows, steps, width, shortest), options.turns)
            print_line(f"{name}, {'all states' if sequences else 'last state'}", times)
    forms = {"cell": by_cell, "padded": padded, "packed": packed}
    print_head(*forms)
    pair = layer(32, "GRU", True), layer(32, "AUGRU", False)
    functions = {
        label: traced(inference(*pair, form), False, 32) for label, form in forms.items()
    }
    for rows in (1, 64, 1024):
        tensors = batch(rows, 50, 32, 5)
        print_line(f"{rows} x 50 x 32", best_times(functions, tensors, 3 * options.turns))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=10, help="turns of each form")
    parser.add_argument("--without-xla", action="store_true", help="skip the compiled cell")
    main(parser.parse_args())
