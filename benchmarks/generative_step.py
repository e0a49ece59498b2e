"""What a training step of TIGER costs: rows of like length together, and all padded.

Catalogue and histories are drawn: 12,101 items, histories of at most 20 items with lengths of a
geometric law of mean 6, 256 rows a batch; the size is that of the reduced rows of
`accuracy/generative.py`. Both forms take turns in one process on one core; a figure is the best CPU
time of a step of its turns.

    python benchmarks/generative_step.py
"""

from __future__ import annotations

import argparse
import os
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np

from deeprec_tf.identifiers import random_codes
from deeprec_tf.layers.generative import t5_encoder
from deeprec_tf.models import TIGER

ITEMS, USERS, MAXLEN, BATCH, STEPS = 12_101, 22_363, 20, 256, 4


def rows(generator):
    """Rows for a few steps."""
    count = BATCH * STEPS
    length = np.minimum(generator.geometric(1 / 6, (count, 1)), MAXLEN)
    history = generator.integers(1, ITEMS + 1, (count, MAXLEN))
    return {
        "user_id": generator.integers(1, USERS + 1, count),
        "hist_item_id": np.where(np.arange(MAXLEN) < length, history, 0),
        "item_id": generator.integers(1, ITEMS + 1, count),
    }


def traced(x, *, fast):
    """A model whose step is traced in one of the forms, and the CPU seconds of its first call."""
    model = TIGER(
        random_codes(ITEMS, 4, 64, seed=0), num_users=USERS, maxlen=MAXLEN, hidden_size=64,
        num_layers=2, num_heads=4, head_size=16, feed_forward_units=256,
    )  # fmt: skip
    with mock.patch.object(
        t5_encoder, "is_graph_training", lambda training: fast and bool(training)
    ):
        begin = time.process_time()
        model.fit(x, batch_size=BATCH, verbose=0)
        return model, time.process_time() - begin


def main(argv=None):
    """Parses the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args(argv)
    keras.utils.set_random_seed(0)
    x = rows(np.random.default_rng(0))
    share = (x["hist_item_id"] != 0).mean()
    print(f"{BATCH} rows of at most {MAXLEN} items, {share:.0%} of the places filled")
    forms = {
        "rows of like length together": traced(x, fast=True),
        "all rows padded": traced(x, fast=False),
    }
    best = dict.fromkeys(forms, float("inf"))
    for _ in range(options.turns):
        for name, (model, _) in forms.items():
            begin = time.process_time()
            model.fit(x, batch_size=BATCH, verbose=0)
            best[name] = min(best[name], (time.process_time() - begin) / STEPS)
    for name, (_, first) in forms.items():
        print(f"{name:<32}{1000 * best[name]:8.0f} ms a step{first:8.1f} s the first call")


if __name__ == "__main__":
    main()
