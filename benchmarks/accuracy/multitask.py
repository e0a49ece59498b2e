"""Multi-task models against a model a task: census income, MovieLens-1M, and a funnel made of it.

    DEEPREC_TF_DATA=... python benchmarks/accuracy/multitask.py --data census --seeds 0 1 2 3 4

- census: income above 50,000 and never married (KDD Census-Income, its file of 99,762 rows; the
  marital status is left out, which tells the second label).
- movielens_tasks: whether a film was rated 4 or more, and the rating, 1,000,209 rows split 8:1:1.
- funnel, semi-synthetic: the ratings of a fifth of the users are impressions with a click, beside 4
  uniform unrated films each, without; a rating of 4 or more is the conversion. The conversion rate
  is measured on the rated rows.

All models see the same rows, have as many weights beside the tables, to a tenth (a model a task: in
sum; the column counts the tables too), and one recipe, chosen for none of them: Adam 1e-3, batch
1,024, dropout .2, no penalty.
The epoch is chosen by the mean of the tasks' validation figures (a model a task: by its own), and
two epochs without gain end the training. A finished run is not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from rows import Rows, cpu_seconds, use_one_thread

from deeprec_tf import get_model
from deeprec_tf.data import (
    Category,
    CategoryList,
    FeatureEncoder,
    NegativeSampler,
    Number,
    add_negatives,
    conversion_labels,
    data_dir,
)
from deeprec_tf.evaluation import exact_auc, label_leaks, log_loss

PARTS = ("train", "valid", "test")
Labels = dict[str, np.ndarray]
Data = tuple[list, dict[str, tuple[dict, Labels]]]

# Arguments of the same number of weights beside the tables, to a tenth: on the inputs of census,
# and on those of MovieLens.
TOWER = {"task_hidden_units": (32,)}
WIDE: dict[str, dict[str, Any]] = {
    "SharedBottom": {"hidden_units": (192, 96), **TOWER},
    "MMoE": {"num_experts": 4, "expert_units": (56, 48), **TOWER},
    "PLE": {"expert_units": (72,), "num_layers": 2, **TOWER},
}
NARROW: dict[str, dict[str, Any]] = {
    "SharedBottom": {"hidden_units": (176, 88), **TOWER},
    "MMoE": {"num_experts": 4, "expert_units": (64, 56), **TOWER},
    "PLE": {"expert_units": (68,), "num_layers": 2, **TOWER},
    "ESMM": {"tower_units": (120, 72)},
    "AITM": {"hidden_units": (88, 56)},
}
ALONE = {"hidden_units": (112, 64), **TOWER}
WEIGHTINGS = ("uncertainty", "dwa", "gradnorm", "metabalance", "pcgrad")


def _split(rows: int) -> dict[str, np.ndarray]:
    order = np.random.default_rng(2018).permutation(rows)
    return dict(zip(PARTS, np.split(order, [int(0.8 * rows), int(0.9 * rows)]), strict=True))


def _encoded(
    table: pd.DataFrame, features: list, labels: Labels, parts: dict[str, np.ndarray], width: int
) -> Data:
    encoder = FeatureEncoder(features).fit(table.iloc[parts["train"]])
    x = encoder.transform(table)
    data = {
        part: (
            {name: array[rows] for name, array in x.items()},
            {task: label[rows] for task, label in labels.items()},
        )
        for part, rows in parts.items()
    }
    label_leaks(*data["train"])
    return encoder.feature_columns(embedding_dim=width), data


def census(folder: Path | None) -> Data:
    """Both labels; numbers that are codes are categories."""
    table = pd.read_parquet(data_dir("census-income", folder) / "census_income.parquet")
    tasks = ["income_50k", "never_married"]
    left_out = [*tasks, "split", "instance_weight", "marital_stat"]
    amounts = ["wage_per_hour", "capital_gains", "capital_losses", "stock_dividends"]
    sizes = ["age", "weeks_worked", "num_emp"]
    features = [Number(name, transform="log1p") for name in amounts]
    features += [Number(name, transform="standardize") for name in sizes]
    features += [
        Category(name) for name in table.columns if name not in {*left_out, *amounts, *sizes}
    ]
    labels = {task: table[task].to_numpy("float32") for task in tasks}
    parts = {part: np.flatnonzero(table["split"] == part) for part in PARTS}
    return _encoded(table, features, labels, parts, width=4)


FILM = [Category("movie_id"), Category("year"), CategoryList("genres", 6, separator="|")]
USER = [Category(name) for name in ("user_id", "gender", "age", "occupation")]


def _ratings(folder: Path | None) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    path = data_dir("movielens-1m", folder)
    names = ("ratings", "users", "movies")
    return tuple(pd.read_parquet(path / f"{name}.parquet") for name in names)  # type: ignore[return-value]


def movielens_tasks(folder: Path | None) -> Data:
    """Liked, and the rating."""
    ratings, users, movies = _ratings(folder)
    table = ratings.merge(users, on="user_id", how="left").merge(movies, on="movie_id", how="left")
    labels = {
        "like": (table["rating"] >= 4).to_numpy("float32"),
        "rating": table["rating"].to_numpy("float32"),
    }
    return _encoded(table, [*USER, *FILM], labels, _split(len(table)), width=8)


def funnel(folder: Path | None) -> Data:
    """Impressions, clicks (rated) and conversions (rated 4 or more)."""
    ratings, users, movies = _ratings(folder)
    some = np.random.default_rng(2018).permutation(users["user_id"])[: len(users) // 5]
    ratings = ratings.loc[ratings["user_id"].isin(some), ["user_id", "movie_id", "rating"]]
    sampler = NegativeSampler(ratings, item="movie_id")
    table = add_negatives(ratings, sampler, 4, label="click", seed=2018)
    table = table.merge(users, on="user_id", how="left").merge(movies, on="movie_id", how="left")
    labels = conversion_labels(table["click"], (table["rating"] >= 4).astype("float32"))
    return _encoded(table, [*USER, *FILM], labels, _split(len(table)), width=8)


def _measured(task: str, labels: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    known = ~np.isnan(labels)
    labels, answers = labels[known], answers[known]
    if task == "rating":
        return {"rating_rmse": float(np.sqrt(np.mean(np.square(answers - labels))))}
    found = {f"{task}_auc": exact_auc(labels, answers)}
    return found | {f"{task}_log_loss": log_loss(labels, np.clip(answers, 0, 1))}


def measured(model: Any, x: dict, y: Labels, tasks: list[str]) -> dict[str, float]:
    """AUC and log loss of every task, or its error."""
    answers = model.predict(x, batch_size=8192, verbose=0)
    answers = {task: np.asarray(out) for task, out in answers.items()}
    if "cvr" not in answers and {"ctr", "ctcvr"} <= set(answers):
        answers["cvr"] = answers["ctcvr"] / np.maximum(answers["ctr"], 1e-7)
    if "ctcvr" not in answers and {"ctr", "cvr"} <= set(answers):
        answers["ctcvr"] = answers["ctr"] * answers["cvr"]
    found: dict[str, float] = {}
    for task in tasks:
        if task in answers:
            found |= _measured(task, y[task], answers[task][:, 0].astype("float64"))
    return found


def _score(found: dict[str, float]) -> float:
    """What chooses the epoch: the mean over tasks, higher is better."""
    values = [v for name, v in found.items() if name.endswith("_auc")]
    return float(np.mean(values + [-v for name, v in found.items() if name.endswith("_rmse")]))


def trained(
    build: Callable[[], Any], data: dict[str, tuple], own: list[str], tasks: list[str], seed: int,
    patience: int = 2,
) -> tuple[Any, int]:
    """A model with the weights of its best epoch, and which one that was."""
    keras.utils.set_random_seed(seed)
    model = build()
    x, labels = data["train"]
    y = {task: labels[task] for task in own}
    if len(own) == 1:  # a model of one task takes arrays, of the rows that have its label
        (task,) = own
        rows = np.flatnonzero(~np.isnan(labels[task]))
        x, y = {name: values[rows] for name, values in x.items()}, labels[task][rows]
    best, weights, best_epoch, epoch = -np.inf, model.get_weights(), 0, 0
    while epoch - best_epoch < patience:
        epoch += 1
        model.fit(x, y, batch_size=1024, initial_epoch=epoch - 1, epochs=epoch, verbose=0)
        score = _score(measured(_named(model, own), *data["valid"], tasks))
        print(f"  epoch {epoch}: {score:.5f}", flush=True)
        if score > best:
            best, weights, best_epoch = score, model.get_weights(), epoch
    model.set_weights(weights)
    return model, best_epoch


def _named(model: Any, tasks: list[str]) -> Any:
    """A model whose predictions go by task, also where there is one."""
    if len(tasks) > 1:
        return model

    def predict(*arguments: Any, **options: Any) -> dict:
        return {tasks[0]: model.predict(*arguments, **options)}

    return type("Named", (), {"predict": staticmethod(predict)})


def run(
    name: str, seed: int, columns: list, data: dict[str, tuple], kinds: dict, sizes: dict
) -> dict[str, Any]:
    """The row of a model."""
    builder, _, weighting = name.partition(", ")
    shared = {"metrics": [], "dropout": 0.2}
    if builder == "a model a task":
        parameters, answers = 0, {}
        for task, kind in kinds.items():
            model, _ = trained(
                lambda task=task, kind=kind: get_model("SharedBottom").builder(
                    columns, task_names=[task], task_types=[kind], **ALONE, **shared
                ), data, [task], [task], seed,
            )
            parameters += model.count_params()
            answers[task] = model.predict(data["test"][0], batch_size=8192, verbose=0)
        both = type("Both", (), {"predict": staticmethod(lambda *_, **__: answers)})
        return {"parameters": parameters,
                **measured(both, *data["test"], list(data["test"][1]))}  # fmt: skip
    tasks = list(data["test"][1])
    arguments = {"task_names": list(kinds), "task_types": list(kinds.values())}
    own = list(kinds)
    if builder == "ESMM":
        arguments, own = {}, ["ctr", "ctcvr"]
    elif builder == "AITM":
        arguments, own = {"task_names": ["ctr", "ctcvr"]}, ["ctr", "ctcvr"]
    if weighting:
        arguments["loss_weighting"] = weighting
    model, epoch = trained(
        lambda: get_model(builder).builder(columns, **sizes[builder], **arguments, **shared),
        data, own, tasks, seed,
    )
    return {"parameters": model.count_params(), **measured(model, *data["test"], tasks),
            "epochs": epoch}  # fmt: skip


COMMON = ("a model a task", "SharedBottom", "MMoE", "PLE")
TABLES: dict[str, tuple[str, Callable, dict, tuple[str, ...], dict]] = {
    "census": (
        "Census income", census, {"income_50k": "binary", "never_married": "binary"},
        (*COMMON, *(f"MMoE, {method}" for method in WEIGHTINGS)), WIDE,
    ),
    "movielens_tasks": (
        "MovieLens-1M", movielens_tasks, {"like": "binary", "rating": "regression"},
        (*COMMON, *(f"MMoE, {method}" for method in WEIGHTINGS)), NARROW,
    ),
    "funnel": (
        "MovieLens-1M funnel, semi-synthetic", funnel, {"ctr": "binary", "cvr": "binary"},
        (*COMMON, "ESMM", "AITM"), NARROW,
    ),
}


def main() -> None:
    """Runs what is not there yet, all models of one seed before the next seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--models", nargs="+", help="all of the table when left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(5))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    use_one_thread()
    for table in options.data:
        data_name, load, kinds, models, sizes = TABLES[table]
        rows = Rows(table)
        wanted = [
            (seed, model) for seed in options.seeds for model in options.models or models
            if not rows.done(model=model, data=data_name, seed=seed)
        ]
        if not wanted:
            continue
        columns, data = load(options.folder)
        for seed, model in wanted:
            print(f"{data_name}: {model}, seed {seed}", flush=True)
            with cpu_seconds() as seconds:
                row = run(model, seed, columns, data, kinds, sizes)
            print(rows.add(model=model, data=data_name, seed=seed, **row, seconds=seconds()))


if __name__ == "__main__":
    main()
