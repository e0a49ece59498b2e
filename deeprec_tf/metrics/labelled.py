"""A metric over the rows that have the task's label."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class Labelled(keras.metrics.Metric):
    """Any Keras metric, over the rows whose label is not NaN; NaN where there is no such row.

    Args:
        metric: the Keras metric. Its name is kept.
        **kwargs: `dtype`.

    Example:
        >>> metric = Labelled(keras.metrics.AUC())
        >>> labels = keras.ops.array([[1.0], [0.0], [float("nan")]])
        >>> metric.update_state(labels, keras.ops.array([[0.9], [0.1], [0.5]]))
        >>> float(metric.result())
        1.0
    """

    def __init__(self, metric, **kwargs):
        kwargs.pop("name", None)
        super().__init__(name=metric.name, **kwargs)
        self.metric = metric
        self.seen = self.add_variable(shape=(), initializer="zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Takes labels (B,) or (B, 1), NaN where there is none, predictions (B, n) and weights."""
        labels, known = known_labels(y_true)
        if sample_weight is not None:
            known = known * ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        self.seen.assign_add(ops.sum(ops.cast(known > 0, self.seen.dtype)))
        self.metric.update_state(labels, y_pred, known)

    def result(self):
        """The metric's; NaN where no row had a label and a weight."""
        return keras.tree.map_structure(
            lambda value: ops.where(self.seen > 0, value, float("nan")), self.metric.result()
        )

    def reset_state(self):
        """Forgets all rows."""
        self.seen.assign(0.0)
        self.metric.reset_state()

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "metric": keras.saving.serialize_keras_object(self.metric),
        }

    @classmethod
    def from_config(cls, config):
        """The metric again."""
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("metric")), **config)


def known_labels(y_true):
    """Labels (B, 1) with 0 in place of NaN, and 1.0 for each row (B,) that has one."""
    labels = ops.cast(y_true, "float32")
    if len(labels.shape) == 1:
        labels = ops.expand_dims(labels, -1)
    is_known = ops.logical_not(ops.isnan(labels))
    return ops.where(is_known, labels, 0.0), ops.cast(ops.all(is_known, axis=-1), "float32")
