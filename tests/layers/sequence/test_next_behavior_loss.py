import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf.layers import NextBehaviorLoss
from tests.layers.contract import check_layer, randomize
from tests.layers.fast_forms import check_fast_form, training_results
from tests.reference.behavior import inner, next_behavior_loss
from tests.reference.core import dense, sigmoid

GENERATOR = np.random.default_rng(0)
PREDICTION = GENERATOR.uniform(size=(3, 1)).astype("float32")
STATES = GENERATOR.normal(size=(3, 4, 2)).astype("float32")
NARROW = GENERATOR.normal(size=(3, 4, 2)).astype("float32")
WIDE = GENERATOR.normal(size=(3, 4, 3)).astype("float32")
NEGATIVES = GENERATOR.normal(size=(3, 4, 2)).astype("float32")
MASK = np.arange(4) < np.array([[4], [0], [2]])


def loss_of(layer, *arguments):
    layer(*arguments)
    (loss,) = layer.losses
    return float(loss)


def test_contract():
    got = check_layer(NextBehaviorLoss(0.5), PREDICTION, STATES, NARROW, NEGATIVES, MASK)
    np.testing.assert_array_equal(got, PREDICTION)


def test_numbers():
    got = loss_of(NextBehaviorLoss(), PREDICTION, STATES, NARROW, NEGATIVES, MASK)
    wanted = next_behavior_loss(STATES, NARROW, NEGATIVES[:, :, None], MASK, inner)
    assert got == pytest.approx(wanted, rel=1e-5)


def test_states_of_another_width_are_projected():
    layer = NextBehaviorLoss()
    negatives = GENERATOR.normal(size=WIDE.shape).astype("float32")
    layer(PREDICTION, STATES, WIDE, negatives, MASK)
    kernel = randomize(layer)["projection/kernel"]
    wanted = next_behavior_loss(
        STATES, WIDE, negatives[:, :, None], MASK, lambda h, e: inner(h @ kernel, e)
    )
    got = loss_of(layer, PREDICTION, STATES, WIDE, negatives, MASK)
    assert got == pytest.approx(wanted, rel=1e-5)


def test_mlp():
    layer = NextBehaviorLoss(aux_type="mlp", hidden_units=(4,))
    layer(PREDICTION, STATES, NARROW, NEGATIVES, MASK)
    w = randomize(layer, scale=2.0)

    def score(h, e):
        hidden = dense([[*h, *e]], w["mlp/dense_0/kernel"], w["mlp/dense_0/bias"])
        hidden = [[sigmoid(value) for value in hidden[0]]]
        return dense(hidden, w["score/kernel"], w["score/bias"])[0, 0]

    wanted = next_behavior_loss(STATES, NARROW, NEGATIVES[:, :, None], MASK, score)
    got = loss_of(layer, PREDICTION, STATES, NARROW, NEGATIVES, MASK)
    assert got == pytest.approx(wanted, rel=1e-5)


def test_several_negatives_a_step():
    several = GENERATOR.normal(size=(3, 4, 5, 2)).astype("float32")
    wanted = next_behavior_loss(STATES, NARROW, several, MASK, inner)
    got = loss_of(NextBehaviorLoss(), PREDICTION, STATES, NARROW, several, MASK)
    assert got == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("several", [False, True])
def test_steps_and_slots_without_a_negative(several):
    negatives = GENERATOR.normal(size=(3, 4, 3, 2)).astype("float32")
    there = GENERATOR.uniform(size=(3, 4, 3)) < 0.6
    there[0, 2] = False
    there[0, 3] = [True, False, True]
    if not several:
        negatives, there = negatives[:, :, :1], there[:, :, :1]
    wanted = next_behavior_loss(STATES, NARROW, negatives, MASK, inner, there)
    if not several:
        negatives, there = negatives[:, :, 0], there[:, :, 0]
    arguments = (PREDICTION, STATES, NARROW, negatives, MASK, there)
    assert loss_of(NextBehaviorLoss(), *arguments) == pytest.approx(wanted, rel=1e-5)
    layer = NextBehaviorLoss()
    layer.build(*(array.shape for array in arguments))
    check_fast_form(layer, *arguments)
    assert loss_of(layer, *arguments[:-1], np.zeros_like(there)) == 0


def test_weight_scales_and_zero_switches_off():
    arguments = (PREDICTION, STATES, NARROW, NEGATIVES, MASK)
    once = loss_of(NextBehaviorLoss(), *arguments)
    assert loss_of(NextBehaviorLoss(0.25), *arguments) == pytest.approx(once / 4, rel=1e-6)
    assert loss_of(NextBehaviorLoss(0.0), *arguments) == 0


def test_a_behavior_as_its_own_negative_tells_nothing():
    """s and 1 - s of one score: near 2 log 2 for small scores (a trap of careless sampling)."""
    small = 1e-3 * STATES
    got = loss_of(NextBehaviorLoss(), PREDICTION, small, NARROW, NARROW, MASK)
    assert got == pytest.approx(2 * np.log(2), abs=1e-3)


def test_padding_has_no_influence_even_if_it_is_not_finite():
    layer = NextBehaviorLoss()
    clean = loss_of(layer, PREDICTION, STATES, NARROW, NEGATIVES, MASK)
    real = MASK[..., None]
    noisy = [np.where(real, array, np.inf).astype("float32") for array in (NARROW, NEGATIVES)]
    assert loss_of(layer, PREDICTION, STATES, *noisy, MASK) == pytest.approx(clean, rel=1e-6)
    longer = [np.pad(array, [(0, 0), (0, 3), (0, 0)]) for array in (STATES, NARROW, NEGATIVES)]
    mask = np.pad(MASK, [(0, 0), (0, 3)])
    assert loss_of(layer, PREDICTION, *longer, mask) == pytest.approx(clean, rel=1e-6)


@pytest.mark.parametrize("length", [0, 1])
def test_histories_without_a_next_behavior_cost_nothing(length):
    mask = np.tile(np.arange(4) < length, (3, 1))
    assert loss_of(NextBehaviorLoss(), PREDICTION, STATES, NARROW, NEGATIVES, mask) == 0


def test_one_step():
    one = [array[:, :1] for array in (STATES, NARROW, NEGATIVES)]
    assert loss_of(NextBehaviorLoss(), PREDICTION, *one, MASK[:, :1]) == 0


def test_confident_mistakes_stay_finite_and_keep_a_gradient():
    states = tf.Variable(100 * np.ones((1, 2, 2), "float32"))
    behaviors = -np.ones((1, 2, 2), "float32")
    layer = NextBehaviorLoss()
    with tf.GradientTape() as tape:
        layer(PREDICTION[:1], states, behaviors, -behaviors, np.array([[True, True]]))
        loss = layer.losses[0]
    assert float(loss) == pytest.approx(400, rel=1e-6)
    assert np.all(tape.gradient(loss, states).numpy()[:, 0] != 0)


def test_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = NextBehaviorLoss()
    half = [tf.cast(array, tf.bfloat16) for array in (STATES, NARROW, NEGATIVES)]
    assert layer(PREDICTION, *half, MASK).dtype == tf.float32
    assert layer.losses[0].dtype == tf.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aux_type": "dot"}, "aux_type must be 'inner' or 'mlp', got 'dot'"),
        ({"weight": -1.0}, "weight must be at least 0, got -1.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        NextBehaviorLoss(**options)


def built(*, wide=False, several=False, **options):
    behaviors = WIDE if wide else NARROW
    shape = (3, 4, 5) if several else (3, 4)
    negatives = GENERATOR.normal(size=(*shape, behaviors.shape[-1])).astype("float32")
    arguments = (PREDICTION, STATES, behaviors, negatives, MASK)
    layer = NextBehaviorLoss(**options)
    layer.build(*(array.shape for array in arguments))
    randomize(layer)
    return layer, arguments


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    "options", [
        {}, {"wide": True}, {"aux_type": "mlp", "hidden_units": (4, 3)},
        {"aux_type": "mlp", "hidden_units": (), "wide": True},
    ],
)
def test_valid_steps_alone_give_the_same(options, several):
    layer, arguments = built(several=several, **options)
    check_fast_form(layer, *arguments)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(2, 3)])
def test_valid_steps_of_any_batch(rows, steps):
    layer, (prediction, *sequences) = built(aux_type="mlp", hidden_units=(4,))
    check_fast_form(layer, prediction[rows], *(array[rows, :steps] for array in sequences))


def test_valid_steps_skip_padding_that_is_not_finite():
    layer, arguments = built(aux_type="mlp", hidden_units=(4,))
    clean = training_results(layer, arguments, "graph")
    noisy = [np.where(MASK[..., None], a, np.inf).astype("float32") for a in arguments[2:4]]
    got = training_results(layer, (*arguments[:2], *noisy, MASK), "graph")
    for name, value in clean.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
