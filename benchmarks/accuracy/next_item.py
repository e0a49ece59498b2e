"""Next items on Amazon Beauty, Toys and MovieLens-1M: sequence models beside plain baselines.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/next_item.py --data beauty --models SASRec

Leave-one-out: of every user the last item is the test, the one before it the validation, the rest
is for training; all items compete, those that the user has seen left out. Validation NDCG@10
chooses the epoch, the test items are ranked once; users of three training items and items of fewer
than five training rows are told apart. The rows of a model that is trained at every position are
the users; else every prefix is one. A run that is broken off goes on from its last epoch
(checkpoints in `--checkpoints`); a finished run is not run again. What takes hours or weeks on two
cores, `FULL_SIZE`, runs only where it is named.
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
from budget import Budget
from parts import of_parts, parts_of
from rates import falling
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import models, next_item_columns
from deeprec_tf.candidates import Sampled
from deeprec_tf.data import build_sequences, data_dir, latest_sequences
from deeprec_tf.evaluation import (
    RetrievalEvaluation,
    evaluate_retrieval,
    fit_ease,
    fit_item_knn,
    fit_markov_chain,
    fit_popularity,
)
from deeprec_tf.training import BackupAndRestore, keep_freed_memory

K, PATIENCE = (5, 10), 10
METRICS = ("hr", "ndcg", "mrr")
WIDTH, BATCH, PREFIX_BATCH, RATE = 64, 128, 512, 1e-3
EPOCHS, BETA_2 = 200, 0.98


@dataclass(frozen=True)
class Data:
    """A data set: its folder and columns, what depends on it, and what is measured.

    `rate` is Adam's learning rate for the models that have none of their own, `epochs` the most
    that a model is trained. After `steady` of them the rate falls in a straight line to the end;
    it stays where that is None.
    `beta_2` is Adam's, .98 as in SASRec's code.
    With `shuffled` neighbouring items of a user whose article numbers ascend lie in a random order,
    see `without_order_of_numbers`. With `numbered` ratings of one second lie in the order of the
    movies' numbers, see `ties_by_number`; else in a random one, as the data have them.
    """

    folder: str
    item: str
    maxlen: int
    dropout: float
    name: str
    rate: float = RATE
    epochs: int = EPOCHS
    steady: int | None = None
    beta_2: float = BETA_2
    patience: int = PATIENCE
    watched: str = "ndcg@10"
    k: tuple[int, ...] = K
    metrics: tuple[str, ...] = METRICS
    shuffled: bool = False
    numbered: bool = False


MOVIELENS: dict[str, Any] = {
    "folder": "movielens-1m", "item": "movie_id", "maxlen": 200, "dropout": 0.2, "rate": 3e-3,
    "epochs": 60,
}  # fmt: skip
DATA = {
    "beauty": Data("amazon-beauty", "item_id", 50, 0.5, "Amazon Beauty"),
    "toys": Data("amazon-toys", "item_id", 50, 0.5, "Amazon Toys"),
    "movielens": Data(**MOVIELENS, name="MovieLens-1M"),
    "movielens-numbered": Data(**MOVIELENS, name="MovieLens-1M, ties by number", numbered=True),
    "beauty-shuffled": Data(
        "amazon-beauty", "item_id", 50, 0.5, "Amazon Beauty, shuffled", shuffled=True
    ),
    "toys-shuffled": Data(
        "amazon-toys", "item_id", 50, 0.5, "Amazon Toys, shuffled", shuffled=True
    ),
}


@dataclass(frozen=True)
class Run:
    """A model of the table: its builder and arguments.

    Attributes:
        builder: name of the builder, or the function that fits a baseline.
        arguments: of the builder; a dropout of None is the data set's own.
        prefixes: whether a row is trained for every prefix of a history, not one a user.
        remark: what a reader of the row must know.
        rate: learning rate of Adam, or the schedule of one; None takes the data set's.
        beta_2: of Adam; None takes the data set's.
        width: of the item table.
        batch: rows a step; None takes the usual number.
        epochs: the most that it is trained; None takes the data set's number.
        steady: epochs of the full rate, before it falls; None takes the data set's number. A
            schedule of its own falls as it says.
    """

    builder: Any
    arguments: dict[str, Any] = field(default_factory=dict)
    prefixes: bool = False
    remark: str = ""
    rate: float | Callable[[], keras.optimizers.schedules.LearningRateSchedule] | None = None
    beta_2: float | None = None
    width: int = WIDTH
    batch: int | None = None
    epochs: int | None = None
    steady: int | None = None


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Up to the highest rate in a straight line, and down to 0 in another."""

    def __init__(self, highest: float, warm: int, steps: int) -> None:
        self.highest, self.warm, self.steps = highest, warm, steps

    def __call__(self, step: Any) -> Any:
        """The rate of a step."""
        step = keras.ops.cast(step, "float32")
        left = (self.steps - step) / (self.steps - self.warm)
        return self.highest * keras.ops.clip(keras.ops.minimum(step / self.warm, left), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"highest": self.highest, "warm": self.warm, "steps": self.steps}


# MovieLens-1M has 44 % of its times here, and the days of Amazon's reviews are not at hand.
NO_TIMES = "without times"

SASREC = {"num_heads": 1, "dropout": None}
DSSM = {"hidden_units": (128, 64), "dropout": 0.2}
HSTU_LARGE = {"num_layers": 8, "num_heads": 2, "dropout": None}
BCE = {"loss": "bce", "negatives": Sampled(1, each=True)}
RUNS = {
    "popularity": Run(fit_popularity),
    "Markov chain": Run(fit_markov_chain),
    "item-kNN": Run(fit_item_knn),
    "EASE": Run(fit_ease),
    "SASRec": Run("SASRec", SASREC),
    "SASRec, BCE": Run(
        "SASRec", {**SASREC, **BCE},
        remark="the paper's loss, one uniform negative a position",
    ),
    "SASRec, as published": Run(
        "SASRec", {**SASREC, **BCE, "original": True}, remark="the paper's block and loss",
        rate=RATE,
    ),
    "GRU4Rec": Run("GRU4Rec", {"dropout": None}, beta_2=0.999),
    "BERT4Rec": Run(
        "BERT4Rec", {"mask_share": 0.4},
        remark="reduced: it stops as the others do, after 128 rows a step, where 400,000 steps of "
        "256 rows are published",
    ),
    "NARM": Run("NARM", {"hidden_size": 64}, prefixes=True, beta_2=0.999),
    "YoutubeDNN": Run("YoutubeDNN", {"hidden_units": (128,), "dropout": 0.2}, prefixes=True),
    "DSSM": Run("DSSM", DSSM, prefixes=True),
    "DSSM, uncorrected": Run(
        "DSSM", {**DSSM, "negatives": "in_batch"}, prefixes=True,
        remark="popular items are punished for coming often (no logQ)",
    ),
    "MIND": Run("MIND", {"dropout": 0.2}, prefixes=True),
    "ComiRec": Run("ComiRec", {}, prefixes=True),
    "HSTU": Run("HSTU", {"transformer_params": {"dropout": None}}, remark=NO_TIMES, rate=RATE),
    "HSTU, 128 sampled": Run(
        "HSTU",
        {"transformer_params": {"dropout": None}, "negatives": Sampled(128, each=True)},
        remark=f"the paper's loss, 128 uniform negatives a position; {NO_TIMES}", rate=RATE,
    ),
    "HSTU-large": Run(
        "HSTU",
        {"transformer_params": HSTU_LARGE},
        remark=f"reduced: at most 60 epochs, of width 64, where 100 of width 50 are published; "
        f"{NO_TIMES}",
        rate=RATE,
    ),
}
# For MovieLens-1M, most as published. BERT4Rec's steps are 16,667 epochs of 24.
FULL_SIZE = {
    "SASRec, original block": Run(
        "SASRec", {**SASREC, "original": True, "dropout": 0.1}, rate=RATE, beta_2=0.999, epochs=100,
        remark="the paper's block, dropout .1, Adam at 1e-3 and .999, at most 100 epochs",
    ),
    "SASRec, original block, falling rate": Run(
        "SASRec", {**SASREC, "original": True, "dropout": 0.1}, rate=RATE, beta_2=0.999, epochs=100,
        steady=50,
        remark="the same, but that the rate falls in a straight line from the 50th epoch to 0 at "
        "the 100th",
    ),
    "SASRec, falling rate": Run(
        "SASRec", SASREC, epochs=60, steady=20,
        remark="the rate falls in a straight line from the 20th epoch to 0 at the 60th",
    ),
    "GRU4Rec, falling rate": Run(
        "GRU4Rec", {"dropout": None}, beta_2=0.999, epochs=100, steady=50,
        remark="the rate falls in a straight line from the 50th epoch to 0 at the 100th",
    ),
    "BERT4Rec, falling rate": Run(
        "BERT4Rec", {"mask_share": 0.4}, epochs=100, steady=45,
        remark="reduced: the rate falls in a straight line from the 45th epoch to 0 at the 100th, "
        "4,800 steps of 128 rows",
    ),
    "HSTU, falling rate": Run(
        "HSTU", {"transformer_params": {"dropout": None}}, rate=RATE, epochs=80, steady=20,
        remark="the rate falls in a straight line from the 20th epoch to 0 at the 80th; "
        f"{NO_TIMES}",
    ),
    "HSTU, later falling rate": Run(
        "HSTU", {"transformer_params": {"dropout": None}}, rate=RATE, epochs=100, steady=45,
        remark="the rate falls in a straight line from the 45th epoch to 0 at the 100th; "
        f"{NO_TIMES}",
    ),
    "BERT4Rec, as published": Run(
        "BERT4Rec", {"mask_share": 0.2}, rate=lambda: WarmUp(1e-4, 10_000, 400_000), batch=256,
        epochs=16_667, remark="as published for MovieLens-1M",
    ),
    "HSTU-large, as published": Run(
        "HSTU", {"transformer_params": HSTU_LARGE}, rate=RATE, width=50, epochs=100,
        remark=f"as published for MovieLens-1M; {NO_TIMES}",
    ),
}


class LeaveOneOut:
    """A data set as training, validation and test rows: histories and the item that comes next."""

    def __init__(self, data: Data) -> None:
        table = "ratings" if data.folder.startswith("movielens") else "interactions"
        log = pd.read_parquet(data_dir() / data.folder / f"{table}.parquet")
        codes, _ = pd.factorize(log[data.item], sort=True)
        log = log.assign(item_id=codes + 1).sort_values(["user_id", "position"], kind="stable")
        log = log.reset_index(drop=True)
        if data.shuffled:
            items = pd.read_parquet(data_dir() / data.folder / "items.parquet")
            numbers = items.set_index(data.item)["asin"].rank().reindex(log[data.item]).to_numpy()
            log = without_order_of_numbers(log, numbers)
        if data.numbered:
            log = ties_by_number(log)
        self.items = int(log["item_id"].max())
        self._log, self._maxlen = log, data.maxlen
        from_end = log.groupby("user_id").cumcount(ascending=False).to_numpy()
        self.train, self.validation, self.test = (
            self._rows(log, from_end, target, data.maxlen) for target in (2, 1, 0)
        )
        self.seen_validation, self.seen_test = (
            self._rows(log, from_end, target, int(np.bincount(log["user_id"]).max()))[
                "hist_item_id"
            ]
            for target in (1, 0)
        )
        rows_of = np.bincount(log["item_id"][from_end > 1], minlength=self.items + 1)
        had = (self.seen_validation != 0).sum(axis=1)
        self.parts = parts_of(had, rows_of[self.test["item_id"]])

    def lists(self) -> list[list[int]]:
        """The training items of every user, all of them, where rows hold the newest alone."""
        from_end = self._log.groupby("user_id").cumcount(ascending=False)
        return self._log[from_end > 1].groupby("user_id")["item_id"].agg(list).tolist()

    def prefixes(self) -> dict:
        """Training rows of every prefix of a user's training items, and what came next."""
        from_end = self._log.groupby("user_id").cumcount(ascending=False).to_numpy()
        log = self._log[from_end > 1]
        past = build_sequences(log, time="position", maxlen=self._maxlen, ties="order")
        has_past = past["hist_length"] > 0
        item = log["item_id"].to_numpy("int32")
        return {"hist_item_id": past["hist_item_id"][has_past], "item_id": item[has_past]}

    def _rows(self, log: pd.DataFrame, from_end: np.ndarray, target: int, maxlen: int) -> dict:
        past = latest_sequences(
            log, time="position", maxlen=maxlen, events=from_end > target,
            users=log["user_id"][from_end == target].to_numpy(),
        )
        item = log["item_id"][from_end == target].to_numpy("int32")
        return {"hist_item_id": past["hist_item_id"], "item_id": item}


def without_order_of_numbers(log: pd.DataFrame, numbers: np.ndarray) -> pd.DataFrame:
    """A log in which no row of a user tells by its article number where it lay among its like.

    Rows of one day lie in the order of these numbers, and the days are not at hand. But where the
    numbers descend, there a new day begins. So the items between two descents are dealt out to
    their places at random: those of one day among them, and those of days that happened to ascend,
    too.

    Args:
        log: sorted by user and time, with `user_id` and `item_id`.
        numbers: of every row that of its item.
    """
    user = log["user_id"].to_numpy()
    begins = np.append(True, (user[1:] != user[:-1]) | (numbers[1:] <= numbers[:-1]))
    draws = np.random.default_rng(0).random(len(log))
    order = np.lexsort((draws, begins.cumsum()))
    return log.assign(item_id=log["item_id"].to_numpy()[order])


def ties_by_number(log: pd.DataFrame) -> pd.DataFrame:
    """A log in which a user's ratings of one second lie in the order of the items' numbers.

    Those whose second is not known stay where they are.

    Args:
        log: sorted by user and time, with `user_id`, `item_id` and `timestamp`.
    """
    user, time = log["user_id"].to_numpy(), log["timestamp"]
    is_tied = (time == time.shift()).fillna(False).to_numpy() & (user == np.roll(user, 1))
    items = log["item_id"].to_numpy()
    return log.assign(item_id=items[np.lexsort((items, (~is_tied).cumsum()))])


def trained(
    run: Run, data: Data, parts: Any, seed: int, folder: Path, budget: Budget | None = None
) -> tuple[keras.Model, dict[str, Any]]:
    """A model at its best epoch by the watched figure of the validation, and what to say of it.

    Args:
        run: the model.
        data: what depends on the data set.
        parts: has `train`, `validation`, `seen_validation` and `items`, and `prefixes()` for the
            models that want them.
        seed: of weights, draws and the rows' order.
        folder: for the checkpoints of this run alone.
        budget: ends the training; there is none when None.

    Returns:
        The model; and parameters, the best epoch, its figure, and the CPU seconds that pieces of
        the training before this process took (`earlier`).
    """
    keras.utils.set_random_seed(seed)
    model = built(run, data, parts.items)
    model.shuffle_seed = seed
    k = data.watched.split("@")[1]
    stop = keras.callbacks.EarlyStopping(
        f"val_{data.watched}", mode="max", patience=data.patience, restore_best_weights=True
    )
    watch = RetrievalEvaluation(
        (parts.validation, parts.validation["item_id"]), seen=parts.seen_validation, k=int(k),
        metrics=data.metrics,
    )
    budget = budget or Budget(file=spent_file(folder))
    callbacks = [watch, stop, budget, *rate_of(run, data)]
    backup = BackupAndRestore(folder, callbacks=[stop])
    history = model.fit(
        parts.prefixes() if run.prefixes else parts.train,
        batch_size=run.batch or (PREFIX_BATCH if run.prefixes else BATCH),
        epochs=run.epochs or data.epochs, verbose=2, callbacks=[*callbacks, backup],
    )
    return model, {
        "parameters": model.count_params(), **chosen(history, data.watched),
        "earlier": budget.earlier,
    }  # fmt: skip


def rate_of(run: Run, data: Data) -> list[keras.callbacks.Callback]:
    """What lets the rate of a training fall; nothing where it stays, or is a schedule anyway."""
    steady = run.steady or data.steady
    if steady is None or callable(run.rate):
        return []
    return [falling(run.rate or data.rate, run.epochs or data.epochs, steady)]


def built(run: Run, data: Data, items: int) -> Any:
    """The model of a run for so many items, compiled."""
    rate = run.rate() if callable(run.rate) else run.rate or data.rate
    return getattr(models, run.builder)(
        *next_item_columns(items, data.maxlen, run.width),
        **_with_dropout(run.arguments, data.dropout),
        optimizer=keras.optimizers.Adam(rate, beta_2=run.beta_2 or data.beta_2),
    )


def chosen(history: keras.callbacks.History, watched: str) -> dict[str, Any]:
    """The best epoch by a watched figure of the validation, such as "ndcg@10", and that figure."""
    scores = history.history[f"val_{watched}"]
    metric = watched.split("@")[0]
    return {"epoch": int(np.argmax(scores)) + 1, f"validation_{metric}": max(scores)}


def spent_file(folder: Path) -> Path:
    """Where the CPU seconds of a run stand whose checkpoints are in a folder."""
    return folder.parent / f"{folder.name}.seconds"


def _with_dropout(arguments: dict[str, Any], dropout: float) -> dict[str, Any]:
    """The arguments with the data set's dropout where they have None for one."""
    return {
        name: _with_dropout(value, dropout) if isinstance(value, dict)
        else dropout if name == "dropout" and value is None else value
        for name, value in arguments.items()
    }


def run_one(
    name: str, run: Run, data: Data, parts: Any, seed: int, checkpoints: Path
) -> dict[str, Any]:
    """One row: trains, and ranks the test items once."""
    row: dict[str, Any] = {}
    if callable(run.builder):
        model = run.builder(parts.lists(), parts.items)
        x = parts.test["hist_item_id"] if parts.seen_test is None else parts.seen_test
    else:
        order = "-shuffled" if data.shuffled else "-numbered" if data.numbered else ""
        folder = checkpoints / f"{data.folder}{order}-{name}-{seed}".replace(" ", "_")
        model, row = trained(run, data, parts, seed, folder)
        x = parts.test
    target, seen = parts.test["item_id"], parts.seen_test

    def score(rows: np.ndarray) -> dict[str, float]:
        return evaluate_retrieval(
            model, {n: v[rows] for n, v in x.items()} if isinstance(x, dict) else x[rows],
            target[rows], seen=None if seen is None else seen[rows], k=data.k,
            metrics=data.metrics,
        )

    found = of_parts({part: np.flatnonzero(is_in) for part, is_in in parts.parts.items()}, score)
    return {**row, **{key.replace("@", "_"): value for key, value in found.items()}}


def run_all(
    table: str, data: dict[str, Data], runs: dict[str, Run], read: Callable[[str], Any],
    only_named: dict[str, Run] | None = None,
) -> None:
    """Runs what a table lacks, all models of one seed before the next seed.

    Args:
        table: name of the table.
        data: the data sets by their key.
        runs: the models by their name; baselines have one seed.
        read: gives the parts of a data set by its key; called when it is first needed.
        only_named: further models, which run where `--models` names them.
    """
    parser = argparse.ArgumentParser(description=f"Runs what the table {table} lacks.")
    parser.add_argument("--data", nargs="+", default=list(data), choices=list(data))
    every = runs | (only_named or {})
    parser.add_argument("--models", nargs="+", default=list(runs), choices=list(every))
    parser.add_argument("--seeds", nargs="+", type=int, default=range(3))
    parser.add_argument("--checkpoints", type=Path, default=Path(f"runs/{table}"))
    options = parser.parse_args()
    runs = every
    use_one_thread()
    keep_freed_memory()
    rows = Rows(table)
    parts: dict[str, Any] = {}
    for seed in options.seeds:
        for name in options.models:
            for key in options.data:
                once = callable(runs[name].builder) and seed > 0
                if once or rows.done(model=name, data=data[key].name, seed=seed):
                    continue
                if key not in parts:
                    parts[key] = read(key)
                with cpu_seconds() as seconds:
                    row = run_one(
                        name, runs[name], data[key], parts[key], seed, options.checkpoints
                    )
                if runs[name].remark:
                    row["remark"] = runs[name].remark
                row["seconds"] = round(seconds() + row.pop("earlier", 0.0), 1)
                print(rows.add(model=name, data=data[key].name, seed=seed, **row))
                keras.backend.clear_session()


if __name__ == "__main__":
    run_all("next_item", DATA, RUNS, lambda key: LeaveOneOut(DATA[key]), FULL_SIZE)
