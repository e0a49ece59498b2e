"""Criteo and Avazu samples, from the raw table with its missing values to the test figures.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/samples.py

Criteo: 13 numbers in quantile buckets (missing is one of them) and 26 hashes; Avazu: 22 categories.
`FeatureEncoder` learns vocabularies and edges from the training part, the benchmark's recipe trains
DeepFM, validation chooses the epoch, the test part is read once. Some thousand rows are far too few
to rank models: the table shows that raw tables go through, and how long it takes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf.data import Category, FeatureEncoder, Number, data_dir
from deeprec_tf.evaluation import evaluate_ctr
from deeprec_tf.models import DeepFM
from deeprec_tf.training import benchmark_recipe

LABELS = {"criteo": "label", "avazu": "click"}
NO_FIELDS = ("label", "click", "id", "split")


def encoder_of(table: pd.DataFrame) -> FeatureEncoder:
    """Every field a category; Criteo's I1 to I13 become one by quantiles."""
    names = [name for name in table.columns if name not in NO_FIELDS]
    return FeatureEncoder(
        Number(name, transform="bucketize", bins=20) if name[0] == "I" and name[1:].isdigit()
        else Category(name, min_frequency=3, missing="own")
        for name in names
    )  # fmt: skip


def run(table: pd.DataFrame, label: str, seed: int) -> dict[str, Any]:
    """From the raw table to the row of one seed."""
    parts = {name: part for name, part in table.groupby("split")}
    encoder = encoder_of(table).fit(parts["train"])
    data = {
        name: (encoder.transform(part), part[label].to_numpy("float32"))
        for name, part in parts.items()
    }
    keras.utils.set_random_seed(seed)
    model = DeepFM(
        encoder.feature_columns(embedding_dim=8), hidden_units=(64, 32), batch_norm=True,
        dropout=0.3, metrics=[],
    )
    result = benchmark_recipe(
        model, *data["train"], validation_data=data["valid"], embedding_l2=0.02, batch_size=256,
        epochs=20, seed=seed,
    )
    test = evaluate_ctr(model, *data["test"])
    return {
        "parameters": model.count_params(), "fields": len(encoder.features), **test,
        "valid_auc": result.best["auc"], "epochs": len(result.epoch),
    }


def read(name: str, root: Path | None = None) -> pd.DataFrame:
    """The table of a sample, as it was published."""
    return pd.read_parquet(data_dir(f"{name}-sample", root) / f"{name}.parquet")


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("samples")
    for name, label in LABELS.items():
        for seed in map(int, options.seeds.split(",")):
            key = {"model": "DeepFM", "data": f"{name.capitalize()} sample", "seed": seed}
            if rows.done(**key):
                continue
            with cpu_seconds() as seconds:
                row = run(read(name, options.data), label, seed)
            print(rows.add(**key, **row, seconds=seconds()), flush=True)


if __name__ == "__main__":
    main()
