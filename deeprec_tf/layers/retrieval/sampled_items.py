"""Item ids drawn at random."""

import math

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.core.constants import constant_weight
from deeprec_tf.layers.core.draws import DrawingLayer
from deeprec_tf.layers.retrieval.item_probability import checked_counts


@keras.saving.register_keras_serializable(package="deeprec_tf")
class SampledItems(DrawingLayer):
    """Ids of items drawn at random, with replacement, anew at every call.

    Popularity draws by an alias table, two gathers a draw; everything has static shapes where the
    batch has, so it runs under XLA.

    Args:
        vocabulary_size: V, padding counted; ids come from 1..V-1.
        number: K, how many.
        distribution: "uniform", "log_uniform" or "popularity", see `ItemProbability`.
        counts: array (V,) of occurrences, for "popularity"; an item that never occurred is not
            drawn. Not part of the configuration.
        alpha: exponent of "popularity", at least 0.
        each: False draws K for the whole batch, True K for each entry of `like`.
        **kwargs: `seed`, `name`.

    Call arguments:
        like: any tensor that depends on the batch; with `each`, integer ids (B,) or (B, T).

    Returns:
        int32 tensor (K,), or (B, K) or (B, T, K).

    Raises:
        ValueError: no item is to be drawn, an unknown distribution, counts that are none, or a
            negative exponent.
    """

    weights_are_data = True  # not learned: a warm start leaves them

    def __init__(
        self, vocabulary_size, number, distribution="uniform", *, counts=None, alpha=0.75,
        each=False, **kwargs,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if number < 1:
            raise ValueError(f"{self.name}: number must be at least 1, got {number!r}.")
        self.vocabulary_size = int(vocabulary_size)
        self.number = int(number)
        self.distribution = distribution
        self.alpha = float(alpha)
        if not 0.0 <= self.alpha < math.inf:
            raise ValueError(f"{self.name}: alpha must be finite and at least 0, got {alpha!r}.")
        self.each = each
        real = checked_counts(self.name, distribution, self.vocabulary_size, counts)
        self._start = None
        if real is not None:  # an item without occurrences is not drawn, whatever the exponent
            self._start = _alias_table(np.where(real > 0, real**self.alpha, 0.0))

    def build(self, like_shape):
        """Makes the alias table, for "popularity"."""
        if self.distribution != "popularity":
            return
        start, self._start = self._start, None
        size = self.vocabulary_size - 1
        keep, other = (np.ones(size), np.arange(size)) if start is None else start
        self.keep = constant_weight(self, "keep", keep, "float32")
        self.other = constant_weight(self, "other", other)

    def call(self, like):
        """Applies the layer."""
        shape = (*ops.shape(like), self.number) if self.each else (self.number,)
        size = self.vocabulary_size - 1
        if self.distribution == "log_uniform":  # 23 random bits would leave out most large ids
            u = keras.random.uniform(shape, seed=self.seed_generator, dtype="float64")
            drawn = ops.floor(ops.exp(u * math.log(size + 1.0)))
            return ops.clip(ops.cast(drawn, "int32"), 1, size)
        u = keras.random.uniform(shape, seed=self.seed_generator, dtype="float32")
        if self.distribution == "uniform":
            if size < 1 << 17:  # 23 random bits: an item's chance is off by a 64th at most
                return ops.minimum(ops.cast(u * size, "int32"), size - 1) + 1
            return keras.random.randint(shape, 1, size + 1, seed=self.seed_generator)
        at = keras.random.randint(shape, 0, size, seed=self.seed_generator)
        stays = u < ops.take(self.keep, at, axis=0)
        other = ops.cast(ops.take(self.other, at, axis=0), "int32")
        return ops.where(stays, at, other) + 1

    def compute_output_spec(self, like):
        """Ids."""
        shape = (*like.shape, self.number) if self.each else (self.number,)
        return keras.KerasTensor(shape, dtype="int32")

    def get_config(self):
        """The arguments, without the counts."""
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "number": self.number,
            "distribution": self.distribution,
            "alpha": self.alpha,
            "each": self.each,
        }


def _alias_table(weights):
    """The alias table (keep, other): place i is drawn evenly, and stays i with keep[i].

    What the poor places lack is taken from the rich in order; a rich one that has given more than
    it has above 1 takes the rest from the next. So all is said by the running sums of what is
    lacking and of what is to spare (Huebschle-Schneider and Sanders, Parallel Weighted Random
    Sampling, ESA 2019), and no loop over the items is wanted.
    """
    size = len(weights)
    scaled = weights * (size / weights.sum())
    keep, other = np.ones(size), np.arange(size)
    poor, rich = np.flatnonzero(scaled < 1.0), np.flatnonzero(scaled >= 1.0)
    if not len(poor) or not len(rich):
        return keep, other
    lacking, spare = np.cumsum(1.0 - scaled[poor]), np.cumsum(scaled[rich] - 1.0)
    giver = np.searchsorted(spare, np.concatenate([[0.0], lacking[:-1]]))
    keep[poor], other[poor] = scaled[poor], rich[np.minimum(giver, len(rich) - 1)]
    # A rich place has given too much with the first poor one that reaches beyond what it can spare.
    last = np.searchsorted(lacking, spare, side="right")
    gave = np.flatnonzero(last[:-1] < len(poor))  # the very last one: nothing but rounding
    keep[rich[gave]] = 1.0 - (lacking[last[gave]] - spare[gave])
    other[rich[gave]] = rich[gave + 1]
    return keep, other
