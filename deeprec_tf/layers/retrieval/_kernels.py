"""The softmax over a catalogue, in plain TensorFlow, with its gradient by hand.

Written out, the logits are the largest thing of a step by far, and what costs is to pass over
them. So their exponentials are kept as they are: the normalization goes to the small factors of
the two products of the gradient, q = u / Σ e, dL/dh = q (e · W) and dL/dW = eᵀ · (q h). That is
1.6 times faster than TensorFlow's cross-entropy. Where they would not fit, positions are worked off
in chunks whose logits are computed again for the gradient. On a CPU that is the faster form, too,
while a chunk stays in its caches: 73 ms instead of 83 for 3,520 positions and 3,953 items, 131
instead of 186 for 2,048 and 12,101; but 2,080 instead of 1,472 for 2,048 and 100,000
(benchmarks/catalogue_softmax.py).
"""

import tensorflow as tf

from deeprec_tf.layers.core._kernels import is_on_cpu

MOST_LOGITS = 1 << 26  # kept at once: 256 MB
CHUNK = 256  # queries at a time, where the form isn't chosen by the size of the batch
FEW_LOGITS = 1 << 22  # so few are faster at once
CACHED_ITEMS = 1 << 14  # most items whose scores for a chunk a processor's caches hold


def catalogue_softmax(queries, items, labels, most_logits=MOST_LOGITS):
    """-log softmax(queries · itemsᵀ)[label] of every query.

    Args:
        queries: float32 tensor (N, D).
        items: float32 tensor (V, D), V known.
        labels: integer tensor (N,), rows of `items`.
        most_logits: how many logits may be held at once.

    Returns:
        float32 tensor (N,).
    """
    most = max(1, most_logits // items.shape[0])
    if tf.__internal__.get_enclosing_xla_context() is not None:
        totals = _in_chunks(queries, items, min(most, CHUNK))
    else:
        count, chunk = tf.shape(queries)[0], min(most, CHUNK)
        if is_on_cpu() and items.shape[0] <= CACHED_ITEMS:
            most = min(most, FEW_LOGITS // items.shape[0])
        even = -(-count // tf.maximum(-(-count // chunk), 1))  # as little padding as can be
        totals = tf.cond(
            count <= most,
            lambda: _whole(queries, items),
            lambda: _in_chunks(queries, items, even),
        )
    return totals - tf.reduce_sum(queries * tf.gather(items, labels), axis=-1)


@tf.custom_gradient
def _whole(queries, items):
    """Sum of every query's exponentials, as its logarithm: (N,)."""
    logits = tf.matmul(queries, items, transpose_b=True)
    highest = tf.reduce_max(logits, axis=1, keepdims=True)
    powers = tf.exp(logits - highest)
    total = tf.reduce_sum(powers, axis=1, keepdims=True)

    def gradient(upstream):
        share = upstream[:, None] / total
        return (
            tf.matmul(powers, items) * share,
            tf.matmul(powers, queries * share, transpose_a=True),
        )

    return (highest + tf.math.log(total))[:, 0], gradient


def _in_chunks(queries, items, chunk):
    """The same, for `chunk` queries at a time."""

    def split(values):
        count, width = tf.shape(values)[0], values.shape[1]
        padded = tf.pad(values, [[0, -count % chunk], [0, 0]])
        return tf.reshape(padded, (-1, chunk, width))

    def joined(parts, like):
        return tf.reshape(parts, (-1, like.shape[1]))[: tf.shape(like)[0]]

    def over_chunks(body, parts, *state):
        chunks = tf.shape(parts)[0]
        return tf.while_loop(
            lambda at, *_: at < chunks, lambda at, *state: (at + 1, *body(at, *state)),
            (0, *state), parallel_iterations=1,
        )[1:]

    def put(buffer, at, value):
        return tf.tensor_scatter_nd_update(buffer, [[at]], value[None])

    @tf.custom_gradient
    def total(queries, items):
        parts = split(queries)

        def forward(at, totals):
            logits = tf.matmul(parts[at], items, transpose_b=True)
            return (put(totals, at, tf.reduce_logsumexp(logits, axis=1, keepdims=True)),)

        (totals,) = over_chunks(forward, parts, tf.zeros_like(parts[..., :1]))
        totals = joined(totals, queries[:, :1])  # (N, 1)

        def gradient(upstream):
            parts, sums, weights = split(queries), split(totals), split(upstream[:, None])

            def backward(at, of_queries, of_items):
                logits = tf.matmul(parts[at], items, transpose_b=True)
                powers = tf.exp(logits - sums[at])
                more = tf.matmul(powers, parts[at] * weights[at], transpose_a=True)
                return put(of_queries, at, tf.matmul(powers, items) * weights[at]), of_items + more

            of_queries, of_items = over_chunks(
                backward, parts, tf.zeros_like(parts), tf.zeros_like(items)
            )
            return joined(of_queries, queries), of_items

        return totals[:, 0], gradient

    return total(queries, items)
