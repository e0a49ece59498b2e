"""NumPy twins of CIN, MaskNet's and FinalMLP's layers, in float64, with plain loops."""

import numpy as np


def cin(fields, kernels, *, activation=lambda x: x, split_half=False):
    """Sums over D of the maps of all layers; kernels[k][h][i][j] weighs X^{k-1}_i ∘ X^0_j."""
    rows = []
    for first in fields:
        before, sums = list(first), []
        for k, kernel in enumerate(kernels):
            maps = []
            for weights in kernel:
                total = np.zeros(first.shape[1])
                for i, left in enumerate(before):
                    for j, right in enumerate(first):
                        total = total + weights[i][j] * left * right
                maps.append(activation(total))
            half = len(maps) // 2
            last = k == len(kernels) - 1
            out = maps[half:] if split_half and not last else maps
            before = maps[:half] if split_half else maps
            sums += [each.sum() for each in out]
        rows.append(sums)
    return np.array(rows)


def inner_products(fields):
    """<v_i, v_j> of the pairs i < j; (B, F, D) → (B, F(F-1)/2)."""
    return np.array(
        [
            [
                sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
                for i in range(len(rows))
                for j in range(i + 1, len(rows))
            ]
            for rows in fields
        ]
    )


def layer_norm(vector, gamma, beta, epsilon=1e-5):
    """One vector with mean 0 and variance 1, scaled and moved."""
    mean = sum(vector) / len(vector)
    variance = sum((x - mean) ** 2 for x in vector) / len(vector)
    return np.array(
        [
            g * (x - mean) / np.sqrt(variance + epsilon) + b
            for x, g, b in zip(vector, gamma, beta, strict=True)
        ]
    )


def field_norm(fields, gamma, beta):
    """Each field of each row normalized by itself; gamma and beta (F, D)."""
    return np.array(
        [
            [layer_norm(vector, gamma[f], beta[f]) for f, vector in enumerate(rows)]
            for rows in fields
        ]
    )


def instance_mask(flat, first, second):
    """W_2 ReLU(W_1 flat + b_1) + b_2; `first` and `second` are (kernel, bias)."""
    rows = []
    for row in flat:
        hidden = [max(0.0, float(row @ w + b)) for w, b in zip(first[0].T, first[1], strict=True)]
        rows.append(np.array(hidden) @ second[0] + second[1])
    return np.array(rows)


def mask_block(hidden, mask, kernel, gamma, beta):
    """ReLU(LN(W (mask ∘ hidden)))."""
    rows = []
    for row, factors in zip(hidden, mask, strict=True):
        product = np.array([x * m for x, m in zip(row, factors, strict=True)])
        rows.append([max(0.0, x) for x in layer_norm(product @ kernel, gamma, beta)])
    return np.array(rows)


def feature_gates(context, hidden, output):
    """2σ(MLP(context)), ReLU between; layers are (kernel, bias)."""
    rows = []
    for row in context:
        for kernel, bias in hidden:
            row = np.array([max(0.0, x) for x in row @ kernel + bias])
        rows.append([2.0 / (1.0 + np.exp(-x)) for x in row @ output[0] + output[1]])
    return np.array(rows)


def bilinear_fusion(first, second, first_weights, second_weights, matrices):
    """w_1ᵀ o_1 + w_2ᵀ o_2 + Σ_h o_1hᵀ W_h o_2h; matrices (H, n/H, m/H)."""
    out = []
    for left, right in zip(first, second, strict=True):
        total = sum(x * w for x, w in zip(left, first_weights, strict=True))
        total += sum(x * w for x, w in zip(right, second_weights, strict=True))
        for h, matrix in enumerate(matrices):
            for i, weights in enumerate(matrix):
                for j, weight in enumerate(weights):
                    total += left[h * len(matrix) + i] * weight * right[h * len(weights) + j]
        out.append([total])
    return np.array(out)
