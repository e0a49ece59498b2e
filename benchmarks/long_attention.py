"""What HSTU's attention costs over short and long histories: all scores at once, or in chunks.

A training step, forward and gradient, of one `HSTUBlock` without padding, in both ways that the
layer has, each in a process of its own: the best CPU time of its turns on one core, and how much
memory the process held at most beyond what it held before its first step.

    python benchmarks/long_attention.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from memory import peak_mb

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

SIZES = ((128, 50), (128, 200), (8, 1024), (8, 2048), (8, 4096))
WIDTH = 50


def measure(rows, steps, chunk, turns):
    """Milliseconds of a step, and its peak in MB; all scores at once where chunk is 0."""
    import tensorflow as tf

    from deeprec_tf.layers.attention import hstu_block

    hstu_block.LONG = 0 if chunk else sys.maxsize
    block = hstu_block.HSTUBlock(1, WIDTH, places=steps)
    block.build((None, None, WIDTH))

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec([None, None, WIDTH])]
    )
    def step(sequence):
        mask = tf.ones(tf.shape(sequence)[:2], "bool")
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            total = tf.reduce_sum(tf.square(block.encode(sequence, mask, training=True)[0]))
        return tape.gradient(total, [sequence, *(w.value for w in block.trainable_weights)])

    step(tf.random.normal((1, 8, WIDTH)))
    sequence = tf.random.normal((rows, steps, WIDTH))
    before, best = peak_mb(), float("inf")
    for _ in range(turns):
        start = time.process_time()
        step(sequence)
        best = min(best, time.process_time() - start)
    print(f"{1e3 * best:.1f} {peak_mb() - before:.0f}")


def main():
    """Starts a process for every figure and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--one", type=int, nargs=3, help="rows, steps and chunks (0 or 1) of one")
    options = parser.parse_args()
    if options.one:
        measure(*options.one, options.turns)
        return
    print("| rows × steps | whole, ms | chunks, ms | whole, MB | chunks, MB |")
    print("|---|---:|---:|---:|---:|")
    for rows, steps in SIZES:
        found = []
        for chunk in (0, 1):
            run = subprocess.run(
                [sys.executable, __file__, "--turns", str(options.turns), "--one", str(rows),
                 str(steps), str(chunk)], capture_output=True, text=True, check=True,
            )  # fmt: skip
            found.append(run.stdout.split()[-2:])
        (whole, whole_mb), (chunks, chunks_mb) = found
        print(f"| {rows} × {steps:,} | {whole} | {chunks} | {whole_mb} | {chunks_mb} |")


if __name__ == "__main__":
    main()
