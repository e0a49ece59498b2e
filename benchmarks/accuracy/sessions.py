"""Next clicks of sessions: GRU4Rec, NARM, STAMP and plain baselines on diginetica and yoochoose.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/sessions.py --data yoochoose --models NARM

Every click but the first of a test session is to be found from those before it, among all items,
those of the session too. Clicks on items that no training session has are left out, and sessions of
one click. The last tenth of the training sessions, by the time of their first click (diginetica has
no times, there by their number), is the validation, by whose MRR@20 the epoch is chosen; the
models are not trained again on all. The rows of NARM and STAMP are every prefix of a session, those
of GRU4Rec the sessions. A run that is broken off goes on from its last epoch; a finished run is not
run again. On diginetica Adam has its usual .999: at .98, as SASRec's code has it, the rare rows of
its large catalogue take smaller steps. GRU4Rec has .999 on both, which its validation prefers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from next_item import Data, Run, run_all

from deeprec_tf.data import build_sequences, data_dir
from deeprec_tf.evaluation import fit_item_knn, fit_markov_chain, fit_popularity

SAME: dict[str, Any] = {
    "item": "item_id", "maxlen": 20, "dropout": 0.2, "patience": 3, "watched": "mrr@20",
    "k": (20,), "metrics": ("recall", "mrr"),
}  # fmt: skip
DATA = {
    "yoochoose": Data("yoochoose-100k", name="yoochoose, sample of 100,000 clicks", **SAME),
    "diginetica": Data(
        "diginetica", name="diginetica", beta_2=0.999,
        **SAME | {"epochs": 16, "steady": 10, "patience": 5},
    ),
}
FILES = {
    "yoochoose": ("train.parquet", "test.parquet"),
    "diginetica": ("train_sessions.parquet", "test_sessions.parquet"),
}
RUNS = {
    "popularity": Run(fit_popularity),
    "Markov chain": Run(fit_markov_chain),
    "item-kNN": Run(fit_item_knn),
    "GRU4Rec": Run("GRU4Rec", {"dropout": None, "hidden_size": 100}, beta_2=0.999),
    "NARM": Run("NARM", {}, prefixes=True),
    "STAMP": Run("STAMP", {}, prefixes=True, rate=3e-3),  # the paper's
}


class Sessions:
    """A data set as training, validation and test rows: the session so far and the next click."""

    seen_validation = seen_test = None

    def __init__(self, key: str) -> None:
        folder = data_dir() / DATA[key].folder
        train, test = (pd.read_parquet(folder / file) for file in FILES[key])
        codes = pd.Index(np.sort(train["item_id"].unique()))
        self.items, self._maxlen = len(codes), DATA[key].maxlen
        train, test = (self._known(log, codes) for log in (train, test))
        sessions = _in_order(train)
        is_late = train["session_id"].isin(sessions[int(0.9 * len(sessions)) :])
        self._train = train[~is_late].reset_index(drop=True)
        is_last = ~self._train["session_id"].duplicated(keep="last").to_numpy()
        self.train = self._rows(self._train, is_last)
        self.validation = self._clicks(train[is_late])
        self.test = self._clicks(test)
        self.parts = {"": np.ones(len(self.test["item_id"]), bool)}

    def lists(self) -> list[list[int]]:
        """The clicks of every training session, all of them."""
        return self._train.groupby("session_id")["item_id"].agg(list).tolist()

    def prefixes(self) -> dict:
        """Training rows of every prefix of a session, and what was clicked next."""
        return self._clicks(self._train)

    def _known(self, log: pd.DataFrame, codes: pd.Index) -> pd.DataFrame:
        log = log.assign(item_id=codes.get_indexer(log["item_id"]) + 1)
        log = log[log["item_id"] > 0]
        sizes = log.groupby("session_id")["item_id"].transform("size")
        log = log[sizes > 1].reset_index(drop=True)
        return log.assign(position=log.groupby("session_id").cumcount())

    def _clicks(self, log: pd.DataFrame) -> dict:
        return self._rows(log.reset_index(drop=True), (log["position"] > 0).to_numpy())

    def _rows(self, log: pd.DataFrame, rows: np.ndarray) -> dict:
        past = build_sequences(
            log, user="session_id", time="position", maxlen=self._maxlen, ties="order", rows=rows
        )
        item = log["item_id"].to_numpy("int32")[rows]
        return {"hist_item_id": past["hist_item_id"], "item_id": item}


def _in_order(log: pd.DataFrame) -> np.ndarray:
    """The sessions by the time of their first click; without times as they are numbered."""
    if "time" not in log:
        return log["session_id"].unique()
    return log.groupby("session_id")["time"].min().sort_values(kind="stable").index.to_numpy()


if __name__ == "__main__":
    run_all("sessions", DATA, RUNS, Sessions)
