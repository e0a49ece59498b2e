import keras
import numpy as np
import pytest

from deeprec_tf.layers import FieldNormalization
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.interaction_rest import field_norm

FIELDS = np.random.default_rng(0).normal(size=(4, 3, 5)).astype("float32")


def test_numbers():
    layer = FieldNormalization()
    layer.build(FIELDS.shape)
    w = randomize(layer)
    got = check_layer(layer, FIELDS, time_axes=())
    np.testing.assert_allclose(got, field_norm(FIELDS, w["gamma"], w["beta"]), atol=1e-5)
    check_half_precision(FieldNormalization(), FIELDS)


def test_at_the_start_it_is_kerass_normalization():
    keras_own = keras.layers.LayerNormalization(epsilon=1e-5)
    np.testing.assert_allclose(FieldNormalization()(FIELDS), keras_own(FIELDS), atol=1e-6)


def test_young_embeddings_do_not_vanish():
    got = np.asarray(FieldNormalization()(0.01 * FIELDS))
    assert np.abs(got).mean() > 0.5


def test_fields_of_width_one_are_refused():
    with pytest.raises(ValueError, match="fields of width 1 constant. Set embedding_dim"):
        FieldNormalization()(FIELDS[..., :1])
