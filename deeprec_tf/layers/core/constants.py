"""Weights that hold data, and the dtype of those that hold integers."""

import numpy as np
from keras import ops

INTEGER = "int64"
"""dtype of integer weights. Variables of int32 lie in the host's memory even where there is a GPU,
and a step that XLA compiles for the GPU cannot read them there (TensorFlow raises "Trying to access
resource"). Layers cast what they read."""


def constant_weight(layer, name, values, dtype=INTEGER):
    """A weight that is not learned, from values that the layer's configuration leaves out.

    Args:
        layer: the layer; called in its `build`.
        name: name of the weight.
        values: array.
        dtype: of the weight.

    Returns:
        The variable.
    """
    values = np.asarray(values).astype(dtype)
    return layer.add_weight(
        shape=values.shape, dtype=dtype, trainable=False, autocast=False, name=name,
        initializer=lambda shape, dtype=None: ops.convert_to_tensor(values, dtype),
    )
