"""MovieLens-1M as click-through rate, AutoInt's protocol: 4 and 5 stars against 1 and 2.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/movielens_ctr.py --models AutoInt --seeds 0,1,2

Ratings of 3 are dropped; the 739,012 rows that are left are split 8:1:1 at random, the same way for
every model and seed. Fields: user, gender, age, occupation, zip code, movie, year, and genres (the
mean of their embeddings). Embeddings of width 16, Adam 1e-3, batch 1,024 by the benchmark's recipe;
the penalty, 1e-5, is not tuned. Validation chooses the epoch, the test part is read
once. A finished run is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import get_model
from deeprec_tf.data import Category, CategoryList, FeatureEncoder, data_dir
from deeprec_tf.evaluation import evaluate_ctr
from deeprec_tf.training import benchmark_recipe

PENALTY = 1e-5
TOWER = {"hidden_units": (128, 64), "batch_norm": True, "dropout": 0.2}
# The paper's AutoInt: 3 layers, 2 heads; its head of 16 or 32 units.
ATTENTION = {"num_layers": 3, "num_heads": 2, "head_size": 16}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "LR": ("LR", {}),
    "AutoInt": ("AutoInt", ATTENTION),
    "AutoInt+": ("AutoInt", {**ATTENTION, **TOWER}),
    "DCNv2": ("DCNv2", {**TOWER, "cross_num": 3}),
    "DeepFM": ("DeepFM", TOWER),
    "xDeepFM": ("xDeepFM", {**TOWER, "cin_sizes": (32, 32)}),
}
CATEGORIES = ("user_id", "gender", "age", "occupation", "zip_code", "movie_id", "year")


def load(folder: Path) -> tuple[list, dict[str, tuple]]:
    """Columns of width 16; (x, y) of train, valid and test."""
    table = pd.read_parquet(folder / "ratings.parquet", columns=["user_id", "movie_id", "rating"])
    table = table[table["rating"] != 3].reset_index(drop=True)
    for name, key in (("users", "user_id"), ("movies", "movie_id")):
        table = table.merge(pd.read_parquet(folder / f"{name}.parquet"), on=key, how="left")
    order = np.random.default_rng(2018).permutation(len(table))
    first, second = int(0.8 * len(table)), int(0.9 * len(table))
    parts = dict(
        zip(("train", "valid", "test"), np.split(order, [first, second]), strict=True)
    )
    encoder = FeatureEncoder(
        [*(Category(name) for name in CATEGORIES), CategoryList("genres", 6, separator="|")]
    ).fit(table.iloc[parts["train"]])
    x, y = encoder.transform(table), (table["rating"] > 3).to_numpy("float32")
    data = {
        name: ({field: ids[rows] for field, ids in x.items()}, y[rows])
        for name, rows in parts.items()
    }
    return encoder.feature_columns(embedding_dim=16), data


def run(
    model: str, seed: int, columns: list, data: dict[str, tuple], penalty: float = PENALTY
) -> dict[str, Any]:
    """One model under one seed: its row."""
    name, arguments = SETTINGS[model]
    keras.utils.set_random_seed(seed)
    built = get_model(name).builder(columns, metrics=[], **arguments)
    result = benchmark_recipe(
        built, *data["train"], validation_data=data["valid"], embedding_l2=penalty,
        batch_size=1024, seed=seed, verbose=2,
    )
    test = evaluate_ctr(built, *data["test"])
    return {
        "parameters": built.count_params(), **test, "valid_auc": result.best["auc"],
        "epochs": len(result.epoch),
    }


def main() -> None:
    """Runs what is not there yet, all models of one seed before the next seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(SETTINGS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("movielens_ctr")
    columns, data = load(data_dir("movielens-1m", options.data))
    for seed in map(int, options.seeds.split(",")):
        for model in options.models.split(","):
            if rows.done(model=model, seed=seed):
                continue
            print(f"{model}, seed {seed}", flush=True)
            with cpu_seconds() as seconds:
                row = run(model, seed, columns, data)
            print(rows.add(model=model, data="MovieLens-1M", seed=seed, **row, seconds=seconds()))


if __name__ == "__main__":
    main()
