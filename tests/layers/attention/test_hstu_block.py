import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import HSTUBlock, RelativeBias
from deeprec_tf.layers.attention import hstu_block as module
from deeprec_tf.layers.attention.relative_bias import time_buckets
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form
from tests.reference import hstu as reference

ROWS, STEPS, WIDTH, PLACES = 5, 7, 4, 9
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(ROWS, STEPS, WIDTH)).astype("float32")
LENGTHS = (7, 0, 3, 1, 5)
MASK = np.arange(STEPS) < np.array(LENGTHS)[:, None]
TIMES = np.cumsum(GENERATOR.integers(0, 10**6, size=(ROWS, STEPS)), axis=1) * MASK
ASKED = np.where(MASK, TIMES + GENERATOR.integers(0, 10**5, size=TIMES.shape), 0)
FORMS = {
    "plain": ({}, False),
    "times": ({}, True),
    "window": ({"window": 3, "normalizer": 3}, False),
    "prefix": ({"prefix": 2, "places": PLACES - 2}, False),
    "all": ({"prefix": 1, "places": PLACES - 1, "window": 2, "normalizer": 6}, True),
}


def form(name):
    options, has_times = FORMS[name]
    layer = HSTUBlock(2, 3, **{"places": PLACES, **options})
    if options.get("prefix"):
        mask = np.concatenate([np.ones((ROWS, 2), bool), MASK[:, :-2]], axis=1)
    else:
        mask = MASK
    arrays = (X, mask, *((TIMES * mask, ASKED * mask) if has_times else ()))
    layer(*arrays)
    return layer, arrays


def noisy(layer):
    return randomize(layer, scale=0.5)


@pytest.fixture(params=["whole", "chunks"])
def way(request, monkeypatch):
    """Both ways to attend, the second for sequences of any length and 3 queries at a time."""
    if request.param == "chunks":
        whole = module.chunked_attention
        monkeypatch.setattr(module, "LONG", 0)
        monkeypatch.setattr(
            module, "chunked_attention", lambda *args, **kw: whole(*args, chunk=3, **kw)
        )
    return request.param


@pytest.mark.parametrize("name", FORMS)
def test_numbers(name, way):
    layer, arrays = form(name)
    weights = noisy(layer)
    n = layer.normalizer or layer.places
    mask = arrays[1]
    for got in (layer(*arrays), tf.function(lambda: layer(*arrays, training=True))()):
        for row in range(ROWS):
            real = slice(0, mask[row].sum())
            times = [one[row, real] for one in arrays[2:]] or (None, None)
            wanted = reference.hstu_block(
                X[row, real].astype("float64"), weights, 2, n, layer.prefix, layer.window, *times
            )
            np.testing.assert_allclose(got[row, real], wanted, atol=5e-5)
        assert not np.asarray(got)[~mask].any(), "padding is not 0"


@pytest.mark.parametrize("name", ["window", "all"])
def test_contract_and_training(name, way):
    layer, arrays = form(name)
    noisy(layer)
    check_fast_form(layer, *arrays, tolerance=1e-4)
    check_layer(HSTUBlock.from_config(layer.get_config()), *arrays)
    if way == "whole":
        check_half_precision(HSTUBlock.from_config(layer.get_config()), *arrays)


def test_gradients_by_finite_differences(way):
    layer, arrays = form("all")
    noisy(layer)
    upstream = GENERATOR.normal(size=X.shape)
    weights = [w for w in layer.trainable_weights if w.path.split("/")[-1] != "output_bias"]

    def total():
        return float(np.sum(np.asarray(layer(*arrays), "float64") * upstream))

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(*arrays) * tf.constant(upstream, tf.float32))
    gradients = tape.gradient(loss, [w.value for w in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        gradient = np.asarray(tf.convert_to_tensor(gradient))
        before, moved = weight.numpy(), GENERATOR.normal(size=weight.shape)
        ends = []
        for step in (1e-2, -1e-2):
            weight.assign(before + step * moved)
            ends.append(total())
        weight.assign(before)
        assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(np.sum(gradient * moved), rel=2e-2)


def test_what_comes_later_moves_nothing_before(way):
    layer, arrays = form("times")
    noisy(layer)
    before = np.asarray(layer(*arrays))
    changed = X.copy()
    changed[:, 4:] += 1.0
    after = np.asarray(layer(changed, *arrays[1:]))
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    assert np.abs(after[0, 4:] - before[0, 4:]).min() > 0


def test_a_window_of_all_places_is_none(way):
    plain, arrays = form("plain")
    windowed = HSTUBlock(2, 3, places=PLACES, window=PLACES)
    windowed(*arrays)
    noisy(plain)
    windowed.set_weights(plain.get_weights())
    np.testing.assert_allclose(windowed(*arrays), plain(*arrays), rtol=1e-6)


def test_n_is_a_constant_and_padding_changes_nothing(way):
    layer, (x, mask) = form("plain")
    noisy(layer)
    longer = np.pad(x, [(0, 0), (0, 2), (0, 0)]), np.pad(mask, [(0, 0), (0, 2)])
    np.testing.assert_allclose(layer(*longer)[:, :STEPS], layer(x, mask), atol=1e-6)


def test_layers_begin_near_the_identity_and_n_is_not_canceled():
    """A V / n is far below the 1e-6 of the norm, so a larger n moves a new layer less."""
    layer, (x, mask) = form("plain")

    def moved(n):
        layer.normalizer = n
        return np.abs(np.asarray(layer(x, mask)) - x)[mask].max()

    assert moved(PLACES) < 1e-2
    assert moved(PLACES) / moved(10 * PLACES) == pytest.approx(10, rel=0.2)


def test_steps_that_are_appended_equal_steps_of_the_sequence():
    layer, (x, mask, times, asked) = form("all")
    noisy(layer)
    length = mask.sum(axis=1)
    targets = GENERATOR.normal(size=(ROWS, 3, WIDTH)).astype("float32")
    shown = GENERATOR.integers(10**6, 10**7, size=(ROWS, 1))
    _, key, value = layer.encode(x, mask, times, asked)
    place = (length - layer.prefix).astype("int32")
    got = layer.extend(targets, key, value, place, times, shown)
    pad = [(0, 0), (0, 1)]
    at = np.arange(STEPS + 1) == length[:, None]
    mask = np.arange(STEPS + 1) <= length[:, None]
    times, asked = (np.where(at, shown, np.pad(one, pad)) for one in (times, asked))
    for m in range(3):
        one = np.where(at[..., None], targets[:, m, None], np.pad(x, [*pad, (0, 0)]))
        wanted = np.asarray(layer(one.astype("float32"), mask, times, asked))[at]
        np.testing.assert_allclose(got[:, m], wanted, atol=2e-6)


def test_weights_by_explain():
    layer, arrays = form("times")
    noisy(layer)
    weights = np.asarray(layer.explain(*arrays)["weights"])
    assert weights.shape == (ROWS, 2, STEPS, STEPS)
    assert not np.triu(weights[0, 0], 1).any(), "a step looks ahead"
    assert not weights[2, :, 3:].any() and not weights[2, :, :, 3:].any(), "padding has a weight"


def test_time_buckets():
    apart = np.array([0, 1, 2, 60, 3600, 86400, 10**8, 2**62])
    got = time_buckets(np.zeros((1, 1), "int64"), apart[None])[0, 0]
    assert list(np.asarray(got)) == [reference.bucket(0, one) for one in apart]
    assert np.asarray(got)[-1] == 128 and np.asarray(got)[0] == 0
    # Seconds of today, a few apart: no half or single precision in between.
    now = 1_700_000_000
    got = time_buckets(np.array([[now]]), np.array([[now - 3]]))
    assert int(got[0, 0, 0]) == reference.bucket(0, 3)


def test_relative_bias():
    layer = RelativeBias(PLACES, window=3, prefix=1)
    check_layer(layer, X, TIMES, ASKED, time_axes=(1, 2))
    tables = randomize(layer)
    got = np.asarray(layer(X, TIMES, ASKED))
    for i in range(STEPS):
        for j in range(STEPS):
            for row in range(ROWS):
                wanted = reference.rab(
                    i, j, 1, 3, tables["by_distance"], tables["by_time"], TIMES[row], ASKED[row]
                )
                wanted = -1e4 if wanted is None else wanted
                assert got[row, i, j] == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_memory_of_a_long_history_grows_with_its_length():
    """The largest tensor of a training step has no axis of all queries beside one of all keys."""
    block = HSTUBlock(1, 4, places=2048)
    x, mask = tf.zeros((1, 1536, 4)), tf.ones((1, 1536), "bool")
    block(x[:, :8], mask[:, :8])

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(block(x, mask, training=True))
        return tape.gradient(loss, block.input_kernel.value)

    graph = tf.function(step).get_concrete_function().graph
    sizes = [
        t.shape.num_elements() or 0
        for op in graph.get_operations() for t in op.outputs if t.shape.rank is not None
    ]
    assert max(sizes) < 1536 * 128


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HSTUBlock(0, 3, places=4), "num_heads and head_size must be at least 1, got 0"),
        (lambda: HSTUBlock(1, 3, places=4, window=0), "places and window must be at least 1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
