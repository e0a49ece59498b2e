"""T5's encoder over vectors."""

import keras

from deeprec_tf.layers.core._by_length_kernels import RowsByLength
from deeprec_tf.layers.core._kernels import is_graph_training
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.generative.relative_position_bias import RelativePositionBias
from deeprec_tf.layers.generative.t5_block import T5Block


@keras.saving.register_keras_serializable(package="deeprec_tf")
class T5Encoder(keras.layers.Layer):
    """A stack of blocks in which every step attends to all real ones, and a norm behind it.

    All blocks share one table of relative positions. In training rows of like length are computed
    together.

    Args:
        num_layers: blocks.
        num_heads: heads H.
        head_size: width d of a head.
        feed_forward_units: inner width of the network of a block.
        maxlen: longest sequence.
        dropout: share dropped of the input, the output and in the blocks.

    Call arguments:
        sequence: float tensor (B, S, D).
        mask: bool tensor (B, S), True = real; the real steps of a row stand at its front.
        training: whether dropout is on.

    Returns:
        Float tensor (B, S, D); what stands at padded steps means nothing.

    References:
        Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer, JMLR 2020.
    """

    def __init__(
        self, num_layers, num_heads, head_size, feed_forward_units, maxlen, *, dropout=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_layers = int(num_layers)
        self.num_heads = int(num_heads)
        self.head_size = int(head_size)
        self.feed_forward_units = int(feed_forward_units)
        self.maxlen = int(maxlen)
        self.dropout = dropout
        policy = self.dtype_policy
        self.positions = RelativePositionBias(num_heads, maxlen, name="positions")
        self.blocks = [
            T5Block(
                num_heads, head_size, feed_forward_units, dropout=dropout, name=f"block_{number}",
                dtype=policy,
            )
            for number in range(self.num_layers)
        ]
        self.norm = keras.layers.RMSNormalization(epsilon=1e-6, name="norm", dtype=policy)
        self.drop = Dropout(dropout, dtype=policy)

    def build(self, sequence_shape, mask_shape=None):
        """Builds the parts."""
        for part in (self.positions, *self.blocks, self.norm):
            part.build(sequence_shape)

    def call(self, sequence, mask, training=False):
        """Applies the layer."""
        def states(sequence, mask):
            bias, may_look = self.positions(sequence), mask[:, None, None, :]
            x = self.drop(sequence, training=training)
            for block in self.blocks:
                x, _ = block(x, bias, may_look, training=training)
            return self.drop(self.norm(x), training=training)

        if is_graph_training(training):
            return RowsByLength(mask).map(states, sequence)
        return states(sequence, mask)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        """Shape is kept."""
        return sequence_shape

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "head_size": self.head_size,
            "feed_forward_units": self.feed_forward_units,
            "maxlen": self.maxlen,
            "dropout": self.dropout,
        }
