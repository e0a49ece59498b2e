import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import losses
from deeprec_tf.losses import BCE, BPR, GBCE, TOP1, BPRMax, Softmax, TOP1Max, Triplet
from tests.reference import recall as twin

GENERATOR = np.random.default_rng(0)
POSITIVE = GENERATOR.normal(size=5).astype("float32")
NEGATIVES = GENERATOR.normal(size=(5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0]], "bool")

LOSSES = {
    "softmax": (Softmax(), twin.softmax_loss),
    "bce": (BCE(), twin.bce),
    "bpr": (BPR(), twin.bpr),
    "bpr_max": (BPRMax(0.7), lambda p, n: twin.bpr_max(p, n, 0.7)),
    "top1": (TOP1(), twin.top1),
    "top1_max": (TOP1Max(), twin.top1_max),
    "triplet": (Triplet(0.3), lambda p, n: twin.triplet(p, n, 0.3)),
    "gbce": (GBCE(20, 0.75), lambda p, n: twin.gbce(p, n, 20, 0.75, 4)),
}


def wanted(function, mask):
    return [
        function(float(p), [float(s) for s, m in zip(row, real, strict=True) if m])
        for p, row, real in zip(POSITIVE, NEGATIVES, mask, strict=True)
    ]


@pytest.mark.parametrize("name", LOSSES)
def test_numbers(name):
    loss, function = LOSSES[name]
    got = loss(POSITIVE, NEGATIVES)
    np.testing.assert_allclose(got, wanted(function, np.ones_like(MASK)), rtol=1e-5, atol=1e-6)
    hidden = np.where(MASK, NEGATIVES, np.nan)  # what does not count may be anything
    np.testing.assert_allclose(
        loss(POSITIVE, hidden, MASK), wanted(function, MASK), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_and_those_of_hidden_negatives_zero(name):
    loss, _ = LOSSES[name]
    positive, negatives = tf.constant(POSITIVE * 40), tf.constant(NEGATIVES * 40)
    mask = np.concatenate([MASK[:4], np.zeros((1, 4), "bool")])  # a row without a negative too
    with tf.GradientTape() as tape:
        tape.watch([positive, negatives])
        values = loss(positive, negatives, mask)
    of_positive, of_negatives = tape.gradient(values, [positive, negatives])
    assert np.isfinite(values).all() and (np.asarray(values) >= 0).all()
    assert np.isfinite(of_positive).all() and np.isfinite(of_negatives).all()
    assert not np.asarray(of_negatives)[~mask].any()


@pytest.mark.parametrize("name", LOSSES)
def test_configuration_and_xla(name):
    loss, _ = LOSSES[name]
    saved = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(saved)
    assert again == loss and hash(again) == hash(loss) and repr(again) == repr(loss)
    compiled = tf.function(loss, jit_compile=True)
    got = compiled(tf.constant(POSITIVE), tf.constant(NEGATIVES), tf.constant(MASK))
    np.testing.assert_allclose(got, loss(POSITIVE, NEGATIVES, MASK), rtol=1e-5, atol=1e-6)


def test_bpr_max_with_one_negative_is_bpr_and_its_penalty():
    one = NEGATIVES[:, :1]
    got = BPRMax(0.5)(POSITIVE, one)
    np.testing.assert_allclose(got, BPR()(POSITIVE, one) + 0.5 * one[:, 0] ** 2, rtol=1e-5)


def test_gbce_without_calibration_is_bce():
    np.testing.assert_allclose(
        GBCE(20, 0.0)(POSITIVE, NEGATIVES, MASK), BCE()(POSITIVE, NEGATIVES, MASK), rtol=1e-5
    )


def test_a_margin_of_two_is_active_for_every_pair_of_cosines():
    cosines = np.linspace(-1, 1, 8).astype("float32")
    assert (np.asarray(Triplet(2.0)(cosines, cosines[:, None] * -0.9)) > 0).all()
    assert float(Triplet(0.2)(np.ones(1, "float32"), np.zeros((1, 3), "float32"))[0]) == 0


def test_get():
    for name in LOSSES:
        assert isinstance(losses.get(name, items=10), losses.RankingLoss)
    assert losses.get(LOSSES["bpr_max"][0]).regularization == 0.7
    assert losses.get("gbce", items=10) == GBCE(10)
    assert losses.get("infonce") == Softmax()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.get("binary_crossentropy", owner="DSSM"), "DSSM: loss must be .*ranking"),
        (lambda: losses.get("gbce"), r"'gbce' needs the number of items. Give items=..., or GBCE"),
        (lambda: losses.get(["bpr"], owner="DSSM"), r"DSSM: loss must be .*, got \['bpr'\]"),
        (lambda: losses.get({"score": "gbce"}, items=9), "loss must be .*, got {'score'"),
        (lambda: losses.get(BPR), "loss must be .*, got <class"),
        (lambda: BPRMax(-1), "BPRMax: regularization must be finite and at least 0, got -1"),
        (lambda: Triplet(0), "Triplet: margin must be above 0, got 0"),
        (lambda: GBCE(1), "GBCE: items must be 2 or more, got 1"),
        (lambda: GBCE(9, 1.5), "GBCE: calibration must lie in 0..1, got 1.5"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
