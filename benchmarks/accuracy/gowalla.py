"""Recall@20 and NDCG@20 on Gowalla: LightGCN beside matrix factorization and plain baselines.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/gowalla.py --models "LightGCN, softmax"

The split of NGCF and LightGCN: a random part of each user's check-ins is the test, all others are
for training and for the graph. Every item competes that the user has no check-in of. The epochs
are fixed beforehand, and the test part is ranked once: it chooses nothing. `--part valid` leaves a
ninth of the training part out and ranks that, to choose settings by. A run that is broken off
goes on from its last epoch (checkpoints in `--checkpoints`); a finished run is not run again.

For planning, in CPU seconds on one core: LightGCN takes 130 an epoch with the BPR and 70 with the
softmax, MF 10 and 15, ranking the test part 30. item-kNN wants 14 GB of memory, EASE 10.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from budget import Budget
from next_item import spent_file
from rates import falling
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import SparseFeat, next_item_columns
from deeprec_tf.candidates import Sampled
from deeprec_tf.data import data_dir
from deeprec_tf.evaluation import (
    RetrievalEvaluation,
    evaluate_retrieval,
    fit_ease,
    fit_item_knn,
    fit_popularity,
)
from deeprec_tf.models import DSSM, LightGCN, YoutubeDNN
from deeprec_tf.training import BackupAndRestore, keep_freed_memory

Lists = list[np.ndarray]
K, METRICS = 20, ("recall", "ndcg")
WIDTH, MAXLEN = 64, 100
FEW = 20  # of a user's other places stand beside one that is learned


@dataclass(frozen=True)
class Run:
    """A model of the table.

    Attributes:
        build: fits a baseline to the users' items, or builds a model from the data.
        arguments: of the model, beside those that all share.
        batch: rows a step.
        rate: learning rate of Adam.
        epochs: how many, fixed beforehand; 0 for a baseline.
        steady: of how many the rate stays; it falls in a straight line over the others. None: all.
        has_history: whether a row has the user's other items, too.
        remark: what a reader of the row must know.
    """

    build: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)
    batch: int = 2048
    rate: float = 1e-3
    epochs: int = 0
    steady: int | None = None
    has_history: bool = False
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


def lightgcn(data: Gowalla, **arguments: Any) -> keras.Model:
    """LightGCN over the training part; MF with no layer."""
    return LightGCN(data.train, **arguments)


def dssm(data: Gowalla, **arguments: Any) -> keras.Model:
    """Two towers over the ids of user and place."""
    user = SparseFeat("user_id", data.num_users, embedding_dim=WIDTH)
    item = SparseFeat("item_id", data.items + 1, embedding_dim=WIDTH)
    return DSSM([user], [item], **arguments)


def youtube_dnn(data: Gowalla, **arguments: Any) -> keras.Model:
    """A tower over the mean of the user's other places."""
    return YoutubeDNN(*next_item_columns(data.items, MAXLEN, WIDTH), **arguments)


BPR = {"batch": 2048, "rate": 1e-2, "epochs": 20, "remark": (
    "reduced: 20 epochs at a learning rate of 1e-2, where 1,000 at 1e-3 are published"
)}  # fmt: skip
COSINES = {"l2_normalize": True, "temperature": 0.1, "loss": "softmax"}
DRAWN = 1024
UNIFORM = {**COSINES, "negatives": Sampled(DRAWN)}
IN_BATCH = {**COSINES, "negatives": "in_batch"}


def softmax_over(items: str, epochs: int, steady: int | None) -> dict[str, Any]:
    """How the models of cosines are trained; `items` says in the remark what competes."""
    return {"batch": 2048, "rate": 1e-2, "epochs": epochs, "steady": steady, "remark": (
        f"reduced: {epochs} epochs; softmax of cosines over {items}, temperature .1"
    )}  # fmt: skip


WITH_UNIFORM = softmax_over(f"{DRAWN:,} items drawn a batch", epochs=30, steady=1)
WITH_IN_BATCH = softmax_over("the items of the batch", epochs=10, steady=None)
RUNS = {
    "popularity": Run(fit_popularity),
    "item-kNN": Run(fit_item_knn),
    "EASE": Run(
        fit_ease_of_frequent_items,
        remark=f"reduced: among the {EASE_ITEMS:,} of 40,981 items with the most check-ins",
    ),
    "MF": Run(lightgcn, {"num_layers": 0}, **BPR),
    "LightGCN": Run(lightgcn, **BPR),
    "MF, in-batch softmax": Run(lightgcn, {"num_layers": 0, **IN_BATCH}, **WITH_IN_BATCH),
    "LightGCN, in-batch softmax": Run(lightgcn, IN_BATCH, **WITH_IN_BATCH),
    "MF, softmax": Run(lightgcn, {"num_layers": 0, **UNIFORM}, **WITH_UNIFORM),
    "LightGCN, softmax": Run(lightgcn, UNIFORM, **WITH_UNIFORM | {"batch": 4096}),
    "DSSM": Run(
        dssm,
        {"hidden_units": (WIDTH,), "negatives": Sampled(DRAWN), "temperature": 0.1},
        **WITH_UNIFORM,
    ),
    # Its history is all that the user has: with its items as negatives each would be pushed away
    # from those it comes with.
    "YoutubeDNN": Run(
        youtube_dnn,
        {
            "hidden_units": (), "tied": False, **COSINES,
            "negatives": Sampled(DRAWN, hide_seen=True),
        },
        has_history=True, **WITH_UNIFORM | {"rate": 3e-3},
    ),
}
# Days on two cores: runs only where it is named.
FULL_SIZE = {"LightGCN, as published": Run(lightgcn, epochs=1000, remark="as published")}
EVERY = RUNS | FULL_SIZE


class Gowalla:
    """Check-ins of the training part, and by user with a test part what is to be found.

    Args:
        targets: the part to be found; before "valid" only the rest of the training part is known.
    """

    def __init__(self, targets: str = "test") -> None:
        log = pd.read_parquet(data_dir("gowalla") / "interactions.parquet")
        log = log.assign(item_id=log["item_id"] + 1)  # id 0 is no item
        self.items, self.num_users = int(log["item_id"].max()), int(log["user_id"].max()) + 1
        known = ["train", "valid"] if targets == "test" else ["train"]
        train = log.loc[log["split"].isin(known), ["user_id", "item_id"]]
        self.train = train.reset_index(drop=True)
        wanted = log[log["split"] == targets].groupby("user_id")["item_id"].agg(np.array)
        self.users, self.targets = wanted.index.to_numpy(), wanted.tolist()
        seen = self.train.groupby("user_id")["item_id"].agg(np.array)
        self.seen = [
            row if isinstance(row, np.ndarray) else np.zeros(0, "int64")
            for row in seen.reindex(self.users)
        ]
        self.lists = seen.tolist()

    def histories(self, seed: int, epoch: int = 0) -> dict[str, np.ndarray]:
        """Every check-in with up to FEW others of its user, drawn anew in every epoch."""
        log = self.train.sample(frac=1.0, random_state=np.random.default_rng((seed, epoch)))
        log = log.sort_values("user_id", kind="stable", ignore_index=True)
        item, user = log["item_id"].to_numpy("int32"), log["user_id"].to_numpy()
        first = np.searchsorted(user, user)
        count = np.searchsorted(user, user, side="right") - first
        step = np.arange(1, FEW + 1)
        # The user's own run of rows as a ring: the others are those that follow on this one.
        others = (np.arange(len(log)) - first)[:, None] + step
        history = item[first[:, None] + others % count[:, None]]
        return {"hist_item_id": np.where(step < count[:, None], history, 0), "item_id": item}

    def asked(self, seed: int) -> np.ndarray:
        """Of every user with something to be found up to MAXLEN known check-ins."""
        rng = np.random.default_rng(seed)
        found = np.zeros((len(self.seen), MAXLEN), "int32")
        for row, known in zip(found, self.seen, strict=True):
            row[: len(known)] = rng.permutation(known)[:MAXLEN]
        return found


def trained(name: str, data: Gowalla, seed: int, options: Any) -> tuple[keras.Model, float]:
    """The model after all epochs, and the CPU seconds that earlier pieces of its training took."""
    run, budget = EVERY[name], Budget()
    keras.utils.set_random_seed(seed)
    optimizer = keras.optimizers.Adam(options.rate or run.rate)
    model = run.build(data, optimizer=optimizer, **run.arguments | options.arguments)
    model.shuffle_seed = seed
    if options.part == "test":
        folder = options.checkpoints / f"{name}-{seed}".replace(" ", "_")
        budget = Budget(file=spent_file(folder))
        callbacks: list[keras.callbacks.Callback] = [budget, BackupAndRestore(folder)]
    else:
        truth = (asked(run, data, seed), data.targets)
        callbacks = [RetrievalEvaluation(truth, seen=data.seen, k=K, metrics=METRICS)]
    drawn = {"redraw": lambda epoch: data.histories(seed, epoch)} if run.has_history else {}
    epochs = options.epochs or run.epochs
    if run.steady is not None:
        callbacks.append(falling(options.rate or run.rate, epochs, run.steady))
    model.fit(
        data.histories(seed) if run.has_history else data.train,
        batch_size=options.batch or run.batch, epochs=epochs, verbose=2, callbacks=callbacks,
        **drawn,
    )  # fmt: skip
    return model, budget.earlier


def asked(run: Run, data: Gowalla, seed: int) -> dict[str, np.ndarray]:
    """The rows to be ranked, one a user."""
    return {"hist_item_id": data.asked(seed)} if run.has_history else {"user_id": data.users}


def run_one(name: str, data: Gowalla, seed: int, options: Any) -> dict:
    """One row: trains, and ranks the test items once."""
    run, row = EVERY[name], {}
    if not run.epochs:
        model: Any = run.build(data.lists, data.items)
        x: Any = data.seen
    else:
        (model, earlier), x = trained(name, data, seed, options), asked(run, data, seed)
        parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        epochs = options.epochs or run.epochs
        row = {"parameters": parameters, "epoch": epochs, "earlier": earlier}
    found = evaluate_retrieval(model, x, data.targets, seen=data.seen, k=K, metrics=METRICS)
    return {**row, **{key.replace("@", "_"): value for key, value in found.items()}}


def main() -> None:
    """Runs what is not there yet, all models of one seed before the next seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(RUNS), choices=list(EVERY))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="print a row of so many epochs, add none")
    parser.add_argument("--rate", type=float, help="with --part valid: another learning rate")
    parser.add_argument("--batch", type=int, help="with --part valid: other rows a step")
    parser.add_argument(
        "--arguments", type=json.loads, default={},
        help='with --part valid: more of the model\'s arguments, such as {"temperature": 0.2}',
    )
    parser.add_argument(
        "--part", default="test", choices=["test", "valid"],
        help="valid: trains without it, prints its figures of every epoch, adds no row",
    )
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/gowalla"))
    options = parser.parse_args()
    if options.part == "test" and (options.rate or options.batch or options.arguments):
        parser.error("--rate, --batch and --arguments are for trials: add --part valid")
    use_one_thread()
    keep_freed_memory()
    rows, data = Rows("gowalla"), Gowalla(options.part)
    is_trial = bool(options.epochs) or options.part == "valid"
    for seed in options.seeds:
        for name in options.models:
            run = EVERY[name]
            is_once = not run.epochs and seed > 0
            is_done = not is_trial and rows.done(model=name, data="Gowalla", seed=seed)
            if is_once or is_done:
                continue
            with cpu_seconds() as seconds:
                row = run_one(name, data, seed, options)
            if run.remark:
                row["remark"] = run.remark
            row["seconds"] = round(seconds() + row.pop("earlier", 0.0), 1)
            row = {"model": name, "data": "Gowalla", "seed": seed, **row}
            print(row if is_trial else rows.add(**row))
            keras.backend.clear_session()


if __name__ == "__main__":
    main()
