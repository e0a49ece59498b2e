import numpy as np
import pytest

from deeprec_tf import SparseFeat
from deeprec_tf.export import serving_function
from deeprec_tf.models import DeepFM
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
