"""What the missing times cost in MovieLens-1M as click-through rate, by the validation part.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/movielens_times.py

The paper's fields have the time of the rating, which is known for 43.6 % of the ratings here; the
others get that of their user's next known one (movielens_ctr.py). LR and DCNv2 are trained with the
field and without, and validation rows of known times are measured apart from those of filled times:
what the field adds to either. One seed; the test part is not read. A finished run is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from movielens_ctr import PAPER, SETTINGS, load, read, split
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import get_model
from deeprec_tf.data import data_dir
from deeprec_tf.evaluation import exact_auc
from deeprec_tf.training import benchmark_recipe


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--models", nargs="+", default=["LR", "DCNv2"], choices=list(SETTINGS))
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("movielens_times")
    folder = data_dir("movielens-1m", options.data)
    columns, parts = load(folder, PAPER)
    table = read(folder)
    is_known = table["timestamp"].notna().to_numpy()[split(len(table))["valid"]]
    for model in options.models:
        for fields in ("with time", "without time"):
            if rows.done(model=model, data=fields, seed=0):
                continue
            used = [c for c in columns if fields == "with time" or c.name != "time"]
            names = {column.name for column in used}
            (train_x, train_y), (x, y) = (
                ({name: values for name, values in parts[part][0].items() if name in names},
                 parts[part][1])
                for part in ("train", "valid")
            )  # fmt: skip
            name, arguments, penalty = SETTINGS[model]
            keras.utils.set_random_seed(0)
            built = get_model(name).builder(used, metrics=[], **arguments)
            with cpu_seconds() as seconds:
                result = benchmark_recipe(
                    built, train_x, train_y, validation_data=(x, y),
                    embedding_l2=penalty, batch_size=1024, seed=0, verbose=2,
                )  # fmt: skip
            scores = np.ravel(built.predict(x, batch_size=8192, verbose=0))
            print(rows.add(
                model=model, data=fields, seed=0, auc=result.best["auc"],
                auc_known=exact_auc(y[is_known], scores[is_known]),
                auc_filled=exact_auc(y[~is_known], scores[~is_known]),
                share_known=is_known.mean(), seconds=seconds(),
            ))  # fmt: skip


if __name__ == "__main__":
    main()
