"""AutoInt's settings on MovieLens-1M, the paper's fields, chosen by the validation part alone.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/autoint_settings.py

The paper gives 3 layers, 2 heads and Adam of 1e-3; it leaves open the width of a head, the penalty
of the embeddings and the dropout of its row on this set. One seed, the split and the recipe of
movielens_ctr.py; the test part is not read. A finished run is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
from movielens_ctr import PAPER, load
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf.data import data_dir
from deeprec_tf.models import AutoInt
from deeprec_tf.training import benchmark_recipe

# Arguments of the builder and of the recipe; the first are those of the authors, for this set
# (https://github.com/DeepGraphLearning/RecommenderSystems/tree/master/featureRec/movielens).
NORM = {"head_size": 32, "additions": ("layer_norm",)}
DROPOUT = {"attention_dropout": 0.4, "embedding_dropout": 0.1}
PROJECTED = {"residual": "project"}
PROGRAM = {"additions": ("layer_norm", "projection_relu", "scaled_scores")} | PROJECTED
GRID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (NORM | DROPOUT | PROJECTED, {"embedding_stddev": 1e-2}),
    (NORM | DROPOUT | PROJECTED, {"embedding_stddev": 1e-2, "drop": 1.0, "patience": 3}),
    (NORM | PROJECTED, {"embedding_l2": 1e-6}),
    (NORM | PROJECTED, {"embedding_l2": 1e-5}),
    (NORM | PROGRAM, {"embedding_l2": 1e-6}),
    (NORM, {"embedding_l2": 1e-6}),
]


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("autoint_settings")
    columns, parts = load(data_dir("movielens-1m", options.data), PAPER)
    for arguments, recipe in GRID:
        model_name = ", ".join(
            f"{name}={'+'.join(value) if isinstance(value, tuple) else value}"
            for name, value in (arguments | recipe).items()
        )
        keys = {"model": model_name, "data": PAPER, "seed": 0}
        if rows.done(**keys):
            continue
        print(keys, flush=True)
        keras.utils.set_random_seed(0)
        model = AutoInt(columns, num_layers=3, num_heads=2, metrics=[], **arguments)
        with cpu_seconds() as seconds:
            result = benchmark_recipe(
                model, *parts["train"], validation_data=parts["valid"], batch_size=1024, seed=0,
                verbose=2, **recipe,
            )
        best = {f"valid_{name}": value for name, value in result.best.items()}
        print(rows.add(
            **keys, parameters=model.count_params(), **best, epochs=len(result.epoch),
            seconds=seconds(),
        ))  # fmt: skip


if __name__ == "__main__":
    main()
