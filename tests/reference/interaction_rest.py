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
