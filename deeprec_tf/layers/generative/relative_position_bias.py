"""T5's relative positions: one learned number a head for each bucket of distances."""

import math

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class RelativePositionBias(keras.layers.Layer):
    """b[h, i, j] = table[bucket(j - i), h], added to the attention scores of step i on step j.

    Near distances have a bucket each, farther ones share it by their logarithm up to
    `max_distance`. In both directions half of the buckets are for later steps; in one direction all
    of them are for earlier steps, and later ones share that of distance 0.

    Args:
        num_heads: heads H.
        maxlen: longest sequence.
        bidirectional: whether later steps are told from earlier ones.
        num_buckets: buckets in all.
        max_distance: from here on all distances share the last bucket.

    Call arguments:
        sequence: tensor (B, T, D), whose length counts.

    Returns:
        float32 tensor (H, T, T).

    References:
        Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer, JMLR 2020.
    """

    def __init__(
        self, num_heads, maxlen, *, bidirectional=True, num_buckets=32, max_distance=128, **kwargs
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_heads = int(num_heads)
        self.maxlen = int(maxlen)
        self.bidirectional = bool(bidirectional)
        self.num_buckets = int(num_buckets)
        self.max_distance = int(max_distance)
        distances = np.arange(1 - self.maxlen, self.maxlen)  # j - i
        self._is_in_bucket = np.eye(self.num_buckets, dtype="float32")[
            [self._bucket(int(distance)) for distance in distances]
        ]

    def _bucket(self, distance):
        buckets, first = self.num_buckets, 0
        if self.bidirectional:
            buckets //= 2
            first = buckets if distance > 0 else 0
            distance = abs(distance)
        else:
            distance = max(-distance, 0)
        exact = buckets // 2
        if distance < exact:
            return first + distance
        share = math.log(distance / exact) / math.log(self.max_distance / exact)
        return first + min(exact + int(share * (buckets - exact)), buckets - 1)

    def build(self, sequence_shape=None):
        """Creates the table."""
        self.table = self.add_weight(
            shape=(self.num_buckets, self.num_heads), name="table",
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )

    def call(self, sequence):
        """Applies the layer."""
        return self.of_length(ops.shape(sequence)[1])

    def of_length(self, steps):
        """The same for a sequence of so many steps."""
        # A product and not a look-up, so that the gradient of the small table is dense.
        by_distance = ops.matmul(self._is_in_bucket, self.table)  # (2 maxlen - 1, H)
        places = ops.arange(steps)
        bias = ops.take(by_distance, places[None, :] - places[:, None] + self.maxlen - 1, axis=0)
        return ops.transpose(bias, (2, 0, 1))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape):
        """(H, T, T)."""
        return (self.num_heads, sequence_shape[1], sequence_shape[1])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "maxlen": self.maxlen,
            "bidirectional": self.bidirectional,
            "num_buckets": self.num_buckets,
            "max_distance": self.max_distance,
        }
