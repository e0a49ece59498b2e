import numpy as np
import pytest

from deeprec_tf import DenseFeat, SparseFeat, VarLenDenseFeat, VarLenSparseFeat
from deeprec_tf.layers import TableEmbedding
from deeprec_tf.models import DeepFM
from deeprec_tf.tables import set_table_values, table_values
from tests.layers.contract import randomize
from tests.reference.core import sigmoid
from tests.reference.interaction import fm

FIELDS = [SparseFeat("user", 5, embedding_dim=3), SparseFeat("item", 4, embedding_dim=3),
          SparseFeat("city", 3, embedding_dim=3)]  # fmt: skip
PRICE = DenseFeat("price", 2)
GENERATOR = np.random.default_rng(0)
X = {
    "user": GENERATOR.integers(0, 5, size=6), "item": GENERATOR.integers(0, 4, size=6),
    "city": GENERATOR.integers(0, 3, size=6),
    "price": GENERATOR.normal(size=(6, 2)).astype("float32"),
}


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def test_without_tower_it_is_a_factorization_machine():
    model = DeepFM([*FIELDS, PRICE], hidden_units=())
    randomize(model)
    w = weights_of(model)
    vectors = np.stack([table_values(model, c.name)[X[c.name]] for c in FIELDS], axis=1)
    logit = fm(vectors)[:, 0] + X["price"] @ w["linear_dense/kernel"][:, 0]
    logit += sum(table_values(model, c.name, linear=True)[X[c.name], 0] for c in FIELDS)
    wanted = [sigmoid(value + w["probability/bias"][0]) for value in logit]
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], wanted, atol=1e-5)


def test_the_tower_reads_the_same_embeddings():
    model = DeepFM([*FIELDS, PRICE], hidden_units=(4,))
    assert model.get_layer("tower").blocks[0][0].kernel.shape == (3 * 3 + 2, 4)
    tables = [layer for layer in model.layers if isinstance(layer, TableEmbedding)]
    assert [layer.tables for layer in tables] == [{"user": 5, "item": 4, "city": 3}]
    gathers = [node for node in tables[0]._inbound_nodes if node.operation is tables[0]]
    assert len(gathers) == 1, "factors and linear weights of all fields come with one gather"


def test_groups_interact_within_themselves_only():
    grouped = [FIELDS[0], SparseFeat("item", 4, embedding_dim=3, group_name="other"),
               SparseFeat("city", 3, embedding_dim=3, group_name="other")]  # fmt: skip
    model = DeepFM(grouped, hidden_units=())
    randomize(model)
    for weight in model.weights:
        if not weight.path.startswith("embedding_"):
            weight.assign(np.zeros(weight.shape))
    x = {name: X[name] for name in ("user", "item", "city")}
    for name in x:
        set_table_values(model, name, np.zeros((len(table_values(model, name)), 1)), linear=True)
    vectors = [table_values(model, name)[x[name]] for name in ("item", "city")]
    wanted = [sigmoid(value) for value in np.sum(vectors[0] * vectors[1], axis=1)]
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], wanted, atol=1e-5)


def test_two_lists():
    model = DeepFM([FIELDS[0], PRICE], FIELDS, hidden_units=(4,))
    assert set(model.input) == {"user", "item", "city", "price"}
    assert table_values(model, "user", linear=True).shape == (5, 1)
    with pytest.raises(KeyError, match="no linear_table 'item', only .'user'."):
        table_values(model, "item", linear=True)
    assert model.get_layer("tower").blocks[0][0].kernel.shape == (9, 4)


def test_multivalued_field_is_pooled():
    genres = VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=3), maxlen=3)
    model = DeepFM([*FIELDS, genres], hidden_units=())
    randomize(model)
    x = {name: X[name] for name in ("user", "item", "city")}
    once = {**x, "genres": np.array([[2, 0, 0]] * 6)}
    twice = {**x, "genres": np.array([[2, 2, 0]] * 6)}
    np.testing.assert_allclose(
        model.predict(once, verbose=0), model.predict(twice, verbose=0), atol=1e-6
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([PRICE], "DeepFM: interactions need at least one SparseFeat"),
        ([FIELDS[0], SparseFeat("item", 4, embedding_dim=5)], "need one embedding_dim, got .*item"),
        ([FIELDS[0], VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=3), 3,
                                      combiner="none")], "genres.*combiner"),
        ([], "at least one|no columns"),
    ],
)  # fmt: skip
def test_errors(columns, message):
    with pytest.raises(ValueError, match=message):
        DeepFM(columns)


def test_a_number_that_nothing_reads_is_refused():
    with pytest.raises(ValueError, match="DeepFM: 'price' is read by the tower alone.*Add 'price'"):
        DeepFM(FIELDS, [*FIELDS, PRICE], hidden_units=())
    DeepFM([*FIELDS, PRICE], hidden_units=())  # the linear part reads it


def test_numbers_along_a_history_are_refused():
    times = VarLenDenseFeat("times", 5)
    with pytest.raises(ValueError, match="DeepFM: 'times' has no combiner.*Drop the column"):
        DeepFM(FIELDS, [*FIELDS, times])


def test_no_linear_part():
    model = DeepFM([], FIELDS, hidden_units=())
    randomize(model)
    w = weights_of(model)
    vectors = np.stack([table_values(model, c.name)[X[c.name]] for c in FIELDS], axis=1)
    wanted = [sigmoid(value + w["probability/bias"][0]) for value in fm(vectors)[:, 0]]
    x = {name: X[name] for name in ("user", "item", "city")}
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], wanted, atol=1e-5)


def test_widths_are_a_list():
    with pytest.raises(ValueError, match="tower: hidden_units must be a list of positive widths"):
        DeepFM(FIELDS, hidden_units=64)
