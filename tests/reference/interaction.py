"""NumPy twins of the interaction layers, in float64, from the equations with plain loops."""

import numpy as np


def fm(fields):
    """Σ over pairs i < j of <v_i, v_j>; (B, F, D) → (B, 1)."""
    out = np.zeros((fields.shape[0], 1))
    for b, rows in enumerate(fields):
        for i in range(len(rows)):
            for j in range(i + 1, len(rows)):
                out[b, 0] += sum(rows[i][d] * rows[j][d] for d in range(len(rows[i])))
    return out
