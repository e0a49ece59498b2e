"""What steps add to each other's scores by how far apart they stand, and how long."""

import keras
from keras import ops

HIDDEN = -1e4  # SiLU and its gradient are 0 there, and half precision holds it
TIME_BUCKETS = 129
LOG_BASE = 0.301  # natural logarithm: a bucket is 1.35 times as long as the one before


def time_buckets(query_times, key_times):
    """floor(ln(max(1, |difference|)) / .301), at most 128, of every query and key.

    Args:
        query_times: tensor (B, Q) of numbers.
        key_times: tensor (B, K) of the same dtype.

    Returns:
        int32 tensor (B, Q, K).
    """
    apart = ops.absolute(query_times[:, :, None] - key_times[:, None, :])
    logarithm = ops.log(ops.cast(ops.maximum(apart, 1), "float32")) / LOG_BASE
    return ops.cast(ops.minimum(logarithm, TIME_BUCKETS - 1), "int32")


def relative_bias(tables, query_places, key_places, *, window=None, times=None):
    """The bias of every pair, -10,000 where the query must not see the key.

    A step sees itself and those before it, at most `window` of them, and the prefix, whose places
    are negative. The prefix sees itself. Pairs with the prefix have no distance, so no bias.

    Args:
        tables: biases by distance (N,), and by time (129,) where times are given.
        query_places: int32 tensor (Q,) or (B, Q).
        key_places: int32 tensor (K,) or (B, K).
        window: how many steps a step sees, itself among them; all before it when None.
        times: pair of tensors (B, Q) and (B, K): when the query asks, when the key happened.

    Returns:
        Float tensor (Q, K) or (B, Q, K).
    """
    query, key = ops.expand_dims(query_places, -1), ops.expand_dims(key_places, -2)
    distance = query - key
    seen = ops.logical_and(distance >= 0, key >= 0)
    if window is not None:
        seen = ops.logical_and(seen, distance < window)
    bias = ops.take(tables[0], ops.clip(distance, 0, tables[0].shape[0] - 1), axis=0)
    if times is not None:
        bias = bias + ops.take(tables[1], time_buckets(*times), axis=0)
    hidden = ops.where(key < 0, 0.0, HIDDEN)  # the prefix is seen by all
    return ops.where(seen, bias, ops.cast(hidden, bias.dtype))


@keras.saving.register_keras_serializable(package="deeprec_tf")
class RelativeBias(keras.layers.Layer):
    """rab(i, j) = P[i - j] + W[bucket(t_i, t_j)], one for all heads (HSTU).

    bucket = min(floor(ln(max(1, |t_i - t_j|)) / .301), 128). Steps of the future, and those
    further back than the window, get -10,000, where SiLU is 0.

    Args:
        places: N, how many places a sequence has.
        window: how many steps a step sees, itself among them; all before it when None.
        prefix: how many elements before the first step have no place; all see them.

    Call arguments:
        sequence: tensor (B, S, ...), of whose length the places are taken.
        times: tensor (B, S) of numbers, when each step happened; without it distances alone count.
        query_times: tensor (B, S) of the same dtype, when each step asks.

    Returns:
        Float tensor (S, S), or (B, S, S) with times.

    Raises:
        ValueError: a size below 1.

    References:
        Zhai et al., Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
        Generative Recommendations, ICML 2024.
    """

    def __init__(self, places, *, window=None, prefix=0, **kwargs):
        super().__init__(**kwargs)
        if places < 1 or (window is not None and window < 1):
            raise ValueError(
                f"{self.name}: places and window must be at least 1, got {places} and {window}. A "
                "window of None sees all before."
            )
        self.places = int(places)
        self.window = window
        self.prefix = int(prefix)

    def build(self, sequence_shape, times_shape=None, query_times_shape=None):
        """Creates the tables."""
        start = keras.initializers.RandomNormal(stddev=0.02)
        self.by_distance = self.add_weight(
            shape=(self.places,), initializer=start, name="by_distance"
        )
        if times_shape is not None:
            self.by_time = self.add_weight(
                shape=(TIME_BUCKETS,), initializer=start.clone(), name="by_time"
            )

    @property
    def tables(self):
        """The tables as tensors."""
        names = ("by_distance", "by_time") if hasattr(self, "by_time") else ("by_distance",)
        # Reshaped, so that a table has one dense gradient and not one row for every pair.
        return [ops.reshape(ops.cast(getattr(self, name), self.compute_dtype), (-1,))
                for name in names]

    def call(self, sequence, times=None, query_times=None):
        """Applies the layer."""
        places = ops.arange(ops.shape(sequence)[1], dtype="int32") - self.prefix
        pair = None if times is None else (query_times, times)
        return self.between(places, places, pair)

    def between(self, query_places, key_places, times=None):
        """`relative_bias` by this layer's tables and window."""
        return relative_bias(
            self.tables, query_places, key_places, window=self.window, times=times
        )

    def of_some(self, times=None, query_times=None):
        """Function of the tables and the numbers of some queries and keys that gives their bias.

        Numbers of queries may be behind the last step.
        """

        def bias_of(tables, queries, keys):
            pair = None
            if times is not None:
                asked = ops.pad(query_times, ((0, 0), (0, 1)))
                at = ops.minimum(queries, ops.shape(times)[1])
                pair = (ops.take(asked, at, axis=1), ops.take(times, keys, axis=1))
            places = (queries - self.prefix, keys - self.prefix)
            return relative_bias(tables, *places, window=self.window, times=pair)

        return bias_of

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, sequence, times=None, query_times=None):
        """A number a pair."""
        steps = sequence.shape[1]
        shape = (steps, steps) if times is None else (sequence.shape[0], steps, steps)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "places": self.places, "window": self.window,
            "prefix": self.prefix,
        }
