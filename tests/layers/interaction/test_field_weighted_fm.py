import numpy as np
import pytest

from deeprec_tf.layers import FM, FieldWeightedFM
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.pairs import field_weighted_fm

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_numbers():
    layer = FieldWeightedFM()
    layer.build(FIELDS.shape)
    weights = randomize(layer)["pair_weights"]
    got = check_layer(layer, FIELDS, time_axes=())
    wanted = field_weighted_fm(FIELDS.astype("float64"), weights)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    explained = layer.explain(FIELDS)
    assert explained.keys() == {"weights"}
    np.testing.assert_allclose(explained["weights"], weights, rtol=1e-6)


def test_half_precision():
    check_half_precision(FieldWeightedFM(), 0.3 * FIELDS)


def test_it_starts_as_the_factorization_machine():
    np.testing.assert_allclose(FieldWeightedFM()(FIELDS), FM()(FIELDS), atol=1e-5)


def test_a_pair_of_weight_0_is_not_there():
    layer = FieldWeightedFM()
    layer.build(FIELDS.shape)
    layer.pair_weights.assign([0, 0, 0, 0, 0, 0, 0, 0, 0, 2.0])  # the last pair is (3, 4)
    wanted = 2 * np.sum(FIELDS[:, 3] * FIELDS[:, 4], axis=1)
    np.testing.assert_allclose(np.asarray(layer(FIELDS))[:, 0], wanted, atol=1e-5)


def test_one_field_has_no_pair():
    with pytest.raises(ValueError, match="pairs need two fields or more, got 1"):
        FieldWeightedFM()(FIELDS[:, :1])
