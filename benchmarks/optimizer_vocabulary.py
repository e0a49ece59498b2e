"""What a training step costs as the vocabulary grows: row-sparse optimizers against Keras's.

One table, one batch of ids drawn from a Zipf law, a small dense head; the time of a whole step
(forward, gradient, update). The first table printed times the two forms of summing repeated
ids on their own. Times of one run belong together; compare the ratios.

    python benchmarks/optimizer_vocabulary.py
    python benchmarks/optimizer_vocabulary.py --threads 1 --rows 10000 1000000
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.optimizers import SparseAdagrad, SparseAdam, sum_repeated_rows

COMPILERS = {"graph": False, "XLA": True}


def zipf_ids(rows, shape, exponent):
    """Ids with a long tail, as clicks have: id k about as often as k ** -exponent."""
    generator = np.random.default_rng(0)
    return ((generator.zipf(exponent, shape) - 1) % rows).astype("int32")


def best_times(functions, *, repeats, seconds):
    """The best time in milliseconds of each function, the functions taking turns.

    The first call of a function, which traces and compiles, is not timed, and a function gets
    no more turns once its own turns have taken `seconds` together.
    """
    best, spent = {}, {}
    for name, function in functions.items():
        function()
        best[name], spent[name] = float("inf"), 0.0
    for _ in range(repeats):
        for name, function in functions.items():
            if spent[name] > seconds:
                continue
            start = time.perf_counter()
            function()
            took = time.perf_counter() - start
            spent[name] += took
            best[name] = min(best[name], 1000 * took)
    return best


def summing(count, dim, options):
    """Functions that sum the repeated ids of one gradient, by (form, compiler)."""
    ids = tf.constant(zipf_ids(10**6, count, options.exponent))
    values = tf.random.normal((count, dim))
    functions = {}
    for form, static_shapes in (("tf.unique", False), ("sort, static shapes", True)):
        for compiler, jit_compile in COMPILERS.items():
            summed = tf.function(
                lambda ids, values, static_shapes=static_shapes: sum_repeated_rows(
                    tf.IndexedSlices(values, ids), static_shapes=static_shapes
                ).values,
                jit_compile=jit_compile,
            )
            functions[form, compiler] = lambda summed=summed: summed(ids, values).numpy()
    return functions


def training_steps(rows, make_layer, make_optimizer, options):
    """By compiler, a function that trains one step and waits for it; both train one model."""
    ids = keras.Input((options.fields,), dtype="int32")
    vectors = keras.layers.Flatten()(make_layer(rows, options.dim)(ids))
    model = keras.Model(ids, keras.layers.Dense(1)(vectors))
    optimizer = make_optimizer()
    optimizer.build(model.trainable_variables)
    batch = tf.constant(zipf_ids(rows, (options.batch, options.fields), options.exponent))

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(batch, training=True) - 1.0))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    compiled = {
        compiler: tf.function(step, jit_compile=jit_compile)
        for compiler, jit_compile in COMPILERS.items()
    }
    return {
        compiler: lambda function=function: function().numpy()
        for compiler, function in compiled.items()
    }


def print_table(title, columns, lines):
    """Print one Markdown table."""
    print(f"\n{title}\n")
    print("| " + " | ".join(["", *columns]) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for name, cells in lines.items():
        print("| " + " | ".join([name, *cells]) + " |")


def with_ratio(time_of, base):
    """A time beside its ratio to the base, or a dash."""
    if time_of is None:
        return "-"
    return f"{time_of:.2f} ms ({time_of / base:.1f})"


def compare(options):
    """Time all steps, one vocabulary after the other, and print the table."""
    optimizers = {
        "SparseAdam": (TableEmbedding, SparseAdam),
        "SparseAdagrad": (TableEmbedding, SparseAdagrad),
        "SparseAdam(lazy=False)": (TableEmbedding, lambda: SparseAdam(lazy=False)),
        "Keras Adam": (keras.layers.Embedding, keras.optimizers.Adam),
        "Keras Adagrad": (keras.layers.Embedding, keras.optimizers.Adagrad),
    }
    whole_table = [name for name in optimizers if "Keras" in name or "lazy" in name]
    times = {}
    for rows in options.rows:
        keras.backend.clear_session(free_memory=True)
        functions = {
            (name, compiler): step
            for name, makers in optimizers.items()
            if name not in whole_table or rows <= options.whole_table_up_to
            for compiler, step in training_steps(rows, *makers, options).items()
        }
        found = best_times(functions, repeats=options.repeats, seconds=options.seconds)
        times.update({(*key, rows): value for key, value in found.items()})
        del functions
    for compiler in COMPILERS:
        base = times["SparseAdam", compiler, options.rows[0]]
        print_table(
            f"Step, {compiler}, by rows of the table; in brackets the ratio to SparseAdam at "
            f"{options.rows[0]:,} rows",
            [f"{rows:,}" for rows in options.rows],
            {
                name: [
                    with_ratio(times.get((name, compiler, rows)), base) for rows in options.rows
                ]
                for name in optimizers
            },
        )


def main():
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10**4, 10**6, 10**7])
    parser.add_argument("--dim", type=int, default=16, help="width of the table")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--fields", type=int, default=26, help="ids of one example")
    parser.add_argument("--exponent", type=float, default=1.2, help="of the Zipf law")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to TensorFlow")
    parser.add_argument("--repeats", type=int, default=30, help="turns, of which the best counts")
    parser.add_argument("--seconds", type=float, default=5.0, help="at most, of one step's turns")
    parser.add_argument(
        "--whole-table-up-to", type=int, default=10**6,
        help="leave out the optimizers that rewrite the whole table above so many rows",
    )
    options = parser.parse_args()
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)

    found = best_times(
        summing(options.batch * options.fields, options.dim, options),
        repeats=options.repeats,
        seconds=options.seconds,
    )
    base = found["tf.unique", "graph"]
    print_table(
        f"Summing {options.batch * options.fields:,} gradients of repeated ids x {options.dim}; "
        "in brackets the ratio to tf.unique in graph mode",
        list(COMPILERS),
        {
            form: [with_ratio(found[form, compiler], base) for compiler in COMPILERS]
            for form in ("tf.unique", "sort, static shapes")
        },
    )
    compare(options)


if __name__ == "__main__":
    main()
