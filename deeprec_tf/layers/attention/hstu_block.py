"""HSTU's layer: pointwise attention whose outcome a gate of the step itself lets through."""

import keras
from keras import ops

from deeprec_tf.layers.attention._chunked_attention_kernels import chunked_attention
from deeprec_tf.layers.attention.relative_bias import RelativeBias
from deeprec_tf.layers.core._by_length_kernels import RowsByLength
from deeprec_tf.layers.core._kernels import is_graph_training
from deeprec_tf.layers.core.dropout import Dropout

LONG = 512  # more elements than this are attended to in chunks


@keras.saving.register_keras_serializable(package="deeprec_tf")
class HSTUBlock(keras.layers.Layer):
    """Y = LN(SiLU(Q Kᵀ + rab) V / n) of [U, V, Q, K] = SiLU(LN(X) W); X + Dropout(Y ∘ U) W_o + b.

    No softmax, no 1/sqrt(d) and no feed-forward network; n is a constant, whatever the length of
    the sequence. The norms have no scale and no offset and add 1e-6 to the variance, which V / n is
    far below at the start: so layers begin near the identity. rab is `RelativeBias`.

    In training rows of like length are computed together. Where a sequence may have more than 512
    elements, scores are held for 128 queries at a time and computed again for the gradient, so
    memory grows with the length and not with its square.

    Args:
        num_heads: heads H.
        head_size: width of queries, keys and values of a head.
        places: how many places a sequence has, without its prefix.
        normalizer: n; `places` when None.
        window: how many steps a step sees, itself among them; all before it when None.
        prefix: how many elements before the first step are seen by all, and see each other alone.
        dropout: share dropped of Y ∘ U.

    Call arguments:
        sequence: float tensor (B, S, D), left-aligned.
        sequence_mask: bool tensor (B, S), True = real.
        times: tensor (B, S) of numbers, when each step happened; no bias of times without it.
        query_times: tensor (B, S) of the same dtype, when each step asks.
        training: whether dropout is on.

    Returns:
        Float tensor (B, S, D), 0 for padding.

    Raises:
        ValueError: a size below 1.

    References:
        Zhai et al., Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
        Generative Recommendations, ICML 2024.
    """

    side_by_side = True

    def __init__(
        self, num_heads, head_size, *, places, normalizer=None, window=None, prefix=0, dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_heads < 1 or head_size < 1:
            raise ValueError(
                f"{self.name}: num_heads and head_size must be at least 1, got {num_heads} and "
                f"{head_size}."
            )
        self.num_heads, self.head_size = num_heads, head_size
        self.places, self.normalizer = places, normalizer
        self.window, self.prefix, self.dropout = window, prefix, dropout
        policy = self.dtype_policy
        self.bias = RelativeBias(places, window=window, prefix=prefix, name="bias", dtype=policy)
        self.norm_input, self.norm_attended = (
            keras.layers.LayerNormalization(
                epsilon=1e-6, center=False, scale=False, name=name, dtype=policy
            )
            for name in ("norm_input", "norm_attended")
        )
        self.drop = Dropout(dropout, dtype=policy)

    def build(
        self, sequence_shape, sequence_mask_shape=None, times_shape=None, query_times_shape=None
    ):
        """Creates the maps and the tables of the bias."""
        width, inner = sequence_shape[-1], self.num_heads * self.head_size
        self.input_kernel = self.add_weight(
            shape=(width, 4 * inner), name="input_kernel",
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        self.output_kernel = self.add_weight(shape=(inner, width), name="output_kernel")
        self.output_bias = self.add_weight(
            shape=(width,), initializer="zeros", name="output_bias"
        )
        self.bias.build(sequence_shape, times_shape)
        self.norm_input.build(sequence_shape)
        self.norm_attended.build((*sequence_shape[:-1], inner))

    def call(self, sequence, sequence_mask, times=None, query_times=None, training=False):
        """Applies the layer."""
        more = () if times is None else (times, query_times)

        def states(sequence, mask, *more):
            return self.encode(sequence, mask, *more, training=training)[0]

        if is_graph_training(training):
            return RowsByLength(sequence_mask).map(states, sequence, *more)
        return states(sequence, sequence_mask, *more)

    def encode(self, sequence, sequence_mask, times=None, query_times=None, training=False):
        """The states of a sequence, and what later steps see of it.

        Returns:
            Float tensor (B, S, D), keys (B, H, S, d) and values (B, H, S, d), divided by n.
        """
        gate, query, key, value = self._maps(sequence)
        real = ops.cast(sequence_mask, value.dtype)[..., None]
        value = value * (real / self._n)[:, None]
        if self.places + self.prefix > LONG:
            heads = chunked_attention(
                query, key, value, self.bias.tables, self.bias.of_some(times, query_times),
                window=self.window if self.prefix == 0 else None,  # else what is far away counts
            )
        else:
            scores = self._scores(sequence, query, key, times, query_times)
            heads = ops.matmul(ops.silu(scores), value)
        return self._output(sequence, gate, heads, training) * real, key, value

    def extend(self, targets, key, value, place, times=None, target_times=None):
        """The states of steps that come next: each sees a sequence and itself, not the others.

        Args:
            targets: float tensor (B, M, D).
            key: keys of the sequence, from `encode`.
            value: values of the sequence.
            place: int32 tensor (B,), how many steps the sequence has.
            times: tensor (B, S), when its steps happened.
            target_times: tensor (B, 1), when the targets are shown.

        Returns:
            Float tensor (B, M, D).
        """
        gate, query, own_key, own_value = self._maps(targets)
        places = ops.arange(ops.shape(key)[2], dtype="int32") - self.prefix
        pair = None if times is None else (target_times, times)
        bias = ops.cast(self.bias.between(place[:, None], places, pair), query.dtype)  # (B, 1, S)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) + bias[:, None]
        heads = ops.matmul(ops.silu(scores), value)
        pair = None if times is None else (target_times, target_times)
        own = self.bias.between(place[:, None], place[:, None], pair)[:, None]  # (B, 1, 1, 1)
        score = ops.sum(query * own_key, axis=-1, keepdims=True) + ops.cast(own, query.dtype)
        own = ops.silu(score)
        return self._output(targets, gate, heads + own * (own_value / self._n), False)

    def explain(self, sequence, sequence_mask, times=None, query_times=None):
        """What each element looks at: {"weights": float32 tensor (B, H, S, S)}, padding 0."""
        _, query, key, _ = self._maps(sequence)
        weights = ops.silu(self._scores(sequence, query, key, times, query_times))
        real = ops.cast(sequence_mask, "float32")
        real = real[:, None, :, None] * real[:, None, None, :]
        return {"weights": ops.cast(weights, "float32") * real / self._n}

    @property
    def _n(self):
        return float(self.places if self.normalizer is None else self.normalizer)

    def _maps(self, sequence):
        """The gate (B, S, H·d), and queries, keys and values (B, H, S, d)."""
        kernel = ops.cast(self.input_kernel, sequence.dtype)  # outside of `call` too
        maps = ops.silu(ops.matmul(self.norm_input(sequence), kernel))
        gate, value, query, key = ops.split(maps, 4, axis=-1)
        return gate, *map(self._split, (query, key, value))

    def _split(self, x):
        shape = (*ops.shape(x)[:2], self.num_heads, self.head_size)  # -1 would not do without rows
        return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))

    def _scores(self, sequence, query, key, times, query_times):
        bias = self.bias(sequence, times, query_times)
        bias = bias if times is None else bias[:, None]
        return ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) + ops.cast(bias, query.dtype)

    def _output(self, sequence, gate, heads, training):
        shape = (*ops.shape(sequence)[:2], self.num_heads * self.head_size)
        heads = ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), shape)
        passed = self.drop(self.norm_attended(heads) * gate, training=training)
        kernel, bias = (ops.cast(w, sequence.dtype) for w in (self.output_kernel, self.output_bias))
        return sequence + ops.matmul(passed, kernel) + bias

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(
        self, sequence_shape, sequence_mask_shape=None, times_shape=None, query_times_shape=None
    ):
        """Shape is kept."""
        return tuple(sequence_shape)

    def get_config(self):
        """Returns the arguments."""
        names = ("num_heads", "head_size", "places", "normalizer", "window", "prefix", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
