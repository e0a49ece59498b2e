"""The interacting layer of AutoInt: self-attention among the fields."""

from numbers import Integral

import keras
from keras import ops

from deeprec_tf.layers.core.dropout import Dropout


@keras.saving.register_keras_serializable(package="deeprec_tf")
class InteractingLayer(keras.layers.Layer):
    """Multi-head self-attention over the fields of a row (AutoInt, equations 5 to 8).

    For a head h: α_mk = softmax over k of <W_Q e_m, W_K e_k>, ẽ_m = Σ_k α_mk W_V e_k; the heads
    stand beside each other, and the result is relu(ẽ_m + W_res e_m), where W_res is the identity
    if the widths match, D = H·d'. The scores are not divided by the root of the width, as in the
    paper. `projection_relu` and `scaled_scores` are of its authors' program.

    Args:
        num_heads: H, number of heads.
        head_size: d', width of a head.
        residual: whether W_res e_m is added; "project" learns W_res where the widths match too, as
            the authors' program does.
        projection_relu: whether a ReLU follows on every projection.
        scaled_scores: whether the scores are divided by √d'.
        dropout: share of the attention weights that is dropped in training.

    Call arguments:
        fields: float tensor (B, F, D).
        training: whether dropout is on.

    Returns:
        Float tensor (B, F, H·d').

    Raises:
        ValueError: a size is no positive integer, the residual is unknown, or the dropout lies
            outside [0, 1).

    References:
        Song et al., AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural
        Networks, CIKM 2019.
    """

    # On a CPU XLA takes 1.4 times as long for the many small products as TensorFlow does.
    gains_from_xla = False

    def __init__(
        self, num_heads=2, head_size=16, *, residual=True, projection_relu=False,
        scaled_scores=False, dropout=0.0, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        for label, value in (("num_heads", num_heads), ("head_size", head_size)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{self.name}: {label} must be a positive integer, got {value!r}.")
        if residual not in (True, False, "project"):
            raise ValueError(
                f"{self.name}: residual must be True, False or 'project', got {residual!r}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"{self.name}: dropout must lie in [0, 1), got {dropout!r}.")
        self.num_heads = int(num_heads)
        self.head_size = int(head_size)
        self.residual = residual
        self.projection_relu = projection_relu
        self.scaled_scores = scaled_scores
        self.dropout = float(dropout)
        self.drop = Dropout(dropout, dtype=self.dtype_policy) if dropout else None

    def build(self, fields_shape):
        """Creates the three or four projections, beside each other in one kernel."""
        width = self.num_heads * self.head_size
        is_projected = self.residual == "project" or (self.residual and fields_shape[-1] != width)
        parts = 4 if is_projected else 3

        def start(shape, dtype=None):
            # Each projection starts as a layer of its own would.
            draw = keras.initializers.GlorotUniform
            return ops.concatenate(
                [draw()((shape[0], width), dtype=dtype) for _ in range(parts)], axis=1
            )

        self.kernel = self.add_weight(
            shape=(fields_shape[-1], parts * width), initializer=start, name="kernel"
        )

    def call(self, fields, training=False):
        """Applies the layer."""
        queries, keys, values, *projected = self._projections(fields)
        weights = self._weights(queries, keys)  # (B, H, F, F)
        if self.drop is not None:
            weights = self.drop(weights, training=training)
        mixed = ops.matmul(ops.cast(weights, values.dtype), self._heads(values))  # (B, H, F, d')
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, *values.shape[1:]))
        if self.residual:
            mixed = mixed + (projected[0] if projected else fields)
        return ops.relu(mixed)

    def explain(self, fields):
        """What each field attends to: {"weights": float32 (B, H, F, F)}, last axis sums to 1."""
        queries, keys, *_ = self._projections(fields)
        return {"weights": self._weights(queries, keys)}

    def _projections(self, fields):
        # Apart: one product for all of them and its pieces cost more in passes than they save.
        width = self.num_heads * self.head_size
        found = [
            ops.matmul(fields, self.kernel[:, first : first + width])
            for first in range(0, self.kernel.shape[-1], width)
        ]
        return [ops.relu(each) for each in found] if self.projection_relu else found

    def _heads(self, x):
        """(B, F, H·d') as (B, H, F, d')."""
        split = ops.reshape(x, (-1, x.shape[1], self.num_heads, self.head_size))
        return ops.transpose(split, (0, 2, 1, 3))

    def _weights(self, queries, keys):
        if self.scaled_scores:
            queries = queries * self.head_size**-0.5
        scores = ops.matmul(
            self._heads(queries), ops.transpose(self._heads(keys), (0, 1, 3, 2))
        )
        return ops.softmax(ops.cast(scores, "float32"), axis=-1)

    def compute_output_shape(self, fields_shape):
        """(B, F, H·d')."""
        return (*fields_shape[:-1], self.num_heads * self.head_size)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(), "num_heads": self.num_heads, "head_size": self.head_size,
            "residual": self.residual, "projection_relu": self.projection_relu,
            "scaled_scores": self.scaled_scores, "dropout": self.dropout,
        }
