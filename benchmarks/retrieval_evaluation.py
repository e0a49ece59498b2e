"""Seconds of a full ranking: every item scored for every user, and of the baselines' fits.

The default size is Amazon Beauty's, 22,363 users and 12,101 items, with vectors of width 64. All
is drawn: vectors from a normal law, histories from a long-tailed one. Each step is timed once,
after a first call on a few users that traces the graphs; wall and processor seconds. `--epoch` adds
an epoch of SASRec over the same histories, by the softmax over all items, for comparison.

    python benchmarks/retrieval_evaluation.py
    python benchmarks/retrieval_evaluation.py --epoch --threads 1
    python benchmarks/retrieval_evaluation.py --users 6040 --items 3706 --history 160 --baselines
"""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf import next_item_columns
from deeprec_tf.evaluation import (
    evaluate_retrieval,
    fit_ease,
    fit_item_knn,
    fit_markov_chain,
    fit_popularity,
)
from deeprec_tf.models import SASRec

BASELINES = {
    "popularity": fit_popularity,
    "Markov chain": fit_markov_chain,
    "item-kNN": fit_item_knn,
    "EASE": fit_ease,
}
RANKS_ONLY = ("hr", "recall", "ndcg", "mrr", "map", "precision")


def two_tables(users, items, dim):
    """A two-tower model that looks both vectors up, and its catalogue."""
    inputs = {name: keras.Input((), name=name, dtype="int32") for name in ("user_id", "item_id")}
    user = keras.layers.Embedding(users, dim, embeddings_initializer="normal")(inputs["user_id"])
    item = keras.layers.Embedding(items + 1, dim, embeddings_initializer="normal")(
        inputs["item_id"]
    )
    user = keras.layers.Identity(name="user_vector")(user)
    item = keras.layers.Identity(name="item_vector")(item)
    model = keras.Model(inputs, keras.layers.Dot(axes=1)([user, item]))
    return model, {"item_id": np.arange(1, items + 1)}


def one_epoch(seen, items, dim):
    """Time an epoch of SASRec with its builder's defaults, histories of the 50 newest items."""
    maxlen, rows = 50, np.arange(len(seen))
    length = (seen != 0).sum(axis=1)
    places = np.maximum(length - 1 - maxlen, 0)[:, None] + np.arange(maxlen)
    history = np.where(
        places < length[:, None] - 1, seen[rows[:, None], np.minimum(places, seen.shape[1] - 1)], 0
    )
    x = {"hist_item_id": history.astype("int32"), "item_id": seen[rows, length - 1]}
    model = SASRec(*next_item_columns(items, maxlen, dim))
    model.fit({name: values[:1280] for name, values in x.items()}, batch_size=128, verbose=0)
    timed("SASRec, one epoch", lambda: model.fit(x, batch_size=128, verbose=0))


def timed(name, step):
    """Run a step, print what it took, return its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<44}{wall:8.2f} s{cpu:8.2f} s", flush=True)
    return result


def run(options):
    """Time the evaluation of a model, and where asked for that of the baselines."""
    rng = np.random.default_rng(options.seed)
    users, items = options.users, options.items
    lengths = np.minimum(rng.geometric(1 / options.history, users) + 4, 20 * options.history)
    seen = np.zeros((users, lengths.max()), np.int32)
    drawn = 1 + (rng.random(seen.shape) ** 3 * items).astype(np.int32)
    seen[np.arange(seen.shape[1]) < lengths[:, None]] = drawn[
        np.arange(seen.shape[1]) < lengths[:, None]
    ]
    several = 1 + (rng.random((users, options.targets)) ** 3 * items).astype(np.int32)
    one = several[:, 0]
    print(f"{users:,} users, {items:,} items, width {options.dim}, {lengths.sum():,} seen items")
    print(f"{'step':<44}{'wall':>10}{'processor':>10}")

    model, catalogue = two_tables(users, items, options.dim)
    x = {"user_id": np.arange(users, dtype=np.int32)}

    def evaluate(targets, rows=slice(None), **settings):
        part = {"user_id": x["user_id"][rows]}
        return evaluate_retrieval(
            model, part, targets[rows], items=catalogue, seen=seen[rows], **settings
        )

    for targets in (one, several):
        evaluate(targets, slice(0, 1100))
    timed("model, one target, metrics of ranks", lambda: evaluate(one, metrics=RANKS_ONLY))
    timed("model, one target, coverage too", lambda: evaluate(one))
    timed(
        f"model, {options.targets} targets, metrics of ranks",
        lambda: evaluate(several, metrics=RANKS_ONLY),
    )
    for name, fit in BASELINES.items() if options.baselines else ():
        scores = timed(f"{name}, fit", lambda fit=fit: fit(seen, items))
        timed(
            f"{name}, one target, metrics of ranks",
            lambda scores=scores: evaluate_retrieval(
                scores, seen, one, seen=seen, metrics=RANKS_ONLY
            ),
        )
    if options.epoch:
        one_epoch(seen, items, options.dim)


def main(argv=None):
    """Parse the arguments and run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=22_363)
    parser.add_argument("--items", type=int, default=12_101)
    parser.add_argument("--dim", type=int, default=64, help="width of the vectors")
    parser.add_argument("--history", type=int, default=8, help="seen items a user, about")
    parser.add_argument("--targets", type=int, default=5, help="a user, in the third step")
    parser.add_argument("--baselines", action="store_true", help="fit and rank them too")
    parser.add_argument("--epoch", action="store_true", help="train SASRec for one, too")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to TensorFlow")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
