"""Wide & Deep on the bundled MovieLens: a cross for the wide part, embeddings for the deep.

Run it with: python examples/run_wide_deep.py --epochs 5
"""

import argparse

import keras

from deeprec_tf import SparseFeat
from deeprec_tf.data import Category, FeatureEncoder, Number, leave_one_out, load_movielens, take
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr
from deeprec_tf.models import WideDeep


def load(rows):
    """The first `rows` ratings with genre, year and a cross of user and genre."""
    data = load_movielens()
    movies = data.movies.assign(genre=data.movies["genres"].str.split("|").str[0])
    log = data.ratings[:rows].merge(movies, on="movie_id")
    log["label"] = (log["rating"] >= 4.0).astype("float32")
    log["user_genre"] = log["user_id"].astype(str) + "/" + log["genre"]
    return log


def main():
    """Trains, evaluates and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_004)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(1)

    # Each user's last rating is for testing, the one before it for validation.
    log = load(arguments.rows)
    train, val, test = (take(log, rows) for rows in leave_one_out(log))
    encoder = FeatureEncoder(
        [
            Category("user_id"),
            Category("movie_id", min_frequency=3),
            Category("genre"),
            Number("year", transform="standardize"),
        ]
    ).fit(train)

    def inputs(table):
        crossed = table["user_genre"].to_numpy(dtype=object)
        return {**encoder.transform(table), "user_genre": crossed}

    # The cross is hashed, so it needs no vocabulary.
    wide = [SparseFeat("user_genre", 20_000, use_hash=True, dtype="string")]
    wide += encoder.feature_columns(["user_id", "movie_id"])
    deep = encoder.feature_columns(embedding_dim=8)
    model = WideDeep(wide, deep, hidden_units=(64, 32), dropout=0.3)

    watch = CTREvaluation((inputs(val), val["label"]))
    stop = keras.callbacks.EarlyStopping("val_auc", mode="max", restore_best_weights=True)
    model.fit(
        inputs(train), train["label"], batch_size=512, epochs=arguments.epochs,
        callbacks=[watch, stop],
    )
    print(evaluate_ctr(model, inputs(test), test["label"]))


if __name__ == "__main__":
    main()
