"""TIGER on the bundled MovieLens: movies get names in codes, and the next one is spelled.

Run it with: python examples/run_tiger.py --epochs 10
"""

import argparse
import tempfile

import keras
import numpy as np

from deeprec_tf.data import (
    Category,
    FeatureEncoder,
    build_sequences,
    load_movielens,
    temporal_split,
)
from deeprec_tf.evaluation import GenerationEvaluation, rank_in_lists, retrieval_metrics
from deeprec_tf.export import export_saved_model, load_saved_model
from deeprec_tf.identifiers import residual_kmeans_codes
from deeprec_tf.models import TIGER

MAXLEN = 10


def load(rows):
    """The oldest `rows` ratings, and genres (0 or 1) and decade of every movie."""
    data = load_movielens()
    genres = data.movies.set_index("movie_id")["genres"].str.get_dummies()
    decade = data.movies.set_index("movie_id")["year"].fillna(2000).astype(float) / 10
    ratings = data.ratings.sort_values("timestamp", kind="stable", ignore_index=True)[:rows]
    return ratings, genres.assign(decade=decade - decade.mean())


def main():
    """Names the movies, trains, exports, asks the exported model, evaluates and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(1)

    # Ids of the movies that training knows; the rest share id 1, which is never answered.
    log, features = load(arguments.rows)
    split = temporal_split(log)
    encoder = FeatureEncoder([Category("user_id"), Category("movie_id")])
    ids = encoder.fit(log.iloc[split.train]).transform(log)
    movies, users = encoder.vocabulary("movie_id"), encoder.vocabulary("user_id")

    vectors = np.zeros((movies.size, features.shape[1]))  # those alike share their first codes
    vectors[movies.ids] = features.loc[encoder.decode("movie_id", movies.ids)]
    codes = residual_kmeans_codes(vectors, num_levels=2, codebook_size=32)
    past = build_sequences({**log, **ids}, item="movie_id", maxlen=MAXLEN)["hist_movie_id"]

    def examples(rows):
        rows = rows[ids["movie_id"][rows] != 1]
        asked = {"user_id": ids["user_id"][rows], "hist_item_id": past[rows]}
        return asked, ids["movie_id"][rows]

    (x, y), (val_x, val_y), (test_x, test_y) = map(examples, split)
    model = TIGER(
        codes, hidden_items=(1,), num_users=users.size, maxlen=MAXLEN, hidden_size=32,
        num_layers=1, num_heads=2, head_size=16, feed_forward_units=64,
        optimizer=keras.optimizers.Adam(3e-3),
    )
    watch = GenerationEvaluation((val_x, val_y), item_count=movies.size - 1, k=10)
    stop = keras.callbacks.EarlyStopping("val_ndcg@10", mode="max", restore_best_weights=True)
    x = {**x, "item_id": y}
    model.fit(x, batch_size=256, epochs=arguments.epochs, callbacks=[watch, stop])

    served = load_saved_model(export_saved_model(model, tempfile.mkdtemp()))
    found = served(test_x, batch_size=256)["ids"]
    print(encoder.decode("movie_id", found[:3]))
    ranks = rank_in_lists(found, test_y, item_count=movies.size - 1)
    print(retrieval_metrics(ranks, k=10, metrics=("hr", "ndcg")))


if __name__ == "__main__":
    main()
