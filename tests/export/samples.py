"""Small models with weights that make their predictions differ, and batches for them."""

import keras
import numpy as np

from deeprec_tf import DenseFeat, RecModel, SparseFeat, VarLenSparseFeat
from deeprec_tf.inputs import (
    build_embedding_layers,
    build_input_layers,
    embedding_lookup,
    padding_mask,
)
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.models import DIEN, DIN, DeepFM, WideDeep
from deeprec_tf.tasks import compiled, prediction

ITEMS, CATEGORIES, MAXLEN = 20, 6, 8
CITIES = ["Rome", "Oslo", "Bonn", "Graz", ""]


def lively(model, seed=0):
    """Random weights, so that a swapped or missing input shows in the prediction."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype != "float32":
            continue
        values = generator.normal(0, 0.4, weight.shape)
        weight.assign(np.abs(values) + 0.1 if "variance" in weight.path else values)
    return model


def item_columns():
    return [
        SparseFeat("item_id", ITEMS, embedding_dim=4),
        SparseFeat("cate_id", CATEGORIES, embedding_dim=3),
    ]


def history(name, size, width, **arguments):
    element = SparseFeat(name, size, embedding_dim=width, embedding_name=name.split("hist_")[1])
    return VarLenSparseFeat(element, MAXLEN, **arguments)


def histories(prefix="hist_", **arguments):
    return [
        history(f"{prefix}item_id", ITEMS, 4, **arguments),
        history(f"{prefix}cate_id", CATEGORIES, 3, **arguments),
    ]


def context_columns():
    tags = SparseFeat("tags", 12, embedding_dim=4)
    return [
        SparseFeat("user", 30, embedding_dim=4, use_hash=True, dtype="int64"),
        DenseFeat("profile", 3),
        DenseFeat("price"),
        VarLenSparseFeat(tags, 5, weight_name="tag_weight"),
    ]


def dien(gru_type):
    columns = [
        *item_columns(), *context_columns(), *histories(length_name="hist_length"),
        *histories("neg_hist_", length_name="hist_length"),
    ]
    return lively(
        DIEN(columns, ["item_id", "cate_id"], gru_type=gru_type, hidden_units=(8,), name="dien")
    )


def din():
    columns = [
        *item_columns(), *context_columns(),
        history("hist_item_id", ITEMS, 4, weight_name="unread_weight"),
        history("hist_cate_id", CATEGORIES, 3),
    ]
    return lively(
        DIN(columns, ["item_id", "cate_id"], attention_units=(6,), hidden_units=(8,), name="din")
    )


def deepfm():
    columns = [
        SparseFeat("item_id", ITEMS, embedding_dim=4), *context_columns(),
        history("hist_item_id", ITEMS, 4, combiner="max", length_name="hist_length"),
    ]
    return lively(DeepFM(columns, hidden_units=(8,), name="deepfm"))


def wide_deep():
    columns = [
        SparseFeat("city", 9, embedding_dim=4, use_hash=True, dtype="string"),
        VarLenSparseFeat(
            SparseFeat("cities", 9, embedding_dim=4, use_hash=True, dtype="string"), MAXLEN
        ),
        *context_columns(),
    ]
    return lively(WideDeep(columns, hidden_units=(8,), name="wide_deep"))


def two_towers():
    """A user tower over a history, an item tower, and their inner product."""
    item = SparseFeat("item_id", ITEMS, embedding_dim=4)
    user_columns = [
        SparseFeat("user", 30, embedding_dim=4), history("hist_item_id", ITEMS, 4),
    ]
    columns = [*user_columns, item]
    inputs, tables = build_input_layers(columns), build_embedding_layers(columns)
    user = keras.layers.Concatenate()([
        embedding_lookup(inputs, tables, user_columns[:1]),
        SequencePooling("mean")(
            tables["item_id"](inputs["hist_item_id"]), padding_mask(inputs, user_columns)
        ),
    ])
    user = keras.layers.Dense(4, name="user_vector")(user)
    vector = keras.layers.Dense(4, name="item_vector")(embedding_lookup(inputs, tables, [item]))
    logit = keras.layers.Dot(axes=1, name="logit")([user, vector])
    model = RecModel(
        inputs, prediction(logit, is_logit=True), feature_columns=columns, name="towers"
    )
    return lively(compiled(model))


def batch(model, rows, steps, seed=0):
    """Arrays for a model's columns; the last row has an empty history, lengths vary."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, steps + 1, rows)
    lengths[-1] = 0
    real = np.arange(steps) < lengths[:, None]
    arrays = {
        "item_id": generator.integers(1, ITEMS, rows),
        "cate_id": generator.integers(1, CATEGORIES, rows),
        "hist_item_id": generator.integers(1, ITEMS, (rows, steps)) * real,
        "hist_cate_id": generator.integers(1, CATEGORIES, (rows, steps)) * real,
        "neg_hist_item_id": generator.integers(1, ITEMS, (rows, steps)) * real,
        "neg_hist_cate_id": generator.integers(1, CATEGORIES, (rows, steps)) * real,
        "hist_length": lengths,
        "unread_weight": generator.random((rows, steps)),
        # For the towers the user's ids must lie in the table; hashed columns take any.
        "user": generator.integers(0, 30 if "towers" in model.name else 2**40, rows),
        "profile": generator.normal(size=(rows, 3)),
        "price": generator.normal(size=rows),
        "tags": generator.integers(0, 12, (rows, min(steps, 5))),
        "tag_weight": generator.random((rows, min(steps, 5))),
        "city": generator.choice(np.array(CITIES, object), rows),
        "cities": np.where(real, generator.choice(np.array(CITIES[:4], object), real.shape), ""),
    }
    wanted = {tensor.name for tensor in keras.tree.flatten(model.inputs)}
    return {name: array for name, array in arrays.items() if name in wanted}
