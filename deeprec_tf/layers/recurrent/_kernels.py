"""The recurrence of `cells.py` over real steps only, with a backward of its own.

The rows are sorted by length, longest first, so that at step t a prefix of b_t rows is active,
and the steps are packed one after another: (N, ·) with N the sum of the lengths. A step reads its
slice, and everything a step makes is small enough to stay in the cache: both matmuls, the gates,
and in the backward also the gradients of input and weights. Measured on one CPU core against
`keras.layers.RNN(cell)` in benchmarks/recurrence_step.py.
"""

from typing import NamedTuple

import tensorflow as tf


def traced_for_xla():
    """Whether the function being traced is compiled by XLA, where packed shapes can't be had."""
    return tf.__internal__.get_enclosing_xla_context() is not None


class _Packing(NamedTuple):
    """Where the steps of a batch stand.

    Attributes:
        lengths: int32 tensor (B,).
        order: int32 tensor (B,), the row at each sorted place.
        place: int32 tensor (B,), the sorted place of each row.
        sizes: int32 tensor (T,), b_t.
        starts: int32 tensor (T,), where a step's first row is packed.
        source: int32 tensor (N,), row·T + t of each packed step.
        steps: int32 scalar, the longest length.
    """

    lengths: tf.Tensor
    order: tf.Tensor
    place: tf.Tensor
    sizes: tf.Tensor
    starts: tf.Tensor
    source: tf.Tensor
    steps: tf.Tensor


def _packing(mask):
    """Packs each row up to its last real step; holes before it are steps of weight zero."""
    time = tf.shape(mask)[1]
    lengths = tf.reduce_max(tf.where(mask, tf.range(1, time + 1), 0), 1)
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    active = tf.range(time)[:, None] < tf.gather(lengths, order)  # (T, B)
    sizes = tf.reduce_sum(tf.cast(active, tf.int32), 1)
    step, place = tf.unstack(tf.cast(tf.where(active), tf.int32), axis=1)
    return _Packing(
        lengths=lengths,
        order=order,
        place=tf.math.invert_permutation(order),
        sizes=sizes,
        starts=tf.cumsum(sizes, exclusive=True),
        source=tf.gather(order, place) * time + step,
        steps=tf.reduce_max(lengths),
    )


def _pack(tensor, packing):
    """(B, T, ·) to (N, ·)."""
    return tf.gather(tf.reshape(tensor, (-1, tensor.shape[-1])), packing.source)


def _packed_at(packing, steps):
    """Where step `steps` (B, ·) of each row is packed."""
    return tf.gather(packing.starts, steps) + packing.place[:, None]


def _unpack(values, packing, like):
    """(1 + N, ·) to (B, T, ·) as `like`; row 0, zeros, goes to padded steps."""
    steps = tf.range(tf.shape(like)[1])[None]
    real = steps < packing.lengths[:, None]
    result = tf.gather(values, tf.where(real, _packed_at(packing, steps) + 1, 0))
    return tf.ensure_shape(result, like.shape)


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


def _weight(p, q, update):
    """The share w = p + q·u of the candidate, where a missing term is None."""
    if q is None:
        return p
    return q * update if p is None else p + q * update


def _forward(x, p, q, kernel, recurrent, bias, packing):
    """States after every step, and what the backward needs of every step.

    Args:
        x: float tensor (N, D).
        p: float tensor (N, 1) or None.
        q: float tensor (N, 1) or None.
        kernel: float tensors (D, n), one a gate.
        recurrent: float tensors (n, n).
        bias: float tensors (n,).
        packing: a `_Packing`.

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
        state = state + _weight(*terms, opened[0]) * (candidate - state)
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


def _backward(upstream, ends, x, p, q, kernel, recurrent, states, saved, packing, by_gate):
    """Gradients of `_forward`.

    Args:
        upstream: float tensor (N, n), gradient of each state, or None.
        ends: float tensor (B, n), more of it for the last state of the sorted rows.
        x: float tensor (N, D).
        p: float tensor (N, 1) or None.
        q: float tensor (N, 1) or None.
        kernel: float tensor (D, gates·n).
        recurrent: float tensor (n, gates·n).
        states: TensorArray from `_forward`.
        saved: TensorArrays from `_forward`.
        packing: a `_Packing`.
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
        entered = gradient * _weight(p_now, q_now, *update or (None,))
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


def gate_terms(attention, real, gru_type, update_gate):
    """The candidate's share w = p + q·u as its terms p and q; zero at steps that aren't real.

    Args:
        attention: float tensor (B, T); None for "GRU".
        real: float tensor (B, T), 1 = real step.
        gru_type: "GRU", "AGRU" or "AUGRU".
        update_gate: "paper" or "released".

    Returns:
        p and q, float tensors (B, T), or None where the recurrence has no such term.
    """
    if gru_type == "GRU":
        return None, real
    gate = attention * real
    if gru_type == "AGRU":
        return gate, None
    return (None, gate) if update_gate == "paper" else (gate, real - gate)


def packed_scan(
    sequence, p, q, mask, kernel, recurrent_kernel, bias, *, sequences, gate_gradient
):
    """The states of h ← h + (p + q·u)∘(c - h), differentiable by every float tensor.

    Args:
        sequence: float tensor (B, T, D).
        p: float tensor (B, T), zero where the mask is False, or None.
        q: float tensor (B, T), likewise; None means that there is no update gate.
        mask: bool tensor (B, T), True = real.
        kernel: float tensor (D, g·n), columns (update,) reset, candidate.
        recurrent_kernel: float tensor (n, g·n).
        bias: float tensor (g·n,).
        sequences: whether all states are returned or the last one.
        gate_gradient: whether p and q depend on anything that is trained.

    Returns:
        Float tensor (B, T, n) or (B, n).
    """
    dtype = sequence.dtype
    wide = tf.float32 if dtype.size < 4 else dtype
    terms = tf.stack([term for term in (p, q) if term is not None], -1)  # (B, T, 1 or 2)
    gates = 2 if q is None else 3
    packing = _packing(mask)

    def split(packed):
        parts = iter(tf.split(packed, packed.shape[-1], 1))
        return tuple(None if term is None else next(parts) for term in (p, q))

    @tf.custom_gradient
    def scan(sequence, terms, kernel, recurrent, bias):
        x = _pack(sequence, packing)
        packed_terms = split(_pack(terms, packing))
        weights = [tf.split(weight, gates, -1) for weight in (kernel, recurrent, bias)]
        states, saved = _forward(x, *packed_terms, *weights, packing)
        last = packing.lengths[:, None] - 1
        steps = tf.range(tf.shape(sequence)[1])[None] if sequences else last
        at = _packed_at(packing, tf.maximum(tf.minimum(steps, last), 0))
        # The start comes first, B rows of zeros: the state of rows without a real step.
        at = tf.where(last < 0, 0, at + tf.shape(sequence)[0])
        result = tf.gather(states.concat(), at if sequences else at[:, 0])
        units = recurrent.shape[0]
        shape = (*sequence.shape[:2], units) if sequences else (sequence.shape[0], units)

        def gradient(upstream):
            ends, at_steps = upstream, None
            if sequences:
                padded = tf.cast(steps > last, upstream.dtype)
                ends = tf.einsum("bt,btn->bn", padded, upstream)  # of the states carried on
                at_steps = _pack(upstream, packing)
            by_x, by_terms, *by_weights = _backward(
                at_steps, tf.gather(ends, packing.order), x, *packed_terms, kernel, recurrent,
                states, saved, packing, gate_gradient,
            )
            by_terms = _unpack(by_terms, packing, terms) if gate_gradient else None
            return _unpack(by_x, packing, sequence), by_terms, *by_weights

        return tf.ensure_shape(result, shape), gradient

    tensors = (sequence, terms, kernel, recurrent_kernel, bias)
    return tf.cast(scan(*(tf.cast(tensor, wide) for tensor in tensors)), dtype)
