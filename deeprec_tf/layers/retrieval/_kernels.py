"""The softmax over a catalogue, in plain TensorFlow, with its gradient by hand.

Written out, the logits are the largest thing of a step by far, and what costs is to pass over them.
So positions are worked off in chunks whose logits a processor's caches hold, and the gradient is
taken in the same pass: with e = exp(logits), dL/dh = u (e · W) / Σ e and dL/dW = eᵀ · (u h / Σ e),
where u, what comes from behind, is one number for all positions of a mean. Where it turns out not
to be, as with weights of rows, the pass is done again with each position's own.

On one core of an AMD EPYC 2,048 positions and 12,101 items take 127 ms so, 136 with all logits kept
at once and 216 in Keras (benchmarks/catalogue_softmax.py).
"""

import tensorflow as tf

from deeprec_tf.layers.core._kernels import is_on_cpu

MOST_LOGITS = 1 << 26  # kept at once: 256 MB
CHUNK = 256  # queries at a time on a CPU, and where XLA makes one program for all sizes


def catalogue_softmax(queries, items, labels, real, most_logits=MOST_LOGITS, *, training=True):
    """-log softmax(queries · itemsᵀ)[label] of every query.

    Args:
        queries: float32 tensor (N, D).
        items: float32 tensor (V, D), V known.
        labels: integer tensor (N,), rows of `items`.
        real: bool tensor (N,), which positions count; of the others no gradient is expected.
        most_logits: how many logits may be held at once.
        training: whether a gradient will be asked for; it is there in any case.

    Returns:
        float32 tensor (N,).
    """
    chunk = max(1, most_logits // items.shape[0])
    if is_on_cpu() or tf.__internal__.get_enclosing_xla_context() is not None:
        chunk = min(chunk, CHUNK)
    totals = _log_totals(queries, items, tf.cast(real, queries.dtype), chunk, training)
    return totals - tf.reduce_sum(queries * tf.gather(items, labels), axis=-1)


def _log_totals(queries, items, real, chunk, training):
    """Log Σ_v exp(query · item_v) of every query: (N,)."""

    @tf.custom_gradient
    def log_totals(queries, items):
        totals, *gradients = _passed(queries, items, real if training else None, chunk)

        def gradient(upstream):
            def anew():
                return _passed(queries, items, upstream, chunk)[1:]

            if not gradients:
                return anew()
            # Of a mean over positions it is one number at all that count.
            some = tf.concat([upstream, [0.0]], axis=0)  # a replica may have no position
            behind = tf.gather(some, tf.argmax(tf.abs(some)))
            return tf.cond(
                tf.reduce_all(upstream == behind * real),
                lambda: tuple(part * behind for part in gradients), anew,
            )

        return totals, gradient

    return log_totals(queries, items)


def _passed(queries, items, weights, chunk):
    """One pass over all logits, for at most `chunk` queries at a time.

    Args:
        queries: float32 tensor (N, D).
        items: float32 tensor (V, D).
        weights: float32 tensor (N,), of the logarithms in the sum whose gradients are taken; None
            takes none.
        chunk: how many queries.

    Returns:
        The logarithms of the sums, (N,), and with weights the gradients of Σ_n weights_n
        totals_n by the queries and by the items.
    """
    count, width = tf.shape(queries)[0], queries.shape[1]
    chunks = tf.maximum(-(-count // chunk), 1)
    chunk = -(-count // chunks)  # as little padding as can be

    def split(values):
        padded = tf.pad(values, [[0, chunks * chunk - count], [0, 0]])
        return tf.reshape(padded, (chunks, chunk, values.shape[1]))

    def joined(parts, width):
        return tf.reshape(parts.stack(), (-1, width))[:count]

    parts = split(queries)
    shares = None if weights is None else split(weights[:, None])

    def step(at, totals, *state):
        logits = tf.matmul(parts[at], items, transpose_b=True)
        highest = tf.reduce_max(logits, axis=1, keepdims=True)
        powers = tf.exp(logits - highest)
        total = tf.reduce_sum(powers, axis=1, keepdims=True)
        totals = totals.write(at, highest + tf.math.log(total))
        if shares is None:
            return at + 1, totals
        of_queries, of_items = state
        share = shares[at] / total
        of_queries = of_queries.write(at, tf.matmul(powers, items) * share)
        of_items += tf.matmul(powers, parts[at] * share, transpose_a=True)
        return at + 1, totals, of_queries, of_items

    def array(width):
        return tf.TensorArray(queries.dtype, chunks, element_shape=(None, width))

    state = (array(1),) if shares is None else (array(1), array(width), tf.zeros_like(items))
    _, totals, *found = tf.while_loop(
        lambda at, *_: at < chunks, step, (0, *state), parallel_iterations=1
    )
    gradients = (joined(found[0], width), found[1]) if found else ()
    return joined(totals, 1)[:, 0], *gradients
