import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.models import DIN
from tests.layers.contract import randomize
from tests.models.samples import COLUMNS, ITEM, WITH_NEGATIVES, batch, history
from tests.reference import models as twins


@pytest.fixture
def model():
    model = DIN(
        COLUMNS, ["item_id"], attention_units=(5, 3), hidden_units=(4,), activation="sigmoid"
    )
    randomize(model)
    return model


def interest(model, x):
    cut = keras.Model(model.input, model.get_layer("interest").output)
    return cut(x).numpy()


def test_prediction_is_that_of_the_equations(model):
    w = {weight.path: weight.numpy().astype("float64") for weight in model.weights}
    x = batch()
    np.testing.assert_allclose(model.predict(x, verbose=0), twins.din(w, x), atol=1e-5)


def test_each_behavior_twice_doubles_the_interest(model):
    x = batch()
    x["hist_item_id"] = np.array([[1, 2, 0, 0], [0] * 4, [3, 0, 0, 0], [4, 4, 0, 0]])
    twice = {**x, "hist_item_id": np.array([[1, 1, 2, 2], [0] * 4, [3, 3, 0, 0], [4] * 4])}
    np.testing.assert_allclose(interest(model, twice), 2 * interest(model, x), atol=1e-5)


def test_order_of_the_behaviors_does_not_matter(model):
    x = batch()
    turned = {**x, "hist_item_id": x["hist_item_id"].copy()}
    turned["hist_item_id"][0] = turned["hist_item_id"][0][::-1]
    np.testing.assert_allclose(
        model.predict(turned, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )


def test_interest_is_a_sum_over_real_steps_not_a_mean_over_all(model):
    """A lone behavior weighs the same however much padding follows."""
    x = batch()
    longer = {**x, "hist_item_id": np.pad(x["hist_item_id"], [(0, 0), (0, 1)])}
    np.testing.assert_allclose(interest(model, longer), interest(model, x), atol=1e-6)
    assert np.all(interest(model, x)[1] == 0), "no behaviors, no interest"


def test_softmax_is_off_by_default_and_makes_a_mean_when_on():
    assert DIN(COLUMNS, ["item_id"]).get_layer("interest").normalize is False
    model = DIN(COLUMNS, ["item_id"], normalize=True)
    table = randomize(model)
    x = batch()
    x["hist_item_id"][:] = 3
    rows = model.get_layer("embedding_item_id").embeddings.numpy()[3]
    assert table
    np.testing.assert_allclose(interest(model, x), np.tile(rows, (4, 1)), atol=1e-5)


def test_every_item_column_enters_the_query():
    """The trap of a history field whose target is left out of the attention."""
    cate = SparseFeat("cate_id", 5, embedding_dim=3)
    past = VarLenSparseFeat(
        SparseFeat("hist_cate_id", 5, embedding_dim=3, embedding_name="cate_id"), 6
    )
    model = DIN([*COLUMNS, cate, past], ["item_id", "cate_id"], hidden_units=(4,))
    randomize(model)
    x = batch()
    x |= {"cate_id": np.array([1, 2, 3, 4]), "hist_cate_id": (x["hist_item_id"] > 0) * 2}
    moved = {**x, "cate_id": np.array([2, 2, 3, 4])}
    assert np.abs(interest(model, moved) - interest(model, x))[0].max() > 1e-4


def test_negative_behaviors_are_left_out():
    model = DIN(WITH_NEGATIVES, ["item_id"])
    assert "neg_hist_item_id" not in model.input
    model.fit(batch(), np.ones(4), verbose=0)
    with_them = batch() | {"neg_hist_item_id": np.ones((4, 3), int)}
    data = tf.data.Dataset.from_tensor_slices(with_them).batch(4)
    np.testing.assert_allclose(
        model.predict(data, verbose=0), model.predict(batch(), verbose=0), atol=1e-6
    )


def test_history_by_shared_table_instead_of_by_name():
    renamed = [ITEM, history("clicked")]
    model = DIN(renamed, ["item_id"])
    assert set(model.input) == {"item_id", "clicked"}


def test_missing_history():
    with pytest.raises(ValueError, match="DIN: 'item_id' needs its history, but no column "
                                         "'hist_item_id' was given"):  # fmt: skip
        DIN([ITEM], ["item_id"])
