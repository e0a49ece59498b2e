import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import PredictionLayer
from tests.layers.contract import check_layer
from tests.reference import core

LOGIT = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_numbers(task):
    layer = PredictionLayer(task)
    layer.build(LOGIT.shape)
    layer.bias.assign([0.5, -1.0, 2.0])
    got = check_layer(layer, LOGIT)
    np.testing.assert_allclose(got, core.predict(LOGIT, [0.5, -1.0, 2.0], task), atol=1e-6)


def test_without_bias():
    layer = PredictionLayer("regression", use_bias=False)
    np.testing.assert_array_equal(check_layer(layer, LOGIT), LOGIT)
    assert layer.weights == []


def test_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = PredictionLayer()
    assert layer(tf.cast(LOGIT, tf.bfloat16)).dtype == tf.float32
    assert layer(keras.Input((1,), dtype="bfloat16")).dtype == "float32"


def test_unknown_task():
    with pytest.raises(ValueError, match="task must be one of .*, got 'ranking'"):
        PredictionLayer("ranking")
