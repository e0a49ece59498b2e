import numpy as np
import pytest

from deeprec_tf.layers import PrototypeAssignment
from tests.layers.contract import check_half_precision, check_layer
from tests.reference import interests as twin

GENERATOR = np.random.default_rng(0)
LENGTHS = np.array([5, 0, 1, 3])
MASK = np.arange(5) < LENGTHS[:, None]
BEHAVIORS = GENERATOR.normal(size=(4, 5, 3)).astype("float32")
PROTOTYPES = GENERATOR.normal(size=(4, 2, 3)).astype("float32")


def test_numbers():
    got = check_layer(PrototypeAssignment(0.2), BEHAVIORS, PROTOTYPES, MASK, time_axes=())
    for row, length in enumerate(LENGTHS):
        wanted = twin.assigned(
            BEHAVIORS[row, :length].astype("float64"), PROTOTYPES[row].astype("float64"), 0.2
        )
        np.testing.assert_allclose(got[row, :length], np.reshape(wanted, (-1, 2)), rtol=1e-4)
        assert not got[row, length:].any()


def test_the_length_of_a_prototype_does_not_matter_and_zeros_are_fine():
    layer = PrototypeAssignment()
    wanted = layer(BEHAVIORS, PROTOTYPES, MASK)
    np.testing.assert_allclose(layer(BEHAVIORS, 3 * PROTOTYPES, MASK), wanted, rtol=1e-4, atol=1e-6)
    nothing = np.asarray(layer(np.zeros_like(BEHAVIORS), PROTOTYPES, MASK))
    np.testing.assert_allclose(nothing[MASK], 0.5, rtol=1e-6)


def test_half_precision():
    check_half_precision(PrototypeAssignment(1.0), BEHAVIORS, PROTOTYPES, MASK)


def test_errors():
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        PrototypeAssignment(0)
