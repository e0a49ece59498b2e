"""The probability that items are drawn with."""

import math

import keras
import numpy as np
from keras import ops

DISTRIBUTIONS = ("uniform", "log_uniform", "popularity")


def checked_counts(owner, distribution, vocabulary_size, counts):
    """Counts by id as float64 without those of padding, or None where none are wanted.

    Raises:
        ValueError: the distribution is unknown, counts are missing, of another length, negative or
            all zero, or the catalogue has no item.
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(
            f"{owner}: distribution must be one of {DISTRIBUTIONS}, got {distribution!r}."
        )
    if vocabulary_size < 2:
        raise ValueError(f"{owner}: there is no item beside padding (vocabulary_size < 2).")
    if distribution != "popularity" or counts is None:
        return None
    counts = np.asarray(counts, "float64")
    if counts.shape != (vocabulary_size,):
        raise ValueError(
            f"{owner}: counts must have one number an id, shape ({vocabulary_size},), padding's at "
            f"0, got {counts.shape}. np.bincount(item_ids, minlength={vocabulary_size}) makes them."
        )
    real = counts[1:]
    if not np.isfinite(real).all() or (real < 0).any() or not real.any():
        raise ValueError(f"{owner}: counts must be finite, at least 0, and not all 0.")
    return real


def log_number(ids):
    """The logarithm of how many ids are no padding, 0 where none is."""
    number = ops.sum(ops.cast(ops.not_equal(ids, 0), "float32"))
    return ops.log(ops.maximum(number, 1.0))


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ItemProbability(keras.layers.Layer):
    """log(times · P(item)) of a distribution over the items 1..V-1.

    uniform: P = 1 / (V - 1). log_uniform: P(k) = log((k + 1) / k) / log V, for ids in the order of
    falling frequency. popularity: P = count^alpha / sum over the items that occurred of theirs; one
    that never did, and is never drawn, gets that of half an occurrence beside, so that its
    logarithm is finite.

    Args:
        vocabulary_size: V, padding counted.
        distribution: one of the three.
        counts: array (V,) of occurrences, for "popularity". Not part of the configuration: a saved
            model has the logarithms themselves.
        alpha: exponent of "popularity".
        times: how many are drawn, with replacement: then it is the log of the expected count.

    Call arguments:
        ids: integer tensor (...); padding gets some finite number.
        drawn: ids (K,) of what was drawn, 0 for none, where their number is known by them alone.

    Returns:
        float32 tensor (...).

    Raises:
        ValueError: an unknown distribution, or counts that are none.

    References:
        Jean et al., On Using Very Large Target Vocabulary for Neural Machine Translation, ACL 2015.
    """

    weights_are_data = True  # not learned: a warm start leaves them

    def __init__(
        self, vocabulary_size, distribution="uniform", *, counts=None, alpha=1.0, times=1, **kwargs
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.vocabulary_size = int(vocabulary_size)
        self.distribution = distribution
        self.alpha = float(alpha)
        self.times = int(times)
        real = checked_counts(self.name, distribution, self.vocabulary_size, counts)
        self._start = None
        if real is not None:
            total = (real[real > 0] ** self.alpha).sum()
            self._start = np.log(np.maximum(real, 0.5) ** self.alpha / total)

    def build(self, ids_shape, drawn_shape=None):
        """Makes the table of logarithms, for "popularity"."""
        if self.distribution != "popularity":
            return
        start, self._start = self._start, None

        def initializer(shape, dtype=None):
            values = np.zeros(shape) if start is None else np.concatenate([[0.0], start])
            return ops.convert_to_tensor(values, dtype)

        self.logarithms = self.add_weight(
            shape=(self.vocabulary_size,), initializer=initializer, trainable=False,
            name="log_probability", autocast=False,
        )

    def call(self, ids, drawn=None):
        """Applies the layer."""
        if self.distribution == "popularity":
            logarithms = ops.take(self.logarithms, ids, axis=0)
        elif self.distribution == "log_uniform":
            place = ops.cast(ops.maximum(ids, 1), "float32")
            share = ops.log1p(1.0 / place) / math.log(self.vocabulary_size)
            logarithms = ops.log(share)
        else:
            logarithms = ops.zeros(ops.shape(ids), "float32") - math.log(self.vocabulary_size - 1)
        if drawn is not None:
            logarithms = logarithms + log_number(drawn)
        return logarithms + math.log(self.times)

    def compute_output_spec(self, ids, drawn=None):
        """One number an id."""
        return keras.KerasTensor(ids.shape, dtype="float32")

    def get_config(self):
        """The arguments, without the counts."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "distribution": self.distribution,
            "alpha": self.alpha,
            "times": self.times,
        }
