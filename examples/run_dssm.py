"""DSSM on the bundled MovieLens: two towers, in-batch softmax with logQ, an index of the movies.

Run it with: python examples/run_dssm.py --epochs 10
"""

import argparse

import keras
import numpy as np

from deeprec_tf.data import (
    Category,
    FeatureEncoder,
    build_sequences,
    item_table,
    load_movielens,
    take,
    temporal_split,
)
from deeprec_tf.evaluation import RetrievalEvaluation, evaluate_retrieval
from deeprec_tf.export import user_encoder
from deeprec_tf.models import DSSM
from deeprec_tf.retrieval import ItemIndex

MOVIE = ["movie_id", "genre", "year"]
MAXLEN = 30


def load(rows):
    """The oldest `rows` ratings with first genre and year of their movie, in order of time."""
    data = load_movielens()
    movies = data.movies.assign(genre=data.movies["genres"].str.split("|").str[0])
    log = data.ratings.merge(movies[MOVIE], on="movie_id")
    return log.sort_values("timestamp", kind="stable", ignore_index=True)[:rows]


def main():
    """Trains, looks into the index, evaluates and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(1)

    # Ids are learned from the past; a row is a user's movies so far and the one that came.
    log = load(arguments.rows)
    split = temporal_split(log)
    encoder = FeatureEncoder([Category(name) for name in MOVIE]).fit(take(log, split.train))
    movies = encoder.vocabulary("movie_id")
    log = log.assign(**encoder.transform(log))
    known = np.isin(log["movie_id"], movies.ids)
    log, split = log[known].reset_index(drop=True), temporal_split(log[known])
    past = build_sequences(log, item="movie_id", maxlen=MAXLEN)
    seen = build_sequences(log, item="movie_id", maxlen=1000)["hist_movie_id"]
    rows = {name: log[name].to_numpy(np.int32) for name in MOVIE} | past

    columns = encoder.behavior_columns(["movie_id"], maxlen=MAXLEN, embedding_dim=32)
    model = DSSM(columns, encoder.feature_columns(MOVIE, embedding_dim=32))
    table = item_table(log, ["genre", "year"], item="movie_id", size=movies.size)
    catalogue = {"movie_id": movies.ids} | {name: table[name][movies.ids] for name in table}

    train, val, test = (take(rows, part) for part in split)
    watch = RetrievalEvaluation(
        (val, val["movie_id"]), items=catalogue, seen=seen[split.validation], k=20
    )
    stop = keras.callbacks.EarlyStopping("val_ndcg@20", mode="max", restore_best_weights=True)
    model.fit(train, epochs=arguments.epochs, callbacks=[watch, stop])

    index = ItemIndex.of_model(model, catalogue, ids="movie_id")
    users = {name: test[name][:3] for name in past}
    queries = user_encoder(model).predict(users)["user_vector"]
    found = index.search(queries, k=5, exclude=seen[split.test[:3]])
    print(encoder.decode("movie_id", found.ids))
    print(evaluate_retrieval(
        model, test, test["movie_id"], items=catalogue, seen=seen[split.test], k=20
    ))


if __name__ == "__main__":
    main()
