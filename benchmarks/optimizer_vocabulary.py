"""What a training step costs as the vocabulary grows: row-sparse optimizers against Keras's.

One table, one batch of ids drawn from a Zipf law, a tower of dense layers (`--hidden` alone for
none); the CPU time of a whole step (forward, gradient, update). Every table gets the same batch: as
many ids, as many different ones, with the same repeats, placed on rows that lie anywhere in the
table. One column, "its first rows", places them on the first rows of the largest table instead:
what that saves is what the caches and the memory's page tables cost, all else being equal.

All steps take turns in one process; a figure is the best of a run's turns, and the ratios are
given for each run. The last table times the forms of summing repeated ids on their own.

    python benchmarks/optimizer_vocabulary.py
    python benchmarks/optimizer_vocabulary.py --hidden --rows 10000 1000000 --runs 1
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
FIRST_ROWS = "its first rows"
ROW_SPARSE = {
    "SparseAdam": (TableEmbedding, SparseAdam),
    "SparseAdagrad": (TableEmbedding, SparseAdagrad),
}
WHOLE_TABLE = {
    "SparseAdam(lazy=False)": (TableEmbedding, lambda: SparseAdam(lazy=False)),
    "Keras Adam": (keras.layers.Embedding, keras.optimizers.Adam),
    "Keras Adagrad": (keras.layers.Embedding, keras.optimizers.Adagrad),
}


def zipf_ids(rows, shape, exponent):
    """Ids with a long tail, as clicks have: id k about as often as k ** -exponent."""
    generator = np.random.default_rng(0)
    return ((generator.zipf(exponent, shape) - 1) % rows).astype("int32")


def spread(ids, rows, table_rows):
    """The same batch on other rows: ids below `rows` placed anywhere in a table, one to one."""
    places = np.random.default_rng(1).choice(table_rows, rows, replace=False)
    return places.astype("int32")[ids]


def best_times(functions, *, repeats, seconds):
    """The best CPU time in milliseconds of each function, the functions taking turns.

    The first call of a function, which traces and compiles, is not timed, and a function gets
    no more turns once its own turns have taken `seconds` together.
    """
    best = dict.fromkeys(functions, float("inf"))
    spent = dict.fromkeys(functions, 0.0)
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            if spent[name] > seconds:
                continue
            start = time.process_time()
            function()
            took = time.process_time() - start
            spent[name] += took
            best[name] = min(best[name], 1000 * took)
    return best


def summing(ids, dim):
    """Functions that sum the repeated ids of one gradient, by (form, compiler)."""
    ids = tf.constant(ids)
    values = tf.random.normal((ids.shape[0], dim))
    functions = {}
    for form, static_shapes in (("tf.unique", False), ("hashing, static shapes", True)):
        for compiler, jit_compile in COMPILERS.items():
            summed = tf.function(
                lambda ids, values, static_shapes=static_shapes: sum_repeated_rows(
                    tf.IndexedSlices(values, ids), static_shapes=static_shapes
                ).values,
                jit_compile=jit_compile,
            )
            functions[form, compiler] = lambda summed=summed: summed(ids, values).numpy()
    return functions


def training_steps(batches, rows, make_layer, make_optimizer, options):
    """By (compiler, name of the batch), a function that trains one step; all train one model."""
    fields = next(iter(batches.values())).shape[1]
    ids = keras.Input((fields,), dtype="int32")
    vectors = keras.layers.Flatten()(make_layer(rows, options.dim)(ids))
    for units in options.hidden:
        vectors = keras.layers.Dense(units, activation="relu")(vectors)
    model = keras.Model(ids, keras.layers.Dense(1)(vectors))
    optimizer = make_optimizer()
    optimizer.build(model.trainable_variables)

    def step(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(batch, training=True) - 1.0))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    tensors = {name: tf.constant(batch) for name, batch in batches.items()}
    functions = {}
    for compiler, jit_compile in COMPILERS.items():
        compiled = tf.function(step, jit_compile=jit_compile)
        for name, batch in tensors.items():
            functions[compiler, name] = (
                lambda compiled=compiled, batch=batch: compiled(batch).numpy()
            )
    return functions


def print_table(title, columns, lines):
    """Print one Markdown table."""
    print(f"\n{title}\n")
    print("| " + " | ".join(["", *columns]) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for name, cells in lines.items():
        print("| " + " | ".join([name, *cells]) + " |")


def cell(times, ratios=None):
    """The best time of all runs and the ratio of each run, or a dash."""
    if not times:
        return "-"
    brackets = f" ({', '.join(f'{ratio:.2f}' for ratio in ratios)})" if ratios else ""
    return f"{min(times):.2f} ms{brackets}"


def compare(options):
    """Time the steps on all tables and print a table for each compiler."""
    smallest, largest = min(options.rows), max(options.rows)
    ids = zipf_ids(smallest, (options.batch, options.fields), options.exponent)
    print(f"{ids.size:,} ids a batch, {len(np.unique(ids)):,} of them different")
    functions = {}
    for rows in options.rows:
        batches = {f"{rows:,}": spread(ids, smallest, rows)}
        if rows == largest:
            batches[f"{rows:,}, {FIRST_ROWS}"] = ids
        small_enough = rows <= options.whole_table_up_to
        for name, makers in {**ROW_SPARSE, **(WHOLE_TABLE if small_enough else {})}.items():
            for key, step in training_steps(batches, rows, *makers, options).items():
                functions[(*key, name)] = step
    runs = [
        best_times(functions, repeats=options.repeats, seconds=options.seconds)
        for _ in range(options.runs)
    ]
    columns = [f"{rows:,}" for rows in options.rows]
    columns.append(f"{largest:,}, {FIRST_ROWS}")
    for compiler in COMPILERS:
        lines = {}
        for name in [*ROW_SPARSE, *WHOLE_TABLE]:
            found = [
                [run[compiler, column, name] for run in runs]
                if (compiler, column, name) in functions else []
                for column in columns
            ]
            lines[name] = [
                cell(times, [time / base for time, base in zip(times, found[0], strict=False)])
                for times in found
            ]
        print_table(
            f"A step, {compiler}, by rows of the table; in brackets, for each run, the ratio to "
            f"the same optimizer at {columns[0]} rows",
            columns,
            lines,
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
    parser.add_argument(
        "--hidden", type=int, nargs="*", default=[256, 128, 64], help="widths of the tower"
    )
    parser.add_argument("--exponent", type=float, default=1.2, help="of the Zipf law")
    parser.add_argument("--threads", type=int, default=1, help="0 leaves it to TensorFlow")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=30, help="turns, of which the best counts")
    parser.add_argument("--seconds", type=float, default=1.0, help="at most, of one step's turns")
    parser.add_argument(
        "--whole-table-up-to", type=int, default=10**6,
        help="leave out the optimizers that rewrite the whole table above so many rows",
    )
    options = parser.parse_args()
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)

    compare(options)
    ids = zipf_ids(min(options.rows), options.batch * options.fields, options.exponent)
    found = best_times(
        summing(ids, options.dim), repeats=options.repeats, seconds=options.seconds
    )
    print_table(
        f"Summing {ids.size:,} gradients of repeated ids x {options.dim}",
        list(COMPILERS),
        {
            form: [cell([found[form, compiler]]) for compiler in COMPILERS]
            for form in ("tf.unique", "hashing, static shapes")
        },
    )


if __name__ == "__main__":
    main()
