import numpy as np
import pytest

from deeprec_tf.layers import MatrixCross, MixtureCross
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.cross import expert_gates, mixture_cross

GENERATOR = np.random.default_rng(0)
X0 = GENERATOR.normal(size=(3, 5)).astype("float32")
X = GENERATOR.normal(size=(3, 5)).astype("float32")


def built(*sizes, **options):
    layer = MixtureCross(*sizes, **options)
    layer.build(X0.shape, X.shape)
    return layer, randomize(layer)


def experts_of(w):
    down, middle, up = w["down"], w["middle"], w["up"]
    return [(down[:, k].T, middle[k].T, up[k].T) for k in range(len(middle))]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_numbers(activation):
    layer, w = built(2, 3, gate_activation=activation)
    gates = expert_gates(X, w["gate"].T, activation)
    got = check_layer(layer, X0, X, time_axes=())
    wanted = mixture_cross(X0, X, experts_of(w), w["bias"], gates)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    explained = layer.explain(X0, X)
    assert list(explained) == ["gates"]
    np.testing.assert_allclose(explained["gates"], gates, atol=1e-6)


def test_half_precision():
    check_half_precision(MixtureCross(2, 3), 0.3 * X0, 0.3 * X)


def test_one_expert_under_a_softmax_has_no_gate_to_train():
    layer, w = built(2, 1)
    assert "gate" not in w
    wanted = mixture_cross(X0, X, experts_of(w), w["bias"], np.ones((3, 1)))
    np.testing.assert_allclose(check_layer(layer, X0, X, time_axes=()), wanted, atol=1e-5)
    np.testing.assert_array_equal(layer.explain(X0, X)["gates"], np.ones((3, 1)))
    assert "gate" in built(2, 1, gate_activation="sigmoid")[1]


def test_equal_experts_are_one_expert():
    layer, w = built(2, 3)
    single, _ = built(2, 1)
    same = {name: np.repeat(w[name][:1], 3, axis=0) for name in ("middle", "up")}
    same |= {"down": np.repeat(w["down"][:, :1], 3, axis=1), "bias": w["bias"], "gate": w["gate"]}
    layer.set_weights([same[weight.name] for weight in layer.weights])
    one = {"down": w["down"][:, :1], "middle": w["middle"][:1], "up": w["up"][:1],
           "bias": w["bias"]}  # fmt: skip
    single.set_weights([one[weight.name] for weight in single.weights])
    np.testing.assert_allclose(layer(X0, X), single(X0, X), atol=1e-5)


def test_experts_that_say_nothing_leave_the_bias_of_the_matrix_form():
    layer, w = built(2, 3)
    for weight in layer.weights:
        if weight.name in ("down", "middle", "up"):
            weight.assign(np.zeros(weight.shape))
    matrix = MatrixCross()
    matrix.build(X0.shape, X.shape)
    matrix.set_weights([np.zeros((5, 5)), w["bias"]])
    np.testing.assert_allclose(layer(X0, X), matrix(X0, X), atol=1e-6)


def test_each_expert_starts_as_a_matrix_of_its_own_size():
    layer = MixtureCross(20, 4)
    layer.build((None, 80), (None, 80))
    limit = np.sqrt(6 / (80 + 20))
    for weight in (layer.down, layer.up):
        assert 0.9 * limit < np.max(np.abs(weight)) <= limit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low_rank": 0}, "low_rank must be a positive integer, got 0"),
        ({"num_experts": 1.5}, "num_experts must be a positive integer, got 1.5"),
        ({"gate_activation": "relu"}, "gate_activation must be one of .*softmax.*got 'relu'"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        MixtureCross(**options)


def test_numpy_scalars_are_numbers():
    given = dict(low_rank=np.int64(2), num_experts=np.int32(3))
    config = MixtureCross(**given).get_config()
    assert {name: config[name] for name in given} == given
    assert {type(config[name]) for name in given} <= {int, float}
