"""Long histories cut at random in training: HSTU's stochastic length."""

from numbers import Real

import keras
from keras import ops

from deeprec_tf.layers.core.draws import DrawingLayer


@keras.saving.register_keras_serializable(package="deeprec_tf")
class StochasticLength(DrawingLayer):
    """Which steps of each history are trained on, so that N² pairs of steps become N^alpha.

    With L = N^(alpha/2), a history of n <= L steps stays whole. A longer one is cut with
    probability 1 - N^alpha / n² to L of its steps, drawn without replacement with weights
    1 - f_i / Σ f_j, f_i the steps since step i; the newest is always among them. Outside training
    every step stays.

    Args:
        maxlen: N, the longest history.
        alpha: above 0, below 2; 1.6 to 1.7 in the paper.
        **kwargs: `seed`, `name`.

    Call arguments:
        mask: bool tensor (B, T), True = real, left-aligned.
        training: whether histories are cut.

    Returns:
        int32 tensor (B, T): the steps that stay, in their order, then 0; and bool tensor (B, T),
        where there is one. `TakenSteps` takes them.

    Raises:
        ValueError: alpha outside its range.

    References:
        Zhai et al., Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
        Generative Recommendations, ICML 2024.
    """

    def __init__(self, maxlen, alpha, **kwargs):
        super().__init__(**kwargs)
        if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0 < alpha < 2:
            raise ValueError(
                f"{self.name}: alpha must be above 0 and below 2, got {alpha!r}; 2 would cut "
                "nothing."
            )
        self.maxlen = int(maxlen)
        self.alpha = float(alpha)
        self.kept_steps = max(1, round(self.maxlen ** (self.alpha / 2)))

    def call(self, mask, training=False):
        """Applies the layer."""
        rows, steps = ops.shape(mask)[0], ops.shape(mask)[1]
        places = ops.arange(steps, dtype="int32")[None, :]
        if not training:
            return ops.broadcast_to(places, (rows, steps)), mask
        # Drawn for all places, so that padding takes no other draws.
        draws = keras.random.uniform(
            (rows, self.maxlen + 1), seed=self.seed_generator, dtype="float32"
        )
        length = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
        keys = ops.where(mask, self._keys(draws[:, 1 : 1 + steps], places, length), -1.0)
        # The steps whose keys are among the highest: as many stand above each.
        last = ops.minimum(self.kept_steps, steps) - 1
        lowest = ops.take(-ops.sort(-keys, axis=1), last[None], axis=1)
        n = ops.cast(length, "float32")
        is_cut = draws[:, :1] < 1.0 - self.maxlen**self.alpha / ops.maximum(n * n, 1.0)
        is_cut = ops.logical_and(is_cut, length > self.kept_steps)
        kept = ops.logical_and(mask, ops.logical_or(ops.logical_not(is_cut), keys >= lowest))
        order = ops.argsort(ops.where(kept, places, places + steps), axis=1)
        number = ops.sum(ops.cast(kept, "int32"), axis=1, keepdims=True)
        stays = places < number
        return ops.where(stays, ops.cast(order, "int32"), 0), stays

    def _keys(self, draws, places, length):
        """u^(1 / w): the highest of them are a draw without replacement by the weights w."""
        since = ops.cast(ops.maximum(length - 1 - places, 0), "float32")
        total = ops.maximum(ops.sum(since, axis=1, keepdims=True), 1.0)
        weights = ops.maximum(1.0 - since / total, 1e-6)
        keys = ops.power(ops.maximum(draws, 1e-7), 1.0 / weights)
        return ops.where(ops.equal(places, length - 1), 2.0, keys)

    def compute_output_spec(self, mask, training=False):
        """Places and a mask."""
        return (
            keras.KerasTensor(mask.shape, dtype="int32"), keras.KerasTensor(mask.shape, "bool")
        )

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "maxlen": self.maxlen, "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="deeprec_tf")
class TakenSteps(keras.layers.Layer):
    """The steps of a sequence that `StochasticLength` keeps; outside training all of them.

    Call arguments:
        sequence: tensor (B, T) or (B, T, D).
        places: int32 tensor (B, T), the steps.
        mask: bool tensor (B, T), where there is one.
        training: whether steps were drawn.

    Returns:
        Tensor of the shape and dtype of `sequence`, 0 where there is no step.
    """

    side_by_side = True

    def call(self, sequence, places, mask, training=False):
        """Applies the layer."""
        if not training:
            return sequence
        if len(sequence.shape) == 3:
            places, mask = places[..., None], mask[..., None]
        taken = ops.take_along_axis(sequence, places, axis=1)
        return ops.where(mask, taken, ops.zeros_like(taken))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, sequence, places, mask, training=False):
        """That of the sequence."""
        return keras.KerasTensor(sequence.shape, dtype=sequence.dtype)
