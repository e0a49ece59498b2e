import keras
import numpy as np
import pytest

from deeprec_tf.metrics import Labelled

LABELS = np.array([[1.0], [np.nan], [0.0], [1.0]])
SCORES = np.array([[0.8], [0.1], [0.3], [0.2]], "float32")


@pytest.mark.parametrize("weights", [None, np.array([1.0, 5.0, 2.0, 0.5])])
@pytest.mark.parametrize(
    "metric", [keras.metrics.AUC, keras.metrics.RootMeanSquaredError, keras.metrics.BinaryAccuracy]
)
def test_equals_the_metric_of_the_rows_with_a_label(metric, weights):
    wrapped, plain = Labelled(metric(name="it")), metric()
    wrapped.update_state(LABELS, SCORES, weights)
    known = ~np.isnan(LABELS[:, 0])
    plain.update_state(LABELS[known], SCORES[known], None if weights is None else weights[known])
    assert float(wrapped.result()) == pytest.approx(float(plain.result()), rel=1e-6)
    assert wrapped.name == "it"
    wrapped.reset_state()
    wrapped.update_state(LABELS[:1], SCORES[:1])
    plain.reset_state()
    plain.update_state(LABELS[:1], SCORES[:1])
    assert float(wrapped.result()) == float(plain.result())


def test_no_label_at_all_is_no_row():
    metric = Labelled(keras.metrics.MeanSquaredError())
    assert np.isnan(metric.result())
    metric.update_state(np.full((2, 1), np.nan), SCORES[:2])
    assert np.isnan(metric.result())
    metric.update_state(LABELS, SCORES, np.zeros(4))
    assert np.isnan(metric.result())
    metric.update_state(LABELS, SCORES)
    assert 0 < float(metric.result()) < 1
    metric.reset_state()
    assert np.isnan(metric.result())


def test_round_trip():
    metric = Labelled(keras.metrics.AUC(num_thresholds=50, name="auc"))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert copy.name == "auc" and copy.metric.num_thresholds == 50
