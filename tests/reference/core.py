"""NumPy twins of the core layers, in float64, from the equations with plain loops."""

import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: x if x > 0 else 0.0,
    "sigmoid": sigmoid,
    "tanh": math.tanh,
}


def masked_softmax(scores, mask):
    """(B, T) scores and truth values → (B, T); a row without a true one is zero."""
    out = np.zeros(np.shape(scores))
    for b, row in enumerate(scores):
        real = [t for t in range(len(row)) if mask[b][t]]
        if not real:
            continue
        top = max(row[t] for t in real)
        total = sum(math.exp(row[t] - top) for t in real)
        for t in real:
            out[b, t] = math.exp(row[t] - top) / total
    return out


def dense(x, kernel, bias=None):
    """(N, n) rows times (n, m) kernel, plus bias."""
    out = np.zeros((len(x), kernel.shape[1]))
    for i, row in enumerate(x):
        for j in range(kernel.shape[1]):
            out[i, j] = sum(row[k] * kernel[k, j] for k in range(len(row)))
            if bias is not None:
                out[i, j] += bias[j]
    return out


def moments(x, real):
    """Mean and population variance of each column over the rows that are real."""
    kept = [row for row, keep in zip(x, real, strict=True) if keep]
    mean = [sum(row[j] for row in kept) / len(kept) for j in range(x.shape[1])]
    variance = [
        sum((row[j] - mean[j]) ** 2 for row in kept) / len(kept) for j in range(x.shape[1])
    ]
    return np.array(mean), np.array(variance)


def dice(x, alpha, mean, variance):
    """p·s + (1 - p)·alpha·s with p from the standardized s; (N, n)."""
    out = np.zeros(x.shape)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            p = sigmoid((x[i, j] - mean[j]) / math.sqrt(variance[j] + 10.0**-8))
            out[i, j] = p * x[i, j] + (1 - p) * alpha[j] * x[i, j]
    return out


def prelu(x, alpha):
    out = np.zeros(x.shape)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] if x[i, j] > 0 else alpha[j] * x[i, j]
    return out


def mlp(x, layers, activation):
    """Layers are (kernel, bias, normalization or None); normalization is
    (gamma, beta, mean, variance, epsilon)."""
    for kernel, bias, norm in layers:
        x = dense(x, kernel, bias)
        if norm is not None:
            gamma, beta, mean, variance, epsilon = norm
            for j in range(x.shape[1]):
                x[:, j] = gamma[j] * (x[:, j] - mean[j]) / math.sqrt(variance[j] + epsilon)
                x[:, j] += beta[j]
        x = np.array([[ACTIVATIONS[activation](value) for value in row] for row in x])
    return x


def sequence_pooling(sequence, mask, combiner, weights=None, weight_norm=True):
    """(B, T, D) → (B, D)."""
    rows, steps, width = sequence.shape
    if weights is None:
        weights = np.ones((rows, steps))
    elif weight_norm:
        weights = masked_softmax(weights, mask)
    out = np.zeros((rows, width))
    for b in range(rows):
        real = [t for t in range(steps) if mask[b][t]]
        for d in range(width):
            terms = [weights[b][t] * sequence[b, t, d] for t in real]
            if not terms:
                continue
            if combiner == "max":
                out[b, d] = max(terms)
            else:
                out[b, d] = sum(terms)
                total = sum(weights[b][t] for t in real)
                if combiner == "mean" and total != 0:
                    out[b, d] /= total
    return out


def hash_id(raw, vocabulary_size):
    """Carter-Wegman on the two 31-bit halves, in Python's unbounded integers."""
    if raw == 0:
        return 0
    prime = (1 << 31) - 1
    low = raw % (1 << 31)
    high = ((raw - low) >> 31) % prime
    key = (low * 1274126177 + high * 668265263 + 374761393) % prime
    return 1 + key % (vocabulary_size - 1)


def predict(logit, bias, task):
    """(B, n) logits → predictions."""
    out = np.zeros(logit.shape)
    for b, row in enumerate(logit):
        shifted = [value + bias[j] for j, value in enumerate(row)]
        for j, value in enumerate(shifted):
            if task == "binary":
                out[b, j] = sigmoid(value)
            elif task == "regression":
                out[b, j] = value
            else:
                out[b, j] = math.exp(value) / sum(math.exp(other) for other in shifted)
    return out


def dense_fields(numbers, vectors):
    """x_i v_i; (B, n) and (n, D) → (B, n, D)."""
    out = np.zeros((*numbers.shape, vectors.shape[1]))
    for b in range(numbers.shape[0]):
        for i in range(numbers.shape[1]):
            for d in range(vectors.shape[1]):
                out[b, i, d] = numbers[b, i] * vectors[i, d]
    return out
