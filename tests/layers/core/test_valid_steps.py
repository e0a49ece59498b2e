import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers.core._kernels import is_graph_training
from deeprec_tf.layers.core._valid_steps_kernels import ValidSteps
from deeprec_tf.layers.core.valid_steps import AllSteps, steps_of

GENERATOR = np.random.default_rng(0)
SEQUENCE = GENERATOR.normal(size=(4, 5, 3)).astype("float32")
ROWS = GENERATOR.normal(size=(4, 2)).astype("float32")
MASK = np.arange(5) < np.array([[5], [0], [2], [4]])
SCATTERED = np.array([[0, 1, 0, 1, 1], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0] * 5], bool)
MASKS = {
    "lengths": MASK, "scattered": SCATTERED, "none": np.zeros_like(MASK),
    "all": np.ones_like(MASK), "one row": MASK[:1], "one step": MASK[:, :1],
    "no rows": MASK[:0], "no steps": MASK[:, :0],
}  # fmt: skip


@pytest.fixture(params=list(MASKS))
def mask(request):
    return MASKS[request.param]


def test_take_packs_the_real_steps_in_order(mask):
    rows, width = mask.shape
    steps = ValidSteps(tf.constant(mask))
    assert steps.mask is None, "there is no padding left"
    packed = steps.take(tf.constant(SEQUENCE[:rows]))
    np.testing.assert_array_equal(packed, SEQUENCE[:rows, :width][mask])


def test_take_of_a_sequence_that_starts_earlier_and_of_one_with_more_axes():
    steps = ValidSteps(tf.constant(MASK[:, 1:]))
    for first in (0, 1):
        packed = steps.take(tf.constant(SEQUENCE), first)
        np.testing.assert_array_equal(packed, SEQUENCE[:, first : first + 4][MASK[:, 1:]])
        readable = AllSteps(MASK[:, 1:]).take(tf.constant(SEQUENCE), first)
        np.testing.assert_array_equal(readable, SEQUENCE[:, first : first + 4])
    deep = GENERATOR.normal(size=(4, 5, 2, 3)).astype("float32")
    np.testing.assert_array_equal(steps.take(tf.constant(deep), 1), deep[:, 1:][MASK[:, 1:]])


@pytest.mark.parametrize("first", [0, 1])
def test_gradient_of_take_goes_back_to_its_place(first):
    mask = MASK[:, 1:]
    steps = ValidSteps(tf.constant(mask))
    sequence = tf.constant(SEQUENCE)
    weights = GENERATOR.normal(size=(mask.sum(), 3)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(sequence)
        total = tf.reduce_sum(steps.take(sequence, first) * weights)
    wanted = np.zeros_like(SEQUENCE)
    wanted[:, first : first + 4][mask] = weights
    np.testing.assert_array_equal(tape.gradient(total, sequence), wanted)


def test_rows_go_to_their_steps_and_sums_back(mask):
    count = len(mask)
    steps = ValidSteps(tf.constant(mask))
    rows = tf.constant(ROWS[:count])
    with tf.GradientTape() as tape:
        tape.watch(rows)
        spread = steps.of_rows(rows)
        summed = steps.sum(spread)
        total = tf.reduce_sum(summed * summed)
    np.testing.assert_array_equal(spread, ROWS[:count][np.nonzero(mask)[0]])
    lengths = mask.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(summed, ROWS[:count] * lengths, rtol=1e-6)
    np.testing.assert_allclose(
        tape.gradient(total, rows), 2 * ROWS[:count] * lengths**2, rtol=1e-5, atol=1e-6
    )


def test_restore_puts_values_in_their_places(mask):
    steps = ValidSteps(tf.constant(mask))
    values = tf.range(1.0, mask.sum() + 1.0)
    pattern = GENERATOR.normal(size=mask.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(values)
        padded = steps.restore(values)
        total = tf.reduce_sum(padded * pattern)
    wanted = np.zeros(mask.shape, "float32")
    wanted[mask] = values
    np.testing.assert_array_equal(padded, wanted)
    np.testing.assert_array_equal(tape.gradient(total, values), pattern[mask])


@pytest.mark.parametrize("name", [name for name in MASKS if not name.startswith("no ")])
def test_softmax_and_weighted_sum_are_those_of_the_readable_form(name):
    mask = MASKS[name]
    rows, width = mask.shape
    sequence = tf.constant(SEQUENCE[:rows, :width])
    found = []
    for steps in (ValidSteps(tf.constant(mask)), AllSteps(mask)):
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            taken = steps.take(sequence)
            pooled = steps.weighted_sum(steps.softmax(taken[..., 0]), taken)
            pooled += steps.weighted_sum(steps.only_real(taken[..., 1]), taken)
            total = tf.reduce_sum(pooled**2)
        found.append((pooled, tape.gradient(total, sequence)))
    for got, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_only_training_in_graph_mode_packs():
    mask = tf.constant(MASK)
    seen = {}

    def traced(name, training):
        def call():
            seen[name] = type(steps_of(mask, training=training)), is_graph_training(training)
        return call

    traced("eager", True)()
    tf.function(traced("graph", True))()
    tf.function(traced("inference", False))()
    tf.function(traced("XLA", True), jit_compile=True)()
    tf.function(lambda: tf.function(traced("inside XLA", True))(), jit_compile=True)()
    assert seen == {
        "eager": (AllSteps, False), "graph": (ValidSteps, True), "inference": (AllSteps, False),
        "XLA": (AllSteps, False), "inside XLA": (AllSteps, False),
    }
