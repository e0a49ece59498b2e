import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat, next_item_columns
from deeprec_tf.engine import part_of
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import SINE
from deeprec_tf.retrieval import ItemIndex
from deeprec_tf.tables import set_table_values, table_values
from tests.reference import interests as twin

ITEMS = 20
COLUMNS = next_item_columns(ITEMS, maxlen=8, embedding_dim=6)
GENERATOR = np.random.default_rng(0)
LENGTHS = np.array([8, 4, 1, 0, 3])
X = {
    "hist_item_id": GENERATOR.integers(1, ITEMS + 1, (5, 8)) * (np.arange(8) < LENGTHS[:, None]),
    "item_id": GENERATOR.integers(1, ITEMS + 1, 5),
}
ATTENTIONS = ("summary", "interests", "next_intention")


def build(**options):
    options = {"num_prototypes": 9, "num_interests": 3, "attention_units": 7, **options}
    model = SINE(*COLUMNS, **options)
    set_table_values(model, "item_id", np.random.default_rng(1).normal(size=(ITEMS + 1, 6)))
    for name in (*ATTENTIONS, "prototypes", "positions", "aggregation_query"):
        for seed, weight in enumerate(model.get_layer(name).weights):
            weight.assign(np.random.default_rng(seed).normal(scale=0.5, size=weight.shape))
    return model


def encoded(model):
    user = user_encoder(model).predict({"hist_item_id": X["hist_item_id"]}, verbose=0)
    item = item_encoder(model).predict({"item_id": X["item_id"]}, verbose=0)
    return user["user_vector"], item["item_vector"]


def users(model, temperature=0.1):
    """User vectors by the equations."""
    table = table_values(model, "item_id").astype("float64")
    weights = {
        name: [weight.numpy().astype("float64") for weight in model.get_layer(name).weights]
        for name in (*ATTENTIONS, "prototypes", "positions", "aggregation_query")
    }
    weights["query"] = weights["aggregation_query"]
    (weights["prototypes"],), (positions,) = weights["prototypes"], weights["positions"]
    return np.array([
        twin.sparse_interests(
            table[ids[:length]], positions[:length], weights, 3, temperature
        ) if length else np.zeros(6)
        for ids, length in zip(X["hist_item_id"], LENGTHS, strict=True)
    ])


def test_one_user_vector_and_the_softmax_by_their_equations():
    model = build()
    wanted = users(model)
    user, item = encoded(model)
    np.testing.assert_allclose(user, wanted, rtol=1e-3, atol=1e-5)
    table = table_values(model, "item_id").astype("float64")
    np.testing.assert_allclose(item, table[X["item_id"]], rtol=1e-6)
    scores = wanted @ table[1:].T
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(5), X["item_id"] - 1]
    assert model.evaluate(X, verbose=0) == pytest.approx(losses.mean(), rel=1e-4)
    got = model.predict(X, verbose=0)[:, 0]
    np.testing.assert_allclose(got, (wanted * item).sum(axis=1), rtol=1e-3, atol=1e-5)


def test_the_temperature_of_the_assignment_reaches_it():
    model = build(assignment_temperature=0.7)
    np.testing.assert_allclose(encoded(model)[0], users(model, 0.7), rtol=1e-3, atol=1e-5)


def test_one_vector_serves_as_it_was_trained():
    model = build(l2_normalize=True)
    user, item = encoded(model)
    assert user.shape == (5, 6)
    np.testing.assert_allclose(np.linalg.norm(user[LENGTHS > 0], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(item, axis=1), 1, rtol=1e-5)
    index = ItemIndex().build(item, ids=np.arange(5))
    found = index.search(user, k=5)
    got = model.predict(X, verbose=0)[:, 0]
    for row in range(5):
        at = found.ids[row].tolist().index(row)
        assert found.scores[row, at] == pytest.approx(got[row], rel=1e-4, abs=1e-5)


def test_the_selection_is_trained_though_taking_the_nearest_is_not():
    """The summary counts by the sigmoids alone."""
    model = build()
    x = {name: tf.constant(values) for name, values in X.items()}
    summary = [weight.value for weight in model.get_layer("summary").weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x, training=True)["row_loss"])
    for gradient in tape.gradient(loss, summary):
        assert np.any(np.asarray(gradient) != 0)


def test_equal_prototypes_leave_every_behavior_to_all_interests():
    """With one prototype for all, shares are 1/K: self-attentive interests of a K-th the scores."""
    model = build()
    layer = model.get_layer("prototypes")
    layer.prototypes.assign(np.tile(layer.prototypes.numpy()[:1], (9, 1)))
    table = table_values(model, "item_id").astype("float64")
    inner, outer = (w.numpy().astype("float64") for w in model.get_layer("interests").weights)
    positions = model.get_layer("positions").positions.numpy()
    cut = part_of(model, model.get_layer("interests").output, "interests_alone")
    got = cut.predict({"hist_item_id": X["hist_item_id"]}, verbose=0)
    for row, length in enumerate(LENGTHS):
        values = table[X["hist_item_id"][row, :length]]
        wanted = twin.self_attentive(values + positions[:length], values, inner, outer / 3)
        np.testing.assert_allclose(got[row], wanted, rtol=1e-3, atol=1e-5)


def test_decorrelation_joins_the_loss():
    plain, model = build(), build(decorrelation=0.2)
    penalty = twin.covariance_penalty(model.get_layer("prototypes").prototypes.numpy())
    got = model.evaluate(X, verbose=0) - plain.evaluate(X, verbose=0)
    assert got == pytest.approx(0.2 * penalty, rel=1e-3)


def test_other_columns_of_the_user_join_the_vector():
    model = SINE([*COLUMNS[0], DenseFeat("age")], COLUMNS[1], num_prototypes=9, attention_units=7)
    history = X["hist_item_id"][[0, 0]]
    age = np.array([0.0, 1.0], "float32")
    got = user_encoder(model).predict({"hist_item_id": history, "age": age}, verbose=0)
    context = model.get_layer("context").context_kernel.numpy()[0]
    np.testing.assert_allclose(np.diff(got["user_vector"], axis=0)[0], context, rtol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SINE([SparseFeat("user", 3)], COLUMNS[1]), "SINE: 'item_id' needs its history"),
        (lambda: build(num_interests=1), "SINE: num_interests must be at least 2, got 1"),
        (lambda: build(num_prototypes=2), "prototypes: of num_prototypes=2"),
        (lambda: build(assignment_temperature=0), "assignment: temperature must be above 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
