import numpy as np
import pytest

from deeprec_tf.layers import AttentionPoolingLayer
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form
from tests.reference.behavior import local_activation_unit, weighted_sum

GENERATOR = np.random.default_rng(0)
TARGET = GENERATOR.normal(size=(3, 4)).astype("float32")
BEHAVIORS = GENERATOR.normal(size=(3, 5, 4)).astype("float32")
MASK = np.arange(5) < np.array([[5], [0], [2]])


def built(**options):
    layer = AttentionPoolingLayer((6, 3), **{"activation": "sigmoid", **options})
    layer.build(TARGET.shape, BEHAVIORS.shape)
    return layer, randomize(layer)


@pytest.mark.parametrize("normalize", [False, True])
def test_numbers(normalize):
    layer, w = built(normalize=normalize)
    weights = local_activation_unit(
        TARGET, BEHAVIORS, MASK, first=(w["unit/kernel"], w["unit/bias"], None),
        hidden=[(w["unit/hidden/dense_0/kernel"], w["unit/hidden/dense_0/bias"], None)],
        score=(w["unit/score/kernel"], w.get("unit/score/bias")),
        activation="sigmoid", normalize=normalize,
    )
    got = check_layer(layer, TARGET, BEHAVIORS, MASK)
    np.testing.assert_allclose(got, weighted_sum(weights, BEHAVIORS), atol=1e-5)
    assert np.all(got[1] == 0), "no behaviors, no interest"
    explained = layer.explain(TARGET, BEHAVIORS, MASK)["weights"]
    np.testing.assert_allclose(explained, weights, atol=1e-5)


def test_half_precision():
    check_half_precision(AttentionPoolingLayer((6, 3)), TARGET, BEHAVIORS, MASK)


def test_each_behavior_twice_doubles_the_interest_without_a_softmax():
    twice, mask = np.repeat(BEHAVIORS, 2, axis=1), np.repeat(MASK, 2, axis=1)
    layer, _ = built()
    once = layer(TARGET, BEHAVIORS, MASK).numpy()
    np.testing.assert_allclose(layer(TARGET, twice, mask), 2 * once, atol=1e-5)
    layer, _ = built(normalize=True)
    once = layer(TARGET, BEHAVIORS, MASK).numpy()
    np.testing.assert_allclose(layer(TARGET, twice, mask), once, atol=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
def test_order_of_the_behaviors_does_not_matter(normalize):
    layer, _ = built(normalize=normalize)
    order = [3, 1, 4, 0, 2]
    np.testing.assert_allclose(
        layer(TARGET, BEHAVIORS[:, order], MASK[:, order]), layer(TARGET, BEHAVIORS, MASK),
        atol=1e-5,
    )


def test_padding_has_no_influence():
    layer, _ = built(activation="dice")
    noisy = np.where(MASK[..., None], BEHAVIORS, 9).astype("float32")
    for training in (False, True):
        np.testing.assert_allclose(
            layer(TARGET, noisy, MASK, training=training),
            layer(TARGET, BEHAVIORS, MASK, training=training), atol=1e-4,
        )


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(None)])
def test_valid_steps_alone_give_the_same(rows, normalize):
    layer, _ = built(activation="dice", normalize=normalize)
    check_fast_form(layer, TARGET[rows], BEHAVIORS[rows], MASK[rows])


def test_widths_are_a_list():
    with pytest.raises(ValueError, match="hidden_units must be a list of positive widths"):
        AttentionPoolingLayer(8)
