"""The embedding table: the one layer that reads TensorFlow's variable by rows."""

from __future__ import annotations

import contextlib
import contextvars
import warnings

import keras
import numpy as np
import tensorflow as tf
from keras import ops


def require_eager():
    """Keras 3 needs eager execution; switches it on again where a script has switched it off.

    DeepCTR's examples call `tf.compat.v1.disable_eager_execution()`. To be called before the
    first Input layer: then it is too late.

    Raises:
        RuntimeError: it is too late to switch it on.
    """
    if tf.executing_eagerly():  # any closer look would make a graph, and make it too late
        return
    try:
        tf.compat.v1.enable_eager_execution()
    except ValueError as error:
        raise RuntimeError(
            "deeprec_tf: eager execution is off and graph operations were made already. Remove "
            "tf.compat.v1.disable_eager_execution() from the script: Keras 3 trains compiled "
            "graphs without it."
        ) from error
    warnings.warn(
        "deeprec_tf: eager execution was off (tf.compat.v1.disable_eager_execution()) and was "
        "switched on again: Keras 3 needs it and trains compiled graphs without that call.",
        stacklevel=3,
    )


_handed_rows = contextvars.ContextVar("handed_rows", default=None)


@contextlib.contextmanager
def rows_handed_in(rows):
    """Within it, tables take these rows: so the gather can stay outside what XLA compiles.

    Args:
        rows: dict from `id(layer)` to the tensors that the layer's calls give, in the order of
            the calls; layers that are not named gather as ever.
    """
    token = _handed_rows.set({key: iter(tensors) for key, tensors in rows.items()})
    try:
        yield
    finally:
        _handed_rows.reset(token)


def own_initializer(identifier):
    """The Keras initializer of a name, or a copy: with a fresh seed, if none was given."""
    initializer = keras.initializers.get(identifier)
    is_object = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if is_object else initializer


@keras.saving.register_keras_serializable(package="deeprec_tf")
class TableEmbedding(keras.layers.Layer):
    """Rows of a table, looked up by integer id.

    The lookup gathers rows straight from the variable; the table as a whole is never read, cast
    or copied, in the forward pass or for the gradient. So a step costs what its ids cost, not
    what the vocabulary costs. The gradient is float32 `tf.IndexedSlices` under any dtype
    policy, one row an occurrence: train with `deeprec_tf.optimizers`, which sum the repeats.

    The layer makes no mask and gives none on; id 0 is an ordinary row.

    Args:
        vocabulary_size: V, rows of the table; ids run from 0 to V - 1.
        embedding_dim: D, width of the table.
        embeddings_initializer: Keras initializer or its name. An initializer without a seed is
            copied, so that two tables given the same one start different. The default
            N(0, 0.01^2) keeps the first logits near zero.
        pretrained: array (V, D) of start values, in place of the initializer's. Not part of
            the configuration: a saved model has the weights themselves.
        **kwargs: `trainable` (False freezes the table), `name`, `dtype`.

    Call arguments:
        ids: any integer dtype, any shape (...).
        whole: the table itself instead of rows, wherever the ids are; its gradient is dense.

    Returns:
        (..., D) in the compute dtype; (V, D) with `whole`.

    Raises:
        TypeError: the ids are no integers.
        ValueError: a size is no positive integer, or `pretrained` has a wrong shape.

    Example:
        >>> table = TableEmbedding(3, 2, pretrained=[[0, 0], [1, 2], [3, 4]], trainable=False)
        >>> table(np.array([[1, 2]])).numpy().tolist()
        [[[1.0, 2.0], [3.0, 4.0]]]
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_dim,
        *,
        embeddings_initializer=None,
        pretrained=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for label, size in (("vocabulary_size", vocabulary_size), ("embedding_dim", embedding_dim)):
            if isinstance(size, bool) or not hasattr(size, "__index__") or int(size) < 1:
                raise ValueError(
                    f"TableEmbedding '{self.name}': {label} must be an integer of at least 1, "
                    f"got {size!r}."
                )
        self.vocabulary_size = int(vocabulary_size)
        self.embedding_dim = int(embedding_dim)
        if embeddings_initializer is None:
            embeddings_initializer = keras.initializers.RandomNormal(stddev=0.01)
        self.embeddings_initializer = own_initializer(embeddings_initializer)
        self.supports_masking = True                          # takes masked ids; gives no mask on
        self._start_values = None if pretrained is None else self._checked(pretrained)

    def build(self, ids_shape):
        """Make the table."""
        initializer = self.embeddings_initializer
        if self._start_values is not None:
            start_values, self._start_values = self._start_values, None

            def initializer(shape, dtype=None):
                return ops.convert_to_tensor(start_values, dtype)

        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.vocabulary_size, self.embedding_dim),
            initializer=initializer,
            autocast=False,                                   # a cast would read the whole table
        )

    def call(self, ids, whole=False):
        """Gather the rows, or take those that were handed in."""
        if whole:
            return ops.cast(self.embeddings, self.compute_dtype)
        handed = (_handed_rows.get() or {}).get(id(self))
        if handed is not None:
            return next(handed, None)                         # a StopIteration would end a `fit`
        return ops.cast(self.gather(ids), self.compute_dtype)

    def gather(self, ids):
        """The rows as they stand in the table: (..., D) in the variable's dtype."""
        ids = ops.convert_to_tensor(ids)
        self._check_dtype(ids)
        if ids.dtype not in (tf.int32, tf.int64):
            ids = tf.cast(ids, tf.int64)
        return tf.nn.embedding_lookup(self.embeddings.value, ids)

    def compute_mask(self, *args, **kwargs):
        """No mask: `padding_mask` makes masks, and models pass them by name."""
        return None

    def compute_output_shape(self, ids_shape):
        """(..., D)."""
        return (*ids_shape, self.embedding_dim)

    def compute_output_spec(self, ids, whole=False):
        """Shape and dtype, without running the lookup."""
        self._check_dtype(ids)
        shape = (self.vocabulary_size,) if whole else ids.shape
        return keras.KerasTensor(self.compute_output_shape(shape), dtype=self.compute_dtype)

    def get_config(self):
        """Every argument but `pretrained`."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }

    def _checked(self, pretrained):
        values = np.array(pretrained, dtype="float32")
        if values.shape != (expected := (self.vocabulary_size, self.embedding_dim)):
            raise ValueError(
                f"TableEmbedding '{self.name}': pretrained must have the shape "
                f"(vocabulary_size, embedding_dim) = {expected}, got {values.shape}. "
                "Row i holds the vector of id i; row 0 too."
            )
        return values

    def _check_dtype(self, ids):
        dtype = keras.backend.standardize_dtype(ids.dtype)
        if "int" not in dtype:
            raise TypeError(
                f"TableEmbedding '{self.name}': ids must be integers, got {dtype}. "
                "Give the Input dtype='int32' or 'int64', or cast the ids."
            )
