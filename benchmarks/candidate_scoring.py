"""What ranking many candidates of one user costs: HSTU's M-FALCON against a row a candidate.

An `HSTU(mode="ranking")` scores the candidates of one user with a full history in three ways: one
request after another, as one batch that has the history in every row, and by
`deeprec_tf.export.candidate_scorer`, which encodes the history once. All run through compiled
functions, on one core; a figure is the best CPU time of its turns in milliseconds.

    python benchmarks/candidate_scoring.py
    python benchmarks/candidate_scoring.py --steps 50 --candidates 500
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from deeprec_tf import next_item_columns
from deeprec_tf.export import candidate_scorer, serving_function
from deeprec_tf.models import HSTU

ITEMS, WIDTH = 10_000, 64


def best(function, turns):
    """Milliseconds of CPU time."""
    function()  # traces
    times = []
    for _ in range(turns):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def main():
    """Parses the arguments and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    print("| history | a request each, ms | one batch, ms | candidate_scorer, ms | times faster |")
    print("|---:|---:|---:|---:|---:|")
    for steps in options.steps:
        model = HSTU(
            *next_item_columns(ITEMS, maxlen=steps, embedding_dim=WIDTH), mode="ranking",
            transformer_params={"num_layers": options.layers, "num_heads": 4},
        )
        generator = np.random.default_rng(0)
        user = {"hist_item_id": generator.integers(1, ITEMS, (1, steps)).astype("int32")}
        items = {"item_id": generator.integers(1, ITEMS, options.candidates).astype("int32")}
        batch = {"hist_item_id": np.repeat(user["hist_item_id"], options.candidates, axis=0)}
        serve, score = serving_function(model), candidate_scorer(model)

        def each(serve=serve, user=user, items=items):
            for one in items["item_id"]:
                serve({**user, "item_id": one[None]})

        together = serve({**batch, **items})["probability"][:, 0]
        worst = np.abs(score(user, items) - together).max()
        if worst > 1e-5:
            raise ValueError(f"candidate_scorer differs by {worst:.2g}")
        figures = [
            best(function, options.turns)
            for function in (
                each, lambda: serve({**batch, **items}), lambda: score(user, items),  # noqa: B023
            )
        ]
        columns = " | ".join(f"{figure:,.1f}" for figure in figures)
        print(f"| {steps} | {columns} | {figures[1] / figures[2]:.0f} to "
              f"{figures[0] / figures[2]:.0f} |")


if __name__ == "__main__":
    main()
