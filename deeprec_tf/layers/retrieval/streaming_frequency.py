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
    """Log of how often an item comes in a batch, from its steps (Yi et al., algorithm 2).

    At step t, for every item of the batch: B ← (1 - α) B + α (t - A), C ← (1 - α) C + α n, then
    A ← t. A is the step at which the item came last, B the estimated gap between two of its steps,
    n how often it is in the batch, and C / B the expected count. Only training moves A, B and C;
    they are saved with the model. Under a strategy the first replica's rows alone move them, for
    all replicas, so shuffle.

    With fewer buckets than items, ids share them by a hash. A collision can only make an item look
    more frequent, so with several hash functions the least C / B counts. A step reads and writes
    the rows of its ids alone, however many items there are.

    Two departures: the paper has 1 / B alone, the probability that the item is in a batch, which
    is 1 for all items that come in every batch, however often; its catalogue is far larger than a
    batch. And at an item's first occurrence B is its first gap itself, t, instead of α t, and C is
    n, which would take 1 / α occurrences to be forgotten. An item that never came is taken to have
    the gap t and to come once.

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
            candidates. Then it is the log of the expected count among them, K C / B / (number of
            labels); that of the count among the labels when None.

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
        return () if self.buckets else ("last_seen", "gap", "count")

    @property
    def knows_item_ids(self):
        """Whether ids are hashed, so that a warm start with other ids begins anew."""
        return self.buckets is not None

    def build(self, labels_shape, candidates_shape=None, drawn_shape=None):
        """Makes A, B, C and the step; bucket 0 is padding's."""
        size = self.vocabulary_size if self.buckets is None else self.buckets + 1
        options = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        shape = (self.hashes * size,)
        self.last_seen = self.add_weight(
            shape=shape, dtype=INTEGER, initializer="zeros", name="last_seen", **options
        )
        self.gap = self.add_weight(shape=shape, initializer="zeros", name="gap", **options)
        self.count = self.add_weight(shape=shape, initializer="zeros", name="count", **options)
        self.step = self.add_weight(
            shape=(), dtype=INTEGER, initializer="zeros", name="step", **options
        )

    def call(self, labels, candidates, drawn=None, training=False):
        """Applies the layer."""
        step, last_seen = ops.convert_to_tensor(self.step), self.last_seen
        gap, count = self.gap, self.count
        if training:
            step = step + 1
            places = ops.reshape(self._places(labels), (-1,))
            last = take_rows(last_seen, places)
            # Occurrences in one batch all write the same.
            since = ops.cast(step - last, "float32")
            gap = put_rows(gap, places, self._mixed(gap, places, since, last))
            times = _occurrences(places)
            count = put_rows(count, places, self._mixed(count, places, times, last))
            last_seen = put_rows(last_seen, places, ops.zeros_like(last) + step)
            self.step.assign(step)
        # Padding's own bucket is kept, but nobody asks for it.
        share = 0.0 if drawn is None else log_number(drawn) - log_number(labels)
        return tuple(
            self._logarithm(ids, step, last_seen, gap, count) + share
            for ids in (labels, candidates)
        )

    def _mixed(self, state, places, new, last):
        """The moving mean of what is new; it alone where the item never came before."""
        mixed = (1.0 - self.alpha) * take_rows(state, places) + self.alpha * new
        return ops.where(last > 0, mixed, new)

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

    def _logarithm(self, ids, step, last_seen, gap, count):
        places = self._places(ids)
        came = take_rows(last_seen, places) > 0
        gaps = ops.where(came, take_rows(gap, places), ops.cast(step, "float32"))
        counts = ops.where(came, take_rows(count, places), 1.0)
        return ops.min(ops.log(counts) - ops.log(ops.maximum(gaps, 1.0)), axis=-1)

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


def _occurrences(places):
    """How often each place (N,) is among all of them, float32."""
    ordered = ops.sort(places)
    first, end = (ops.searchsorted(ordered, places, side=side) for side in ("left", "right"))
    return ops.cast(end - first, "float32")
