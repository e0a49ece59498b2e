import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.models import DIEN
from tests.layers.contract import randomize
from tests.models.samples import (
    COLUMNS,
    LABELS,
    WITH_NEGATIVES,
    batch,
    history,
    loss_of,
)
from tests.reference import models as twins
from tests.reference.behavior import gru, inner, next_behavior_loss

SMALL = {"hidden_units": (4,), "activation": "sigmoid"}


def built(columns=COLUMNS, **options):
    model = DIEN(columns, ["item_id"], **{**SMALL, **options})
    randomize(model)
    return model


def weights_of(model):
    return {weight.path: weight.numpy().astype("float64") for weight in model.weights}


def tower_input(model, x, layer):
    return keras.Model(model.input, model.get_layer(layer).output)(x).numpy()


def test_prediction_is_that_of_the_equations():
    model, x = built(), batch()
    wanted = twins.dien(weights_of(model), x)
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted, atol=1e-5)


def test_aigru_is_a_gru_over_weighted_states():
    model, x = built(gru_type="AIGRU"), batch()
    w = weights_of(model)
    mask = x["hist_item_id"] != 0
    behaviors = w["embedding_item_id/embeddings"][x["hist_item_id"]]
    states = gru(behaviors, mask, twins.gru_weights(w, "interest_extractor/"))
    relevance = tower_input(model, x, "relevance")
    evolved = gru(
        states * relevance[..., None], mask, twins.gru_weights(w, "interest_evolution/")
    )
    got = tower_input(model, x, "interest_evolution")
    np.testing.assert_allclose(got, evolved[:, -1], atol=1e-5)


def test_gru_pools_its_states_by_attention():
    model, x = built(gru_type="GRU"), batch()
    states, relevance = tower_input(model, x, "interest_evolution"), tower_input(
        model, x, "relevance"
    )
    wanted = np.einsum("bt,btd->bd", relevance, states)
    np.testing.assert_allclose(tower_input(model, x, "interest"), wanted, atol=1e-5)


def test_auxiliary_loss_is_that_of_the_equations():
    model, x = built(WITH_NEGATIVES), batch(WITH_NEGATIVES)
    w = weights_of(model)
    table, mask = w["embedding_item_id/embeddings"], x["hist_item_id"] != 0
    behaviors, negatives = table[x["hist_item_id"]], table[x["neg_hist_item_id"]]
    states = gru(behaviors, mask, twins.gru_weights(w, "interest_extractor/"))
    wanted = next_behavior_loss(states, behaviors, negatives[:, :, None], mask, inner)
    p = twins.dien(w, x)[:, 0]
    cross_entropy = -np.mean(LABELS * np.log(p) + (1 - LABELS) * np.log(1 - p))
    assert loss_of(model, x) == pytest.approx(cross_entropy + wanted, rel=1e-4)


def test_weight_zero_equals_no_auxiliary_loss():
    x = batch(WITH_NEGATIVES)
    off, without = built(WITH_NEGATIVES, auxiliary_weight=0.0), built(use_negsampling=None)
    assert loss_of(off, x) == pytest.approx(loss_of(without, batch()), rel=1e-6)
    off.train_on_batch(x, LABELS)
    without.train_on_batch(batch(), LABELS)
    for mine, other in zip(off.trainable_weights, without.trainable_weights, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


def test_auxiliary_gradient_reaches_the_item_embeddings():
    """Of items that occur only as negatives, too."""
    model, x = built(WITH_NEGATIVES), batch(WITH_NEGATIVES)
    x["hist_item_id"] = np.minimum(x["hist_item_id"], 3)
    x["item_id"] = np.minimum(x["item_id"], 3)
    x["neg_hist_item_id"] = 7 * (x["hist_item_id"] != 0)
    table = model.get_layer("embedding_item_id").embeddings
    inputs = {name: tf.constant(value) for name, value in x.items()}
    with tf.GradientTape() as tape:
        model(inputs, training=True)
        (auxiliary,) = model.losses
    gradient = tf.convert_to_tensor(tape.gradient(auxiliary, table.value)).numpy()
    assert np.abs(gradient[7]).max() > 0
    assert np.abs(gradient[1:4]).max() > 0
    assert np.all(gradient[[0, 8]] == 0), "padding and absent items have no gradient"


@pytest.mark.parametrize("group", [1, 3])
def test_a_negative_0_is_no_item(group):
    """Steps without a negative do not count, and row 0 of the table learns nothing."""
    model, x = built([*COLUMNS, history("neg_hist_item_id", group=group)]), batch(WITH_NEGATIVES)
    negatives = np.repeat(x["neg_hist_item_id"][..., None], group, axis=-1)
    negatives[0, 2] = 0
    negatives[0, 3, 1:] = 0
    x["neg_hist_item_id"] = negatives[..., 0] if group == 1 else negatives
    w = weights_of(model)
    table, mask = w["embedding_item_id/embeddings"], x["hist_item_id"] != 0
    states = gru(table[x["hist_item_id"]], mask, twins.gru_weights(w, "interest_extractor/"))
    wanted = next_behavior_loss(
        states, table[x["hist_item_id"]], table[negatives], mask, inner, negatives != 0
    )
    weight = model.get_layer("embedding_item_id").embeddings
    with tf.GradientTape() as tape:
        model({name: tf.constant(value) for name, value in x.items()}, training=True)
        (auxiliary,) = model.losses
    assert float(auxiliary) == pytest.approx(wanted, rel=1e-4)
    gradient = tf.convert_to_tensor(tape.gradient(auxiliary, weight.value)).numpy()
    assert np.all(gradient[0] == 0)


def test_padded_negatives_change_nothing():
    model, x = built(WITH_NEGATIVES), batch(WITH_NEGATIVES)
    noisy = {**x, "neg_hist_item_id": np.where(x["hist_item_id"] != 0, x["neg_hist_item_id"], 5)}
    assert loss_of(model, noisy) == pytest.approx(loss_of(model, x), rel=1e-6)


def test_predict_needs_no_negatives():
    model, x = built(WITH_NEGATIVES), batch(WITH_NEGATIVES)
    with_them = model.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(batch(), verbose=0), with_them)
    np.testing.assert_array_equal(model.predict_on_batch(batch()), with_them)


def test_predict_needs_no_negatives_with_lengths_either():
    columns = [
        COLUMNS[0], history("hist_item_id", length_name="length"),
        history("neg_hist_item_id", length_name="length"),
    ]
    model, x = built(columns), batch(WITH_NEGATIVES)
    lengths = (x["hist_item_id"] != 0).sum(1)
    del x["price"], x["neg_hist_item_id"]
    assert model.predict({**x, "length": lengths}, verbose=0).shape == (4, 1)


def test_several_negatives_a_step():
    columns = [*COLUMNS, history("neg_hist_item_id", group=3)]
    model, x = built(columns), batch()
    one = batch(WITH_NEGATIVES)["neg_hist_item_id"]
    several = {**x, "neg_hist_item_id": np.stack([one] * 3, axis=-1)}
    single = built(WITH_NEGATIVES)
    single.set_weights(model.get_weights())
    wanted = loss_of(single, {**x, "neg_hist_item_id": one})
    assert loss_of(model, several) == pytest.approx(wanted, rel=1e-6)


def test_attention_by_mlp_of_states_of_another_width():
    model = built(WITH_NEGATIVES, attention="mlp", aux_type="mlp", interest_units=3)
    assert model.get_layer("interest_evolution").output.shape == (None, 3)
    model.train_on_batch(batch(WITH_NEGATIVES), LABELS)


def test_update_gate_reaches_the_cell():
    x, paper, released = batch(), built(), built(update_gate="released")
    released.set_weights(paper.get_weights())
    assert not np.allclose(paper.predict(x, verbose=0), released.predict(x, verbose=0), atol=1e-4)


def test_one_row():
    x = {name: value[:1] for name, value in batch(WITH_NEGATIVES).items()}
    model = built(WITH_NEGATIVES)
    model.train_on_batch(x, LABELS[:1])
    assert model.predict(x, verbose=0).shape == (1, 1)


def test_histories_of_one_step():
    x = {name: value[:, :1] if value.ndim == 2 and name != "price" else value
         for name, value in batch(WITH_NEGATIVES).items()}  # fmt: skip
    history_loss = built(WITH_NEGATIVES).fit(x, LABELS, verbose=0).history["loss"]
    assert np.isfinite(history_loss).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gru_type": "LSTM"}, "DIEN: gru_type must be one of .*, got 'LSTM'"),
        ({"attention": "dot"}, "DIEN: attention must be one of .*, got 'dot'"),
        ({"aux_type": "dot"}, "aux_type must be"),
        ({"update_gate": "keep"}, "update_gate must be one of"),
        ({"task": "ranking"}, "task must be 'binary' or 'regression', got 'ranking'"),
    ],
)
def test_unknown_choice(options, message):
    with pytest.raises(ValueError, match=message):
        DIEN(WITH_NEGATIVES, ["item_id"], **options)


@pytest.mark.parametrize("options", [{"aux_type": "dot"}, {"update_gate": "keep"}])
def test_a_choice_is_checked_where_it_has_no_effect_too(options):
    with pytest.raises(ValueError, match=f"DIEN: {next(iter(options))} must be one of"):
        DIEN(COLUMNS, ["item_id"], gru_type="GRU", **options)


def test_negatives_asked_for_but_not_given():
    with pytest.raises(ValueError, match="use_negsampling=True, but no 'neg_hist_' columns"):
        DIEN(COLUMNS, ["item_id"], use_negsampling=True)


def test_negatives_of_one_field_only():
    cate = SparseFeat("cate_id", 5)
    past = VarLenSparseFeat(SparseFeat("hist_cate_id", 5, embedding_name="cate_id"), 6)
    message = "'neg_hist_item_id' was given but the negatives of 'cate_id' were not"
    with pytest.raises(ValueError, match=message):
        DIEN([*WITH_NEGATIVES, cate, past], ["item_id", "cate_id"])
