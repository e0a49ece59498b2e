"""Masked-item training: one more step, steps that are hidden, and the [MASK] that stands there."""

import keras
from keras import ops

from deeprec_tf.layers.core.draws import DrawingLayer


@keras.saving.register_keras_serializable(package="deeprec_tf")
class OneMoreMask(keras.layers.Layer):
    """The mask of left-aligned sequences that have one more step behind their last real one.

    Call arguments:
        mask: bool tensor (B, T), True = real.

    Returns:
        Two bool tensors (B, T + 1): the real steps, and the last of them, which every row has.
    """

    def call(self, mask):
        """Applies the layer."""
        nothing = ops.zeros_like(mask[:, :1])
        real = ops.concatenate([ops.logical_not(nothing), mask], axis=1)
        later = ops.concatenate([mask, nothing], axis=1)
        return real, ops.logical_and(real, ops.logical_not(later))

    def compute_output_spec(self, mask):
        """Two masks of one more step."""
        steps = None if mask.shape[1] is None else mask.shape[1] + 1
        return tuple(keras.KerasTensor((mask.shape[0], steps), dtype="bool") for _ in range(2))


@keras.saving.register_keras_serializable(package="deeprec_tf")
class OneMoreStep(keras.layers.Layer):
    """A left-aligned sequence with one more step behind its last real one.

    Call arguments:
        sequence: tensor (B, T) or (B, T, D).
        step: tensor (B,) or (B, D).
        is_last: bool tensor (B, T + 1), where it goes, as `OneMoreMask` gives it.

    Returns:
        Tensor (B, T + 1) or (B, T + 1, D) of the dtype of `sequence`.
    """

    side_by_side = True

    def call(self, sequence, step, is_last):
        """Applies the layer."""
        longer = ops.concatenate([sequence, ops.zeros_like(sequence[:, :1])], axis=1)
        if len(sequence.shape) == 3:
            is_last = is_last[..., None]
        return ops.where(is_last, ops.cast(step, sequence.dtype)[:, None], longer)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, sequence, step, is_last):
        """One more step."""
        steps = None if sequence.shape[1] is None else sequence.shape[1] + 1
        shape = (sequence.shape[0], steps, *sequence.shape[2:])
        return keras.KerasTensor(shape, dtype=sequence.dtype)


@keras.saving.register_keras_serializable(package="deeprec_tf")
class HiddenSteps(DrawingLayer):
    """The steps whose items are to be told from the others.

    In training each real step is hidden with probability `share`, but at least one of a row and
    never all; in a share `last_only` of the rows it is the last one alone, as when the model is
    asked. A row of one step has that one hidden. Outside training it is the last of every row.

    Args:
        share: probability of a step, in (0, 1).
        last_only: share of the rows that hide their last step alone, in [0, 1].
        maxlen: longest sequence; draws do not depend on how far a batch is padded.
        **kwargs: `seed`, `name`.

    Call arguments:
        ids: integer tensor (B, N).
        real: bool tensor (B, N), True = real.
        is_last: bool tensor (B, N), the last real step.
        training: whether steps are drawn.

    Returns:
        bool tensor (B, N), True = hidden, and integer tensor (B, N): the ids of the hidden steps,
        0 elsewhere.

    Raises:
        ValueError: a share outside its range.

    References:
        Sun et al., BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations
        from Transformer, CIKM 2019.
    """

    def __init__(self, share, last_only, maxlen, **kwargs):
        super().__init__(**kwargs)
        if not 0 < share < 1:
            raise ValueError(f"{self.name}: share must be above 0 and below 1, got {share!r}.")
        if not 0 <= last_only <= 1:
            raise ValueError(f"{self.name}: last_only must be in [0, 1], got {last_only!r}.")
        self.share = float(share)
        self.last_only = float(last_only)
        self.maxlen = int(maxlen)

    def call(self, ids, real, is_last, training=False):
        """Applies the layer."""
        hidden = self._drawn(ids, real, is_last) if training else is_last
        return hidden, ops.where(hidden, ids, ops.zeros_like(ids))

    def _drawn(self, ids, real, is_last):
        rows, steps = ops.shape(ids)[0], ops.shape(ids)[1]
        draws = keras.random.uniform(
            (rows, self.maxlen + 1), seed=self.seed_generator, dtype="float32"
        )
        row, draws = draws[:, :1], draws[:, 1 : 1 + steps]
        draws = ops.where(real, draws, 2.0)
        places = ops.arange(steps)[None, :]
        at_least = ops.equal(places, ops.argmin(draws, axis=1)[:, None])
        kept = ops.argmax(ops.where(real, draws, -1.0), axis=1)[:, None]
        chosen = ops.logical_and(draws < self.share, ops.not_equal(places, kept))
        hidden = ops.logical_and(real, ops.logical_or(at_least, chosen))
        return ops.where(row < self.last_only, is_last, hidden)

    def compute_output_spec(self, ids, real, is_last, training=False):
        """A mask and ids."""
        return (
            keras.KerasTensor(ids.shape, dtype="bool"),
            keras.KerasTensor(ids.shape, dtype=ids.dtype),
        )

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "share": self.share,
            "last_only": self.last_only,
            "maxlen": self.maxlen,
        }


@keras.saving.register_keras_serializable(package="deeprec_tf")
class MaskToken(keras.layers.Layer):
    """Puts one learned vector, [MASK], in place of hidden steps.

    Call arguments:
        sequence: float tensor (B, N, D).
        hidden: bool tensor (B, N).

    Returns:
        Float tensor (B, N, D).
    """

    def build(self, sequence_shape, hidden_shape=None):
        """Creates the vector."""
        self.token = self.add_weight(
            shape=(sequence_shape[-1],), name="token",
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )

    def call(self, sequence, hidden):
        """Applies the layer."""
        return ops.where(hidden[..., None], ops.cast(self.token, sequence.dtype), sequence)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, hidden_shape=None):
        """Shape is kept."""
        return sequence_shape
