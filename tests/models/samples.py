"""Small columns and batches that the tests of behavior models share."""

import numpy as np

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat

ITEMS, WIDTH, MAXLEN = 9, 4, 6


def history(name, **options):
    feat = SparseFeat(name, ITEMS, embedding_dim=WIDTH, embedding_name="item_id")
    return VarLenSparseFeat(feat, maxlen=MAXLEN, **options)


ITEM = SparseFeat("item_id", ITEMS, embedding_dim=WIDTH)
PRICE = DenseFeat("price", 2)
COLUMNS = [ITEM, history("hist_item_id"), PRICE]
WITH_NEGATIVES = [*COLUMNS, history("neg_hist_item_id")]
LABELS = np.array([1, 0, 1, 0], "float32")


def batch(columns=COLUMNS, seed=0):
    """Four rows: a full history, none, two steps, one step."""
    generator = np.random.default_rng(seed)
    real = np.arange(5) < np.array([[5], [0], [2], [1]])
    values = {
        "item_id": generator.integers(1, ITEMS, size=4),
        "hist_item_id": generator.integers(1, ITEMS, size=(4, 5)) * real,
        "neg_hist_item_id": generator.integers(1, ITEMS, size=(4, 5)) * real,
        "price": generator.normal(size=(4, 2)).astype("float32"),
    }
    return {column.name: values[column.name] for column in columns}


def loss_of(model, x, y=LABELS):
    """The whole loss of a batch at inference, auxiliary parts included."""
    return model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
