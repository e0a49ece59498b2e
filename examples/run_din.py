"""DIN on the bundled MovieLens: will a user like this movie, given what they watched before?

Run it with: python examples/run_din.py --epochs 3
"""

import argparse

import keras

from deeprec_tf import get_feature_names
from deeprec_tf.data import (
    Category,
    FeatureEncoder,
    Number,
    build_sequences,
    load_movielens,
    take,
    temporal_split,
)
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr
from deeprec_tf.models import DIN

ITEM = ["movie_id", "genre"]
MAXLEN = 20


def load(rows):
    """The oldest `rows` ratings with first genre and year; liked is 4 stars or more."""
    data = load_movielens()
    movies = data.movies.assign(genre=data.movies["genres"].str.split("|").str[0])
    log = data.ratings.merge(movies[[*ITEM, "year"]], on="movie_id")
    log["label"] = (log["rating"] >= 4.0).astype("float32")
    return log.sort_values("timestamp", kind="stable", ignore_index=True)[:rows]


def main():
    """Trains, evaluates and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(1)

    # Ids and means are learned from the past only; every event gets the liked events before it.
    log = load(arguments.rows)
    split = temporal_split(log)
    encoder = FeatureEncoder(
        [*(Category(name) for name in ITEM), Number("year", transform="standardize")]
    ).fit(take(log, split.train))
    events = {name: log[name].to_numpy() for name in ("user_id", "timestamp", "label")}
    events |= encoder.transform(log)
    events |= build_sequences(
        events, item="movie_id", fields=["genre"], maxlen=MAXLEN, events=events["label"] == 1
    )

    columns = encoder.feature_columns(embedding_dim=16)
    columns += encoder.behavior_columns(ITEM, maxlen=MAXLEN, embedding_dim=16)

    def examples(rows):
        table = take(events, rows)
        return {name: table[name] for name in get_feature_names(columns)}, table

    (x, train), (val_x, val), (test_x, test) = map(examples, split)
    model = DIN(columns, ITEM)
    watch = CTREvaluation((val_x, val["label"]))
    stop = keras.callbacks.EarlyStopping("val_auc", mode="max", restore_best_weights=True)
    model.fit(x, train["label"], epochs=arguments.epochs, callbacks=[watch, stop])
    print(evaluate_ctr(model, test_x, test["label"], group=test["user_id"]))


if __name__ == "__main__":
    main()
