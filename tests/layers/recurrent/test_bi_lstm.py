import numpy as np
import pytest

from deeprec_tf.layers import BiLSTM
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form
from tests.reference.transformer import bi_lstm, lstm_weights

GENERATOR = np.random.default_rng(0)
SEQUENCE = GENERATOR.normal(size=(4, 5, 3)).astype("float32")
MASK = np.arange(5) < np.array([[5], [0], [2], [1]])


def built():
    layer = BiLSTM(2)
    layer.build(SEQUENCE.shape)
    return layer, randomize(layer)


def twin(w, sequence, mask):
    return bi_lstm(sequence, mask, lstm_weights(w, "forward"), lstm_weights(w, "backward"))


def test_numbers():
    layer, w = built()
    got = check_layer(layer, SEQUENCE, MASK)
    np.testing.assert_allclose(got, twin(w, SEQUENCE, MASK), atol=1e-5)


def test_the_backward_states_begin_at_the_last_real_step():
    """The trap of reversing a padded sequence: the padding would come first."""
    layer, _ = built()
    for length in (1, 2, 5):
        mask = np.arange(5) < np.full((4, 1), length)
        alone = layer(SEQUENCE[:, :length], np.ones((4, length), bool))
        np.testing.assert_allclose(layer(SEQUENCE, mask)[:, :length], alone, atol=1e-6)


def test_steps_between_that_are_not_real_are_passed_over():
    layer, w = built()
    mask = np.array([[True, False, True, False, True]] * 4)
    np.testing.assert_allclose(layer(SEQUENCE, mask), twin(w, SEQUENCE, mask), atol=1e-5)


def test_padding_has_no_influence_and_gives_zeros():
    layer, _ = built()
    noisy = np.where(MASK[..., None], SEQUENCE, 99).astype("float32")
    got = layer(noisy, MASK).numpy()
    np.testing.assert_allclose(got, layer(SEQUENCE, MASK), atol=1e-6)
    assert np.all(got[~MASK] == 0)


def test_gradients_agree_in_all_forms():
    check_fast_form(built()[0], SEQUENCE, MASK)


def test_half_precision():
    check_half_precision(BiLSTM(2), SEQUENCE, MASK)


def test_units_must_be_positive():
    with pytest.raises(ValueError, match="units must be at least 1, got 0"):
        BiLSTM(0)
