import numpy as np
import pytest

from deeprec_tf.layers import CIN
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.interaction import fm
from tests.reference.interaction_rest import cin

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
F = 5


def built(*arguments, **options):
    layer = CIN(*arguments, **options)
    layer.build(FIELDS.shape)
    return layer


def kernels_of(layer):
    """W^{k,h}_ij as [k][h][i][j]."""
    weights = [weight.numpy().astype("float64") for weight in layer.weights]
    return [w.reshape(-1, F, w.shape[1]).transpose(2, 0, 1) for w in weights]


@pytest.mark.parametrize("split_half", [False, True])
@pytest.mark.parametrize(
    ("activation", "function"), [("linear", lambda x: x), ("relu", lambda x: np.maximum(x, 0))]
)
def test_numbers(activation, function, split_half):
    layer = built((4, 6, 3), activation=activation, split_half=split_half)
    randomize(layer, scale=0.4)
    wanted = cin(
        FIELDS.astype("float64"), kernels_of(layer), activation=function, split_half=split_half
    )
    assert wanted.shape == (4, (2 + 3 + 3) if split_half else (4 + 6 + 3))
    got = check_layer(layer, FIELDS, time_axes=(), tolerance=1e-4)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_half_precision():
    check_half_precision(built((4, 2)), 0.3 * FIELDS)


def test_identity_maps_are_hadamard_pairs():
    layer = built((F * F,))
    layer.kernels[0].assign(np.eye(F * F))
    got = np.asarray(layer(FIELDS)).reshape(4, F, F)
    wanted = np.einsum("bid,bjd->bij", FIELDS, FIELDS)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_one_map_of_the_upper_triangle_is_the_factorization_machine():
    layer = built((1,))
    layer.kernels[0].assign(np.triu(np.ones((F, F)), k=1).reshape(-1, 1))
    np.testing.assert_allclose(layer(FIELDS), fm(FIELDS.astype("float64")), atol=1e-5)


def test_without_activation_layer_k_is_of_degree_k_plus_one():
    layer = built((4, 4))
    randomize(layer)
    once, twice = np.asarray(layer(FIELDS)), np.asarray(layer(2 * FIELDS))
    np.testing.assert_allclose(twice[:, :4], 4 * once[:, :4], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(twice[:, 4:], 8 * once[:, 4:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, "sizes must name at least one layer"),
        ({"sizes": (4, 0)}, "one feature map or more"),
        ({"sizes": (5, 4, 3), "split_half": True}, r"\[5\] feature maps cannot be split"),
        ({"sizes": (4,), "activation": "nonsense"}, "activation 'nonsense' is unknown"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        CIN(**options)
