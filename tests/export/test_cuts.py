import h5py
import keras
import numpy as np
import pytest

from deeprec_tf.export import (
    check_export,
    export_saved_model,
    inference_model,
    item_encoder,
    user_encoder,
)
from tests.export.samples import batch, dien, lively, two_towers


def reloaded(model, folder):
    if model.compiled:
        model.optimizer.build(model.trainable_variables)  # or Keras warns that it saves no state
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def test_training_inputs_are_gone_and_predictions_stay(sample):
    model = sample("dien", "AUGRU")
    served = inference_model(model)
    assert set(served.input) == set(model.input) - {"neg_hist_item_id", "neg_hist_cate_id"}
    assert list(served.output) == ["probability"]
    x = batch(model, 6, 4)
    np.testing.assert_array_equal(
        served.predict({n: x[n] for n in served.input}, verbose=0)["probability"],
        model.predict(x, verbose=0),
    )


def test_inputs_that_nothing_reads_are_gone(sample):
    model = sample("din")
    served = inference_model(model)
    assert "unread_weight" in model.input and "unread_weight" not in served.input
    column = next(c for c in served.feature_columns if c.name == "hist_item_id")
    assert column.weight_name is None
    x = batch(model, 4, 3)
    del x["unread_weight"]
    served.predict(x, verbose=0)  # check_batch asks for the inputs that are left


def test_the_cut_shares_weights_and_layer_names():
    model = two_towers()
    served = inference_model(model)
    assert {layer.name for layer in served.layers} == {layer.name for layer in model.layers}
    x = batch(model, 5, 3)
    before = served.predict(x, verbose=0)["probability"]
    lively(model, seed=3)
    after = served.predict(x, verbose=0)["probability"]
    assert np.abs(before - after).max() > 0.01
    np.testing.assert_array_equal(after, model.predict(x, verbose=0))


def test_cutting_twice_is_cutting_once(sample):
    served = inference_model(sample("din"))
    again = inference_model(served)
    assert list(again.input) == list(served.input)
    assert list(again.output) == ["probability"]


def test_a_reloaded_model_cuts_alike(tmp_path):
    model = dien("AUGRU")
    x = batch(model, 6, 4)
    served = inference_model(reloaded(model, tmp_path))
    assert "neg_hist_item_id" not in served.input
    np.testing.assert_array_equal(
        served.predict({n: x[n] for n in served.input}, verbose=0)["probability"],
        model.predict(x, verbose=0),
    )


def test_towers_give_the_vectors_of_the_score(tmp_path):
    model = two_towers()
    x = batch(model, 6, 4)
    probability = model.predict(x, verbose=0)[:, 0]
    for source in (model, reloaded(model, tmp_path)):
        users, items = user_encoder(source), item_encoder(source)
        assert set(users.input) == {"user", "hist_item_id"} and set(items.input) == {"item_id"}
        user = users.predict({n: x[n] for n in users.input}, verbose=0)["user_vector"]
        item = items.predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]
        bias = source.get_layer("probability").bias.numpy()
        logit = (user.astype("float64") * item).sum(1) + bias
        np.testing.assert_allclose(1 / (1 + np.exp(-logit)), probability, atol=1e-6)


def test_a_tower_exports_and_saves_on_its_own(tmp_path):
    model = two_towers()
    tower = user_encoder(model)
    x = batch(model, 4, 3)
    folder = export_saved_model(tower, tmp_path / "served")
    assert check_export(tower, folder, x) <= 1e-6
    again = reloaded(tower, tmp_path)
    x = {name: x[name] for name in tower.input}
    np.testing.assert_array_equal(
        again.predict(x, verbose=0)["user_vector"], tower.predict(x, verbose=0)["user_vector"]
    )


def test_a_towers_file_holds_the_tower_alone(tmp_path):
    model = two_towers()
    model.predict(batch(model, 2, 3), verbose=0)
    tower = user_encoder(model)
    tower.save_weights(tmp_path / "tower.weights.h5")
    sizes = []
    with h5py.File(tmp_path / "tower.weights.h5") as file:
        file.visititems(lambda _, node: sizes.append(getattr(node, "size", 0)))
    assert sum(sizes) == tower.count_params() < model.count_params()


def test_a_ranking_model_has_no_tower(sample):
    with pytest.raises(ValueError, match="din: there is no layer 'user_vector'.*inference_model"):
        user_encoder(sample("din"))
    with pytest.raises(ValueError, match="'item_vector'"):
        item_encoder(sample("din"))


def test_a_model_without_predictions_or_names_is_refused():
    entry = keras.Input((2,), name="x")
    model = keras.Model(entry, keras.layers.Dense(1)(entry), name="bare")
    with pytest.raises(ValueError, match="bare: there is no PredictionLayer.*dict of outputs"):
        inference_model(model)


def test_a_plain_keras_model_with_named_outputs_is_taken_whole():
    entry = keras.Input((2,), name="x")
    model = keras.Model({"x": entry}, {"score": keras.layers.Dense(1)(entry)})
    served = inference_model(model)
    assert list(served.input) == ["x"] and list(served.output) == ["score"]
