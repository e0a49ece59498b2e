import numpy as np
import pytest

from deeprec_tf.layers import GenerativeLoss


def test_the_prediction_passes_and_the_mean_of_the_rows_is_added():
    layer = GenerativeLoss(0.5)
    prediction, rows = np.array([[0.2], [0.9]], "float32"), np.array([[1.0], [4.0]], "float32")
    np.testing.assert_array_equal(layer(prediction, rows), prediction)
    assert float(layer.losses[0]) == pytest.approx(0.5 * 2.5)
    assert layer.get_config()["weight"] == 0.5
    with pytest.raises(ValueError, match="weight must be above 0, got 0"):
        GenerativeLoss(0)
