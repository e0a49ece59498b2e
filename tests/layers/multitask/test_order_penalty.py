import numpy as np
import pytest

from deeprec_tf.layers import OrderPenalty

STEPS = {
    "click": np.array([[0.5], [0.9], [0.2]], "float32"),
    "cart": np.array([[0.4], [0.95], [0.5]], "float32"),
    "buy": np.array([[0.6], [0.1], [0.6]], "float32"),
}


def test_numbers():
    layer = OrderPenalty(["click", "cart", "buy"], 0.6)
    got = layer(STEPS)
    assert got is not None and all(np.array_equal(got[name], STEPS[name]) for name in STEPS)
    rows = [0 + 0.2, 0.05 + 0, 0.3 + 0.1]
    np.testing.assert_allclose(layer.losses, [0.6 * sum(rows) / 3], rtol=1e-6)


def test_steps_in_order_cost_nothing():
    layer = OrderPenalty(["cart", "click"])
    layer({"cart": STEPS["cart"] * 0 + 0.9, "click": STEPS["click"] * 0.5})
    np.testing.assert_array_equal(layer.losses, [0.0])
    alone = OrderPenalty(["click", "cart"], 0.0)
    alone(STEPS)
    assert not alone.losses


def test_a_replica_without_rows_adds_nothing():
    layer = OrderPenalty(STEPS)
    layer({name: values[:0] for name, values in STEPS.items()})
    np.testing.assert_array_equal(layer.losses, [0.0])


def test_config_and_errors():
    layer = OrderPenalty(["a", "b"], 0.3)
    assert OrderPenalty.from_config(layer.get_config()).get_config() == layer.get_config()
    with pytest.raises(ValueError, match="weight must be at least 0, got -1"):
        OrderPenalty(["a"], -1)
