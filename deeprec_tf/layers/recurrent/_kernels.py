"""The recurrence of `cells.py` in two faster forms for TensorFlow's own executor.

`packed_scan`, for training, goes over real steps only and has a backward of its own;
`padded_scan`, for inference and exports, stays with operations that ONNX knows. Both are measured
on one CPU core against `keras.layers.RNN(cell)` in benchmarks/recurrence_step.py.
"""

import tensorflow as tf

from deeprec_tf.layers.recurrent._packing_kernels import (
    find_packing,
    lengths_of,
    pack,
    packed_at,
    unpack,
)
from deeprec_tf.layers.recurrent._scan_kernels import backward, forward, weight_of


def traced_for_xla():
    """Whether the function being traced is compiled by XLA, where packed shapes can't be had."""
    return tf.__internal__.get_enclosing_xla_context() is not None


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
    packing = find_packing(mask)

    def split(packed):
        parts = iter(tf.split(packed, packed.shape[-1], 1))
        return tuple(None if term is None else next(parts) for term in (p, q))

    @tf.custom_gradient
    def scan(sequence, terms, kernel, recurrent, bias):
        x = pack(sequence, packing)
        packed_terms = split(pack(terms, packing))
        weights = [tf.split(weight, gates, -1) for weight in (kernel, recurrent, bias)]
        states, saved = forward(x, *packed_terms, *weights, packing)
        last = packing.lengths[:, None] - 1
        steps = tf.range(tf.shape(sequence)[1])[None] if sequences else last
        at = packed_at(packing, tf.maximum(tf.minimum(steps, last), 0))
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
                at_steps = pack(upstream, packing)
            by_x, by_terms, *by_weights = backward(
                at_steps, tf.gather(ends, packing.order), x, *packed_terms, kernel, recurrent,
                states, saved, packing, gate_gradient,
            )
            by_terms = unpack(by_terms, packing, terms) if gate_gradient else None
            return unpack(by_x, packing, sequence), by_terms, *by_weights

        return tf.ensure_shape(result, shape), gradient

    tensors = (sequence, terms, kernel, recurrent_kernel, bias)
    return tf.cast(scan(*(tf.cast(tensor, wide) for tensor in tensors)), dtype)


def padded_scan(sequence, p, q, mask, kernel, recurrent_kernel, bias, *, sequences):
    """What `packed_scan` gives, over all rows up to the longest of the batch.

    Few operations a step, which is what a single request waits for; the input's product with its
    kernel stands before the loop.

    Args:
        sequence: float tensor (B, T, D).
        p: float tensor (B, T), zero where the mask is False, or None.
        q: float tensor (B, T), likewise; None means that there is no update gate.
        mask: bool tensor (B, T), True = real.
        kernel: float tensor (D, g·n), columns (update,) reset, candidate.
        recurrent_kernel: float tensor (n, g·n).
        bias: float tensor (g·n,).
        sequences: whether all states are returned or the last one.

    Returns:
        Float tensor (B, T, n) or (B, n).
    """
    rows, time = tf.unstack(tf.shape(mask))
    units = recurrent_kernel.shape[0]
    inner = bias.shape[0] - units  # width of the gates that are opened before the candidate
    lengths = lengths_of(mask)
    steps = tf.maximum(tf.reduce_max(lengths), 1)
    width = sequence.shape[-1]
    by_time = tf.reshape(tf.transpose(sequence, (1, 0, 2)), (-1, width))

    def array(tensor, width):
        empty = tf.TensorArray(sequence.dtype, time, element_shape=(sequence.shape[0], width))
        return empty.unstack(tf.reshape(tensor, (time, rows, width)))

    kernels, recurrents, biases = (
        tf.split(weight, [inner, units], -1) for weight in (kernel, recurrent_kernel, bias)
    )
    inputs = [
        array(tf.nn.bias_add(tf.matmul(by_time, w), b), b.shape[0])
        for w, b in zip(kernels, biases, strict=True)
    ]
    terms = [None if term is None else array(tf.transpose(term), 1) for term in (p, q)]

    def body(t, state, *states):
        opened = tf.sigmoid(inputs[0].read(t) + tf.matmul(state, recurrents[0]))
        *update, reset = tf.split(opened, inner // units, 1)
        candidate = tf.tanh(inputs[1].read(t) + reset * tf.matmul(state, recurrents[1]))
        p_now, q_now = (None if term is None else term.read(t) for term in terms)
        state = state + weight_of(p_now, q_now, *update or (None,)) * (candidate - state)
        return t + 1, state, *(array.write(t, state) for array in states)

    state = tf.zeros((rows, units), sequence.dtype)
    states = tf.TensorArray(sequence.dtype, time, element_shape=(sequence.shape[0], units))
    variables = (tf.constant(0), state, states)[: 3 if sequences else 2]
    _, state, *states = tf.while_loop(lambda t, *_: t < steps, body, variables)
    if not sequences:
        return state
    # Past its last real step a row keeps its state; the loop itself may have ended before.
    at = tf.maximum(tf.minimum(tf.range(time), lengths[:, None] - 1), 0) * rows
    flat = tf.reshape(states[0].stack(), (-1, units))
    result = tf.gather(flat, at + tf.range(rows)[:, None])
    return tf.ensure_shape(result, (*sequence.shape[:2], units))
