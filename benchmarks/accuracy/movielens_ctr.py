"""MovieLens-1M as click-through rate, AutoInt's protocol: 4 and 5 stars against 1 and 2.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/movielens_ctr.py --models AutoInt --seeds 0,1,2

Ratings of 3 are dropped; the 739,012 rows that are left are split 8:1:1 at random, the same way for
every model and seed. Two sets of fields: with the ids of user and movie, and those of the paper,
which has no id: gender, age, occupation, zip code, genres (the mean of their embeddings), year of
release (before 1970 by decades) and time of the rating. Times are known for 43.6 % of the ratings,
the later half of each user's; an earlier one gets the time of that user's next known one (half of
all users rate for less than half an hour). Embeddings of width 16, Adam 1e-3, batch 1,024 by the
benchmark's recipe. Validation chooses the epoch, the test part is read once. A finished run is not
run again.
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
from deeprec_tf.data import Category, CategoryList, FeatureEncoder, Number, data_dir
from deeprec_tf.evaluation import evaluate_ctr
from deeprec_tf.training import benchmark_recipe

TOWER = {"hidden_units": (128, 64), "batch_norm": True, "dropout": 0.2}
NARROW = {"num_layers": 3, "num_heads": 2, "head_size": 16, "residual": "project"}
# The paper has 3 layers and 2 heads; the rest is what autoint_settings.py finds.
ATTENTION = {"num_layers": 3, "num_heads": 2, "head_size": 32, "additions": ("layer_norm",)}
PROGRAM = {
    **ATTENTION, "residual": "project",
    "additions": ("layer_norm", "projection_relu", "scaled_scores"),
}
PENALTY = 1e-5
# Model: builder, arguments, penalty of the embeddings.
SETTINGS: dict[str, tuple[str, dict[str, Any], float]] = {
    "LR": ("LR", {}, PENALTY),
    "AutoInt": ("AutoInt", ATTENTION, 1e-6),
    "AutoInt (the authors' program)": ("AutoInt", PROGRAM, 1e-6),
    "AutoInt (heads of 16)": ("AutoInt", NARROW, PENALTY),
    "AutoInt+ (heads of 16)": ("AutoInt", {**NARROW, **TOWER}, PENALTY),
    "DCNv2": ("DCNv2", {**TOWER, "cross_num": 3}, PENALTY),
    "DeepFM": ("DeepFM", TOWER, PENALTY),
    "xDeepFM": ("xDeepFM", {**TOWER, "cin_sizes": (32, 32)}, PENALTY),
}
IDS, PAPER = "MovieLens-1M", "MovieLens-1M, the paper's fields"
GENRES = CategoryList("genres", 6, separator="|")
USER = [Category(name) for name in ("gender", "age", "occupation", "zip_code")]
FIELDS = {
    IDS: [Category("user_id"), *USER, Category("movie_id"), Category("year"), GENRES],
    PAPER: [*USER, Category("release"), GENRES, Number("time", transform="standardize")],
}


def read(folder: Path) -> pd.DataFrame:
    """The ratings but those of 3, with all fields."""
    table = pd.read_parquet(folder / "ratings.parquet").sort_values(["user_id", "position"])
    table["time"] = table.groupby("user_id")["timestamp"].bfill().astype("float64")
    table = table[table["rating"] != 3].sort_index().reset_index(drop=True)
    for name, key in (("users", "user_id"), ("movies", "movie_id")):
        table = table.merge(pd.read_parquet(folder / f"{name}.parquet"), on=key, how="left")
    year = table["year"].astype("int64").clip(lower=1920)  # one film is of 1919
    table["release"] = year.where(year >= 1970, year // 10 * 10)
    return table


def split(count: int) -> dict[str, np.ndarray]:
    """The rows of train, valid and test, 8:1:1."""
    order = np.random.default_rng(2018).permutation(count)
    first, second = int(0.8 * count), int(0.9 * count)
    return dict(zip(("train", "valid", "test"), np.split(order, [first, second]), strict=True))


def load(folder: Path, data: str) -> tuple[list, dict[str, tuple]]:
    """Columns of width 16; (x, y) of train, valid and test."""
    table = read(folder)
    parts = split(len(table))
    encoder = FeatureEncoder(FIELDS[data]).fit(table.iloc[parts["train"]])
    x, y = encoder.transform(table), (table["rating"] > 3).to_numpy("float32")
    rows_of = {
        name: ({field: ids[rows] for field, ids in x.items()}, y[rows])
        for name, rows in parts.items()
    }
    return encoder.feature_columns(embedding_dim=16), rows_of


def run(model: str, seed: int, columns: list, data: dict[str, tuple]) -> dict[str, Any]:
    """One model under one seed: its row."""
    name, arguments, penalty = SETTINGS[model]
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
    parser.add_argument("--fields", nargs="+", default=list(FIELDS), choices=list(FIELDS))
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("movielens_ctr")
    sets = {data: load(data_dir("movielens-1m", options.data), data) for data in options.fields}
    for seed in map(int, options.seeds.split(",")):
        for data, (columns, parts) in sets.items():
            for model in options.models.split(","):
                if rows.done(model=model, data=data, seed=seed):
                    continue
                print(f"{model}, {data}, seed {seed}", flush=True)
                with cpu_seconds() as seconds:
                    row = run(model, seed, columns, parts)
                print(rows.add(model=model, data=data, seed=seed, **row, seconds=seconds()))


if __name__ == "__main__":
    main()
