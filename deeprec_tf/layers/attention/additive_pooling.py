"""Pooling of a sequence by additive attention with a sigmoid."""

import keras
from keras import ops

from deeprec_tf.layers.core.valid_steps import steps_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class AdditivePooling(keras.layers.Layer):
    """Σ_t a_t x_t with a_t = vᵀ sigmoid(A1 q + A2 x_t + b); an empty row gives zeros.

    The query's part is computed once a row. Without a softmax weights may be of any sign and size,
    and their sum grows with the sequence, so it is the mask alone that keeps padding out.

    Args:
        units: width of the sigmoid; that of the sequence when None.
        normalize: whether the weights become a softmax over the real steps.
        use_bias: whether there is a b.
        kernel_initializer: of A1, A2 and v.

    Call arguments:
        query: float tensor (B, C).
        sequence: float tensor (B, T, D).
        sequence_mask: bool tensor (B, T), True = real.

    Returns:
        Float tensor (B, D).

    Raises:
        ValueError: units below 1.

    References:
        Li et al., Neural Attentive Session-based Recommendation, CIKM 2017 (equation 8).
        Liu et al., STAMP: Short-Term Attention/Memory Priority Model for Session-based
        Recommendation, KDD 2018 (equation 7, with A1 q of two vectors).
    """

    def __init__(
        self, units=None, *, normalize=False, use_bias=False, kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if units is not None and units < 1:
            raise ValueError(f"{self.name}: units must be at least 1 or None, got {units!r}.")
        self.units = units
        self.normalize = normalize
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, query_shape, sequence_shape, sequence_mask_shape=None):
        """Creates the weights."""
        units = self.units or sequence_shape[-1]

        def kernel(name, rows, columns):
            return self.add_weight(
                shape=(rows, columns), initializer=self.kernel_initializer.clone(), name=name
            )

        self.query_kernel = kernel("query_kernel", query_shape[-1], units)
        self.step_kernel = kernel("step_kernel", sequence_shape[-1], units)
        self.score_kernel = kernel("score_kernel", units, 1)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")

    def call(self, query, sequence, sequence_mask=None, training=False):
        """Applies the layer."""
        steps = steps_of(sequence_mask, training=training)
        vectors = steps.take(sequence)
        return steps.weighted_sum(self._weights(query, vectors, steps), vectors)

    def _weights(self, query, vectors, steps):
        """One float32 weight a step, padding 0."""
        of_query = ops.matmul(query, self.query_kernel)  # (B, n)
        if self.bias is not None:
            of_query = of_query + self.bias
        inner = ops.sigmoid(steps.of_rows(of_query) + ops.matmul(vectors, self.step_kernel))
        scores = ops.cast(ops.matmul(inner, self.score_kernel)[..., 0], "float32")
        return steps.softmax(scores) if self.normalize else steps.only_real(scores)

    def explain(self, query, sequence, sequence_mask=None):
        """What each step counts: {"weights": float32 (B, T)}, padding 0."""
        steps = steps_of(sequence_mask, training=False)
        return {"weights": self._weights(query, steps.take(sequence), steps)}

    def compute_mask(self, *args, **kwargs):
        """Time is gone."""
        return None

    def compute_output_shape(self, query_shape, sequence_shape, sequence_mask_shape=None):
        """Time is gone."""
        return (sequence_shape[0], sequence_shape[-1])

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "normalize": self.normalize,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
