"""The catalogue as tensors: its ids, its features, and the items of the batch."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.constants import INTEGER, constant_weight
from deeprec_tf.layers.core.draws import DrawingLayer


@keras.saving.register_keras_serializable(package="deeprec_tf")
class AllIds(keras.layers.Layer):
    """The ids 0..V-1, whatever the batch holds.

    Args:
        vocabulary_size: V, padding counted.

    Call arguments:
        like: any tensor of the graph.

    Returns:
        int32 tensor (V,).
    """

    def __init__(self, vocabulary_size, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = int(vocabulary_size)

    def call(self, like):
        """Applies the layer."""
        return ops.arange(self.vocabulary_size, dtype="int32")

    def compute_output_spec(self, like):
        """The ids."""
        return keras.KerasTensor((self.vocabulary_size,), dtype="int32")

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ItemFeatures(keras.layers.Layer):
    """What is known of each item, by its id: a table that is not trained.

    Args:
        shape: shape of the table, (V,) or (V, n).
        values: the table, row i the feature of item i. Not part of the configuration: a saved
            model has the values themselves.
        feature_dtype: "int32", "int64" or "float32".

    Call arguments:
        ids: integer tensor (...).

    Returns:
        Tensor (...) or (..., n) of the table's dtype.

    Raises:
        ValueError: values of another shape.
    """

    weights_are_data = True  # not learned: a warm start leaves them

    def __init__(self, shape, *, values=None, feature_dtype="float32", **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.shape = tuple(shape)
        self.feature_dtype = feature_dtype
        if values is not None and np.shape(values) != self.shape:
            raise ValueError(
                f"{self.name}: the table must have the shape {self.shape}, got {np.shape(values)}."
            )
        self._start = values

    def build(self, ids_shape):
        """Makes the table."""
        start, self._start = self._start, None
        values = np.zeros(self.shape) if start is None else start
        dtype = INTEGER if "int" in self.feature_dtype else self.feature_dtype
        self.table = constant_weight(self, "table", values, dtype)

    def call(self, ids):
        """Applies the layer."""
        return ops.cast(ops.take(self.table, ids, axis=0), self.feature_dtype)

    def compute_output_spec(self, ids):
        """The ids' shape and what a feature has beyond."""
        return keras.KerasTensor((*ids.shape, *self.shape[1:]), dtype=self.feature_dtype)

    def get_config(self):
        """The arguments, without the values."""
        return {
            **super().get_config(), "shape": self.shape, "feature_dtype": self.feature_dtype,
        }


@keras.saving.register_keras_serializable(package="deeprec_tf")
class KeepTogether(keras.layers.Layer):
    """The first tensor as it is; what made the others is part of the model, too.

    Call arguments:
        kept: any tensor.
        *others: tensors that nothing else reads.

    Returns:
        The first tensor.
    """

    gains_from_xla = False

    def call(self, kept, *others):
        """Applies the layer."""
        return ops.convert_to_tensor(kept)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, kept, *others):
        """That of the first."""
        return keras.KerasTensor(kept.shape, dtype=kept.dtype)


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BatchItems(DrawingLayer):
    """Some of the positives of a batch, as candidates for all its positions.

    Args:
        number: K, how many at most; drawn anew at every call where there are more.
        **kwargs: `seed`, `name`.

    Call arguments:
        labels: integer tensor (B, T), the positive of each position, 0 for padding.
        vectors: float tensor (B, T, D), their vectors.

    Returns:
        int32 tensor (K,) of ids, 0 where the batch has fewer, and float tensor (K, D).
    """

    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.number = int(number)

    def call(self, labels, vectors):
        """Applies the layer."""
        ids = ops.cast(ops.reshape(labels, (-1,)), "int32")
        flat = ops.reshape(vectors, (-1, vectors.shape[-1]))
        ids = ops.pad(ids, [(0, self.number)])  # so that there are K in any case
        flat = ops.pad(flat, [(0, self.number), (0, 0)])
        keys = keras.random.uniform(ops.shape(ids), seed=self.seed_generator, dtype="float32")
        _, chosen = ops.top_k(ops.where(ids > 0, keys, -1.0), self.number)
        return ops.take(ids, chosen, axis=0), ops.take(flat, chosen, axis=0)

    def compute_output_spec(self, labels, vectors):
        """Ids and vectors."""
        return (
            keras.KerasTensor((self.number,), dtype="int32"),
            keras.KerasTensor((self.number, vectors.shape[-1]), dtype=vectors.dtype),
        )

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "number": self.number}
