"""Small trainings that the tests of resuming share."""

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.models import DIEN, DIN

ROWS, BATCH = 40, 8
BATCHES = ROWS // BATCH


class Interrupted(Exception):
    """Ends a fit as Ctrl-C does: on_train_end never runs."""


class InterruptAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Interrupted


def data():
    generator = np.random.default_rng(7)
    ids = generator.integers(0, 20, (ROWS, 3)).astype("int32")
    return ids, (ids.sum(axis=1) % 2).astype("float32")


def small_model(optimizer="adam", width=4, **arguments):
    """Embedding, dropout inside and outside another layer, batch normalization.

    It runs without tf.function, which for so few steps is faster than tracing.
    """
    ids = keras.Input((3,), dtype="int32", name="ids")
    x = keras.layers.Embedding(20, width, name="table")(ids)
    x = keras.Sequential([keras.layers.Flatten(), keras.layers.Dropout(0.3)], name="inner")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    x = keras.layers.Dense(1, activation="sigmoid", name="probability")(x)
    model = keras.Model(ids, x)
    arguments = {"run_eagerly": True, **arguments}
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], **arguments)
    return model


def dataset():
    """A data set whose order depends neither on a seed nor on how often it was read."""
    return tf.data.Dataset.from_tensor_slices(data()).batch(BATCH)


def fit_small_model(callbacks=(), model=None, epochs=4, x=None, **arguments):
    model = small_model() if model is None else model
    x = dataset() if x is None else x
    model.fit(x, epochs=epochs, callbacks=list(callbacks), verbose=0, shuffle=False, **arguments)
    return model


def state(model):
    """Everything that a resumed run must end with."""
    return [v.numpy() for v in model.variables + model.optimizer.variables]


def _history(name):
    column = SparseFeat(name, 20, embedding_dim=4, embedding_name="item_id")
    return VarLenSparseFeat(column, maxlen=3)


def _columns(*histories):
    return [SparseFeat("item_id", 20, embedding_dim=4), *map(_history, histories)]


def _behaviors():
    hist, y = data()
    hist = np.take_along_axis(hist, np.argsort(hist == 0, axis=1, kind="stable"), axis=1)
    return {"item_id": np.random.default_rng(8).integers(1, 20, ROWS), "hist_item_id": hist}, y


def fit_din(callbacks, shuffle_seed=None, epochs=4):
    model = DIN(
        _columns("hist_item_id"), ["item_id"], attention_units=(4,), hidden_units=(4,), dropout=0.3
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
    model.shuffle_seed = shuffle_seed
    x, y = _behaviors()
    model.fit(x, y, batch_size=BATCH, epochs=epochs, callbacks=list(callbacks), verbose=0)
    return model


def fit_dien(callbacks, epochs=3):
    """As a user runs it: a graph, dropout, row-sparse Adam, negatives drawn every epoch."""
    columns = _columns("hist_item_id", "neg_hist_item_id")
    model = DIEN(columns, ["item_id"], attention_units=(4,), hidden_units=(4,), dropout=0.3)
    x, y = _behaviors()

    def draw_negatives(epoch):
        drawn = np.random.default_rng((9, epoch)).integers(1, 20, (ROWS, 3))
        return {"neg_hist_item_id": drawn * (x["hist_item_id"] > 0)}

    model.fit(
        {**x, **draw_negatives(0)}, y, batch_size=BATCH, epochs=epochs, redraw=draw_negatives,
        callbacks=list(callbacks), verbose=0,
    )  # fmt: skip
    return model
