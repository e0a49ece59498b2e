"""The DNN tower."""

from numbers import Integral, Real

import keras

from deeprec_tf.layers.core.activations import activation_layer
from deeprec_tf.layers.core.dropout import Dropout


@keras.saving.register_keras_serializable(package="deeprec_tf")
class MLP(keras.layers.Layer):
    """Dense → batch normalization → activation → dropout, once a hidden layer.

    Args:
        hidden_units: widths of the layers; empty for the identity.
        activation: "dice", "prelu" or a Keras activation name.
        dropout: share dropped, one number or one a layer.
        batch_norm: whether to normalize before the activation.
        l2: weight of the L2 penalty on the kernels (not on biases).

    Call arguments:
        inputs: float tensor (..., n).
        mask: bool tensor of the leading axes for masked statistics of Dice, optional.
        training: whether dropout and batch statistics are on.

    Returns:
        Float tensor (..., hidden_units[-1]).

    Raises:
        ValueError: a width is no positive integer, as many dropouts as layers were not given, or
            one is outside [0, 1).

    Example:
        >>> MLP((8, 4))(keras.ops.ones((2, 3))).shape
        TensorShape([2, 4])
    """

    def __init__(
        self, hidden_units, *, activation="relu", dropout=0.0, batch_norm=False, l2=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.hidden_units = checked_widths(self.name, hidden_units)
        self.activation = activation
        self.batch_norm = batch_norm
        self.l2 = l2
        is_list = hasattr(dropout, "__iter__")
        rates = tuple(dropout) if is_list else (dropout,) * len(self.hidden_units)
        is_share = [isinstance(rate, Real) and 0 <= rate < 1 for rate in rates]
        if len(rates) != len(self.hidden_units) or not all(is_share):
            raise ValueError(
                f"{self.name}: dropout must be one number in [0, 1) or one for each of the "
                f"{len(self.hidden_units)} layers, got {dropout!r}."
            )
        rates = tuple(float(rate) for rate in rates)
        self.dropout = rates if is_list else float(dropout)
        policy = self.dtype_policy
        self.blocks = []
        for i, (units, rate) in enumerate(zip(self.hidden_units, rates, strict=True)):
            regularizer = keras.regularizers.L2(l2) if l2 else None
            dense = keras.layers.Dense(
                units, use_bias=not batch_norm, kernel_regularizer=regularizer,
                name=f"dense_{i}", dtype=policy,
            )
            norm = (
                keras.layers.BatchNormalization(
                    momentum=0.9, epsilon=1e-5, name=f"norm_{i}", dtype=policy
                )
                if batch_norm
                else None
            )
            act = activation_layer(activation, name=f"activation_{i}", dtype=policy)
            drop = Dropout(rate, name=f"dropout_{i}", dtype=policy) if rate else None
            self.blocks.append((dense, norm, act, drop))

    def build(self, inputs_shape, mask_shape=None):
        """Builds the blocks."""
        shape = tuple(inputs_shape)
        for dense, norm, act, _ in self.blocks:
            dense.build(shape)
            shape = (*shape[:-1], dense.units)
            if norm is not None:
                norm.build(shape)
            act.build(shape)

    def call(self, inputs, mask=None, training=False):
        """Applies the layer."""
        if not self.blocks:
            return inputs
        return self.after_first_product(self.blocks[0][0](inputs), mask=mask, training=training)

    def after_first_product(self, x, *, mask=None, training=False):
        """All that follows the first dense layer, for callers that compute that one in parts.

        Args:
            x: float tensor (..., hidden_units[0]), inputs · kernel + bias.
            mask: as in a call.
            training: as in a call.

        Returns:
            Float tensor (..., hidden_units[-1]).
        """
        for i, (dense, norm, act, drop) in enumerate(self.blocks):
            x = dense(x) if i else x
            if norm is not None:
                x = norm(x, training=training)
            x = act(x, mask=mask, training=training) if self.activation == "dice" else act(x)
            if drop is not None:
                x = drop(x, training=training)
        return x

    @property
    def last_weights(self):
        """The weights of the last dense layer."""
        return self.blocks[-1][0].trainable_weights if self.blocks else []

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, inputs_shape, mask_shape=None):
        """The last axis becomes the last width."""
        return (*inputs_shape[:-1], *(self.hidden_units[-1:] or inputs_shape[-1:]))

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "dropout": self.dropout,
            "batch_norm": self.batch_norm,
            "l2": self.l2,
        }


def checked_widths(owner, widths, *, argument="hidden_units"):
    """Widths of layers as a tuple of Python's integers.

    Args:
        owner: what the message begins with.
        widths: integers; none for no layer.
        argument: the argument's name, for the message.

    Raises:
        ValueError: no list, or a width that is no positive integer.
    """
    values = tuple(widths) if hasattr(widths, "__iter__") else (None,)
    for width in values:
        if isinstance(width, bool) or not isinstance(width, Integral) or width < 1:
            raise ValueError(
                f"{owner}: {argument} must be a list of positive widths such as (64,), got "
                f"{widths!r}."
            )
    return tuple(int(width) for width in values)
