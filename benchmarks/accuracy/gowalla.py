"""Recall@20 and NDCG@20 on Gowalla: LightGCN beside matrix factorization and plain baselines.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/gowalla.py --models "LightGCN, softmax"

The split of NGCF and LightGCN: a random part of each user's check-ins is the test, all others are
for training and for the graph. Every item competes that the user has no check-in of. The epochs
are fixed beforehand, and the test part is ranked once: it chooses nothing. A run that is broken off
goes on from its last epoch (checkpoints in `--checkpoints`); a finished run is not run again.

For planning, in CPU seconds on one core: LightGCN takes 130 an epoch with the BPR and 150 with the
softmax, MF some 10, ranking the test part 30. item-kNN wants 14 GB of memory, EASE 10.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf.data import data_dir
from deeprec_tf.evaluation import evaluate_retrieval, fit_ease, fit_item_knn, fit_popularity
from deeprec_tf.models import LightGCN
from deeprec_tf.training import BackupAndRestore

Lists = list[np.ndarray]


@dataclass(frozen=True)
class Run:
    """A model of the table.

    Attributes:
        fit: fits a baseline to the users' items; LightGCN when None.
        arguments: of LightGCN, beside those that all share.
        batch: rows a step.
        rate: learning rate of Adam.
        epochs: how many, fixed beforehand.
        remark: what a reader of the row must know.
    """

    fit: Callable[[Lists, int], Callable] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    batch: int = 2048
    rate: float = 1e-3
    epochs: int = 0
    remark: str = ""


EASE_ITEMS = 25_000


def fit_ease_of_frequent_items(lists: Lists, item_num: int) -> Callable:
    """EASE among the items with the most check-ins; all others score lowest."""
    counts = np.bincount(np.concatenate(lists), minlength=item_num + 1)
    kept = np.sort(np.argsort(-counts, kind="stable")[:EASE_ITEMS])
    number = np.zeros(item_num + 1, "int64")
    number[kept] = np.arange(1, EASE_ITEMS + 1)

    def among(rows: Lists) -> Lists:
        return [number[row][number[row] > 0] for row in rows]

    score = fit_ease(among(lists), EASE_ITEMS)

    def scores(rows: Lists) -> np.ndarray:
        found = np.full((len(rows), item_num + 1), -1e9, "float32")
        found[:, kept] = score(among(rows))[:, 1:]
        return found

    return scores


BPR = {"batch": 2048, "rate": 1e-2, "epochs": 20, "remark": (
    "reduced: 20 epochs at a learning rate of 1e-2, where 1,000 at 1e-3 are published"
)}  # fmt: skip
COSINES = {"negatives": "in_batch", "l2_normalize": True, "temperature": 0.1}
SOFTMAX = {"batch": 2048, "rate": 1e-2, "epochs": 10, "remark": (
    "reduced: 10 epochs; softmax of cosines over the items of the batch, temperature .1"
)}  # fmt: skip
RUNS = {
    "popularity": Run(fit_popularity),
    "item-kNN": Run(fit_item_knn),
    "EASE": Run(
        fit_ease_of_frequent_items,
        remark=f"reduced: among the {EASE_ITEMS:,} of 40,981 items with the most check-ins",
    ),
    "MF": Run(arguments={"num_layers": 0}, **BPR),
    "LightGCN": Run(**BPR),
    "MF, softmax": Run(arguments={"num_layers": 0, **COSINES}, **SOFTMAX),
    "LightGCN, softmax": Run(arguments=COSINES, **SOFTMAX),
}


class Gowalla:
    """Check-ins of the training part, and by user with a test part what is to be found."""

    def __init__(self) -> None:
        log = pd.read_parquet(data_dir("gowalla") / "interactions.parquet")
        log = log.assign(item_id=log["item_id"] + 1)  # id 0 is no item
        self.items = int(log["item_id"].max())
        is_test = log["split"] == "test"
        self.train = log.loc[~is_test, ["user_id", "item_id"]].reset_index(drop=True)
        targets = log[is_test].groupby("user_id")["item_id"].agg(np.array)
        self.users, self.targets = targets.index.to_numpy(), targets.tolist()
        seen = self.train.groupby("user_id")["item_id"].agg(np.array)
        self.seen = seen.reindex(self.users).tolist()
        self.lists = seen.tolist()


def trained(name: str, data: Gowalla, seed: int, epochs: int, checkpoints: Path) -> keras.Model:
    """LightGCN after all epochs."""
    run = RUNS[name]
    keras.utils.set_random_seed(seed)
    model = LightGCN(
        data.train, optimizer=keras.optimizers.Adam(run.rate), **run.arguments
    )
    model.shuffle_seed = seed
    folder = checkpoints / f"{name}-{seed}".replace(" ", "_")
    model.fit(
        data.train, batch_size=run.batch, epochs=epochs, verbose=2,
        callbacks=[BackupAndRestore(folder)],
    )
    return model


def run_one(name: str, data: Gowalla, seed: int, epochs: int | None, checkpoints: Path) -> dict:
    """One row: trains, and ranks the test items once."""
    run, row = RUNS[name], {}
    if run.fit is not None:
        model: Any = run.fit(data.lists, data.items)
        x: Any = data.seen
    else:
        epochs = epochs or run.epochs
        model = trained(name, data, seed, epochs, checkpoints)
        x = {"user_id": data.users}
        parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        row = {"parameters": parameters, "epoch": epochs}
    found = evaluate_retrieval(
        model, x, data.targets, seen=data.seen, k=20, metrics=("recall", "ndcg")
    )
    return {**row, **{key.replace("@", "_"): value for key, value in found.items()}}


def main() -> None:
    """Runs what is not there yet, all models of one seed before the next seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="print a row of so many epochs, add none")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/gowalla"))
    options = parser.parse_args()
    use_one_thread()
    rows, data = Rows("gowalla"), Gowalla()
    for seed in options.seeds:
        for name in options.models:
            run = RUNS[name]
            is_once = run.fit is not None and seed > 0
            if is_once or rows.done(model=name, data="Gowalla", seed=seed):
                continue
            with cpu_seconds() as seconds:
                row = run_one(name, data, seed, options.epochs, options.checkpoints)
            if run.remark:
                row["remark"] = run.remark
            row = {"model": name, "data": "Gowalla", "seed": seed, **row, "seconds": seconds()}
            print(row if options.epochs else rows.add(**row))
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
