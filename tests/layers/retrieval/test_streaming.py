"""StreamingFrequency and VectorMemory: what training leaves behind for the next batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import StreamingFrequency, VectorMemory
from deeprec_tf.layers.retrieval import streaming_frequency
from tests.reference import streaming as twin

ITEMS = 9
GENERATOR = np.random.default_rng(0)
BATCHES = GENERATOR.integers(0, ITEMS, size=(40, 5)).astype("int32")  # 0 is padding
ALL = np.arange(1, ITEMS, dtype="int32")
OPTIONS = [{}, {"buckets": 4}, {"buckets": 5, "hashes": 3}]


def hash_functions(layer):
    if layer.buckets is None:
        return [int]
    return [
        lambda item, h=h: int(layer._places(np.array([item]))[0, h]) for h in range(layer.hashes)
    ]


@pytest.mark.parametrize("jit", [None, False, True])
@pytest.mark.parametrize("options", OPTIONS)
def test_gaps_follow_the_equations(jit, options):
    layer = StreamingFrequency(ITEMS, alpha=0.2, **options)
    layer(BATCHES[0], ALL)
    wanted = twin.Frequency(0.2, hash_functions(layer))
    call = lambda batch: layer(batch, ALL, training=True)  # noqa: E731
    call = call if jit is None else tf.function(call, jit_compile=jit)
    for batch in BATCHES:
        of_labels, of_candidates = call(tf.constant(batch))
        wanted.see(batch.tolist())
        np.testing.assert_allclose(
            of_candidates, [wanted.log_count(int(i)) for i in ALL], rtol=1e-5, atol=1e-6
        )
        real = batch > 0
        np.testing.assert_allclose(
            np.asarray(of_labels)[real], np.asarray(of_candidates)[batch[real] - 1], atol=1e-6
        )


def test_the_estimate_comes_to_the_share_of_batches_with_the_item():
    layer = StreamingFrequency(4, alpha=0.02)
    generator = np.random.default_rng(1)
    share = np.array([0.9, 0.25, 0.05])
    logs = []
    call = tf.function(lambda batch: layer(batch, np.arange(1, 4), training=True)[1])
    for _ in range(3000):
        logs.append(call(tf.constant(np.where(generator.random(3) < share, [1, 2, 3], 0), "int32")))
    gaps = np.mean(np.exp(-np.array(logs[1500:])), axis=0)
    np.testing.assert_allclose(1 / gaps, share, rtol=0.15)


def test_popular_items_are_told_apart_where_every_batch_has_them():
    """Algorithm 2 alone has 1 for all of them; their expected counts are what logQ needs."""
    layer = StreamingFrequency(30, alpha=0.02)
    generator = np.random.default_rng(2)
    chances = 1 / np.arange(1, 30) ** 1.5
    chances /= chances.sum()
    call = tf.function(lambda batch: layer(batch, np.arange(1, 30), training=True)[1])
    logs = [
        call(tf.constant(generator.choice(np.arange(1, 30), 100, p=chances), "int32"))
        for _ in range(1500)
    ]
    found = np.mean(np.exp(np.array(logs[500:])), axis=0)
    assert (100 * chances > 1).sum() > 8
    np.testing.assert_allclose(found, 100 * chances, rtol=0.15)


def test_the_expected_count_among_what_is_drawn():
    layer = StreamingFrequency(ITEMS)
    for batch in BATCHES:
        alone = layer(batch, ALL, training=True)
    batch, draws = np.array([3, 0, 5, 5]), np.array([1, 2, 3, 4, 0, 6, 7])
    for counted, chance in zip(layer(batch, ALL, draws), layer(batch, ALL), strict=True):
        np.testing.assert_allclose(np.exp(counted), np.exp(chance) * 6 / 3, rtol=1e-5)
    np.testing.assert_array_equal(alone[1], layer(batch, ALL)[1])


def test_only_training_moves_the_arrays():
    layer = StreamingFrequency(ITEMS)
    layer(BATCHES[0], ALL, training=True)
    before = [np.array(weight) for weight in layer.weights]
    layer(BATCHES[1], ALL)
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert not layer.trainable_weights
    never, _ = StreamingFrequency(ITEMS)(BATCHES[0], ALL)
    np.testing.assert_array_equal(never, 0.0)


def steps_of(options, eager):
    """What every batch gives, and the arrays that are left."""
    layer = StreamingFrequency(ITEMS, alpha=0.2, **options)
    layer(BATCHES[0], ALL)
    call = lambda batch: layer(batch, ALL, batch, training=True)  # noqa: E731
    call = call if eager else tf.function(call)
    answers = [call(tf.constant(batch)) for batch in BATCHES]
    return [np.asarray(one) for one in tf.nest.flatten([answers, layer.weights])]


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("options", OPTIONS)
def test_rows_written_in_place_are_those_of_arrays_assigned_whole(options, eager, monkeypatch):
    in_place = steps_of(options, eager)

    def put_rows(state, places, rows):
        written = keras.ops.scatter_update(state, places[:, None], rows)
        state.assign(written)
        return written

    monkeypatch.setattr(streaming_frequency, "put_rows", put_rows)
    for found, wanted in zip(in_place, steps_of(options, eager), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"buckets": 1002}])
def test_no_operation_of_a_step_is_as_long_as_the_arrays(options, training):
    layer = StreamingFrequency(1003, **options)
    layer.build((None,))
    step = tf.function(lambda ids: layer(ids, ids, ids, training=training))
    operations = step.get_concrete_function(tf.TensorSpec((5,), tf.int32)).graph.get_operations()
    of_whole_arrays = {
        operation.type for operation in operations for output in operation.outputs
        if output.shape.rank and output.shape[0] == 1003
    }
    assert of_whole_arrays == set()
    kinds = {operation.type for operation in operations}
    assert "ResourceGather" in kinds and ("ResourceScatterUpdate" in kinds) is training


def test_a_collision_can_only_make_an_item_look_more_frequent():
    exact, hashed = StreamingFrequency(ITEMS, alpha=1.0), StreamingFrequency(
        ITEMS, alpha=1.0, buckets=3, hashes=2
    )
    for batch in BATCHES:
        alone = np.asarray(exact(batch, ALL, training=True)[1])
        shared = np.asarray(hashed(batch, ALL, training=True)[1])
        seen = np.isin(ALL, batch)  # with alpha 1 the gap just closed
        assert (shared[seen] >= alone[seen] - 1e-6).all()
    assert hashed.gap.shape == (8,)


def test_queue():
    layer, wanted = VectorMemory(7), twin.Queue(7, 3)
    call = tf.function(lambda i, v: layer(i, v, training=True))
    for batch in range(4):
        vectors = GENERATOR.normal(size=(4, 3)).astype("float32")
        ids, known = call(tf.constant(BATCHES[batch, :4]), tf.constant(vectors))
        np.testing.assert_array_equal(ids, [i for i, _ in wanted.entries])
        np.testing.assert_allclose(known, [v for _, v in wanted.entries], rtol=1e-6)
        wanted.put(BATCHES[batch, :4], vectors)
        again, _ = layer(BATCHES[0, :4], vectors)  # no training: nothing is put in
        np.testing.assert_array_equal(again, [i for i, _ in wanted.entries])
    padded = np.array([0, 8, 0, 0, 9, 0])  # what has no item takes no place
    vectors = GENERATOR.normal(size=(6, 3)).astype("float32")
    call(tf.constant(padded), tf.constant(vectors))
    wanted.put(padded, vectors)
    np.testing.assert_array_equal(layer.ids, [i for i, _ in wanted.entries])
    np.testing.assert_allclose(layer.vectors, [v for _, v in wanted.entries], rtol=1e-6)
    many = GENERATOR.normal(size=(9, 3)).astype("float32")
    layer(np.arange(1, 10), many, training=True)
    np.testing.assert_array_equal(layer.ids, np.arange(1, 8))


def test_the_queue_passes_no_gradient():
    layer, vectors = VectorMemory(4), tf.constant(np.ones((2, 3), "float32"))
    layer(np.array([1, 2]), vectors, training=True)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        _, known = layer(np.array([1, 2]), vectors, training=True)
        total = tf.reduce_sum(known * 2.0)
    assert float(total) == 12.0 and tape.gradient(total, vectors) is None


@pytest.mark.parametrize(
    "layer", [StreamingFrequency(ITEMS, buckets=5, hashes=2, name="a"), VectorMemory(3, name="b")]
)
def test_both_are_saved(layer, tmp_path):
    ids = keras.Input((), dtype="int32")
    second = ids if isinstance(layer, StreamingFrequency) else keras.Input((2,))
    inputs = [ids] if second is ids else [ids, second]
    model = keras.Model(inputs, layer(ids, second))
    data = [np.array([3, 5], "int32"), np.ones((2, 2), "float32")][: len(inputs)]
    for _ in range(3):
        model(data, training=True)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(old, new)
        assert np.any(np.asarray(new))
    assert [o.shape for o in again.outputs] == [o.shape for o in model.outputs]
    assert again.get_layer(layer.name).get_config() == layer.get_config()


def test_half_precision():
    ids, vectors = BATCHES[0], tf.cast(np.ones((5, 3)), "bfloat16")
    assert StreamingFrequency(ITEMS, dtype="mixed_bfloat16")(ids, ALL)[0].dtype == tf.float32
    _, known = VectorMemory(4, dtype="mixed_bfloat16")(ids, vectors, training=True)
    assert known.dtype == tf.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StreamingFrequency(5, alpha=0.0), "alpha must be above 0 and at most 1, got 0.0"),
        (lambda: StreamingFrequency(5, hashes=2), "several hashes need buckets"),
        (lambda: StreamingFrequency(5, buckets=0), "must be at least 1"),
        (lambda: VectorMemory(0), "size must be at least 1, got 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
