import keras
import numpy as np
import pytest
import tensorflow as tf

ROWS, WIDTH = 7, 3


@pytest.fixture(params=["eager", "graph", "xla"])
def mode(request):
    return request.param


@pytest.fixture
def tables():
    generator = np.random.default_rng(1)
    return [generator.normal(size=(ROWS, WIDTH)).astype("float32") for _ in range(2)]


@pytest.fixture
def steps():
    """Six steps on two tables; ids repeat, some rows are never touched, some come back late.

    The second table has fewer rows than its gradients.
    """
    generator = np.random.default_rng(2)
    choices = [[0, 1, 1, 4, 1], [0, 0, 0, 0, 0], [5, 4, 3, 5, 4], [1, 2, 1, 2, 1]]
    return [
        [
            (ids, generator.normal(size=(len(ids), WIDTH)).astype("float32"))
            for ids in (choices[step % 4], 2 * choices[(step + 2) % 4])
        ]
        for step in range(6)
    ]


@pytest.fixture
def train(mode):
    """Run an optimizer over steps of (ids, gradients) pairs in the mode; give the tables."""

    def run(optimizer, tables, steps, as_gradient=tf.IndexedSlices):
        variables = [keras.Variable(table, name=f"table_{i}") for i, table in enumerate(tables)]
        optimizer.build(variables)

        def apply(step):
            gradients = [
                as_gradient(values, ids, tf.constant(table.shape, tf.int64))
                for (ids, values), table in zip(step, tables, strict=True)
            ]
            optimizer.apply(gradients, variables)

        if mode != "eager":
            apply = tf.function(apply, jit_compile=mode == "xla")
        for step in steps:
            apply([(tf.constant(ids, tf.int32), tf.constant(values)) for ids, values in step])
        return [variable.numpy() for variable in variables]

    return run


@pytest.fixture
def as_dense():
    """A gradient as the tensor of the table's shape, repeated ids summed."""
    return lambda values, ids, shape: tf.math.unsorted_segment_sum(values, ids, ROWS)
