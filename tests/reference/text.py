"""BERT from its equations, and what a safetensors file is, in float64 NumPy."""

import json
import math

import numpy as np


def read_safetensors(path):
    """Arrays by name: a little-endian length, a JSON header, and the bytes."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    kinds = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = (8 + size + offset for offset in entry["data_offsets"])
            flat = np.frombuffer(data[first:last], kinds[entry["dtype"]])
            arrays[name] = flat.reshape(entry["shape"]).astype("float64")
    return arrays


def gelu(x):
    """x times the normal distribution function, value by value."""
    values = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel()]
    return np.array(values).reshape(x.shape)


def layer_norm(x, scale, shift, epsilon=1e-12):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


def bert(w, ids, segments, heads):
    """Last hidden states (T, D) of one text without padding; weights as Hugging Face names them."""
    x = np.stack([
        w["embeddings.word_embeddings.weight"][token]
        + w["embeddings.position_embeddings.weight"][position]
        + w["embeddings.token_type_embeddings.weight"][segment]
        for position, (token, segment) in enumerate(zip(ids, segments, strict=True))
    ])  # fmt: skip

    def norm(x, name):
        return layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = norm(x, "embeddings.LayerNorm")
    block = 0
    while f"encoder.layer.{block}.output.dense.weight" in w:
        name = f"encoder.layer.{block}"
        query, key, value = (
            dense(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
        )
        width = x.shape[1] // heads
        seen = np.zeros_like(x)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for step in range(len(x)):
                scores = [query[step, part] @ other[part] / math.sqrt(width) for other in key]
                weights = np.exp(np.array(scores) - max(scores))
                seen[step, part] = (weights / weights.sum()) @ value[:, part]
        x = norm(x + dense(seen, f"{name}.attention.output.dense"),
                 f"{name}.attention.output.LayerNorm")  # fmt: skip
        inner = gelu(dense(x, f"{name}.intermediate.dense"))
        x = norm(x + dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        block += 1
    return x


def pooled(states, real, pooling):
    """One vector a row from (B, T, D) and the real tokens; zeros where there is none."""
    vectors = np.zeros((len(states), states.shape[2]))
    for row, tokens in enumerate(real):
        steps = [step for step, is_real in enumerate(tokens) if is_real]
        if steps:
            steps = {"cls": steps[:1], "last": steps[-1:], "mean": steps}[pooling]
            vectors[row] = sum(states[row, step] for step in steps) / len(steps)
    return vectors


def cosine(u, v):
    lengths = math.sqrt(sum(a * a for a in u)) * math.sqrt(sum(b * b for b in v))
    return sum(a * b for a, b in zip(u, v, strict=True)) / lengths


def longer_side_first(user, item, room):
    """Takes one token after another from the end of the longer side; the user's first if equal."""
    user, item = list(user), list(item)
    while len(user) + len(item) > room:
        (user if len(user) >= len(item) else item).pop()
    return user, item
