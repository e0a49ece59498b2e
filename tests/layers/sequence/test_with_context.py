import numpy as np

from deeprec_tf.layers import WithContext
from tests.layers.contract import check_half_precision, check_layer, randomize

GENERATOR = np.random.default_rng(0)
CONTEXT = GENERATOR.normal(size=(3, 5)).astype("float32")


def test_numbers():
    for shape in ((3, 4), (3, 6, 4)):
        states = GENERATOR.normal(size=shape).astype("float32")
        layer = WithContext()
        check_layer(layer, states, CONTEXT, time_axes=(1,) if len(shape) == 3 else ())
        w = randomize(layer)
        for row in range(3):
            of_context = CONTEXT[row] @ w["context_kernel"] + w["bias"]
            wanted = states[row] @ w["state_kernel"] + of_context
            np.testing.assert_allclose(layer(states, CONTEXT)[row], wanted, rtol=1e-4, atol=1e-5)
        check_half_precision(WithContext(), states, CONTEXT)
