"""How often an item comes in a batch, estimated while training goes on."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.constants import INTEGER
from deeprec_tf.layers.retrieval._state_kernels import put_rows, take_rows
from deeprec_tf.layers.retrieval.item_probability import log_number

_PRIME = (1 << 31) - 1


@keras.saving.register_keras_serializable(package="deeprec_tf")
class StreamingFrequency(keras.layers.Layer):
    """log P(item is in a batch), from the steps between its occurrences (Yi et al., algorithm 2).

    At step t, for every item of the batch: B ← (1 - α) B + α (t - A), then A ← t. A is the step at
    which the item came last, B the estimated gap between two of its steps, and 1 / B the
    probability. An item that is twice in a batch counts once. Only training moves A and B; they are
    saved with the model. Under a strategy the first replica's rows alone move them, for all
    replicas, so shuffle.

    With fewer buckets than items, ids share them by a hash. A collision can only make an item look
    more frequent, so with several hash functions the largest B counts. A step reads and writes the
    rows of its ids alone, however many items there are.

    One departure: at an item's first occurrence B is its first gap itself, t, instead of α t, which
    would take 1 / α occurrences to be forgotten. An item that never came is taken to have the gap
    t.

    Args:
        vocabulary_size: V, padding counted.
        alpha: α above 0, at most 1: how fast estimates follow.
        buckets: H; one for each item, without collisions, when None.
        hashes: number of hash functions; 1 without buckets.
        **kwargs: `name`.

    Call arguments:
        labels: integer tensor (...), the items of the batch; 0 is padding and does not count.
        candidates: integer tensor (...), further items to estimate.
        drawn: ids (K,), 0 for none: as many of the labels, or of batches like them, serve as
            candidates. Then it is the log of the expected count among them, K P / (number of
            labels); the logarithm of P when None.

    Returns:
        float32 tensors of the shapes of labels and candidates.

    Raises:
        ValueError: a number is out of its range, or several hashes without buckets.

    References:
        Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations,
        RecSys 2019.
    """

    gains_from_xla = False  # the arrays are as long as the catalogue, and compiled code copies them

    def __init__(self, vocabulary_size, *, alpha=0.01, buckets=None, hashes=1, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not 0 < alpha <= 1:
            raise ValueError(f"{self.name}: alpha must be above 0 and at most 1, got {alpha!r}.")
        if hashes < 1 or (buckets is None and hashes > 1) or (buckets is not None and buckets < 1):
            raise ValueError(
                f"{self.name}: buckets and hashes must be at least 1, and several hashes need "
                f"buckets, got buckets={buckets!r} and hashes={hashes!r}."
            )
        self.vocabulary_size = int(vocabulary_size)
        self.alpha = float(alpha)
        self.buckets = None if buckets is None else int(buckets)
        self.hashes = int(hashes)
        # Of their own seed: a saved model must find its items again.
        generator = np.random.default_rng(2019)
        self._factors = generator.integers(1, _PRIME, size=(self.hashes, 2))

    @property
    def rows_of_items(self):
        """Names of the weights that have a row an item, for a warm start."""
        return () if self.buckets else ("last_seen", "gap")

    @property
    def knows_item_ids(self):
        """Whether ids are hashed, so that a warm start with other ids begins anew."""
        return self.buckets is not None

    def build(self, labels_shape, candidates_shape=None, drawn_shape=None):
        """Makes A, B and the step; bucket 0 is padding's."""
        size = self.vocabulary_size if self.buckets is None else self.buckets + 1
        options = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        shape = (self.hashes * size,)
        self.last_seen = self.add_weight(
            shape=shape, dtype=INTEGER, initializer="zeros", name="last_seen", **options
        )
        self.gap = self.add_weight(shape=shape, initializer="zeros", name="gap", **options)
        self.step = self.add_weight(
            shape=(), dtype=INTEGER, initializer="zeros", name="step", **options
        )

    def call(self, labels, candidates, drawn=None, training=False):
        """Applies the layer."""
        step, last_seen, gap = ops.convert_to_tensor(self.step), self.last_seen, self.gap
        if training:
            step = step + 1
            places = ops.reshape(self._places(labels), (-1,))
            last = take_rows(last_seen, places)
            since = ops.cast(step - last, "float32")
            mixed = (1.0 - self.alpha) * take_rows(gap, places) + self.alpha * since
            # Occurrences in one batch all write the same.
            gap = put_rows(gap, places, ops.where(last > 0, mixed, since))
            last_seen = put_rows(last_seen, places, ops.zeros_like(last) + step)
            self.step.assign(step)
        # Padding's own bucket is kept, but nobody asks for it.
        times = 0.0 if drawn is None else log_number(drawn) - log_number(labels)
        return tuple(
            self._logarithm(ids, step, last_seen, gap) + times for ids in (labels, candidates)
        )

    def _places(self, ids):
        """Places of ids in the arrays: (...) to int32 (..., hashes)."""
        if self.buckets is None:
            return ops.cast(ids, "int32")[..., None]
        ids = ops.cast(ids, "int64")[..., None]
        factors = ops.convert_to_tensor(self._factors, "int64")
        hashed = (ids * factors[:, 0] + factors[:, 1]) % _PRIME % self.buckets + 1
        hashed = ops.where(ids > 0, hashed, ops.zeros_like(hashed))
        first = ops.arange(self.hashes, dtype="int64") * (self.buckets + 1)
        return ops.cast(hashed + first, "int32")

    def _logarithm(self, ids, step, last_seen, gap):
        places = self._places(ids)
        waited = ops.cast(step, "float32")
        gaps = ops.where(take_rows(last_seen, places) > 0, take_rows(gap, places), waited)
        return -ops.log(ops.maximum(ops.max(gaps, axis=-1), 1.0))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return (None, None)

    def compute_output_spec(self, labels, candidates, drawn=None, training=False):
        """One number an id."""
        return tuple(keras.KerasTensor(ids.shape, dtype="float32") for ids in (labels, candidates))

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "alpha": self.alpha,
            "buckets": self.buckets,
            "hashes": self.hashes,
        }
