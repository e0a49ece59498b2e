"""The softmax over the whole catalogue."""

import math
from numbers import Real

import keras
from keras import ops

from deeprec_tf.layers.retrieval._kernels import MOST_LOGITS, catalogue_softmax
from deeprec_tf.layers.retrieval._positions import Positions


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CatalogueLoss(keras.layers.Layer):
    """-log softmax over all items of <query, item> / temperature at the positive.

    A row's loss is its share of the mean over all positions of the batch that have a positive, so
    the mean over rows is that over positions. The logits, positions x items, are never held as one:
    positions are worked off in chunks.

    Args:
        temperature: above 0, divides the scores.
        most_logits: how many logits may be held at once.

    Call arguments:
        queries: float tensor (B, D) or (B, T, D).
        labels: integer tensor (B,) or (B, T), ids of the positives, 0 where there is none.
        items: float tensor (V, D), row i the vector of id i; row 0, padding, does not count.

    Returns:
        float32 tensor (B, 1).

    Raises:
        ValueError: a temperature that is not positive.
    """

    gains_from_xla = False

    def __init__(self, temperature=1.0, *, most_logits=MOST_LOGITS, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not (isinstance(temperature, Real) and 0 < temperature < math.inf):
            raise ValueError(f"{self.name}: temperature must be above 0, got {temperature!r}.")
        self.temperature = float(temperature)
        self.most_logits = int(most_logits)

    def call(self, queries, labels, items, training=False):
        """Applies the layer."""
        positions = Positions(labels, training)
        queries = positions.take(queries) / self.temperature
        labels = positions.take(labels)
        losses = catalogue_softmax(
            queries, items[1:], ops.maximum(labels - 1, 0), labels > 0, self.most_logits,
            training=training,
        )
        return positions.row_losses(losses)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, queries_shape, labels_shape=None, items_shape=None):
        """One number a row."""
        return (queries_shape[0], 1)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "most_logits": self.most_logits,
        }
