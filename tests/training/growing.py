"""Small models of four kinds with tables of any size, and rows for them."""

import keras
import numpy as np

from deeprec_tf import DenseFeat, SparseFeat, VarLenSparseFeat
from deeprec_tf.candidates import Sampled
from deeprec_tf.models import DIEN, DSSM, DeepFM, SASRec
from deeprec_tf.recall import next_item_columns

USERS, ITEMS, KINDS = 12, 20, 5
ROWS, STEPS = 48, 5
KIND_OF_ITEM = np.arange(100) % (KINDS - 1) + 1


def rows(users=USERS, items=ITEMS, seed=0):
    """Rows with ids below the sizes, as every model here takes them."""
    generator = np.random.default_rng(seed)
    item = generator.integers(1, items, ROWS)
    real = np.arange(STEPS) < generator.integers(1, STEPS + 1, (ROWS, 1))
    past, negatives = (generator.integers(1, items, (ROWS, STEPS)) * real for _ in range(2))
    return {
        "user": generator.integers(0, users, ROWS),
        "item_id": item,
        "kind": KIND_OF_ITEM[item],
        "price": generator.normal(size=ROWS).astype("float32"),
        "hist_item_id": past,
        "neg_hist_item_id": negatives,
    }


def labels(seed=0):
    return np.random.default_rng(seed).integers(0, 2, ROWS).astype("float32")


def _history(name, items):
    column = SparseFeat(name, items, embedding_dim=4, embedding_name="item_id")
    return VarLenSparseFeat(column, maxlen=STEPS)


def deepfm(users=USERS, items=ITEMS, **options):
    """Users, items and kinds share one variable, factors and linear weights."""
    columns = [
        SparseFeat("user", users, embedding_dim=4), SparseFeat("item_id", items, embedding_dim=4),
        SparseFeat("kind", KINDS, embedding_dim=4), DenseFeat("price"),
    ]  # fmt: skip
    options = {"hidden_units": (6,), "dropout": 0.2, "batch_norm": True, **options}
    return DeepFM(columns, **options)


def dien(users=USERS, items=ITEMS, **options):
    columns = [
        SparseFeat("user", users, embedding_dim=4), SparseFeat("item_id", items, embedding_dim=4),
        _history("hist_item_id", items), _history("neg_hist_item_id", items),
    ]  # fmt: skip
    return DIEN(columns, ["item_id"], attention_units=(4,), hidden_units=(6,), **options)


def sasrec(users=USERS, items=ITEMS, **options):
    columns = next_item_columns(items - 1, maxlen=STEPS, embedding_dim=4)
    return SASRec(*columns, num_layers=1, num_heads=2, **options)


def dssm(users=USERS, items=ITEMS, **options):
    """With features of the items, and negatives drawn by popularity."""
    counts = np.arange(items)[::-1]
    options = {
        "negatives": Sampled(7, "popularity", counts=counts),
        "item_table": {"kind": KIND_OF_ITEM[:items]}, **options,
    }  # fmt: skip
    item = [SparseFeat("item_id", items, embedding_dim=4), SparseFeat("kind", KINDS)]
    user = [SparseFeat("user", users, embedding_dim=4)]
    return DSSM(user, item, hidden_units=(8, 4), **options)


BUILDERS = {"DeepFM": deepfm, "DIEN": dien, "SASRec": sasrec, "DSSM": dssm}


def built(builder, *, seed=1, **options):
    keras.utils.set_random_seed(seed)
    return builder(**options)


def inputs(model, **options):
    """The rows' columns that a model reads."""
    names = [tensor.name for tensor in model.inputs]
    return {name: array for name, array in rows(**options).items() if name in names}


def fit(model, epochs=2, seed=11, *, eagerly=True, **options):
    """Trains on rows of old ids; the same seed gives the same order.

    A few steps done one by one cost less than to trace one; predictions are traced.
    """
    model.run_eagerly = eagerly
    model.shuffle_seed = seed
    y = None if model.has_row_loss else labels()
    history = model.fit(
        inputs(model, **options), y, batch_size=16, epochs=epochs, verbose=0
    )
    model.run_eagerly = False
    return history


def state(model):
    """Everything that training goes on from, but the seeds' states."""
    return [np.array(v) for v in (*model.weights, *model.optimizer.variables)]
