"""What the softmax over a catalogue costs: Keras's cross-entropy, and this library's loss.

Forward and gradient of so many positions over so many items, each way in a process of its own: the
median CPU time of its turns on one core, and how much memory the process held at most beyond what
it held before the first step. "at once" keeps the exponentials of all scores and multiplies by them
for the gradient; this library's loss works positions off in chunks that stay in the caches.

    python benchmarks/catalogue_softmax.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

from memory import peak_mb

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

SIZES = ((256, 12_101), (2_048, 12_101), (3_520, 3_953), (2_048, 100_000), (8_192, 100_000))
FORMS = ("Keras", "at once", "this loss")
WIDTH, MOST_MEMORY = 64, 12e9


def loss_of(form):
    """Function of queries, items and labels to the loss of each query."""
    import keras
    import tensorflow as tf

    from deeprec_tf.layers.retrieval._kernels import catalogue_softmax

    @tf.custom_gradient
    def log_totals(queries, items):
        logits = tf.matmul(queries, items, transpose_b=True)
        highest = tf.reduce_max(logits, axis=1, keepdims=True)
        powers = tf.exp(logits - highest)
        total = tf.reduce_sum(powers, axis=1, keepdims=True)

        def gradient(upstream):
            share = upstream[:, None] / total
            of_items = tf.matmul(powers, queries * share, transpose_a=True)
            return tf.matmul(powers, items) * share, of_items

        return (highest + tf.math.log(total))[:, 0], gradient

    def at_once(queries, items, labels):
        positive = tf.reduce_sum(queries * tf.gather(items, labels), axis=-1)
        return log_totals(queries, items) - positive

    def plain(queries, items, labels):
        return keras.ops.sparse_categorical_crossentropy(
            labels, tf.matmul(queries, items, transpose_b=True), from_logits=True
        )

    def ours(queries, items, labels):
        return catalogue_softmax(queries, items, labels, tf.ones_like(labels, "bool"))

    return {"Keras": plain, "at once": at_once, "this loss": ours}[form]


def measure(form, positions, items, turns):
    """Milliseconds of a step, and its peak in MB."""
    import tensorflow as tf

    loss = loss_of(form)

    @tf.function(autograph=False, reduce_retracing=True)
    def step(queries, table, labels):
        with tf.GradientTape() as tape:
            tape.watch([queries, table])
            total = tf.reduce_mean(loss(queries, table, labels))
        return tape.gradient(total, [queries, table])

    table = tf.random.normal((items, WIDTH), stddev=0.1)
    labels = tf.random.uniform((positions,), 0, items, tf.int32)
    queries = tf.random.normal((positions, WIDTH))
    step(queries[:2], table, labels[:2])
    step(queries[:3], table, labels[:3])
    before, spans = peak_mb(), []
    for _ in range(turns):
        start = time.process_time()
        step(queries, table, labels)
        spans.append(time.process_time() - start)
    return 1000 * statistics.median(spans), peak_mb() - before


def main():
    """Prints a line a size and form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--one", nargs=3, help="form, positions, items: in this process")
    options = parser.parse_args()
    if options.one:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        form, positions, items = options.one
        print(*measure(form, int(positions), int(items), options.turns))
        return
    print(f"{'positions x items':>20}  " + "".join(f"{form + ', ms (MB)':>22}" for form in FORMS))
    for positions, items in SIZES:
        cells = []
        for form in FORMS:
            if form in FORMS[:2] and 3 * 4 * positions * items > MOST_MEMORY:
                cells.append("not run")
                continue
            command = [sys.executable, __file__, "--turns", str(options.turns), "--one", form]
            command += [str(positions), str(items)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            milliseconds, megabytes = map(float, answer.split())
            cells.append(f"{milliseconds:,.0f} ({megabytes:,.0f})")
        size = f"{positions:,} x {items:,}"
        print(f"{size:>20}  " + "".join(f"{cell:>22}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
