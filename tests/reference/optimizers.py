"""NumPy twins of the row-sparse optimizers, in float64, from the equations with plain loops.

A step is a list with one (ids, gradients) pair a table: the gradient of occurrence i of a lookup
belongs to row ids[i], and ids may repeat.
"""

import math

import numpy as np


def dense(ids, gradients, shape):
    """The gradient of the whole table: every occurrence added to its row."""
    total = np.zeros(shape)
    for row, gradient in zip(ids, gradients, strict=True):
        for column in range(shape[1]):
            total[row, column] += gradient[column]
    return total


def clipped(gradients, *, clipnorm=None, clipvalue=None, global_clipnorm=None):
    """Dense gradients, one a table, after clipping."""
    if clipvalue is not None:
        return [np.minimum(np.maximum(g, -clipvalue), clipvalue) for g in gradients]
    norms = [math.sqrt(sum(float(x) ** 2 for x in g.ravel())) for g in gradients]
    if clipnorm is not None:
        return [g * min(1.0, clipnorm / n) for g, n in zip(gradients, norms, strict=True)]
    if global_clipnorm is not None:
        norm = math.sqrt(sum(n**2 for n in norms))
        return [g * min(1.0, global_clipnorm / norm) for g in gradients]
    return gradients


def adam(
    tables, steps, *, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False,
    weight_decay=0.0, lazy=True, **clipping,
):
    """Tables after all steps of Adam; lazy leaves rows alone that no id of the step names."""
    tables = [np.array(table, np.float64) for table in tables]
    m = [np.zeros_like(table) for table in tables]
    v = [np.zeros_like(table) for table in tables]
    largest = [np.zeros_like(table) for table in tables]
    for t, step in enumerate(steps, start=1):
        rate = learning_rate(t - 1) if callable(learning_rate) else learning_rate
        gradients = [dense(*pair, w.shape) for pair, w in zip(step, tables, strict=True)]
        gradients = clipped(gradients, **clipping)
        for k, (ids, _) in enumerate(step):
            for row in sorted(set(ids)) if lazy else range(len(tables[k])):
                for column in range(tables[k].shape[1]):
                    at, g = (row, column), gradients[k][row, column]
                    tables[k][at] *= 1 - rate * weight_decay
                    m[k][at] = beta_1 * m[k][at] + (1 - beta_1) * g
                    v[k][at] = beta_2 * v[k][at] + (1 - beta_2) * g**2
                    largest[k][at] = max(largest[k][at], v[k][at])
                    root = math.sqrt(largest[k][at] if amsgrad else v[k][at])
                    unbiased = math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
                    tables[k][at] -= rate * unbiased * m[k][at] / (root + epsilon)
    return tables


def adagrad(
    tables, steps, *, learning_rate, initial_accumulator_value=0.1, epsilon=1e-7,
    weight_decay=0.0, **clipping,
):
    """Tables after all steps of Adagrad; weight decay acts on the rows a step names."""
    tables = [np.array(table, np.float64) for table in tables]
    sums = [np.full_like(table, initial_accumulator_value) for table in tables]
    for step in steps:
        gradients = [dense(*pair, w.shape) for pair, w in zip(step, tables, strict=True)]
        gradients = clipped(gradients, **clipping)
        for k, (ids, _) in enumerate(step):
            for row in range(len(tables[k])):
                for column in range(tables[k].shape[1]):
                    at, g = (row, column), gradients[k][row, column]
                    if row in ids:
                        tables[k][at] *= 1 - learning_rate * weight_decay
                    sums[k][at] += g**2
                    tables[k][at] -= learning_rate * g / math.sqrt(sums[k][at] + epsilon)
    return tables
