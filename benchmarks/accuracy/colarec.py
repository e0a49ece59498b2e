"""General recommendation on Amazon Beauty by ColaRec's protocol: beside LightGCN and SASRec.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/colarec.py

Each user's items are split at random, one for the test, one for the validation, the rest for
training (80/10/10 of about ten items or fewer); all training items are the context, all items
compete but those of the training. Figures are not comparable to those of next items. LightGCN is
trained first; its item vectors make the codes, and its own products are the row beside. SASRec
reads the training items in the order of time, and is trained for as many CPU seconds as ColaRec.
Two parts of the test are told apart: users of three training items, the fewest, and items that no
training row has. Reduced size: the published model starts from T5-small. `--epochs` prints a row of
so few epochs and adds none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from generative import Budget, text_vectors
from next_item import DATA as AMAZON
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import next_item_columns
from deeprec_tf.code_models import PRESETS
from deeprec_tf.data import ColaRecRows, data_dir, latest_sequences, tokenize_texts
from deeprec_tf.evaluation import evaluate_retrieval, rank_in_lists, retrieval_metrics
from deeprec_tf.export import inference_model, item_encoder
from deeprec_tf.identifiers import hierarchical_kmeans_codes, random_codes
from deeprec_tf.models import ColaRec, LightGCN, SASRec
from deeprec_tf.training import BackupAndRestore

DATA, METRICS, K = "Amazon Beauty, general", ("recall", "ndcg"), (5, 10, 20)
EPOCHS, BATCH = 10, 128
FEW, MAXLEN = 3, 50
SIZES: dict[str, dict[str, Any]] = {
    "reduced": {"hidden_size": 64, "num_layers": 2, "num_heads": 4, "preset": "short"},
    "full": {"hidden_size": 512, "num_layers": 6, "num_heads": 8, "preset": "long"},
}
REDUCED = "reduced: width 64, 2 + 2 layers, 10 epochs, from scratch; published: T5-small"
# The ablation: name of the row, identifiers, and arguments of ColaRec.
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "ColaRec": ("lightgcn", {}),
    "ColaRec, random codes": ("random", {}),
    "ColaRec, text codes": ("text", {}),
    "ColaRec, no content": ("lightgcn", {"item_tokens": None}),
    "ColaRec, no indexing": ("lightgcn", {"tasks": ("bpr", "contrast")}),
    "ColaRec, no contrast": ("lightgcn", {"tasks": ("index", "bpr")}),
    "ColaRec, generation alone": ("lightgcn", {"tasks": ()}),
}


class Beauty:
    """Training pairs, and for the users with a test item what they have and what is to be found."""

    def __init__(self, seed: int = 0) -> None:
        folder = data_dir() / "amazon-beauty"
        log = pd.read_parquet(folder / "interactions.parquet")[["user_id", "item_id", "position"]]
        log = log.sample(frac=1.0, random_state=seed).reset_index(drop=True)
        place = log.groupby("user_id").cumcount()
        self.by_time = log[place > 1].sort_values(["user_id", "position"], ignore_index=True)
        self.train = log.loc[place > 1, ["user_id", "item_id"]].reset_index(drop=True)
        test = log[place == 0].sort_values("user_id")
        self.users, self.targets = test["user_id"].to_numpy(), test["item_id"].to_numpy()
        seen = self.train.groupby("user_id")["item_id"].agg(list).reindex(self.users)
        self.seen = [row if isinstance(row, list) else [] for row in seen]
        items = pd.read_parquet(folder / "items.parquet").sort_values("item_id")
        self.items, self.num_users = len(items), int(log["user_id"].max())
        texts = items["title"].fillna("") + " " + items["categories"].fillna("")
        self.tokens, _ = tokenize_texts(["", *texts], num_tokens=15)
        self.parts = {
            "": np.ones(len(self.users), bool),
            "few_": np.array([len(row) <= FEW for row in self.seen]),
            "unseen_": ~np.isin(self.targets, self.train["item_id"]),
        }

    def keep(self, count: int) -> None:
        """Leaves the first users for the test."""
        self.users, self.targets = self.users[:count], self.targets[:count]
        self.seen = self.seen[:count]
        self.parts = {part: is_in[:count] for part, is_in in self.parts.items()}

    def measured(self, score: Callable[[np.ndarray], dict[str, float]]) -> dict[str, float]:
        """The metrics of all users and of each part, from a function of the users' places."""
        return {
            part + name: value for part, is_in in self.parts.items()
            if is_in.any() for name, value in score(np.flatnonzero(is_in)).items()
        }  # fmt: skip


def lightgcn(data: Beauty, seed: int, epochs: int) -> keras.Model:
    """LightGCN, as in gowalla.py the softmax of cosines over the items of a batch."""
    keras.utils.set_random_seed(seed)
    model = LightGCN(
        data.train, num_users=data.num_users, num_items=data.items, negatives="in_batch",
        l2_normalize=True, temperature=0.1, optimizer=keras.optimizers.Adam(1e-2),
    )  # fmt: skip
    model.fit(data.train, batch_size=2048, epochs=epochs, verbose=2)
    return model


def colarec(name: str, data: Beauty, peer: keras.Model, seed: int, options: Any) -> dict:
    """One row of ColaRec."""
    gid, arguments = RUNS[name]
    if gid == "random":
        codes = random_codes(data.items, seed=seed)
    elif gid == "text":
        vectors = text_vectors(AMAZON["beauty"], options.checkpoints)
        codes = hierarchical_kmeans_codes(vectors, seed=seed)
    else:
        ids = {"item_id": np.arange(1, data.items + 1)}
        vectors = item_encoder(peer).predict(ids, verbose=0)["item_vector"]
        vectors = np.concatenate([np.zeros_like(vectors[:1]), vectors])
        codes = hierarchical_kmeans_codes(vectors, seed=seed)
    keras.utils.set_random_seed(seed)
    tokens = arguments.get("item_tokens", data.tokens)
    arguments = {key: value for key, value in arguments.items() if key != "item_tokens"}
    model = ColaRec(
        codes, tokens, num_users=data.num_users, beam_width=100, num_results=50,
        **SIZES[options.size],
        **arguments,
        optimizer=keras.optimizers.AdamW(5e-4, global_clipnorm=1.0),
    )  # fmt: skip
    model.shuffle_seed = seed
    rows = ColaRecRows(data.train, codes, seed=seed)
    folder = options.checkpoints / f"{name}-{options.size}-{seed}".replace(" ", "_")
    x, callbacks = rows(0), [BackupAndRestore(folder)]
    if options.steps:
        x, callbacks = {n: v[: options.steps * BATCH] for n, v in x.items()}, []
    model.fit(
        x, batch_size=BATCH, epochs=options.epochs or EPOCHS, verbose=2, callbacks=callbacks,
        redraw=None if options.steps else rows,
    )  # fmt: skip
    if options.steps:
        data.keep(256)
    asked = rows.contexts(data.users, PRESETS[SIZES[options.size]["preset"]][0])
    found = inference_model(model).predict(asked, batch_size=128, verbose=0)["ids"]

    def score(users: np.ndarray) -> dict[str, float]:
        ranks = rank_in_lists(
            found[users], data.targets[users], item_count=data.items,
            seen=[data.seen[i] for i in users],
        )
        return retrieval_metrics(ranks, k=K, metrics=METRICS)

    return {
        "parameters": model.count_params(), "epoch": options.epochs or EPOCHS,
        "remark": REDUCED if options.size == "reduced" else "T5-small's size, from scratch",
        **data.measured(score),
    }  # fmt: skip


def by_vectors(model: keras.Model, x: dict[str, np.ndarray], data: Beauty) -> dict[str, float]:
    """The metrics of a model with two towers."""

    def score(users: np.ndarray) -> dict[str, float]:
        return evaluate_retrieval(
            model, {name: values[users] for name, values in x.items()}, data.targets[users],
            seen=[data.seen[i] for i in users], k=K, metrics=METRICS,
        )

    return data.measured(score)


def sasrec(data: Beauty, seconds: float, seed: int, steps: int | None) -> dict:
    """SASRec over the training items by time, trained for so many CPU seconds."""
    log = data.by_time
    last = log.groupby("user_id").cumcount(ascending=False).to_numpy() == 0
    ends = log[last]
    before = {"time": "position", "maxlen": MAXLEN}
    history = latest_sequences(log, users=ends["user_id"], events=~last, **before)
    has_past = (history["hist_item_id"] != 0).any(axis=1)
    x = {
        "hist_item_id": history["hist_item_id"][has_past],
        "item_id": ends["item_id"].to_numpy("int32")[has_past],
    }
    keras.utils.set_random_seed(seed)
    columns = next_item_columns(data.items, MAXLEN, SIZES["reduced"]["hidden_size"])
    model = SASRec(
        *columns, num_heads=1, dropout=0.5, optimizer=keras.optimizers.Adam(1e-3, beta_2=0.98)
    )
    model.shuffle_seed = seed
    budget = Budget(seconds, steps or np.inf)
    trained = model.fit(x, batch_size=BATCH, epochs=1000, verbose=2, callbacks=[budget])
    asked = latest_sequences(log, users=data.users, **before)
    return {
        "parameters": model.count_params(), "epoch": len(trained.epoch),
        "remark": "trained for the CPU seconds of ColaRec",
        **by_vectors(model, {"hist_item_id": asked["hist_item_id"]}, data),
    }  # fmt: skip


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["LightGCN", "ColaRec", "SASRec, same budget", *list(RUNS)[1:]]
    parser.add_argument("--models", nargs="+", default=names, choices=names)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="print a row of so many epochs, add none")
    parser.add_argument("--size", default="reduced", choices=list(SIZES))
    parser.add_argument("--steps", type=int, help="and of so few steps, 256 users asked")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/colarec"))
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("colarec")
    for seed in options.seeds:
        data = Beauty(seed)
        with cpu_seconds() as of_peer:
            peer = lightgcn(data, seed, options.epochs or EPOCHS)
        for name in options.models:
            if rows.done(model=name, data=DATA, seed=seed):
                continue
            with cpu_seconds() as seconds:
                if name == "LightGCN":
                    row = by_vectors(peer, {"user_id": data.users}, data)
                elif name.startswith("SASRec"):
                    colarec_row = rows.find(model="ColaRec", data=DATA, seed=seed)
                    budget = colarec_row[0]["seconds"] if colarec_row else np.inf
                    row = sasrec(data, budget, seed, options.steps)
                else:
                    row = colarec(name, data, peer, seed, options)
            row = {key.replace("@", "_"): value for key, value in row.items()}
            spent = seconds() + (of_peer() if name == "LightGCN" else 0.0)
            row = {"model": name, "data": DATA, "seed": seed, **row, "seconds": round(spent, 1)}
            print(row if options.epochs or options.steps else rows.add(**row))


if __name__ == "__main__":
    main()
