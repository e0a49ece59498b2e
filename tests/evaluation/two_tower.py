"""A small two-tower model by hand, and data for it."""

import keras
import numpy as np

from deeprec_tf import RecModel, SparseFeat, VarLenSparseFeat
from deeprec_tf.inputs import build_embedding_layers, build_input_layers, embedding_lookup
from deeprec_tf.layers import DotScore

USERS, ITEMS, CATEGORIES = 29, 12, 5


def two_tower(*, with_category=False, interests=0, user_dim=4):
    """History and user against item id, and category where asked for; K interests if not 0."""
    item = SparseFeat("item_id", ITEMS + 1, embedding_dim=4)
    hist = SparseFeat("hist_item_id", ITEMS + 1, embedding_dim=4, embedding_name="item_id")
    users = [VarLenSparseFeat(hist, 6), SparseFeat("user_id", USERS, embedding_dim=4)]
    items = [item] + [SparseFeat("category", CATEGORIES, embedding_dim=4)] * with_category
    inputs = build_input_layers([*users, *items])
    tables = build_embedding_layers([*users, *items], fuse=False)
    user = embedding_lookup(inputs, tables, users)
    user = keras.layers.Dense(user_dim * max(interests, 1))(user)
    if interests:
        user = keras.layers.Reshape((interests, user_dim))(user)
    item = keras.layers.Dense(4)(embedding_lookup(inputs, tables, items))
    user = keras.layers.Identity(name="user_vector")(user)
    item = keras.layers.Identity(name="item_vector")(item)
    if interests:
        score = keras.layers.Dot(axes=(2, 1))([user, item])
        score = keras.layers.GlobalMaxPooling1D()(keras.layers.Reshape((interests, 1))(score))
    elif user_dim == 4:
        score = keras.layers.Dot(axes=1)([user, item])
    else:
        score = keras.layers.Dense(1)(keras.layers.Concatenate()([user, item]))
    return RecModel(inputs, score, feature_columns=[*users, *items], name="two_tower")


def vectors_given(interests, width):
    """A model whose inputs are the vectors themselves: K interests "u", item "v" and its "key"."""
    user, item = keras.Input((interests, width), name="u"), keras.Input((width,), name="v")
    key = keras.Input((), name="key", dtype="int64")
    user_vector = keras.layers.Identity(name="user_vector")(user)
    item_vector = keras.layers.Identity(name="item_vector")(
        item + 0.0 * keras.ops.cast(key, "float32")[:, None]
    )
    score = DotScore()(user_vector, item_vector)
    return keras.Model({"u": user, "v": item, "key": key}, score)


def user_data():
    """(x, targets): histories with repeats and some of them empty, and one target a user."""
    rng = np.random.default_rng(5)
    history = rng.integers(1, ITEMS + 1, (USERS, 6))
    history[np.arange(6) >= rng.integers(0, 7, USERS)[:, None]] = 0
    history[0] = 0
    targets = rng.integers(1, ITEMS + 1, USERS)
    history[1, 0] = targets[1]  # seen, and a target
    return {"hist_item_id": history, "user_id": np.arange(USERS)}, targets


def catalogue():
    """All items with their categories, in any order."""
    ids = np.random.default_rng(6).permutation(ITEMS) + 1
    return {"item_id": ids, "category": ids % CATEGORIES}


def scores_by_hand(model, x, features):
    """(N, V) by pairs through the model itself, one user with one item at a time; id 0 is 0."""
    scores = np.zeros((USERS, ITEMS + 1))
    for place, item in enumerate(features["item_id"]):
        pair = {name: np.repeat(column[place], USERS) for name, column in features.items()}
        scores[:, item] = model.predict({**x, **pair}, verbose=0)[:, 0]
    return scores
