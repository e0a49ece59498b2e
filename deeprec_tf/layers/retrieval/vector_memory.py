"""Items of the last batches, as further candidates."""

import keras
from keras import ops

from deeprec_tf.layers.core.constants import INTEGER


@keras.saving.register_keras_serializable(package="deeprec_tf")
class VectorMemory(keras.layers.Layer):
    """A queue of the last items and their vectors: in-batch negatives beyond the batch.

    The vectors are those that the items had when they were in the batch, and pass no gradient: the
    towers move slowly, so they are still near what they would be. A call gives what is in the queue
    and, in training, puts the batch in after that, the oldest items leaving. The queue is saved
    with the model. Under a strategy it holds the first replica's rows.

    Args:
        size: M, how many items it holds.
        **kwargs: `name`.

    Call arguments:
        ids: integer tensor (N,), 0 for none.
        vectors: float tensor (N, D).

    Returns:
        int32 tensor (M,) of ids, newest first, 0 where the queue is not full yet, and float32
        tensor (M, D), zeros there.

    Raises:
        ValueError: a size below 1.

    References:
        Wang et al., Cross-Batch Negative Sampling for Training Two-Tower Recommenders, SIGIR 2021.
    """

    gains_from_xla = False  # what it gives would be copied into the compiled part and out again
    knows_item_ids = True  # so a warm start with other ids leaves it empty

    def __init__(self, size, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if size < 1:
            raise ValueError(f"{self.name}: size must be at least 1, got {size!r}.")
        self.size = int(size)

    def build(self, ids_shape, vectors_shape):
        """Makes the queue."""
        options = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.ids = self.add_weight(
            shape=(self.size,), dtype=INTEGER, initializer="zeros", name="ids", **options
        )
        self.vectors = self.add_weight(
            shape=(self.size, vectors_shape[-1]), initializer="zeros", name="vectors", **options
        )

    def call(self, ids, vectors, training=False):
        """Applies the layer."""
        # Read now: the variables themselves would show what is assigned below.
        known, old = ops.cast(self.ids, "int32"), ops.stop_gradient(self.vectors)
        if training:
            new = ops.stop_gradient(ops.cast(vectors, "float32"))
            newest = ops.concatenate([ops.cast(ids, "int32"), known])
            kept = _first_real(newest, self.size)
            newest = ops.take(newest, kept, axis=0)
            self.ids.assign(ops.cast(newest, INTEGER))
            vectors = ops.take(ops.concatenate([new, old]), kept, axis=0)
            self.vectors.assign(ops.where(newest[:, None] != 0, vectors, 0.0))
        return known, old

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return (None, None)

    def compute_output_spec(self, ids, vectors, training=False):
        """Ids and vectors."""
        return (
            keras.KerasTensor((self.size,), dtype="int32"),
            keras.KerasTensor((self.size, vectors.shape[-1]), dtype="float32"),
        )

    def get_config(self):
        """Returns the argument."""
        return {**super().get_config(), "size": self.size}


def _first_real(ids, number):
    """The places of the first ids that are not 0, in their order, and of zeros behind them."""
    count = ops.shape(ids)[0]
    places = ops.cast(ops.arange(count), "float32")  # exact up to 16 million
    all_of_them = ops.cast(count, "float32")
    _, chosen = ops.top_k(ops.where(ids != 0, all_of_them - places, -places), number)
    return chosen
