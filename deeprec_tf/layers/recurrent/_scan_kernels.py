"""The two loops of a packed recurrence, one step of all active rows at a time.

All that a step makes is small enough to stay in the cache: both matmuls, the gates, and in the
backward also the gradients of input and weights.
"""

import tensorflow as tf


def _spans(starts, sizes):
    """Begin and size arguments of `tf.slice` for every step, (T, 2) each."""
    rest = tf.fill(tf.shape(sizes), -1)
    return tf.stack([starts, tf.zeros_like(starts)], 1), tf.stack([sizes, rest], 1)


def _array(size, width, dtype):
    return tf.TensorArray(
        dtype, size, element_shape=(None, width), infer_shape=False, clear_after_read=False
    )


def _loop(condition, body, variables):
    """A while loop whose second variable may change its number of rows."""

    def shape(place, variable):
        if isinstance(variable, tf.TensorArray):
            return tf.TensorShape(None)
        return tf.TensorShape((None, *variable.shape[1:])) if place == 1 else variable.shape

    return tf.while_loop(
        condition,
        body,
        variables,
        shape_invariants=tuple(shape(place, x) for place, x in enumerate(variables)),
        parallel_iterations=1,
    )


def weight_of(p, q, update):
    """The share w = p + q·u of the candidate, where a missing term is None."""
    if q is None:
        return p
    return q * update if p is None else p + q * update


def forward(x, p, q, kernel, recurrent, bias, packing):
    """States after every step, and what the backward needs of every step.

    Args:
        x: float tensor (N, D).
        p: float tensor (N, 1) or None.
        q: float tensor (N, 1) or None.
        kernel: float tensors (D, n), one a gate.
        recurrent: float tensors (n, n).
        bias: float tensors (n,).
        packing: a `Packing` of `_packing_kernels`.

    Returns:
        TensorArray of states: zeros (B, n), then (b_t, n) a step; list of TensorArrays of u
        (where q is given), r, c and h·U_c, (b_t, n) a step.
    """
    units, gates = recurrent[0].shape[0], len(kernel)
    begin, size = _spans(packing.starts, packing.sizes)

    def body(t, state, states, *saved):
        first, rows = tf.gather(begin, t), tf.gather(size, t)
        state = tf.slice(state, [0, 0], rows)
        input_now = tf.slice(x, first, rows)
        from_input = [tf.matmul(input_now, w) for w in kernel]
        *inner, last = (tf.matmul(state, w) for w in recurrent)
        # The bias after the sum: TensorFlow's fused matmul is slower at these sizes.
        opened = [
            tf.sigmoid(tf.nn.bias_add(a + h, b))
            for a, h, b in zip(from_input, inner, bias, strict=False)
        ]
        candidate = tf.tanh(tf.nn.bias_add(from_input[-1] + opened[-1] * last, bias[-1]))
        terms = (None if term is None else tf.slice(term, first, rows) for term in (p, q))
        state = state + weight_of(*terms, opened[0]) * (candidate - state)
        values = (*opened, candidate, last)
        saved = [array.write(t, value) for array, value in zip(saved, values, strict=True)]
        return t + 1, state, states.write(t + 1, state), *saved

    start = tf.zeros((tf.shape(packing.order)[0], units), x.dtype)
    states = _array(packing.steps + 1, units, x.dtype).write(0, start)
    arrays = [_array(packing.steps, units, x.dtype) for _ in range(gates + 1)]
    _, _, states, *saved = _loop(
        lambda t, *_: t < packing.steps, body, (tf.constant(0), start, states, *arrays)
    )
    return states, saved


def backward(upstream, ends, x, p, q, kernel, recurrent, states, saved, packing, by_gate):
    """Gradients of `forward`.

    Args:
        upstream: float tensor (N, n), gradient of each state, or None.
        ends: float tensor (B, n), more of it for the last state of the sorted rows.
        x: float tensor (N, D).
        p: float tensor (N, 1) or None.
        q: float tensor (N, 1) or None.
        kernel: float tensor (D, gates·n).
        recurrent: float tensor (n, gates·n).
        states: TensorArray from `forward`.
        saved: TensorArrays from `forward`.
        packing: a `Packing` of `_packing_kernels`.
        by_gate: whether gradients of p and q are wanted.

    Returns:
        Gradients of x, p and q ((1 + N, ·), row 0 zeros; p and q in one tensor, columns as many
        as are given), of kernel, recurrent and bias.
    """
    begin, size = _spans(packing.starts, packing.sizes)
    after = tf.concat([packing.sizes[1:], [0]], 0)  # rows that go on after a step
    end_begin, end_size = _spans(after, packing.sizes - after)
    raw = tf.raw_ops

    def body(t, gradient, by_kernel, by_recurrent, by_bias, by_x, by_terms):
        first, rows = tf.gather(begin, t), tf.gather(size, t)
        ending = tf.slice(ends, tf.gather(end_begin, t), tf.gather(end_size, t))
        gradient = tf.concat([gradient, ending], 0)
        if upstream is not None:
            gradient = gradient + tf.slice(upstream, first, rows)
        input_now = tf.slice(x, first, rows)
        p_now, q_now = (None if term is None else tf.slice(term, first, rows) for term in (p, q))
        before = tf.slice(states.read(t), [0, 0], rows)
        *update, reset, candidate, last = (array.read(t) for array in saved)

        by_weight = gradient * (candidate - before)
        entered = gradient * weight_of(p_now, q_now, *update or (None,))
        by_candidate = raw.TanhGrad(y=candidate, dy=entered)
        by_last = by_candidate * reset
        opened = [raw.SigmoidGrad(y=u, dy=by_weight * q_now) for u in update]
        opened.append(raw.SigmoidGrad(y=reset, dy=by_candidate * last))
        into_input = tf.concat([*opened, by_candidate], 1)
        into_state = tf.concat([*opened, by_last], 1)
        if by_gate:
            parts = [by_weight] if p is not None else []
            parts += [by_weight * u for u in update]
            sums = [tf.reduce_sum(part, 1, keepdims=True) for part in parts]
            by_terms = by_terms.write(t + 1, sums[0] if len(sums) == 1 else tf.concat(sums, 1))
        return (
            t - 1,
            gradient - entered + tf.matmul(into_state, recurrent, transpose_b=True),
            by_kernel + tf.matmul(input_now, into_input, transpose_a=True),
            by_recurrent + tf.matmul(before, into_state, transpose_a=True),
            by_bias + tf.reduce_sum(into_input, 0),
            by_x.write(t + 1, tf.matmul(into_input, kernel, transpose_b=True)),
            by_terms,
        )

    def first_zeros(width):
        array = _array(packing.steps + 1, width, x.dtype)
        return array.write(0, tf.zeros((1, width), x.dtype))

    terms = (p is not None) + (q is not None)
    *_, by_kernel, by_recurrent, by_bias, by_x, by_terms = _loop(
        lambda t, *_: t >= 0,
        body,
        (
            packing.steps - 1,
            ends[:0],
            tf.zeros_like(kernel),
            tf.zeros_like(recurrent),
            tf.zeros_like(recurrent[0]),
            first_zeros(x.shape[-1]),
            first_zeros(terms) if by_gate else _array(0, terms, x.dtype),
        ),
    )
    by_terms = by_terms.concat() if by_gate else None
    return by_x.concat(), by_terms, by_kernel, by_recurrent, by_bias
