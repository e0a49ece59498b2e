"""AutoInt's settings on MovieLens-1M, the paper's fields, chosen by the validation part alone.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/autoint_settings.py

The paper gives 3 layers, 2 heads and Adam of 1e-3; it leaves open which width of a head (16 or 32),
which penalty of the embeddings and which dropout its row on this set has. One seed, the split and
the recipe of movielens_ctr.py; the test part is not read. A finished run is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
from movielens_ctr import PAPER, load
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf.data import data_dir
from deeprec_tf.models import AutoInt
from deeprec_tf.training import benchmark_recipe

# Width of a head, penalty of the embeddings, share of the attention weights that is dropped.
GRID = [
    (32, 1e-6, 0.0), (32, 1e-6, 0.2), (16, 1e-6, 0.0), (32, 1e-5, 0.0), (32, 0.0, 0.0),
    (16, 1e-5, 0.0),
]


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("autoint_settings")
    columns, parts = load(data_dir("movielens-1m", options.data), PAPER)
    for head_size, penalty, dropout in GRID:
        keys = {"head_size": head_size, "penalty": penalty, "attention_dropout": dropout}
        if rows.done(**keys):
            continue
        print(keys, flush=True)
        keras.utils.set_random_seed(0)
        model = AutoInt(
            columns, num_layers=3, num_heads=2, head_size=head_size, attention_dropout=dropout,
            metrics=[],
        )
        with cpu_seconds() as seconds:
            result = benchmark_recipe(
                model, *parts["train"], validation_data=parts["valid"], embedding_l2=penalty,
                batch_size=1024, seed=0, verbose=2,
            )
        best = {f"valid_{name}": value for name, value in result.best.items()}
        print(rows.add(**keys, **best, epochs=len(result.epoch), seconds=seconds()))


if __name__ == "__main__":
    main()
