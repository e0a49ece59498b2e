"""SASRec on the bundled MovieLens: which movie comes next? From a log to a served retriever.

Run it with: python examples/run_sasrec.py --epochs 20
"""

import argparse
import tempfile

import keras
import numpy as np

from deeprec_tf.data import (
    Category,
    FeatureEncoder,
    latest_sequences,
    leave_one_out,
    load_movielens,
)
from deeprec_tf.evaluation import RetrievalEvaluation, evaluate_retrieval
from deeprec_tf.export import load_saved_model
from deeprec_tf.models import SASRec
from deeprec_tf.retrieval import export_retriever

ITEM, HISTORY = "movie_id", "hist_movie_id"
MAXLEN = 100


def load(rows):
    """The oldest `rows` ratings; those of one second in a random order, as they say nothing."""
    log = load_movielens().ratings.sort_values("timestamp", kind="stable")[:rows]
    log = log.sample(frac=1.0, random_state=1)
    return log.sort_values("timestamp", kind="stable", ignore_index=True)


def main():
    """Trains, exports, asks the exported model, evaluates and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(1)

    # A user's last movie is the test, the one before the validation; training knows the movies.
    log = load(arguments.rows)
    encoder = FeatureEncoder([Category(ITEM)]).fit(log.iloc[leave_one_out(log).train])
    log[ITEM] = encoder.transform(log)[ITEM]
    log = log[log[ITEM].isin(encoder.vocabulary(ITEM).ids)].reset_index(drop=True)
    train, validation, test = leave_one_out(log)
    newest = log.iloc[train].groupby("user_id").tail(1).index.to_numpy()

    def examples(rows, past, maxlen=MAXLEN):
        """The movies of some rows, of a user each, and what the past has of these users."""
        history = latest_sequences(
            log, users=log["user_id"][rows], item=ITEM, maxlen=maxlen,
            events=np.isin(np.arange(len(log)), past),
        )
        return {HISTORY: history[HISTORY], ITEM: log[ITEM].to_numpy(np.int32)[rows]}

    before_test = np.concatenate([train, validation])
    x = examples(newest, np.setdiff1d(train, newest))
    val_x, test_x = examples(validation, train), examples(test, before_test)
    val_seen, test_seen = (
        examples(rows, past, maxlen=len(log))[HISTORY]
        for rows, past in ((validation, train), (test, before_test))
    )

    users = encoder.behavior_columns([ITEM], maxlen=MAXLEN, embedding_dim=32, length_name=None)
    model = SASRec(users, encoder.feature_columns([ITEM], embedding_dim=32), num_heads=1)
    watch = RetrievalEvaluation((val_x, val_x[ITEM]), seen=val_seen, k=10)
    stop = keras.callbacks.EarlyStopping("val_ndcg@10", mode="max", restore_best_weights=True)
    model.fit(x, epochs=arguments.epochs, callbacks=[watch, stop])

    folder = tempfile.mkdtemp()
    export_retriever(model, None, folder, k=5, encoder=encoder, exclude=HISTORY)
    print(load_saved_model(folder)({HISTORY: [[1, 2, 3]]})["ids"])  # MovieLens's own numbers
    print(evaluate_retrieval(model, test_x, test_x[ITEM], seen=test_seen, k=10))


if __name__ == "__main__":
    main()
