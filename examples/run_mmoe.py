"""MMoE on the bundled MovieLens: is a movie liked, and how many stars does it get?

Run it with: python examples/run_mmoe.py --epochs 10
"""

import argparse

import keras
import numpy as np

from deeprec_tf import get_feature_names
from deeprec_tf.data import (
    Category,
    CategoryList,
    FeatureEncoder,
    Number,
    load_movielens,
    take,
    temporal_split,
)
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr
from deeprec_tf.models import MMoE

FIELDS = ["user_id", "movie_id", "genres", "year"]


def load(rows):
    """The oldest `rows` ratings with genres and year; liked is 4 stars or more."""
    data = load_movielens()
    movies = data.movies.assign(genres=data.movies["genres"].str.split("|"))
    log = data.ratings.merge(movies[["movie_id", "genres", "year"]], on="movie_id")
    log["like"] = (log["rating"] >= 4.0).astype("float32")
    return log.sort_values("timestamp", kind="stable", ignore_index=True)[:rows]


def main():
    """Trains, evaluates and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(1)

    # Ids and means are learned from the past only.
    log = load(arguments.rows)
    split = temporal_split(log)
    encoder = FeatureEncoder([
        Category("user_id"), Category("movie_id"), CategoryList("genres", maxlen=5),
        Number("year", transform="standardize"),
    ]).fit(take(log, split.train))
    columns = encoder.feature_columns(FIELDS, embedding_dim=16)
    rows = encoder.transform(log) | {name: log[name].to_numpy() for name in ("like", "rating")}

    def examples(part):
        table = take(rows, part)
        x = {name: table[name] for name in get_feature_names(columns)}
        return x, {name: table[name] for name in ("like", "rating")}

    (x, y), (val_x, val_y), (test_x, test_y) = map(examples, split)
    model = MMoE(
        columns, task_names=("like", "rating"), task_types=("binary", "regression"),
        num_experts=4, loss_weighting="uncertainty",
    )
    watch = CTREvaluation((val_x, {"like": val_y["like"]}))
    stop = keras.callbacks.EarlyStopping("val_like_auc", mode="max", restore_best_weights=True)
    model.fit(x, y, epochs=arguments.epochs, callbacks=[watch, stop])
    scores = evaluate_ctr(model, test_x, {"like": test_y["like"]})
    stars = model.predict(test_x)["rating"][:, 0]
    print(scores | {"rating_rmse": float(np.sqrt(np.mean((stars - test_y["rating"]) ** 2)))})


if __name__ == "__main__":
    main()
