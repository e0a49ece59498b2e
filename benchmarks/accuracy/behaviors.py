"""Behavior models on Amazon Beauty and Toys: DNN, DIN, BST, DIEN, and what DIEN's parts add.

    python benchmarks/accuracy/behaviors.py
    python benchmarks/accuracy/behaviors.py --data beauty --models DIN BST --seeds 0 1

Every run is one row of results/behaviors.json, written when it is finished; runs that stand there
are not done again. On one thread.

Protocol. Of each user's purchases (five or more) the last is for testing, the one before it for
validation (of `VALIDATION` users, drawn once); the newest `TARGETS` before those are training rows,
each with the newest `MAXLEN` purchases before it as history. A positive row has one negative: an
item drawn uniformly from those the user never had (in training: had not yet), its category with it.
The negatives of validation and test depend on nothing but the data set; those of training on seed
and epoch, so that all models of a seed see the same rows. Features: item and category (the deepest
level of the item's first path), of target and history; no user id. AUC and log loss are over all
test rows, GAUC over the two rows of each user: the share of users whose purchase is ranked above
the negative. Validation AUC chooses the epoch, and the test rows are read once, by the model of
that epoch. "popularity" scores an item by its count in the training part.

Reviews carry only a day, and purchases of one day lie in the order of the ASIN. No feature holds
that order but the place in the history, the same for all models.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
import pandas as pd
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import SparseFeat, VarLenSparseFeat, models
from deeprec_tf.data import (
    NegativeSampler,
    build_sequences,
    data_dir,
    item_table,
    leave_one_out,
    take,
)
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr, exact_auc, gauc
from deeprec_tf.layers import TableEmbedding

MAXLEN, TARGETS, VALIDATION = 20, 2, 8_000
WIDTH, BATCH, RATE, DROPOUT = 16, 512, 2e-3, 0.5
PENALTY = 1e-3
EPOCHS, PATIENCE = 20, 2
TOWER = {"hidden_units": (200, 80), "dropout": DROPOUT}
RUNS = {
    "popularity": None,
    "DNN": {"activation": "dice"},
    "DIN": {},
    # Its dropout acts on attention weights and blocks as well: the paper's .2.
    "BST": {"num_heads": 4, "hidden_size": 32, "dropout": 0.2},
    "DIEN (GRU)": {"gru_type": "GRU"},
    "DIEN (AIGRU)": {"gru_type": "AIGRU"},
    "DIEN (AGRU)": {"gru_type": "AGRU"},
    "DIEN (AUGRU)": {"gru_type": "AUGRU"},
    "DIEN": {"auxiliary_weight": 1.0},
}
NEGATIVES = ("neg_hist_item_id", "neg_hist_cate_id")


class Purchases:
    """One data set as rows for training, validation and test."""

    def __init__(self, name):
        folder = data_dir() / f"amazon-{name}"
        log = pd.read_parquet(folder / "interactions.parquet")
        items = pd.read_parquet(folder / "items.parquet")
        paths = items["categories"].str.split(" | ", regex=False).str[0]
        items["cate_id"] = pd.factorize(paths)[0] + 1
        self.fields = item_table(items, ["cate_id"])
        self.items, self.categories = (int(items[c].max()) + 1 for c in ("item_id", "cate_id"))
        log["cate_id"] = self.fields["cate_id"][log["item_id"]]

        split = leave_one_out(log, time="position")
        from_end = log.groupby("user_id")["position"].transform("max") - log["position"]
        targets = (from_end >= 2) & (from_end < 2 + TARGETS) & (log["position"] >= 1)
        self.sampler = self._sampler(log.iloc[split.train])
        self.counts = np.bincount(log["item_id"].iloc[split.train], minlength=self.items)
        everything = self._sampler(log)
        self.train = self._rows(log, np.flatnonzero(targets))
        chosen = np.sort(np.random.default_rng(1).permutation(split.validation)[:VALIDATION])
        self.validation = self._labelled(self._rows(log, chosen), everything, 1)
        self.test = self._labelled(self._rows(log, split.test), everything, 2)

    def _sampler(self, log):
        return NegativeSampler(log, candidates=self.items - 1, item_fields=self.fields)

    def _rows(self, log, rows):
        past = build_sequences(
            log, time="position", fields=["cate_id"], maxlen=MAXLEN, rows=rows
        )
        past.pop("hist_length")
        return {**take({n: log[n].to_numpy() for n in ("user_id", "item_id", "cate_id")}, rows),
                **past}  # fmt: skip

    def _labelled(self, rows, sampler, seed):
        """Inputs, labels and users: all positives, then all negatives."""
        drawn = sampler.sample(rows["user_id"], seed=seed)[:, 0]
        x = {name: np.concatenate([v, v]) for name, v in rows.items()}
        users, count = x.pop("user_id"), len(drawn)
        x["item_id"][count:], x["cate_id"][count:] = drawn, self.fields["cate_id"][drawn]
        return x, np.repeat([1.0, 0.0], count).astype("float32"), users

    def columns(self, with_negatives):
        """Feature columns: target, history and, where asked for, the history's negatives."""
        target = [
            SparseFeat("item_id", self.items, embedding_dim=WIDTH),
            SparseFeat("cate_id", self.categories, embedding_dim=WIDTH),
        ]
        prefixes = ("hist_", "neg_hist_") if with_negatives else ("hist_",)
        histories = [
            VarLenSparseFeat(
                SparseFeat(prefix + c.name, c.vocabulary_size, embedding_dim=WIDTH,
                           embedding_name=c.name), MAXLEN,
            )
            for prefix in prefixes for c in target
        ]  # fmt: skip
        return [*target, *histories]

    def training(self, seed, with_negatives):
        """Inputs and labels of the first epoch, and what replaces inputs in each epoch."""
        users = self.train["user_id"]

        def redraw(epoch):
            drawn = self.sampler.sample(users, exclude=self.train["item_id"], seed=(seed, epoch))
            drawn = drawn[:, 0]
            new = {
                "item_id": np.concatenate([self.train["item_id"], drawn]),
                "cate_id": np.concatenate([self.train["cate_id"], self.fields["cate_id"][drawn]]),
            }
            if with_negatives:
                both = np.concatenate([users, users])
                new |= self.sampler.sample_histories(both, history, seed=(seed, epoch))
            return new

        x, y, _ = self._labelled(self.train, self.sampler, (seed, 0))
        history = x["hist_item_id"]
        return {**x, **redraw(0)}, y, redraw


def built(run, purchases, options):
    """A compiled model of the table."""
    with_negatives = run == "DIEN"
    columns = purchases.columns(with_negatives)
    builder = getattr(models, run.split()[0])
    arguments = () if run == "DNN" else (["item_id", "cate_id"],)
    model = builder(
        columns, *arguments, **{**TOWER, **RUNS[run], **options}, metrics=[],
        optimizer=keras.optimizers.Adam(RATE),
    )
    for layer in model.layers:
        if isinstance(layer, TableEmbedding):
            layer.embeddings.regularizer = keras.regularizers.L2(PENALTY)
    return model


def trained(run, purchases, seed, options=(), patience=PATIENCE):
    """A model at the epoch of its best validation AUC, and the scores of all epochs."""
    keras.utils.set_random_seed(seed)
    model = built(run, purchases, dict(options))
    x, y, redraw = purchases.training(seed, run == "DIEN")
    validation = purchases.validation[:2]
    if run == "DIEN":  # read by the auxiliary loss only
        zeros = np.zeros_like(validation[0]["hist_item_id"])
        validation = {**validation[0], **dict.fromkeys(NEGATIVES, zeros)}, validation[1]
    model.shuffle_seed = seed
    history = model.fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, redraw=redraw,
        callbacks=[
            CTREvaluation(validation),
            keras.callbacks.EarlyStopping(
                "val_auc", mode="max", patience=patience, restore_best_weights=True
            ),
        ],
    )
    return model, history.history


def scores_of_popularity(purchases):
    """The scores of items by their count in the training part; counts are no probabilities."""
    x, y, users = purchases.test
    counts = purchases.counts[x["item_id"]].astype("float64")
    return {"auc": exact_auc(y, counts), "gauc": gauc(y, counts, users).value}


def run_one(run, data, purchases, seed, rows):
    """Trains, tests and writes one row."""
    with cpu_seconds() as seconds:
        if run == "popularity":
            row = scores_of_popularity(purchases)
        else:
            model, history = trained(run, purchases, seed)
            x, y, users = purchases.test
            if run == "DIEN":
                x = {**x, **dict.fromkeys(NEGATIVES, np.zeros_like(x["hist_item_id"]))}
            row = evaluate_ctr(model, x, y, group=users)
            best = int(np.argmax(history["val_auc"]))
            row |= {
                "parameters": model.count_params(), "epoch": best + 1,
                "validation_auc": history["val_auc"][best],
            }
    rows.add(model=run, data=data, seed=seed, **row, seconds=seconds())


def main():
    """Does the runs that are asked for and not done yet, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["beauty", "toys"])
    parser.add_argument("--models", nargs="+", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=range(5))
    options = parser.parse_args()
    use_one_thread()
    rows = Rows("behaviors")
    purchases = {name: Purchases(name) for name in options.data}
    for seed in options.seeds:
        for run in options.models:
            for name in options.data:
                data = f"Amazon {name.capitalize()}"
                once = run == "popularity" and seed > 0  # nothing in it is drawn
                if not once and not rows.done(model=run, data=data, seed=seed):
                    run_one(run, data, purchases[name], seed, rows)
                    keras.backend.clear_session()


if __name__ == "__main__":
    main()
