import keras
import numpy as np
import pytest

from deeprec_tf.layers import AdditivePooling
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form
from tests.reference.sessions import additive_pooling, additive_weights

GENERATOR = np.random.default_rng(0)
QUERY = GENERATOR.normal(size=(3, 6)).astype("float32")
SEQUENCE = GENERATOR.normal(size=(3, 5, 4)).astype("float32")
MASK = np.arange(5) < np.array([[5], [0], [2]])
FORMS = [{}, {"normalize": True}, {"use_bias": True, "units": 3}]


def built(**options):
    layer = AdditivePooling(**options)
    layer.build(QUERY.shape, SEQUENCE.shape)
    return layer, randomize(layer)


@pytest.mark.parametrize("options", FORMS)
def test_numbers(options):
    layer, w = built(**options)
    assert ("bias" in w) == options.get("use_bias", False)
    assert w["step_kernel"].shape == (4, options.get("units", 4))
    arguments = (QUERY, SEQUENCE, MASK, w, options.get("normalize", False))
    got = check_layer(layer, QUERY, SEQUENCE, MASK)
    np.testing.assert_allclose(got, additive_pooling(*arguments), atol=1e-5)
    assert np.all(got[1] == 0), "an empty row gives zeros"
    explained = layer.explain(QUERY, SEQUENCE, MASK)["weights"]
    np.testing.assert_allclose(explained, additive_weights(*arguments), atol=1e-5)


def test_the_kernels_start_as_told():
    layer = AdditivePooling(200, kernel_initializer=keras.initializers.RandomNormal(stddev=0.05))
    layer.build((3, 200), (3, 5, 200))
    kernels = [np.asarray(w) for w in (layer.query_kernel, layer.step_kernel)]
    assert [kernel.std() for kernel in kernels] == pytest.approx([0.05] * 2, rel=0.05)
    assert not np.array_equal(*kernels)


def test_half_precision():
    check_half_precision(AdditivePooling(3, use_bias=True), QUERY, SEQUENCE, MASK)


@pytest.mark.parametrize("options", FORMS)
def test_padding_has_no_influence(options):
    layer, _ = built(**options)
    noisy = np.where(MASK[..., None], SEQUENCE, 9).astype("float32")
    np.testing.assert_allclose(
        layer(QUERY, noisy, MASK), layer(QUERY, SEQUENCE, MASK), atol=1e-5
    )


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("rows", [slice(1, 2), slice(None)])
def test_valid_steps_alone_give_the_same(rows, options):
    layer, _ = built(**options)
    check_fast_form(layer, QUERY[rows], SEQUENCE[rows], MASK[rows])


def test_errors():
    with pytest.raises(ValueError, match="units must be at least 1 or None"):
        AdditivePooling(0)
