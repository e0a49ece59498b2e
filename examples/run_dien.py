"""DIEN on the bundled MovieLens: does a user watch this movie next, given what came before?

Run it with: python examples/run_dien.py --epochs 3
"""

import argparse

import keras
import numpy as np

from deeprec_tf import get_feature_names
from deeprec_tf.data import (
    Category,
    FeatureEncoder,
    NegativeSampler,
    add_negatives,
    build_sequences,
    item_table,
    load_movielens,
    take,
    temporal_split,
)
from deeprec_tf.evaluation import CTREvaluation, evaluate_ctr
from deeprec_tf.models import DIEN

ITEM = ["movie_id", "genre"]
MAXLEN = 20


def load(rows):
    """The oldest `rows` ratings with their movie's first genre."""
    data = load_movielens()
    movies = data.movies.assign(genre=data.movies["genres"].str.split("|").str[0])
    log = data.ratings.merge(movies[ITEM], on="movie_id")
    return log.sort_values("timestamp", kind="stable", ignore_index=True)[:rows]


def main():
    """Trains, evaluates and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(1)

    # Ids are learned from the past only; every event gets the events before it.
    log = load(arguments.rows)
    split = temporal_split(log)
    encoder = FeatureEncoder([Category(name) for name in ITEM]).fit(take(log, split.train))
    events = {"user": log["user_id"], "timestamp": log["timestamp"], **encoder.transform(log)}
    events |= build_sequences(events, user="user", item="movie_id", fields=["genre"], maxlen=MAXLEN)

    vocabulary = encoder.vocabulary("movie_id")
    known = np.isin(events["movie_id"], vocabulary.ids)  # no negative is unknown, nor is a target
    fields = item_table(take(events, known), ["genre"], item="movie_id", size=vocabulary.size)
    columns = encoder.feature_columns(ITEM, embedding_dim=16)
    for prefix in ("hist_", "neg_hist_"):
        columns += encoder.behavior_columns(ITEM, maxlen=MAXLEN, embedding_dim=16, prefix=prefix)

    def examples(part):
        # A positive and a movie that the user did not have up to then; the same for each step.
        so_far, rows = np.concatenate(split[: part + 1]), split[part]
        sampler = NegativeSampler(
            take(events, so_far), user="user", item="movie_id", candidates=vocabulary.ids,
            item_fields=fields,
        )
        table = add_negatives(take(events, rows[known[rows]]), sampler, seed=part)
        table |= sampler.sample_histories(table["user"], table["hist_movie_id"], seed=part)
        return {name: table[name] for name in get_feature_names(columns)}, table

    (x, train), (val_x, val), (test_x, test) = map(examples, range(3))
    model = DIEN(columns, ITEM)
    watch = CTREvaluation((val_x, val["label"]))
    stop = keras.callbacks.EarlyStopping("val_auc", mode="max", restore_best_weights=True)
    model.fit(x, train["label"], epochs=arguments.epochs, callbacks=[watch, stop])
    print(evaluate_ctr(model, test_x, test["label"], group=test["user"]))


if __name__ == "__main__":
    main()
