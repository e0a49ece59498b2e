import numpy as np
import pandas as pd
import pytest

from deeprec_tf import SparseFeat, VarLenSparseFeat
from deeprec_tf.export import serving_function
from deeprec_tf.models import DeepFM, LightGCN
from tests.export import samples

MODELS = {
    "DIEN": lambda: samples.dien("AUGRU"), "DIN": samples.din, "DeepFM": samples.deepfm,
    "WideDeep": samples.wide_deep,
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 7])
def test_answers_are_those_of_predict(name, rows):
    model = MODELS[name]()
    serve = serving_function(model)
    batch = samples.batch(model, rows, steps=5)
    wanted = model.predict(batch, verbose=0)
    got = serve(batch)
    assert list(got) == ["probability"] and got["probability"].dtype == "float32"
    np.testing.assert_allclose(got["probability"], wanted, atol=1e-6)
    assert np.ptp(model.predict(samples.batch(model, 20, steps=5), verbose=0)) > 1e-3


def test_it_answers_with_the_weights_of_the_moment():
    model = DeepFM([SparseFeat("user", 4), SparseFeat("item", 4)], hidden_units=(2,))
    serve = serving_function(model)
    x = {"user": [1, 2], "item": [3, 3]}
    before = serve(x)["probability"]
    model.fit(x, [1, 1], epochs=20, verbose=0)
    after = serve(x)["probability"]
    assert np.all(after > before)
    np.testing.assert_allclose(after, model.predict(x, verbose=0), atol=1e-6)


def test_errors_name_the_input():
    serve = serving_function(DeepFM([SparseFeat("user", 4), SparseFeat("item", 4)]))
    with pytest.raises(ValueError, match="deepfm: the input 'item' is missing"):
        serve({"user": [1]})
    with pytest.raises(ValueError, match="deepfm: 'user' must have shape"):
        serve({"user": [[1]], "item": [1]})
    with pytest.raises(TypeError, match="deepfm: 'user' must have dtype int32, got float64"):
        serve({"user": [1.5], "item": [1]})
    with pytest.raises(ValueError, match="deepfm: 'user' has 4294967299 in row 1, but its dtype"):
        serve({"user": [3, 2**32 + 3], "item": [1, 1]})


def test_a_model_of_a_graph_answers_with_the_vectors_of_the_moment():
    pairs = np.array([[1, 1], [1, 2], [2, 2], [3, 1]])
    model = LightGCN(pairs, num_users=3, num_items=2, embedding_dim=4)
    x = {"user_id": pairs[:, 0], "item_id": pairs[:, 1]}
    serve = serving_function(model)
    before = serve(x)["score"]
    model.fit(x, epochs=5, verbose=0)
    after = serve(x)["score"]
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, model.predict(x, verbose=0), atol=1e-6)


def texts_and_history():
    past = SparseFeat("hist_item", 9, embedding_dim=4, embedding_name="item")
    city = SparseFeat("city", 50, embedding_dim=4, use_hash=True, dtype="string")
    columns = [SparseFeat("item", 9, embedding_dim=4), VarLenSparseFeat(past, 3), city]
    return DeepFM(columns, hidden_units=(4,))


def test_lists_of_a_request():
    model = texts_and_history()
    serve = serving_function(model)
    x = {"item": [3], "hist_item": [[]], "city": ["Rome"]}
    wanted = model.predict({**x, "hist_item": np.zeros((1, 0), int)}, verbose=0)
    np.testing.assert_allclose(serve(x)["probability"], wanted, atol=1e-6)
    with pytest.raises(ValueError, match="'hist_item' holds rows of different lengths. Pad them"):
        serve({"item": [3, 4], "hist_item": [[1], [1, 2]], "city": ["Rome", "Oslo"]})


def test_texts_that_are_missing_and_what_is_no_text():
    model = texts_and_history()
    serve = serving_function(model)
    x = {"item": [3, 3, 3], "hist_item": [[1], [1], [1]]}
    got = serve({**x, "city": ["", None, float("nan")]})["probability"]
    assert np.ptp(got) == 0.0
    frame = {**x, "city": pd.Series(["Rome", pd.NA, "Oslo"], dtype="string")}
    np.testing.assert_array_equal(
        serve(frame)["probability"], serve({**x, "city": [b"Rome", "", "Oslo"]})["probability"]
    )
    with pytest.raises(TypeError, match="'city' must hold texts, got 7 in row 2"):
        serve({**x, "city": ["Rome", "Oslo", 7]})
    with pytest.raises(TypeError, match=r"'city' must hold texts, got \['Rome'\] in row 0"):
        serve({**x, "city": [["Rome"], ["Oslo", "Bonn"], []]})
