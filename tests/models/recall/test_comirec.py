import numpy as np
import pytest

from deeprec_tf import next_item_columns
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import ComiRec
from deeprec_tf.tables import set_table_values, table_values
from tests.reference import interests as twin

ITEMS = 20
COLUMNS = next_item_columns(ITEMS, maxlen=8, embedding_dim=6)
GENERATOR = np.random.default_rng(0)
LENGTHS = np.array([8, 4, 1, 2, 3])
X = {
    "hist_item_id": GENERATOR.integers(1, ITEMS + 1, (5, 8)) * (np.arange(8) < LENGTHS[:, None]),
    "item_id": GENERATOR.integers(1, ITEMS + 1, 5),
}


def build(**options):
    model = ComiRec(*COLUMNS, num_interests=3, **options)
    set_table_values(model, "item_id", np.random.default_rng(1).normal(size=(ITEMS + 1, 6)))
    return model


def encoded(model):
    user = user_encoder(model).predict({"hist_item_id": X["hist_item_id"]}, verbose=0)
    item = item_encoder(model).predict({"item_id": X["item_id"]}, verbose=0)
    return user["user_vector"], item["item_vector"]


def interests(model, extraction):
    table = table_values(model, "item_id").astype("float64")
    layer = model.get_layer("interests")
    result = []
    for row, length in enumerate(LENGTHS):
        values = table[X["hist_item_id"][row, :length]]
        if extraction == "SA":
            keys = values + model.get_layer("positions").positions.numpy()[:length]
            result.append(
                twin.self_attentive(keys, values, layer.inner.numpy(), layer.outer.numpy())
            )
        else:
            result.append(
                twin.routing(values, layer.kernel.numpy(), layer.start.numpy(), 3, False)[0]
            )
    return np.array(result)


@pytest.mark.parametrize("extraction", ["SA", "DR"])
def test_the_nearest_interest_is_trained_and_the_best_one_scores(extraction):
    model = build(extraction=extraction)
    wanted = interests(model, extraction)
    user, item = encoded(model)
    np.testing.assert_allclose(user, wanted, rtol=1e-3, atol=1e-5)
    table = table_values(model, "item_id").astype("float64")
    losses, best = [], []
    for row in range(5):
        scores = wanted[row] @ item[row]
        query = wanted[row, scores.argmax()]
        logits = table[1:] @ query
        losses.append(np.log(np.exp(logits).sum()) - logits[X["item_id"][row] - 1])
        best.append(scores.max())
    assert model.evaluate(X, verbose=0) == pytest.approx(np.mean(losses), rel=1e-4)
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], best, rtol=1e-4, atol=1e-5)


def test_only_the_nearest_interest_gets_a_gradient():
    import tensorflow as tf

    model = build()
    layer = model.get_layer("interests")
    x = {name: tf.constant(values[:1]) for name, values in X.items()}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x, training=True)["row_loss"])
    gradient = np.asarray(tape.gradient(loss, layer.outer.value))
    assert np.any(gradient != 0, axis=0).sum() == 1


@pytest.mark.parametrize(
    "options",
    [{"extraction": "RNN"}, {"routing_iterations": 2}, {"extraction": "DR", "attention_units": 3}],
)
def test_errors(options):
    with pytest.raises(ValueError, match="ComiRec: extraction must be 'SA', which takes"):
        build(**options)
