"""The recurrence's fast forms, packed for training and padded for inference, against the cell's."""

import functools
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import DynamicGRU
from deeprec_tf.layers.recurrent import dynamic_gru
from tests.layers.contract import randomize, weights_of
from tests.layers.recurrent.test_dynamic_gru import call, forms, twin
from tests.reference.models import gru_weights

ROWS, STEPS, WIDTH, UNITS = 7, 6, 3, 4
GENERATOR = np.random.default_rng(1)
X = GENERATOR.normal(size=(ROWS, STEPS, WIDTH)).astype("float32")
A = GENERATOR.uniform(size=(ROWS, STEPS)).astype("float32")
PULL = GENERATOR.normal(size=(ROWS, STEPS, UNITS)).astype("float32")
LENGTHS = np.array([[3], [6], [0], [1], [6], [2], [4]])
MASKS = {
    "lengths": np.arange(STEPS) < LENGTHS,
    "all real": np.ones((ROWS, STEPS), bool),
    "holes": GENERATOR.uniform(size=(ROWS, STEPS)) < 0.5,
    "short": np.arange(STEPS) < np.minimum(LENGTHS, 2),
    "all padding": np.zeros((ROWS, STEPS), bool),
}
masks = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def built(kind="AUGRU", update_gate="paper", *, sequences=True, dtype="float32"):
    layer = DynamicGRU(
        UNITS, gru_type=kind, update_gate=update_gate, return_sequences=sequences, dtype=dtype
    )
    call(layer, X.astype(layer.compute_dtype), A, MASKS["lengths"])
    randomize(layer, 3)
    return layer


# Layers that tests only read, each with the steps that were traced for it.
shared = functools.cache(built)


@functools.cache
def traced(layer, form, jit):
    """A step of the layer in that form: states and gradients by input and by weight."""

    @tf.function(jit_compile=jit)
    def step(mask, pull, x, *extra):
        with tf.GradientTape() as tape:
            tape.watch([x, *extra])
            states = layer(x, *extra, sequence_mask=mask, training=form == "packed")
            loss = tf.reduce_sum(tf.cast(states, "float32") * pull)
        sources = [x, *extra, *(weight.value for weight in layer.trainable_weights)]
        return states, *tape.gradient(loss, sources)

    return step


def run(layer, x=X, attention=A, mask=MASKS["lengths"], *, form, pull=PULL, jit=False):
    """States and gradients by sequence, attention and weights, "packed", "padded" or by "cell"."""
    if not layer.return_sequences:
        pull = pull[:, -1]
    extra = () if layer.gru_type == "GRU" else (tf.constant(attention),)
    mask = None if mask is None else tf.constant(mask)
    step = traced(layer, form, jit)
    with mock.patch.object(dynamic_gru, "traced_for_xla", lambda: jit or form == "cell"):
        values = step(mask, tf.constant(pull), tf.constant(x, layer.compute_dtype), *extra)
    return [np.asarray(tf.cast(value, "float32")) for value in values]


def assert_same(layer, form="packed", *, atol=1e-5, **options):
    got, wanted = run(layer, form=form, **options), run(layer, form="cell", **options)
    for value, reference in zip(got, wanted, strict=True):
        assert value.shape == reference.shape
        np.testing.assert_allclose(value, reference, atol=atol)


both = pytest.mark.parametrize("form", ["packed", "padded"])


@forms
@masks
@both
@pytest.mark.parametrize("sequences", [True, False])
def test_equals_the_cell(kind, update_gate, mask, form, sequences):
    assert_same(shared(kind, update_gate, sequences=sequences), form, mask=mask)


@forms
def test_xla_and_eager_give_the_same(kind, update_gate):
    layer = shared(kind, update_gate)
    graph = run(layer, form="packed")
    for got, wanted in zip(run(layer, form="packed", jit=True), graph, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    inputs = (X,) if kind == "GRU" else (X, A)
    for training in (True, False):
        eager = layer(*inputs, sequence_mask=MASKS["lengths"], training=training)
        np.testing.assert_allclose(eager, graph[0], atol=1e-6)


@forms
@both
def test_numbers_of_the_twin(kind, update_gate, form):
    layer = shared(kind, update_gate)
    weights = gru_weights(weights_of(layer), "", "rc" if kind == "AGRU" else "urc")
    wanted = twin(weights, kind, update_gate, X, A, MASKS["lengths"])
    np.testing.assert_allclose(run(layer, form=form)[0], wanted, atol=1e-5)


@forms
def test_gradient_in_float64(kind, update_gate):
    """A step along a random direction in all inputs and weights, against the twin."""
    layer = built(kind, update_gate, dtype="float64")
    gates = "rc" if kind == "AGRU" else "urc"

    def loss(x, attention):
        weights = gru_weights(weights_of(layer), "", gates)
        states = twin(weights, kind, update_gate, x, attention, MASKS["holes"])
        return float(np.sum(states * PULL))

    start = [X.astype("float64"), A.astype("float64"), *layer.get_weights()]
    along = [np.random.default_rng(9).normal(size=value.shape) for value in start]
    mask = tf.constant(MASKS["holes"])
    sources = [tf.constant(start[0]), tf.constant(start[1])]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        inputs = sources[:1] if kind == "GRU" else sources
        states = layer(*inputs, sequence_mask=mask, training=True)
        total = tf.reduce_sum(states * PULL)
    sources += [weight.value for weight in layer.trainable_weights]
    gradients = tape.gradient(total, sources, unconnected_gradients="zero")
    got = sum(float(tf.reduce_sum(g * a)) for g, a in zip(gradients, along, strict=True))
    ends = []
    for sign in (1, -1):
        moved = [s + sign * 1e-6 * a for s, a in zip(start, along, strict=True)]
        layer.set_weights(moved[2:])
        ends.append(loss(*moved[:2]))
    assert got == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_states_carried_on_give_their_gradient_to_the_last_real_step():
    late = np.zeros_like(PULL)
    late[:, 3:] = PULL[:, 3:]
    assert_same(shared(), mask=MASKS["short"], pull=late)
    by_x = run(shared(), form="packed", mask=MASKS["short"], pull=late)[1]
    assert np.all(np.abs(by_x[LENGTHS[:, 0] > 1, 1]).max(-1) > 0)
    assert np.all(by_x[:, 2:] == 0)


@both
def test_no_mask(form):
    assert_same(shared(), form, mask=None)


@both
@pytest.mark.parametrize(("rows", "steps"), [(1, STEPS), (ROWS, 1), (1, 1)])
def test_one_row_and_one_step(form, rows, steps):
    at = (slice(rows), slice(steps))
    assert_same(shared(), form, x=X[at], attention=A[at], mask=MASKS["lengths"][at], pull=PULL[at])


@forms
@both
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(kind, update_gate, dtype, form):
    assert_same(shared(kind, update_gate, dtype=dtype), form, atol=0.15)


@pytest.mark.parametrize("training", [True, False])
def test_lengths_vary_from_batch_to_batch(training):
    """One trace serves any lengths, batch and number of steps; known sizes stay known."""
    layer = built()
    shapes = []

    @tf.function(input_signature=[
        tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec((None, None)),
        tf.TensorSpec((None, None), tf.bool),
    ])
    def states(x, attention, mask):
        result = layer(x, attention, sequence_mask=mask, training=training)
        shapes.append(result.shape)
        return result

    for mask in MASKS.values():
        for rows, steps in ((ROWS, STEPS), (2, 3)):
            at = (slice(rows), slice(steps))
            weights = gru_weights(weights_of(layer), "")
            wanted = twin(weights, "AUGRU", "paper", X[at], A[at], mask[at])
            np.testing.assert_allclose(states(X[at], A[at], mask[at]), wanted, atol=1e-5)
    assert [shape.as_list() for shape in shapes] == [[None, None, UNITS]]
    static = tf.function(lambda x: layer(x, A, training=training))
    static = static.get_concrete_function(tf.constant(X))
    assert static.outputs[0].shape == (ROWS, STEPS, UNITS)


def test_training_moves_the_weights_as_the_cell_does():
    """Through fit: the packed form in graph mode, the cell under XLA."""
    weights = []
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((STEPS, WIDTH)), keras.Input((STEPS,)), keras.Input((STEPS,))
        layer = DynamicGRU(UNITS, gru_type="AUGRU")
        states = layer(inputs[0], inputs[1], sequence_mask=inputs[2])
        model = keras.Model(inputs, states)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit)
        data = [X, A, MASKS["lengths"].astype("float32")]
        model.fit(data, PULL[:, 0], batch_size=4, epochs=2, shuffle=False, verbose=0)
        weights.append(layer.get_weights())
    for graph, xla in zip(*weights, strict=True):
        np.testing.assert_allclose(graph, xla, atol=1e-5)


@pytest.mark.parametrize(
    ("training", "jit", "form"),
    [
        (True, False, ["packed_scan"]), (False, False, ["padded_scan"]), (True, True, []),
        (False, True, []),
    ],
)
def test_where_each_form_runs(monkeypatch, training, jit, form):
    """Exports are traced without training; what XLA compiles has fixed shapes."""
    calls = []
    for name in ("packed_scan", "padded_scan"):
        original = getattr(dynamic_gru, name)

        def noted(*tensors, name=name, original=original, **options):
            calls.append(name)
            return original(*tensors, **options)

        monkeypatch.setattr(dynamic_gru, name, noted)
    layer = built()
    calls.clear()
    step = tf.function(lambda x: layer(x, A, training=training), jit_compile=jit)
    step(tf.constant(X))
    assert calls == form
