"""NumPy twins of the pair layers, in float64, from the equations with plain loops."""

import math

import numpy as np


def pairs_of(count):
    """Index pairs i < j."""
    return [(i, j) for i in range(count) for j in range(count) if i < j]


def pairs_by_halves(count):
    """The same pairs, those of a field of the first half and one of the second before the rest."""
    first = range(count // 2)
    across = [(i, j) for i, j in pairs_of(count) if i in first and j not in first]
    return across + [pair for pair in pairs_of(count) if pair not in across]


def hadamard_pairs(fields, order=pairs_of):
    """v_i ∘ v_j of all pairs; (B, F, D) → (B, P, D)."""
    return np.array(
        [
            [[a * b for a, b in zip(rows[i], rows[j], strict=True)] for i, j in order(len(rows))]
            for rows in fields
        ]
    )


def bi_interaction(fields):
    """Σ over pairs of v_i ∘ v_j; (B, D)."""
    out = np.zeros((fields.shape[0], fields.shape[2]))
    for b, rows in enumerate(fields):
        for i, j in pairs_of(len(rows)):
            for d in range(fields.shape[2]):
                out[b, d] += rows[i][d] * rows[j][d]
    return out


def field_weighted_fm(fields, weights):
    """Σ over pairs of r_ij <v_i, v_j>; weights one a pair; (B, 1)."""
    out = np.zeros((fields.shape[0], 1))
    for b, rows in enumerate(fields):
        for (i, j), weight in zip(pairs_of(len(rows)), weights, strict=True):
            out[b, 0] += weight * sum(x * y for x, y in zip(rows[i], rows[j], strict=True))
    return out


def pair_attention(fields, kernel, bias, projection):
    """Attention (B, P) over the pairs and their weighted sum (B, D)."""
    all_weights, pooled = [], []
    for products in hadamard_pairs(fields):
        scores = []
        for product in products:
            score = 0.0
            for unit in range(kernel.shape[1]):
                inside = sum(x * w for x, w in zip(product, kernel[:, unit], strict=True))
                score += projection[unit] * max(0.0, inside + bias[unit])
            scores.append(score)
        total = sum(math.exp(score) for score in scores)
        weights = [math.exp(score) / total for score in scores]
        all_weights.append(weights)
        pooled.append(sum(w * product for w, product in zip(weights, products, strict=True)))
    return np.array(all_weights), np.array(pooled)


def outer_product(fields):
    """vec of the sum over all ordered pairs, a field with itself too, of v_i v_jᵀ; (B, D²)."""
    out = []
    for rows in fields:
        width = len(rows[0])
        matrix = [[0.0] * width for _ in range(width)]
        for left in rows:
            for right in rows:
                for a in range(width):
                    for b in range(width):
                        matrix[a][b] += left[a] * right[b]
        out.append([value for line in matrix for value in line])
    return np.array(out)


def senet(fields, squeeze, excite):
    """Importance (B, F) of the fields and the scaled fields."""
    all_weights, scaled = [], []
    for rows in fields:
        means = [sum(vector) / len(vector) for vector in rows]
        hidden = [
            max(0.0, sum(z * w for z, w in zip(means, column, strict=True))) for column in squeeze.T
        ]
        weights = [
            max(0.0, sum(h * w for h, w in zip(hidden, column, strict=True))) for column in excite.T
        ]
        all_weights.append(weights)
        scaled.append([[a * x for x in v] for a, v in zip(weights, rows, strict=True)])
    return np.array(all_weights), np.array(scaled)


def bilinear(fields, matrix_of):
    """(v_i W) ∘ v_j of the pairs by halves, W = matrix_of(i, j, number of the pair); (B, P, D)."""
    out = []
    for rows in fields:
        products = []
        for number, (i, j) in enumerate(pairs_by_halves(len(rows))):
            matrix = matrix_of(i, j, number)
            moved = [
                sum(rows[i][a] * matrix[a][b] for a in range(len(rows[i])))
                for b in range(len(rows[j]))
            ]
            products.append([x * y for x, y in zip(moved, rows[j], strict=True)])
        out.append(products)
    return np.array(out)
