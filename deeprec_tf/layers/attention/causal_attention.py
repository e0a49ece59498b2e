"""Multi-head attention of each step over the steps before it."""

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.attention.multi_head_self_attention import MultiHeadSelfAttention
from deeprec_tf.layers.core.valid_steps import AllSteps, steps_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class CausalAttention(MultiHeadSelfAttention):
    """Multi-head self-attention in which a step sees itself and those before it.

    In a left-aligned sequence these are real wherever the step is, so no mask is needed for them;
    outputs of padded steps mean nothing. In training the maps run over the real steps only.

    Args:
        num_heads: heads H; the width d of the sequence must be a multiple.
        dropout: share of the attention weights dropped.
        project: whether the heads are mapped by W_O; else they stand side by side.

    Call arguments:
        sequence: float tensor (B, T, d), left-aligned.
        sequence_mask: bool tensor (B, T), True = real; every step is real without it.
        queries: float tensor (B, T, d), what the queries are maps of; the sequence when left out.
        training: whether dropout is on.

    Returns:
        Float tensor (B, T, d).

    References:
        Vaswani et al., Attention Is All You Need, NIPS 2017.
    """

    def __init__(self, num_heads, *, dropout=0.0, project=True, **kwargs):
        super().__init__(num_heads, dropout=dropout, **kwargs)
        self.project = project

    def _maps(self):
        return {"query": 1, "key_value": 2, **({"output": 1} if self.project else {})}

    def call(self, sequence, sequence_mask=None, queries=None, training=False):
        """Applies the layer."""
        steps = steps_of(sequence_mask, training=training)
        queries = sequence if queries is None else queries
        seen = self.over_steps(
            steps, steps.take(queries), steps.take(sequence), training=training
        )
        return steps.restore(seen)

    def over_steps(self, steps, queries, sequence, *, training=False):
        """The same on steps that are packed, or all there.

        Args:
            steps: a `deeprec_tf.layers.core.valid_steps` form of the sequence.
            queries: float tensor of that form, (N, d) or (B, T, d).
            sequence: what keys and values are maps of, of the same shape.
            training: whether dropout is on.

        Returns:
            Float tensor of the same shape.
        """
        weights, value = self._attend(steps, queries, sequence)
        weights = self.weight_dropout(ops.cast(weights, value.dtype), training=training)
        heads = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        heads = steps.take(self._joined(heads))
        return ops.matmul(heads, self.output_kernel) if self.project else heads

    def explain(self, sequence, sequence_mask=None, queries=None):
        """What each step looks at: {"weights": float32 tensor (B, H, T, T)}, later steps 0."""
        queries = sequence if queries is None else queries
        return {"weights": self._attend(AllSteps(sequence_mask), queries, sequence)[0]}

    def _attend(self, steps, queries, sequence):
        """Attention weights (B, H, T, T), and the values (B, H, T, d/H)."""
        query = steps.restore(ops.matmul(queries, self.query_kernel) * self.scale)
        key, value = ops.split(
            steps.restore(ops.matmul(sequence, self.key_value_kernel)), 2, axis=-1
        )
        scores = ops.matmul(self._split(query), ops.transpose(self._split(key), (0, 1, 3, 2)))
        places = ops.arange(ops.shape(scores)[-1])
        later = places[None, :] > places[:, None]
        scores = ops.where(later, -np.inf, ops.cast(scores, "float32"))
        is_single = scores.shape[-1] == 1  # Keras's softmax warns of it
        weights = ops.ones_like(scores) if is_single else ops.softmax(scores, axis=-1)
        return weights, self._split(value)

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "project": self.project}
