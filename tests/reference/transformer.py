"""NumPy twins of self-attention, Transformer blocks, BST and DSIN, in float64 with plain loops."""

import math

import numpy as np

from tests.reference.behavior import bilinear_attention, weighted_sum
from tests.reference.core import dense, masked_softmax, predict, sigmoid


def self_attention(sequence, mask, query, key_value, output, heads, queries=None):
    """Output (B, Q, d) and weights (B, H, Q, T).

    Args:
        sequence: (B, T, d).
        mask: (B, T).
        query: kernel (d, d).
        key_value: kernel (d, 2 d), keys first.
        output: kernel (d, d).
        heads: number of heads.
        queries: (B, Q, d), the sequence when None.
    """
    queries = sequence if queries is None else queries
    rows, steps, width = sequence.shape
    size = width // heads
    weights = np.zeros((rows, heads, queries.shape[1], steps))
    out = np.zeros(queries.shape)
    for b in range(rows):
        q = dense(queries[b], query)
        k, v = dense(sequence[b], key_value[:, :width]), dense(sequence[b], key_value[:, width:])
        joined = np.zeros(q.shape)
        for h in range(heads):
            at = range(h * size, (h + 1) * size)
            scores = np.array([
                [sum(q[i, j] * k[t, j] for j in at) / math.sqrt(size) for t in range(steps)]
                for i in range(len(q))
            ])  # fmt: skip
            weights[b, h] = masked_softmax(scores, [mask[b]] * len(q))
            for i in range(len(q)):
                for j in at:
                    joined[i, j] = sum(weights[b, h, i, t] * v[t, j] for t in range(steps))
        out[b] = dense(joined, output)
    return out, weights


def layer_norm(x, gamma, beta, epsilon=1e-6):
    """Rows (N, d) to mean 0 and variance 1, scaled and shifted."""
    out = np.zeros(x.shape)
    for i, row in enumerate(x):
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        for j, value in enumerate(row):
            out[i, j] = gamma[j] * (value - mean) / math.sqrt(variance + epsilon) + beta[j]
    return out


def leaky_relu(x):
    return x if x > 0 else 0.2 * x


def relu(x):
    return max(x, 0.0)


def transformer_block(sequence, mask, w, heads, activation, queries=None):
    """LN(S' + W2 act(W1 S')), S' = LN(S + MultiHead(S)); w: weights by path below the block."""
    attended, _ = self_attention(
        sequence, mask, w["attention/query_kernel"], w["attention/key_value_kernel"],
        w["attention/output_kernel"], heads, queries,
    )
    base = sequence if queries is None else queries
    out = np.zeros(base.shape)
    for b in range(len(base)):
        x = layer_norm(
            base[b] + attended[b], w["norm_attention/gamma"], w["norm_attention/beta"]
        )
        inner = dense(x, w["inner/dense_0/kernel"], w["inner/dense_0/bias"])
        inner = np.array([[activation(value) for value in row] for row in inner])
        deeper = dense(inner, w["outer/kernel"], w["outer/bias"])
        out[b] = layer_norm(
            x + deeper, w["norm_feed_forward/gamma"], w["norm_feed_forward/beta"]
        )
    return out


def target_distance(mask, table, times=None, target_time=None, unit=1):
    """(B, T + 1, width): rows of the table by distance, those of padding set to 0."""
    rows, steps = mask.shape
    out = np.zeros((rows, steps + 1, table.shape[1]))
    for b in range(rows):
        length = sum(bool(real) for real in mask[b])
        for t in range(steps):
            if not mask[b, t]:
                continue
            if times is None:
                position = length - t
            else:
                units, position = (float(target_time[b, 0]) - float(times[b, t])) / unit, 0
                while units >= 2 ** (position + 1) - 1:
                    position += 1
            out[b, t] = table[min(position, len(table) - 1)]
        out[b, steps] = table[0]
    return out


def bst(w, batch, *, heads, readout, layers, maxlen, time_unit=None):
    """BST with the columns item_id, hist_item_id and price (and timestamp, hist_timestamp)."""
    table = w["embedding_item_id/embeddings"]
    target, behaviors = table[batch["item_id"]], table[batch["hist_item_id"]]
    mask = batch["hist_item_id"] != 0
    times = {}
    if time_unit is not None:
        times = {"times": batch["hist_timestamp"], "unit": time_unit,
                 "target_time": batch["timestamp"].reshape(-1, 1)}  # fmt: skip
    positions = target_distance(mask, w["positions/table"], **times)
    items = np.concatenate([behaviors, target[:, None]], axis=1)
    real = np.concatenate([mask, np.ones((len(mask), 1), bool)], axis=1)
    sequence = np.stack([
        dense(np.concatenate(pair, axis=1), w["elements/kernel"], w["elements/bias"])
        for pair in zip(items, positions, strict=True)
    ])  # fmt: skip
    for layer in range(layers):
        block = {k.removeprefix(f"block_{layer}/"): v for k, v in w.items()
                 if k.startswith(f"block_{layer}/")}  # fmt: skip
        sequence = transformer_block(sequence, real, block, heads, leaky_relu)
    if readout == "target":
        interest = sequence[:, -1]
    elif readout == "mean":
        interest = np.stack([sequence[b][real[b]].mean(axis=0) for b in range(len(real))])
    else:
        history = np.zeros((len(mask), maxlen, sequence.shape[2]))
        for b, t in zip(*np.nonzero(mask), strict=True):
            history[b, t] = sequence[b, t]
        interest = np.concatenate([history.reshape(len(mask), -1), sequence[:, -1]], axis=1)
    x = np.concatenate([batch["price"], interest], axis=1)
    x = dense(x, w["tower/dense_0/kernel"], w["tower/dense_0/bias"])
    x = np.array([[leaky_relu(value) for value in row] for row in x])
    return predict(x @ w["logit/kernel"], w["probability/bias"], "binary")


def session_bias(sessions, session, place, unit):
    """Adds wK[k] + wT[t] + wC[c]; (B, K, S, D)."""
    out = np.array(sessions, "float64")
    for b, k, t, c in np.ndindex(out.shape):
        out[b, k, t, c] += session[k] + place[t] + unit[c]
    return out


def session_interest(sessions, items_mask, w, heads):
    """The mean over the items of each session of a Transformer block; (B, K, D)."""
    rows, count, _, width = sessions.shape
    out = np.zeros((rows, count, width))
    for b in range(rows):
        for k in range(count):
            real = [t for t, is_real in enumerate(items_mask[b, k]) if is_real]
            if real:
                alone = sessions[b : b + 1, k][:, real]
                items = transformer_block(alone, np.ones((1, len(real)), bool), w, heads, relu)
                out[b, k] = items[0].sum(axis=0) / len(real)
    return out


def lstm(steps, kernel, recurrent, bias):
    """All states (T, n) of an LSTM over (T, D); gates stand as input, forget, candidate, output."""
    n = recurrent.shape[0]
    h, c, out = [0.0] * n, [0.0] * n, []
    for x in steps:
        z = [
            sum(x[i] * kernel[i, j] for i in range(len(x)))
            + sum(h[i] * recurrent[i, j] for i in range(n)) + bias[j]
            for j in range(4 * n)
        ]  # fmt: skip
        for j in range(n):
            c[j] = sigmoid(z[n + j]) * c[j] + sigmoid(z[j]) * math.tanh(z[2 * n + j])
        h = [sigmoid(z[3 * n + j]) * math.tanh(c[j]) for j in range(n)]
        out.append(h)
    return np.array(out).reshape(-1, n)


def bi_lstm(sequence, mask, forward, backward):
    """Both directions over the real steps alone, zeros elsewhere; (B, T, 2 n).

    `forward` and `backward` are (kernel, recurrent kernel, bias).
    """
    n = forward[1].shape[0]
    out = np.zeros((*sequence.shape[:2], 2 * n))
    for b in range(len(sequence)):
        real = [t for t in range(sequence.shape[1]) if mask[b, t]]
        steps = sequence[b][real]
        out[b, real, :n] = lstm(steps, *forward)
        out[b, real, n:] = lstm(steps[::-1], *backward)[::-1]
    return out


def dsin(w, batch, *, heads):
    """DSIN with the columns item_id, hist_item_id (sessions) and price, without projection."""
    table = w["embedding_item_id/embeddings"]
    target, sessions = table[batch["item_id"]], table[batch["hist_item_id"]]
    items_mask = batch["hist_item_id"] != 0
    mask = items_mask.any(axis=-1)
    sessions = session_bias(
        sessions, *(w[f"bias_encoding/{name}"] for name in ("session", "place", "unit"))
    )
    prefix = "session_interest/block/"
    block = {k.removeprefix(prefix): v for k, v in w.items() if k.startswith(prefix)}
    interests = session_interest(sessions, items_mask, block, heads)
    states = bi_lstm(interests, mask, *(lstm_weights(w, d) for d in ("forward", "backward")))
    activated = [
        weighted_sum(bilinear_attention(target, x, mask, w[f"{label}_relevance/kernel"]), x)
        for label, x in (("interest", interests), ("interplay", states))
    ]
    x = np.concatenate([batch["price"], target, *activated], axis=1)
    x = dense(x, w["tower/dense_0/kernel"], w["tower/dense_0/bias"])
    x = np.maximum(x, 0)
    return predict(x @ w["logit/kernel"], w["probability/bias"], "binary")


def lstm_weights(w, direction):
    """(kernel, recurrent kernel, bias) of one direction, by their paths' ends."""
    return tuple(
        next(v for k, v in w.items() if f"{direction}/" in k and k.split("/")[-1] == kind)
        for kind in ("kernel", "recurrent_kernel", "bias")
    )
