"""Layers of recall models give under XLA what they give without."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import (
    BatchItems,
    ItemProbability,
    SampledItems,
    StreamingFrequency,
    VectorMemory,
)

ITEMS, ROWS = 9, 6
GENERATOR = np.random.default_rng(0)
COUNTS = np.arange(ITEMS + 1.0)
IDS = [GENERATOR.integers(0, ITEMS + 1, ROWS).astype("int32") for _ in range(3)]
VECTORS = [GENERATOR.normal(size=(ROWS, 4)).astype("float32") for _ in range(3)]

CASES = {
    "vector_memory": (lambda: VectorMemory(10), lambda layer, i, v: layer(i, v, training=True)),
    "batch_items": (lambda: BatchItems(4, seed=1), lambda layer, i, v: layer(i, v)),
    "log_uniform": (
        lambda: SampledItems(ITEMS + 1, 50, "log_uniform", seed=1), lambda layer, i, v: layer(i),
    ),
    "popularity": (
        lambda: SampledItems(ITEMS + 1, 50, "popularity", counts=COUNTS, seed=1),
        lambda layer, i, v: layer(i),
    ),
    **{
        f"probability_{name}": (
            lambda name=name: ItemProbability(
                ITEMS + 1, name, counts=COUNTS if name == "popularity" else None, times=3
            ),
            lambda layer, i, v: layer(i, i),
        )
        for name in ("uniform", "log_uniform", "popularity")
    },
    "streaming": (
        lambda: StreamingFrequency(ITEMS + 1, alpha=0.2),
        lambda layer, i, v: layer(i, i, i, training=True),
    ),
    "streaming_hashes": (
        lambda: StreamingFrequency(ITEMS + 1, buckets=5, hashes=2),
        lambda layer, i, v: layer(i, i, training=True),
    ),
}


@pytest.fixture
def same_draws(monkeypatch):
    """TensorFlow's own draws are others under XLA, whatever the seed."""

    def uniform(shape, seed=None, dtype=None):
        return tf.constant(np.random.default_rng(5).random(tuple(shape)), dtype)

    def randint(shape, low, high, seed=None):
        return tf.constant(np.random.default_rng(6).integers(low, high, tuple(shape)), "int32")

    monkeypatch.setattr(keras.random, "uniform", uniform)
    monkeypatch.setattr(keras.random, "randint", randint)


def steps(case, jit):
    """What three calls give, and the state they leave."""
    make, call = CASES[case]
    layer = make()
    call(layer, 0 * IDS[0], 0 * VECTORS[0])  # builds it, outside of what is compiled
    run = tf.function(lambda i, v: call(layer, i, v), jit_compile=jit)
    answers = [run(tf.constant(i), tf.constant(v)) for i, v in zip(IDS, VECTORS, strict=True)]
    return [np.asarray(one) for one in tf.nest.flatten([answers, layer.weights])]


@pytest.mark.parametrize("case", ["batch_items", "log_uniform", "popularity"])
def test_draws_are_compiled_and_of_the_kind_they_should_be(case):
    drawn = [one for one in steps(case, True)[:6] if one.ndim == 1 and one.dtype == "int32"][:3]
    for ids, draws in zip(IDS, drawn, strict=True):
        assert np.isin(draws, ids if case == "batch_items" else np.arange(1, ITEMS + 1)).all()


@pytest.mark.parametrize("case", CASES)
def test_xla_changes_nothing(case, same_draws):
    for plain, compiled in zip(steps(case, False), steps(case, True), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-6)
