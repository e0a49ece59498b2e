"""Catalogues, users and two-tower models for the tests."""

from dataclasses import dataclass

import keras
import numpy as np

from deeprec_tf import RecModel, SparseFeat, VarLenSparseFeat
from deeprec_tf.inputs import build_embedding_layers, build_input_layers, embedding_lookup
from deeprec_tf.retrieval import Backend
from deeprec_tf.tasks import compiled, prediction


def whole_numbers(*shape, seed=0, most=2):
    """Small whole numbers: exact products, and many equal scores."""
    return np.random.default_rng(seed).integers(-most, most + 1, shape).astype("float32")


def catalogue(items, width=4, seed=1):
    """(vectors, ids in no order)."""
    ids = np.random.default_rng(seed).permutation(10 * items)[:items] + 1
    return whole_numbers(items, width, seed=seed), ids


def clustered(rows, width=8, seed=0):
    """Vectors around a few centres, as items are; no two products are equal."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(20, width))
    return centres[generator.integers(0, 20, rows)] + 0.3 * generator.normal(size=(rows, width))


def seen(ids, rows, most, seed=2):
    """Lists of ids of 0 to `most` items, some of them no items."""
    generator = np.random.default_rng(seed)
    pool = np.concatenate([ids, [10**6, 10**7]])
    return [
        generator.choice(pool, generator.integers(0, most + 1), replace=False).tolist()
        for _ in range(rows)
    ]


def padded(lists, fill=0):
    width = max(map(len, lists))
    return np.array([[*row, *[fill] * (width - len(row))] for row in lists])


@dataclass
class Few(Backend):
    """A back-end that knows only every `step`-th item."""

    step: int = 1
    name = "few"

    def build(self, vectors):
        self._vectors = vectors

    def candidates(self, queries, k):
        scores = queries @ self._vectors.T
        scores[:, np.arange(len(self._vectors)) % self.step != 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        missed = np.isneginf(np.take_along_axis(scores, order, axis=1))
        return np.where(missed, -1, order)


def two_towers(user_columns, item_columns, interests=None):
    """User tower, item tower, `interests` vectors a user, score by the best of them.

    Args:
        user_columns: SparseFeats, and histories, of which the mean is taken.
        item_columns: SparseFeats.
        interests: number of vectors a user; None for one of shape (B, D).
    """
    columns = [*user_columns, *item_columns]
    inputs, tables = build_input_layers(columns), build_embedding_layers(columns)
    user = embedding_lookup(inputs, tables, user_columns)
    user = keras.layers.Dense(4 * (interests or 1))(user)
    if interests:
        user = keras.layers.Reshape((interests, 4))(user)
    user = keras.layers.Identity(name="user_vector")(user)
    item = keras.layers.Dense(4)(embedding_lookup(inputs, tables, item_columns))
    item = keras.layers.Identity(name="item_vector")(item)
    score = keras.layers.Dot(axes=(2, 1) if interests else 1)([user, item])
    if interests:
        score = keras.layers.GlobalMaxPooling1D()(keras.layers.Reshape((interests, 1))(score))
    model = RecModel(
        inputs, prediction(score, is_logit=True), feature_columns=columns, name="towers"
    )
    generator = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return compiled(model)


def towers(interests=None, item_fields=1, items=50, length_name=None, **item):
    """`two_towers` over a user, a history of items, and an item of one or two fields.

    Args:
        interests: as for `two_towers`.
        item_fields: with 2 the item has a category beside its id.
        items: vocabulary size.
        length_name: of the history.
        item: of the item's `SparseFeat`.
    """
    item_columns = [SparseFeat("item_id", items, embedding_dim=4, **item)]
    if item_fields == 2:
        item_columns.append(SparseFeat("cate_id", 5, embedding_dim=3))
    element = SparseFeat("hist_item_id", items, embedding_dim=4, embedding_name="item_id", **item)
    history = VarLenSparseFeat(element, 6, length_name=length_name)
    return two_towers([SparseFeat("user", 30, embedding_dim=4), history], item_columns, interests)
