"""T5's blocks and the generation of items by codes, in float64, from the equations with loops."""

import itertools
import math

import numpy as np


def rms(vector, scale):
    size = math.sqrt(sum(v * v for v in vector) / len(vector) + 1e-6)
    return np.array([v / size * s for v, s in zip(vector, scale, strict=True)])


def softmax(scores):
    powers = [math.exp(s - max(scores)) for s in scores]
    return [p / sum(powers) for p in powers]


def bucket(distance, bidirectional=True, buckets=32, farthest=128):
    """T5's bucket of key position minus query position."""
    if bidirectional:
        half = buckets // 2
        side = half if distance > 0 else 0
        return side + _one_sided(abs(distance), half, farthest)
    return _one_sided(max(0, -distance), buckets, farthest)


def _one_sided(distance, buckets, farthest):
    near = buckets // 2
    if distance < near:
        return distance
    steps = math.log(distance / near) / math.log(farthest / near) * (buckets - near)
    return min(buckets - 1, near + math.floor(steps))


def attention(queries, sequence, weights, name, heads, bias=None, real=None, causal=False):
    """One row: queries (Q, D) over a sequence (K, D); zeros where nothing may be looked at."""
    query, key, value, output = (
        weights[f"{name}/{part}_kernel"] for part in ("query", "key", "value", "output")
    )
    size = query.shape[1] // heads
    result = np.zeros((len(queries), output.shape[1]))
    for i, x in enumerate(queries):
        inner = np.zeros(heads * size)
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            keys = [
                j for j in range(len(sequence))
                if (real is None or real[j]) and not (causal and j > i)
            ]
            if not keys:
                continue
            scores = [
                float((x @ query[:, part]) @ (sequence[j] @ key[:, part]))
                + (0.0 if bias is None else bias(h, i, j))
                for j in keys
            ]
            for share, j in zip(softmax(scores), keys, strict=True):
                inner[part] += share * (sequence[j] @ value[:, part])
        result[i] = inner @ output
    return result


def block(x, weights, name, heads, bias, real=None, causal=False, encoded=None, encoded_real=None):
    """One row (T, D) through a block; with an encoder's output through a decoder's block."""
    normal = [rms(v, weights[f"{name}/norm_self_attention/scale"]) for v in x]
    x = x + attention(
        normal, normal, weights, f"{name}/self_attention", heads, bias, real, causal
    )
    if encoded is not None:
        normal = [rms(v, weights[f"{name}/norm_cross_attention/scale"]) for v in x]
        x = x + attention(
            normal, encoded, weights, f"{name}/cross_attention", heads, real=encoded_real
        )
    rows = []
    for v in x:
        inner = rms(v, weights[f"{name}/norm_feed_forward/scale"]) @ weights[f"{name}/inner/kernel"]
        rows.append(v + np.maximum(inner, 0.0) @ weights[f"{name}/outer/kernel"])
    return np.array(rows)


def encoder(sequence, real, weights, layers, heads):
    """One row (S, D) through the encoder."""
    table = weights["positions/table"]

    def bias(h, i, j):
        return table[bucket(j - i), h]

    x = sequence
    for number in range(layers):
        x = block(x, weights, f"block_{number}", heads, bias, real)
    return np.array([rms(v, weights["norm/scale"]) for v in x])


def code_log_probabilities(codes, encoded, real, table, sizes, weights, layers, heads):
    """log p of each code of one item, every prefix decoded from its start."""
    positions, found = weights["positions/table"], []

    def bias(h, i, j):
        return positions[bucket(j - i, bidirectional=False), h]

    for step, code in enumerate(codes):
        inputs = [weights["start"]]
        for position, before in enumerate(codes[:step]):
            inputs.append(table[sum(sizes[:position]) + before])
        x = np.array(inputs)
        for number in range(layers):
            x = block(
                x, weights, f"block_{number}", heads, bias, causal=True, encoded=encoded,
                encoded_real=real,
            )
        state = rms(x[-1], weights["norm/scale"])
        if f"head_{step}/kernel" in weights:
            logits = state @ weights[f"head_{step}/kernel"] + weights[f"head_{step}/bias"]
        else:
            first = sum(sizes[:step]) + 1
            logits = table[first : first + sizes[step]] @ state / math.sqrt(len(state))
        found.append(math.log(softmax(logits)[code - 1]))
    return found


def beam_search(codes, log_probability, width):
    """Ids and scores that a beam over the prefixes of all items ends with, best first.

    Args:
        codes: (V, L), row 0 padding.
        log_probability: function from a prefix, a tuple of codes, to that of its last code.
        width: prefixes kept.
    """
    beams = [((), 0.0)]
    for position in range(codes.shape[1]):
        prefixes = {tuple(row[: position + 1]) for row in codes[1:].tolist()}
        longer = [
            (prefix, score + log_probability(prefix))
            for (before, score), prefix in itertools.product(beams, sorted(prefixes))
            if prefix[:-1] == before
        ]
        beams = sorted(longer, key=lambda beam: -beam[1])[:width]
    ids = {tuple(row): item for item, row in enumerate(codes.tolist())}
    return [ids[prefix] for prefix, _ in beams], [score for _, score in beams]
