"""Small columns, rows and helpers that the tests of cross networks share."""

import numpy as np

from deeprec_tf import DenseFeat, SparseFeat
from deeprec_tf.tables import table_values

FIELDS = [SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=3),
          SparseFeat("city", 3, embedding_dim=3)]  # fmt: skip
PRICE = DenseFeat("price", 2)
COLUMNS = [*FIELDS, PRICE]
FLAT = 3 * 3 + 2
_GENERATOR = np.random.default_rng(0)
X = {
    "user": _GENERATOR.integers(0, 5, size=6), "item": _GENERATOR.integers(0, 4, size=6),
    "city": _GENERATOR.integers(0, 3, size=6),
    "price": _GENERATOR.normal(size=(6, 2)).astype("float32"),
}
LABELS = np.array([1, 0, 0, 1, 1, 0], "float32")


def flat_of(model):
    """The tables' rows and the numbers side by side, (B, 11)."""
    rows = [table_values(model, column.name)[X[column.name]] for column in FIELDS]
    return np.concatenate([*rows, X["price"]], axis=1).astype("float64")


def weights_of(model):
    """float64 copies of the weights by path."""
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def probability(model):
    """(B,)."""
    return model.predict({name: X[name] for name in model.input}, verbose=0)[:, 0]
