import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import DynamicGRU
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.behavior import gru
from tests.reference.models import gru_weights

GENERATOR = np.random.default_rng(0)
ROWS, STEPS, WIDTH, UNITS = 3, 4, 3, 2
X = GENERATOR.normal(size=(ROWS, STEPS, WIDTH)).astype("float32")
A = GENERATOR.uniform(size=(ROWS, STEPS)).astype("float32")
MASK = np.arange(STEPS) < np.array([[4], [0], [2]])

FORMS = [
    ("GRU", "paper"), ("AGRU", "paper"), ("AUGRU", "paper"), ("AUGRU", "released"),
]
forms = pytest.mark.parametrize(("kind", "update_gate"), FORMS)


def built(kind="GRU", update_gate="paper", *, units=UNITS, sequences=True, seed=0):
    layer = DynamicGRU(
        units, gru_type=kind, update_gate=update_gate, return_sequences=sequences
    )
    call(layer, X, A, MASK)
    return layer, gru_weights(randomize(layer, seed), "", "rc" if kind == "AGRU" else "urc")


def call(layer, x, attention, mask):
    return layer(x, sequence_mask=mask) if layer.gru_type == "GRU" else layer(x, attention, mask)


def arguments(kind):
    return (X,) if kind == "GRU" else (X, A, MASK)


def twin(w, kind, update_gate, x=X, attention=A, mask=MASK):
    return gru(
        x.astype("float64"), mask, w, kind=kind, attention=attention.astype("float64"),
        update_gate=update_gate,
    )


@forms
@pytest.mark.parametrize("sequences", [True, False])
def test_contract(kind, update_gate, sequences):
    layer, _ = built(kind, update_gate, sequences=sequences)
    check_layer(layer, *arguments(kind))


@forms
def test_half_precision(kind, update_gate):
    check_half_precision(DynamicGRU(gru_type=kind, update_gate=update_gate), *arguments(kind))


@forms
def test_numbers(kind, update_gate):
    layer, w = built(kind, update_gate)
    wanted = twin(w, kind, update_gate)
    np.testing.assert_allclose(call(layer, X, A, MASK), wanted, atol=1e-5)
    last = DynamicGRU(UNITS, gru_type=kind, update_gate=update_gate)
    call(last, X, A, MASK)
    last.set_weights(layer.get_weights())
    np.testing.assert_allclose(call(last, X, A, MASK), wanted[:, -1], atol=1e-5)


@forms
@pytest.mark.parametrize("jit", [False, True])
def test_gradient(kind, update_gate, jit):
    """Gradients by sequence, attention and weights against finite differences of the twin."""
    layer, w = built(kind, update_gate)
    pull = np.random.default_rng(5).normal(size=(ROWS, STEPS, UNITS))

    @tf.function(jit_compile=jit)
    def gradients(x, attention):
        with tf.GradientTape() as tape:
            tape.watch([x, attention])
            loss = tf.reduce_sum(call(layer, x, attention, MASK) * pull.astype("float32"))
        sources = [x, attention, *(weight.value for weight in layer.trainable_weights)]
        return tape.gradient(loss, sources)

    def loss(x=X, attention=A, weights=w):
        return float(np.sum(twin(weights, kind, update_gate, x, attention) * pull))

    by_x, by_attention, *by_weights = gradients(tf.constant(X), tf.constant(A))
    _compare(by_x, lambda at: loss(x=at), X, [(0, 0, 0), (0, 3, 2), (2, 1, 1)])
    assert np.all(by_x.numpy()[~MASK] == 0), "padding has a gradient"
    if kind != "GRU":
        _compare(by_attention, lambda at: loss(attention=at), A, [(0, 0), (0, 2), (2, 1)])
        assert np.all(by_attention.numpy()[~MASK] == 0)
    gates = "rc" if kind == "AGRU" else "urc"
    for matrix in range(3):
        for gate in range(len(gates)):
            column = gate * UNITS + 1
            at = (column,) if matrix == 2 else (0, column)

            def moved(value, matrix=matrix, gate=gates[gate]):
                parts = list(w[gate])
                parts[matrix] = value
                return loss(weights={**w, gate: tuple(parts)})

            start = w[gates[gate]][matrix]
            _compare(by_weights[matrix], moved, start, [at[:-1] + (1,)], got_at=[at])


def _compare(gradient, loss, start, places, got_at=None):
    for place, got_place in zip(places, got_at or places, strict=True):
        step = np.zeros(start.shape)
        step[place] = 1e-5
        start = start.astype("float64")
        wanted = (loss(start + step) - loss(start - step)) / 2e-5
        assert float(np.asarray(gradient)[got_place]) == pytest.approx(wanted, abs=2e-4)


def as_keras_gru(layer, kind="GRU"):
    """Keras's GRU with the same function: its update gate keeps what the paper's renews."""
    reference = keras.layers.GRU(UNITS, reset_after=True, return_sequences=True)
    reference.build(X.shape)
    kernel, recurrent, bias = layer.get_weights()
    sign = np.concatenate([-np.ones(UNITS), np.ones(2 * UNITS)])
    biases = np.stack([bias * sign, np.zeros_like(bias)])  # Keras has one more, on h·U
    reference.set_weights([kernel * sign, recurrent * sign, biases])
    return reference


@pytest.mark.parametrize("kind", ["GRU", "AUGRU"])
def test_attention_one_is_the_gru_of_keras(kind):
    layer, _ = built(kind)
    wanted = as_keras_gru(layer)(X, mask=MASK)
    got = call(layer, X, np.ones_like(A), MASK).numpy()
    np.testing.assert_allclose(got[MASK], wanted.numpy()[MASK], atol=1e-5)


@pytest.mark.parametrize("kind", ["AGRU", "AUGRU"])
def test_attention_zero_keeps_the_state(kind):
    layer, _ = built(kind)
    assert np.all(call(layer, X, np.zeros_like(A), MASK).numpy() == 0)
    late = np.where(np.arange(STEPS) < 2, A, 0).astype("float32")
    states = call(layer, X, late, MASK).numpy()
    np.testing.assert_array_equal(states[0, 2:], states[0, [1, 1]])


def test_released_form_moves_without_attention():
    layer, _ = built("AUGRU", "released")
    assert np.abs(call(layer, X, np.zeros_like(A), MASK).numpy()[0]).max() > 0.05


def test_agru_with_attention_one_is_a_chain_of_candidates():
    """Without recurrent weights each state is the candidate of its own step alone."""
    layer, w = built("AGRU")
    kernel, recurrent, bias = layer.get_weights()
    layer.set_weights([kernel, np.zeros_like(recurrent), bias])
    states = call(layer, X, np.ones_like(A), MASK).numpy()
    from_input, _, offset = w["c"]
    np.testing.assert_allclose(states[0], np.tanh(X[0] @ from_input + offset), atol=1e-5)


@forms
def test_longer_padding_changes_nothing(kind, update_gate):
    layer, _ = built(kind, update_gate)
    states = call(layer, X, A, MASK).numpy()
    more = GENERATOR.normal(size=(ROWS, 2, WIDTH)).astype("float32") * 10
    longer = np.concatenate([X, more], axis=1)
    attention = np.concatenate([A, np.ones((ROWS, 2), "float32")], axis=1)
    mask = np.concatenate([MASK, np.zeros((ROWS, 2), bool)], axis=1)
    got = call(layer, longer, attention, mask).numpy()
    np.testing.assert_allclose(got[:, :STEPS], states, atol=1e-6)
    np.testing.assert_allclose(got[:, STEPS:], states[:, [-1, -1]], atol=1e-6)


@forms
def test_padding_values_change_nothing(kind, update_gate):
    layer, _ = built(kind, update_gate)
    noisy = np.where(MASK[..., None], X, 7).astype("float32")
    attention = np.where(MASK, A, 0.9).astype("float32")
    np.testing.assert_array_equal(call(layer, noisy, attention, MASK), call(layer, X, A, MASK))


@forms
def test_a_hole_keeps_the_state(kind, update_gate):
    layer, w = built(kind, update_gate)
    mask = np.array([[True, False, True, True]] * ROWS)
    wanted = twin(w, kind, update_gate, mask=mask)
    np.testing.assert_allclose(call(layer, X, A, mask), wanted, atol=1e-5)


def test_no_mask_means_every_step_is_real():
    layer, w = built("AUGRU")
    wanted = twin(w, "AUGRU", "paper", mask=np.ones_like(MASK))
    np.testing.assert_allclose(layer(X, A), wanted, atol=1e-5)


def test_one_row_and_one_step():
    layer, w = built("AUGRU")
    got = layer(X[:1, :1], A[:1, :1], MASK[:1, :1])
    assert got.shape == (1, 1, UNITS)
    np.testing.assert_allclose(got, twin(w, "AUGRU", "paper")[:1, :1], atol=1e-5)


def test_units_are_those_of_the_input_when_left_out():
    assert DynamicGRU()(X, sequence_mask=MASK).shape == (ROWS, WIDTH)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gru_type": "LSTM"}, "gru_type must be one of .*, got 'LSTM'"),
        ({"update_gate": "keep"}, "update_gate must be one of .*, got 'keep'"),
        ({"units": 0}, "units must be at least 1 or None, got 0"),
    ],
)
def test_unknown_choice(options, message):
    with pytest.raises(ValueError, match=message):
        DynamicGRU(**options)


def test_attention_missing_or_superfluous():
    with pytest.raises(ValueError, match="gru_type 'AUGRU' needs attention"):
        DynamicGRU(2, gru_type="AUGRU")(X)
    with pytest.raises(ValueError, match="gru_type 'GRU' takes no attention"):
        DynamicGRU(2)(X, A)
