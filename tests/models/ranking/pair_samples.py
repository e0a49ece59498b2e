"""Columns, a batch and helpers that the tests of models on pairs of fields share."""

import numpy as np

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.tables import set_table_values, table_values
from tests.reference.core import sigmoid

FIELDS = [SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=3),
          SparseFeat("city", 3, embedding_dim=3)]  # fmt: skip
PRICE = DenseFeat("price", 2)
_GENERATOR = np.random.default_rng(0)
X = {
    "user": _GENERATOR.integers(0, 5, size=6), "item": _GENERATOR.integers(0, 4, size=6),
    "city": _GENERATOR.integers(0, 3, size=6),
}
NUMBERS = {"price": _GENERATOR.normal(size=(6, 2)).astype("float32")}

# (columns, what the error says after the model's name) that all these models refuse.
REFUSED = [
    ([PRICE], "interactions need at least one SparseFeat"),
    ([FIELDS[0], SparseFeat("item", 4, embedding_dim=5)], "one embedding_dim, got .*item"),
    ([*FIELDS, VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=3), 3, combiner="none")],
     "'genres' has combiner 'none'"),
    ([*FIELDS, VarLenDenseFeat("times", 4)], "'times' .*stays a sequence"),
]  # fmt: skip


def weights_of(model):
    """float64 copies of the weights by path."""
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def vectors_of(model, numbers=None):
    """The fields (B, F, D); with numbers, those as fields behind the others."""
    fields = np.stack([table_values(model, c.name)[X[c.name]] for c in FIELDS], axis=1)
    if numbers is None:
        return fields.astype("float64")
    vectors = weights_of(model)["number_fields/vectors"]
    scaled = [[value * vector for value, vector in zip(row, vectors, strict=True)]
              for row in numbers]  # fmt: skip
    return np.concatenate([fields, scaled], axis=1)


def first_order_of(model, numbers=None):
    """The linear part and the bias (B,)."""
    w = weights_of(model)
    total = np.full(6, w["probability/bias"][0])
    for column in FIELDS:
        total += table_values(model, column.name, linear=True)[X[column.name], 0]
    return total if numbers is None else total + numbers @ w["linear_dense/kernel"][:, 0]


def probabilities(logits):
    """Their sigmoid."""
    return [sigmoid(value) for value in logits]


def copy_first_order_and_tables(source, target):
    """Gives a model the tables, linear weights and bias of another."""
    for column in FIELDS:
        for linear in (False, True):
            values = table_values(source, column.name, linear=linear)
            set_table_values(target, column.name, values, linear=linear)
    target.get_layer("probability").bias.assign(source.get_layer("probability").bias)
