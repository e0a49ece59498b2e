"""DeepFM on the bundled MovieLens: will a user like this movie, by user, movie, genres and year?

Run it with: python examples/run_deepfm.py --epochs 5
"""

import argparse

import keras

from deeprec_tf.data import (
    Category,
    CategoryList,
    FeatureEncoder,
    Number,
    leave_one_out,
    load_movielens,
    take,
)
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr
from deeprec_tf.models import DeepFM


def load(rows):
    """The first `rows` ratings with their movie's genres and year; liked is 4 stars or more."""
    data = load_movielens()
    log = data.ratings[:rows].merge(data.movies, on="movie_id")
    log["label"] = (log["rating"] >= 4.0).astype("float32")
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
            CategoryList("genres", maxlen=6, separator="|"),
            Number("year", transform="bucketize"),
        ]
    )
    x = encoder.fit_transform(train)
    val_x, test_x = encoder.transform(val), encoder.transform(test)

    model = DeepFM(
        encoder.feature_columns(embedding_dim=8),
        hidden_units=(64, 32),
        dropout=0.3,
        optimizer=keras.optimizers.Adam(2e-3),
    )
    watch = CTREvaluation((val_x, val["label"]))
    stop = keras.callbacks.EarlyStopping("val_auc", mode="max", restore_best_weights=True)
    model.fit(
        x, train["label"], batch_size=512, epochs=arguments.epochs, callbacks=[watch, stop]
    )
    print(evaluate_ctr(model, test_x, test["label"]))


if __name__ == "__main__":
    main()
