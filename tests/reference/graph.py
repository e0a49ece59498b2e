"""LightGCN by its equations, in float64 and plain loops."""

import math

import numpy as np


def propagated(users, items, pairs, num_layers):
    """Mean over k = 0..K of Ã^k E, from a set of pairs (u, i)."""
    pairs = set(map(tuple, pairs))
    items_of = {u: [i for v, i in pairs if v == u] for u, _ in pairs}
    users_of = {i: [u for u, j in pairs if j == i] for _, i in pairs}
    total_users, total_items = users.copy(), items.copy()
    for _ in range(num_layers):
        new_users, new_items = np.zeros_like(users), np.zeros_like(items)
        for u, i in pairs:
            norm = math.sqrt(len(items_of[u])) * math.sqrt(len(users_of[i]))
            new_users[u] += items[i] / norm
            new_items[i] += users[u] / norm
        users, items = new_users, new_items
        total_users, total_items = total_users + users, total_items + items
    return total_users / (num_layers + 1), total_items / (num_layers + 1)


def penalty(rows):
    """½ ‖rows‖² divided by the number of rows."""
    return sum(float(row @ row) for row in rows) / 2.0 / len(rows)
