"""Pointwise attention for some queries at a time, in plain TensorFlow, with its gradient.

Scores of all pairs grow with the square of the length. Here those of `chunk` queries are held, and
computed again for the gradient: what is kept is what went in, and grows with the length alone.
"""

import tensorflow as tf

CHUNK = 128


def chunked_attention(query, key, value, tables, bias_of, *, window=None, chunk=CHUNK):
    """SiLU(Q Kᵀ + bias) V.

    Args:
        query: float tensor (B, H, S, d).
        key: float tensor (B, H, S, d).
        value: float tensor (B, H, S, d').
        tables: tensors that the bias depends on, which get a gradient.
        bias_of: function of the tables, the queries' numbers (C,) and those of the keys (K,), which
            gives (C, K) or (B, C, K). Numbers of queries may be behind the last.
        window: keys further before a query than this are hidden by the bias, so left out; None
            where some that are far away count.
        chunk: queries at a time.

    Returns:
        Float tensor (B, H, S, d').
    """
    steps = tf.shape(query)[2]
    count = tf.maximum((steps + chunk - 1) // chunk, 1)
    turns = tf.where(tf.shape(query)[0] > 0, count, 0)  # without rows there is nothing to write to
    is_xla = tf.__internal__.get_enclosing_xla_context() is not None  # it wants one size of slices

    def split(values):
        padded = tf.pad(values, [[0, 0], [0, 0], [0, count * chunk - steps], [0, 0]])
        rows, heads, width = tf.shape(values)[0], values.shape[1], values.shape[3]
        parts = tf.reshape(padded, (rows, heads, count, chunk, width))
        return tf.transpose(parts, (2, 0, 1, 3, 4))

    def joined(parts):
        rows, heads, width = tf.shape(parts)[1], parts.shape[2], parts.shape[4]
        whole = tf.reshape(tf.transpose(parts, (1, 2, 0, 3, 4)), (rows, heads, -1, width))
        return whole[:, :, :steps]

    def keys_of(at):
        """The first and the last key that a chunk sees."""
        if is_xla:
            return 0, steps
        first = 0 if window is None else tf.maximum(at * chunk - window + 1, 0)
        return first, tf.minimum((at + 1) * chunk, steps)

    def attended(at, query, key, value, tables):
        first, last = keys_of(at)
        bias = bias_of(tables, at * chunk + tf.range(chunk), tf.range(first, last))
        bias = tf.cast(bias[:, None] if bias.shape.rank == 3 else bias, query.dtype)
        return tf.matmul(tf.nn.silu(tf.matmul(query, key, transpose_b=True) + bias), value)

    def over_chunks(body, *state):
        return tf.while_loop(
            lambda at, *_: at < turns, lambda at, *state: (at + 1, *body(at, *state)),
            (0, *state), parallel_iterations=1,
        )[1:]

    def put(buffer, at, part):
        return tf.tensor_scatter_nd_update(buffer, [[at]], part[None])

    @tf.custom_gradient
    def attend(query, key, value, *tables):
        parts = split(query)

        def forward(at, seen):
            first, last = keys_of(at)
            seen_keys, seen_values = key[:, :, first:last], value[:, :, first:last]
            return (put(seen, at, attended(at, parts[at], seen_keys, seen_values, tables)),)

        width = tf.concat([tf.shape(parts)[:-1], [value.shape[3]]], axis=0)
        empty = tf.ensure_shape(
            tf.zeros(width, query.dtype), (*parts.shape[:-1], value.shape[3])
        )
        (seen,) = over_chunks(forward, empty)

        def gradient(upstream):
            parts, upstreams = split(query), split(upstream)

            def backward(at, of_query, of_key, of_value, *of_tables):
                first, last = keys_of(at)
                own = [parts[at], key[:, :, first:last], value[:, :, first:last]]
                with tf.GradientTape() as tape:
                    tape.watch([*own, *tables])
                    seen = attended(at, *own, tables)
                q, k, v, *more = tape.gradient(seen, [*own, *tables], upstreams[at])
                around = [[0, 0], [0, 0], [first, steps - last], [0, 0]]
                return (
                    put(of_query, at, q), of_key + tf.pad(k, around), of_value + tf.pad(v, around),
                    *(total + tf.convert_to_tensor(g)
                      for total, g in zip(of_tables, more, strict=True)),
                )

            of_query, *rest = over_chunks(
                backward, tf.zeros_like(parts), tf.zeros_like(key), tf.zeros_like(value),
                *map(tf.zeros_like, tables),
            )
            return (joined(of_query), *rest)

        return joined(seen), gradient

    return attend(query, key, value, *tables)
