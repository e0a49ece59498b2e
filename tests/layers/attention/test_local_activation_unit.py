import numpy as np
import pytest

from deeprec_tf.layers import LocalActivationUnit
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.layers.fast_forms import check_fast_form
from tests.reference.behavior import local_activation_unit

GENERATOR = np.random.default_rng(0)
TARGET = GENERATOR.normal(size=(3, 4)).astype("float32")
BEHAVIORS = GENERATOR.normal(size=(3, 5, 4)).astype("float32")
MASK = np.arange(5) < np.array([[5], [0], [2]])


def built(activation, normalize, units=(6, 3)):
    layer = LocalActivationUnit(units, activation=activation, normalize=normalize)
    layer.build(TARGET.shape, BEHAVIORS.shape)
    return layer, randomize(layer)


def twin(w, activation, normalize, mask=MASK):
    def statistics(name):
        if activation != "dice":
            return None
        return w[f"{name}/alpha"], w[f"{name}/moving_mean"], w[f"{name}/moving_variance"]

    return local_activation_unit(
        TARGET.astype("float64"), BEHAVIORS.astype("float64"), mask,
        first=(w["kernel"], w["bias"], statistics("first")),
        hidden=[(w["hidden/dense_0/kernel"], w["hidden/dense_0/bias"],
                 statistics("hidden/activation_0"))],
        score=(w["score/kernel"], w.get("score/bias")),
        activation=activation, normalize=normalize,
    )  # fmt: skip


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "dice", "relu"])
def test_numbers(activation, normalize):
    layer, w = built(activation, normalize)
    got = check_layer(layer, TARGET, BEHAVIORS, MASK)
    np.testing.assert_allclose(got, twin(w, activation, normalize), atol=2e-5)
    explained = layer.explain(TARGET, BEHAVIORS, MASK)["weights"]
    np.testing.assert_allclose(explained, twin(w, activation, normalize), atol=2e-5)


def test_without_a_mask_every_step_counts():
    layer, w = built("sigmoid", True)
    everything = np.ones_like(MASK)
    np.testing.assert_allclose(
        layer(TARGET, BEHAVIORS), twin(w, "sigmoid", True, everything), atol=1e-5
    )


def test_half_precision():
    check_half_precision(LocalActivationUnit((6, 3), activation="sigmoid"), TARGET, BEHAVIORS, MASK)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_padding_has_no_influence(normalize, training):
    layer, _ = built("dice", normalize)
    noisy = np.where(MASK[..., None], BEHAVIORS, 9).astype("float32")
    got = layer(TARGET, noisy, MASK, training=training).numpy()
    np.testing.assert_allclose(got, layer(TARGET, BEHAVIORS, MASK, training=training), atol=1e-5)
    assert np.all(got[~MASK] == 0)


def test_one_hidden_layer():
    check_layer(LocalActivationUnit((3,), activation="relu"), TARGET, BEHAVIORS, MASK)


def test_softmax_has_no_bias():
    layer, _ = built("sigmoid", True)
    assert layer.score.bias is None


def test_errors():
    with pytest.raises(ValueError, match="hidden_units must name at least one layer"):
        LocalActivationUnit(())
    with pytest.raises(ValueError, match="target is 4 wide, the behaviors 3"):
        LocalActivationUnit()(TARGET, BEHAVIORS[..., :3])


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "dice", "prelu"])
def test_valid_steps_alone_give_the_same(activation, normalize):
    layer, _ = built(activation, normalize)
    check_fast_form(layer, TARGET, BEHAVIORS, MASK)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(2, 3), slice(None)])
@pytest.mark.parametrize("steps", [1, 5])
def test_valid_steps_of_any_batch(rows, steps):
    layer, _ = built("dice", False)
    mask = MASK[rows, :steps]
    # The statistics of one or two steps: differences of equal numbers times up to 1e4.
    tolerance = 1e-5 if mask.sum() > 2 else 1e-3
    check_fast_form(layer, TARGET[rows], BEHAVIORS[rows, :steps], mask, tolerance=tolerance)


def test_without_a_mask_graph_and_eager_agree():
    layer, _ = built("dice", True)
    check_fast_form(layer, TARGET, BEHAVIORS)


def test_valid_steps_under_mixed_precision():
    layer = LocalActivationUnit((6, 3), dtype="mixed_bfloat16")
    layer.build(TARGET.shape, BEHAVIORS.shape)
    randomize(layer, scale=0.3)
    check_fast_form(layer, TARGET, BEHAVIORS, MASK, tolerance=0.05)


def test_widths_are_a_list():
    with pytest.raises(ValueError, match="hidden_units must be a list of positive widths"):
        LocalActivationUnit(8)
