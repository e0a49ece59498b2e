import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import PrototypeSelection
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference import interests as twin

SUMMARY = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def test_numbers():
    layer = PrototypeSelection(6, 2)
    layer.build(SUMMARY.shape)
    prototypes = randomize(layer)["prototypes"]
    got = check_layer(layer, SUMMARY, time_axes=())
    for row, summary in enumerate(SUMMARY.astype("float64")):
        np.testing.assert_allclose(
            got[row], twin.selected(summary, prototypes, 2), rtol=1e-5, atol=1e-6
        )
    factors = np.asarray(layer.explain(SUMMARY)["weights"])
    assert factors.shape == (4, 2) and (np.diff(factors) <= 0).all()


def test_the_sigmoid_trains_the_selection_and_the_others_stay():
    layer = PrototypeSelection(6, 2)
    layer.build(SUMMARY.shape)
    prototypes = randomize(layer)["prototypes"]
    summary, step = SUMMARY[:1], 1e-4
    with tf.GradientTape() as tape:
        tape.watch(given := tf.constant(summary))
        total = tf.reduce_sum(layer(given))
    of_summary, of_table = tape.gradient(total, [given, layer.prototypes.value])
    for i in range(3):
        moved = np.eye(3)[i] * step
        plus, minus = (
            twin.selected(summary[0].astype("float64") + way * moved, prototypes, 2).sum()
            for way in (1, -1)
        )
        assert float(of_summary[0, i]) == pytest.approx((plus - minus) / (2 * step), rel=1e-3)
    touched = np.any(np.asarray(tf.convert_to_tensor(of_table)) != 0, axis=1)
    nearest = np.argsort(-(prototypes @ summary[0]))[:2]
    assert sorted(np.flatnonzero(touched)) == sorted(nearest)


def test_decorrelation_is_a_loss_of_the_layer():
    layer = PrototypeSelection(6, 2, decorrelation=0.3)
    layer.build(SUMMARY.shape)
    prototypes = randomize(layer)["prototypes"]
    (loss,) = layer.losses
    assert float(loss) == pytest.approx(0.3 * twin.covariance_penalty(prototypes), rel=1e-4)
    assert not PrototypeSelection(6, 2).losses
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.decorrelation == 0.3


def test_half_precision():
    check_half_precision(PrototypeSelection(3, 3), SUMMARY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_prototypes": 3, "num_selected": 4}, "num_prototypes=3 .* got 4"),
        ({"num_prototypes": 3, "num_selected": 0}, "num_prototypes=3 .* got 0"),
        ({"num_prototypes": 3, "num_selected": 1, "decorrelation": -1}, "at least 0, got -1"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        PrototypeSelection(**arguments)
