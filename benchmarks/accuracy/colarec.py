"""General recommendation on Amazon data by ColaRec's protocol: beside LightGCN and SASRec.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/colarec.py --data beauty

Each user's items are split at random, one for the test, one for the validation, the rest for
training (80/10/10 of about ten items or fewer); the newest of the training items are the context,
all items compete but those of the training. Figures are not comparable to those of next items. The
validation's NDCG@10 chooses every model's epoch, for ColaRec that of 1,024 users drawn at random.
ColaRec is asked for as many items as a list and the items of any user take together. LightGCN is
trained first; its item vectors make the codes, and its own products are the row beside. SASRec
reads the training items in the order of time, and has as many CPU seconds of training as ColaRec
and its codes took, LightGCN's training included. Two parts of the test are told apart: users of
three training items, the fewest, and the items that fewer than five training rows have (hardly any
has none). Reduced size: the published model starts from T5-small. `--epochs` and `--steps` print a
row of so few and add none; `--size full` makes rows of its own.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from budget import Budget
from generative import (
    ASKED_EXACTLY,
    of_size,
    share_found,
    text_vectors,
)
from next_item import DATA as AMAZON
from next_item import RUNS as RUNS_BY_TIME
from next_item import Data, chosen, spent_file, trained
from parts import of_parts, parts_of
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf.code_models import sizes_of_preset
from deeprec_tf.data import ColaRecRows, data_dir, latest_sequences, tokenize_texts
from deeprec_tf.evaluation import (
    GenerationEvaluation,
    RetrievalEvaluation,
    evaluate_retrieval,
    rank_in_lists,
    retrieval_metrics,
)
from deeprec_tf.export import inference_model, item_encoder
from deeprec_tf.identifiers import ItemCodes, hierarchical_kmeans_codes, random_codes
from deeprec_tf.models import ColaRec, LightGCN
from deeprec_tf.training import BackupAndRestore, keep_freed_memory

METRICS, K = ("recall", "ndcg"), (5, 10, 20)
EPOCHS, GRAPH_EPOCHS, PATIENCE, BATCH, RATE = 12, 40, 5, 128, 1e-3
MAXLEN, WATCHED, BEAM = 50, 1024, 100
BRANCHING, LEVELS = 32, 3  # of all identifiers
SIZES: dict[str, dict[str, Any]] = {
    "reduced": {"hidden_size": 64, "num_layers": 2, "num_heads": 4, "preset": (10, 7, 82)},
    "full": {"hidden_size": 512, "num_layers": 6, "num_heads": 8, "preset": "short"},
}
REDUCED = (
    f"reduced: width 64, 2 + 2 layers, 7 words of a text, at most {EPOCHS} epochs, from scratch; "
    "published: T5-small, 29 words"
)
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


class General:
    """Training pairs, and for the users with a test item what they have and what is to be found."""

    def __init__(self, source: Data, seed: int = 0) -> None:
        self.source, self.name = source, f"{source.name}, general"
        folder = data_dir() / source.folder
        log = pd.read_parquet(folder / "interactions.parquet")[["user_id", "item_id", "position"]]
        log = log.sample(frac=1.0, random_state=seed).reset_index(drop=True)
        place = log.groupby("user_id").cumcount()
        self.by_time = log[place > 1].sort_values(["user_id", "position"], ignore_index=True)
        self.train = log.loc[place > 1, ["user_id", "item_id"]].reset_index(drop=True)
        test, validation = (log[place == i].sort_values("user_id") for i in (0, 1))
        self.users, self.targets = test["user_id"].to_numpy(), test["item_id"].to_numpy()
        self.validation = validation["item_id"].to_numpy()  # of the same users
        self.seen = self.train.groupby("user_id")["item_id"].agg(list).loc[self.users].tolist()
        items = pd.read_parquet(folder / "items.parquet").sort_values("item_id")
        self.items, self.num_users = len(items), int(log["user_id"].max())
        texts = items["title"].fillna("") + " " + items["categories"].fillna("")
        self.tokens, _ = tokenize_texts(["", *texts], num_tokens=29)
        rows_of = np.bincount(self.train["item_id"], minlength=self.items + 1)
        self.parts = parts_of(np.array([len(row) for row in self.seen]), rows_of[self.targets])

    def keep(self, count: int) -> None:
        """Leaves the first users for the test."""
        self.users, self.targets = self.users[:count], self.targets[:count]
        self.validation = self.validation[:count]
        self.seen = self.seen[:count]
        self.parts = {part: is_in[:count] for part, is_in in self.parts.items()}

    def drawn(self, number: int, seed: int) -> np.ndarray:
        """The places of some users."""
        return np.random.default_rng(seed).permutation(len(self.users))[:number]

    def measured(self, score: Callable[[np.ndarray], dict[str, float]]) -> dict[str, float]:
        """The metrics of all users and of each part, from a function of the users' places."""
        return of_parts({part: np.flatnonzero(is_in) for part, is_in in self.parts.items()}, score)


def lightgcn(
    data: General, seed: int, options: Any, in_table: bool = False
) -> tuple[keras.Model, dict]:
    """LightGCN, as in gowalla.py the softmax of cosines over the items of a batch; kept in a file.

    With it what there is to say of its training, which stands in a file beside. Where its row is
    in the table but the file is not at hand, it is trained again, and that is said.
    """
    file = options.checkpoints / f"{data.source.folder}-LightGCN-{seed}.keras"
    told = file.with_suffix(".json")
    if told.exists():
        return keras.models.load_model(file), json.loads(told.read_text(encoding="utf-8"))
    if in_table:
        print(f"{file} is missing: LightGCN, whose row is there, is trained again for the codes.")
    keras.utils.set_random_seed(seed)
    model = LightGCN(
        data.train, num_users=data.num_users, num_items=data.items, negatives="in_batch",
        l2_normalize=True, temperature=0.1, optimizer=keras.optimizers.Adam(1e-2),
    )  # fmt: skip
    model.shuffle_seed = seed
    watch = RetrievalEvaluation(
        ({"user_id": data.users}, data.validation), seen=data.seen, k=10, metrics=METRICS
    )
    with cpu_seconds() as seconds:
        history = model.fit(
            data.train, batch_size=2048, epochs=options.epochs or GRAPH_EPOCHS, verbose=2,
            callbacks=[watch, best_epoch()],
        )
    row = {**chosen(history, "ndcg@10"), "earlier": seconds()}
    if not is_trial(options):
        options.checkpoints.mkdir(parents=True, exist_ok=True)
        model.save(file)
        told.write_text(json.dumps(row), encoding="utf-8")
    return model, row


def best_epoch() -> keras.callbacks.EarlyStopping:
    """Ends a training that gets no better, and takes its best epoch."""
    return keras.callbacks.EarlyStopping(
        "val_ndcg@10", mode="max", patience=PATIENCE, restore_best_weights=True
    )


def is_trial(options: Any) -> bool:
    """Whether rows are printed and not added."""
    return bool(options.epochs or options.steps)


def codes_of(
    gid: str, data: General, graph: tuple[keras.Model, dict] | None, seed: int, folder: Path
) -> tuple[ItemCodes, float]:
    """Identifiers, and the CPU seconds of the training and the clusters that make them.

    Args:
        gid: "random", "text" or "lightgcn".
        data: the catalogue.
        graph: LightGCN and what there is to say of its training, if its vectors are wanted.
        seed: of draws and clusters.
        folder: of the vectors of texts, whose seconds do not count.
    """
    if gid == "random":
        return random_codes(data.items, LEVELS, BRANCHING, seed=seed), 0.0
    if gid == "text":
        vectors, of_graph = text_vectors(data.source, folder), 0.0
    else:
        model, told = graph
        ids = {"item_id": np.arange(1, data.items + 1)}
        vectors = item_encoder(model).predict(ids, verbose=0)["item_vector"]
        vectors, of_graph = np.concatenate([np.zeros_like(vectors[:1]), vectors]), told["earlier"]
    with cpu_seconds() as seconds:
        codes = hierarchical_kmeans_codes(vectors, BRANCHING, LEVELS, seed=seed)
    return codes, of_graph + seconds()


def colarec(name: str, data: General, graph: Any, seed: int, options: Any) -> dict:
    """One row of ColaRec; `graph` as for `codes_of`."""
    gid, arguments = RUNS[name]
    codes, of_codes = codes_of(gid, data, graph, seed, options.checkpoints)
    keras.utils.set_random_seed(seed)
    tokens = arguments.get("item_tokens", data.tokens)
    arguments = {key: value for key, value in arguments.items() if key != "item_tokens"}
    maxlen = sizes_of_preset(SIZES[options.size]["preset"], owner=name)[0]
    asked_for = max(K) + max(map(len, data.seen))
    model = ColaRec(
        codes, tokens, num_users=data.num_users, num_results=asked_for,
        beam_width=max(BEAM, asked_for + maxlen),
        **SIZES[options.size],
        **arguments,
        optimizer=keras.optimizers.AdamW(RATE, global_clipnorm=1.0),
    )  # fmt: skip
    model.shuffle_seed = seed
    rows = ColaRecRows(data.by_time, codes, time="position", seed=seed)
    folder = f"{data.source.folder}-{name}-{options.size}-{seed}".replace(" ", "_")
    folder = options.checkpoints / folder
    stop, x, some = best_epoch(), rows(0), data.drawn(WATCHED, seed)
    watch = GenerationEvaluation(
        (rows.contexts(data.users[some], maxlen), data.validation[some]),
        item_count=data.items, seen=[data.seen[i] for i in some], metrics=METRICS,
    )
    budget = Budget(file=spent_file(folder))
    callbacks = [watch, stop, budget, BackupAndRestore(folder, callbacks=[stop])]
    if options.steps:
        budget, x = Budget(), {n: v[: options.steps * BATCH] for n, v in x.items()}
        data.keep(256)
    if is_trial(options):
        callbacks = [watch, budget]
    history = model.fit(
        x, batch_size=BATCH, epochs=options.epochs or EPOCHS, verbose=2, callbacks=callbacks,
        redraw=None if options.steps else rows,
    )  # fmt: skip
    asked = rows.contexts(data.users, maxlen)
    found = inference_model(model).predict(asked, batch_size=128, verbose=0)["ids"]
    some = data.drawn(ASKED_EXACTLY, seed)
    some_asked = {name: values[some] for name, values in asked.items()}

    def score(users: np.ndarray) -> dict[str, float]:
        ranks = rank_in_lists(
            found[users], data.targets[users], item_count=data.items,
            seen=[data.seen[i] for i in users],
        )
        return retrieval_metrics(ranks, k=K, metrics=METRICS)

    return {
        "parameters": model.count_params(), **chosen(history, "ndcg@10"),
        "beam_recall": share_found(model, some_asked, found[some]),
        "training_seconds": round(of_codes + budget.spent, 1), "earlier": budget.earlier,
        "remark": REDUCED if options.size == "reduced" else "T5-small's size, from scratch",
        **data.measured(score),
    }  # fmt: skip


def by_vectors(model: keras.Model, x: dict[str, np.ndarray], data: General) -> dict[str, float]:
    """The metrics of a model with two towers."""

    def score(users: np.ndarray) -> dict[str, float]:
        return evaluate_retrieval(
            model, {name: values[users] for name, values in x.items()}, data.targets[users],
            seen=[data.seen[i] for i in users], k=K, metrics=METRICS,
        )

    return data.measured(score)


class ByTime:
    """The training items in the order of time: all but the last, and the last, of every user."""

    def __init__(self, data: General) -> None:
        log, self.items = data.by_time, data.items
        last = log.groupby("user_id").cumcount(ascending=False).to_numpy() == 0

        def histories(users: np.ndarray, events: Any = None) -> dict[str, np.ndarray]:
            return latest_sequences(
                log, time="position", maxlen=MAXLEN, users=users, events=events
            )

        ends = log[last]
        self.train = {
            "hist_item_id": histories(ends["user_id"].to_numpy(), ~last)["hist_item_id"],
            "item_id": ends["item_id"].to_numpy("int32"),
        }
        self.asked = {"hist_item_id": histories(data.users)["hist_item_id"]}
        self.validation = {**self.asked, "item_id": data.validation.astype("int32")}
        self.seen_validation = data.seen


def sasrec(data: General, peer: list[dict], seed: int, options: Any) -> dict:
    """SASRec over the training items by time, trained for at most as many CPU seconds."""
    folder = f"{data.source.folder}-{of_size('SASRec', options.size)}-{seed}".replace(" ", "_")
    folder = options.checkpoints / folder
    if is_trial(options):
        folder = folder.with_name(f"{folder.name}-trial")
        budget = Budget(steps=options.steps or 1000 * options.epochs)
    elif peer:
        budget = Budget(peer[0]["training_seconds"], file=spent_file(folder))
    else:
        named = of_size("ColaRec", options.size)
        raise SystemExit(f"SASRec gets the CPU seconds of {named}: run that first.")
    parts = ByTime(data)
    model, row = trained(RUNS_BY_TIME["SASRec"], data.source, parts, seed, folder, budget)
    return {
        **row, "training_seconds": round(budget.spent, 1),
        "remark": f"trained for at most the CPU seconds of "
        f"{of_size('ColaRec', options.size)} and its codes",
        **by_vectors(model, parts.asked, data),
    }  # fmt: skip


def main() -> None:
    """Runs what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["LightGCN", "ColaRec", "SASRec, same budget", *list(RUNS)[1:]]
    parser.add_argument("--data", nargs="+", default=["beauty"], choices=["beauty", "toys"])
    parser.add_argument("--models", nargs="+", default=names, choices=names)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="print a row of so many epochs, add none")
    parser.add_argument("--size", default="reduced", choices=list(SIZES))
    parser.add_argument("--steps", type=int, help="and of so few steps, 256 users asked")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/colarec"))
    options = parser.parse_args()
    use_one_thread()
    keep_freed_memory()
    rows = Rows("colarec")
    for key in options.data:
        for seed in options.seeds:
            data = General(AMAZON[key], seed)
            in_table = rows.done(model="LightGCN", data=data.name, seed=seed)
            graph = functools.cache(functools.partial(lightgcn, data, seed, options, in_table))
            for name in options.models:
                wants_graph = name == "LightGCN" or RUNS.get(name, ("",))[0] == "lightgcn"
                row_name = name if name == "LightGCN" else of_size(name, options.size)
                is_done = rows.done(model=row_name, data=data.name, seed=seed)
                if is_done and not is_trial(options):
                    continue
                peer = graph() if wants_graph else None  # whose seconds are told, not measured
                with cpu_seconds() as seconds:
                    if name == "LightGCN":
                        model, told = peer
                        row = {**told, **by_vectors(model, {"user_id": data.users}, data)}
                    elif name.startswith("SASRec"):
                        of_colarec = rows.find(
                            model=of_size("ColaRec", options.size), data=data.name, seed=seed
                        )
                        row = sasrec(data, of_colarec, seed, options)
                    else:
                        row = colarec(name, data, peer, seed, options)
                row = {key.replace("@", "_"): value for key, value in row.items()}
                spent = round(seconds() + row.pop("earlier", 0.0), 1)
                row = {"model": row_name, "data": data.name, "seed": seed, **row, "seconds": spent}
                print(row if is_trial(options) else rows.add(**row))


if __name__ == "__main__":
    main()
