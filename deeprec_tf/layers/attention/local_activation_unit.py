"""The local activation unit of DIN: how much one behavior says about the target item."""

import keras
from keras import ops

from deeprec_tf.layers.core.activations import activation_layer
from deeprec_tf.layers.core.mlp import MLP, checked_widths
from deeprec_tf.layers.core.valid_steps import steps_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class LocalActivationUnit(keras.layers.Layer):
    """Scores each behavior against the target: w_t = MLP([q, k_t, q - k_t, q∘k_t]).

    The first layer is written as q(Wq + Wd) + k(Wk - Wd) + (q∘k)Wp, the same function with the
    target's part computed once a row. Padding scores 0. With `normalize` the scores, divided by
    sqrt(D), become a softmax over the real steps; without it (the paper) their sum keeps the
    intensity of the interest.

    Args:
        hidden_units: widths of the hidden layers, at least one.
        activation: "dice" (paper), "prelu" or a Keras activation name.
        normalize: softmax over the real steps.

    Call arguments:
        target: float tensor (B, D).
        behaviors: float tensor (B, T, D).
        behaviors_mask: bool tensor (B, T), True = real.
        training: whether batch statistics are taken.

    Returns:
        float32 tensor (B, T), padding 0.

    Raises:
        ValueError: no hidden layer, or target and behaviors differ in width.

    References:
        Zhou et al., Deep Interest Network for Click-Through Rate Prediction, KDD 2018.
    """

    def __init__(self, hidden_units=(80, 40), *, activation="dice", normalize=False, **kwargs):
        super().__init__(**kwargs)
        self.hidden_units = checked_widths(self.name, hidden_units)
        self.activation = activation
        self.normalize = normalize
        if not self.hidden_units:
            raise ValueError(f"{self.name}: hidden_units must name at least one layer.")
        policy = self.dtype_policy
        self.first_activation = activation_layer(activation, name="first", dtype=policy)
        self.hidden = MLP(
            self.hidden_units[1:], activation=activation, name="hidden", dtype=policy
        )
        # A bias under a softmax moves nothing.
        self.score = keras.layers.Dense(1, use_bias=not normalize, name="score", dtype=policy)

    def build(self, target_shape, behaviors_shape, behaviors_mask_shape=None):
        """Creates the weights."""
        width, units = target_shape[-1], self.hidden_units[0]
        if behaviors_shape[-1] != width:
            raise ValueError(
                f"{self.name}: the target is {width} wide, the behaviors {behaviors_shape[-1]}. "
                "Give both the same features with the same embedding_dim."
            )
        self.kernel = self.add_weight(shape=(4 * width, units), name="kernel")
        self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")
        hidden_shape = (*behaviors_shape[:-1], units)
        self.first_activation.build(hidden_shape)
        self.hidden.build(hidden_shape)
        self.score.build((*behaviors_shape[:-1], self.hidden_units[-1]))

    def call(self, target, behaviors, behaviors_mask=None, training=False):
        """Applies the layer."""
        steps = steps_of(behaviors_mask, training=training)
        return steps.restore(
            self.weigh(target, steps.take(behaviors), steps, training=training)
        )  # (B, T)

    def weigh(self, target, keys, steps, *, training):
        """The weights in the form of `steps`, for layers that go on step by step.

        Args:
            target: float tensor (B, D).
            keys: the behaviors that `steps.take` gave.
            steps: what `steps_of` gave for their mask.
            training: whether batch statistics are taken.

        Returns:
            float32 tensor, one weight a step, padding 0.
        """
        scores = self._scores(target, keys, steps, training)
        if self.normalize:
            return steps.softmax(scores / float(target.shape[-1]) ** 0.5)
        return steps.only_real(scores)

    def _scores(self, target, keys, steps, training):
        of_target, of_behavior, of_difference, of_product = ops.split(self.kernel, 4)
        per_row = ops.matmul(target, of_target + of_difference) + self.bias  # (B, n)
        pairs = ops.concatenate([keys, steps.of_rows(target) * keys], axis=-1)
        per_step = ops.matmul(
            pairs, ops.concatenate([of_behavior - of_difference, of_product])
        )  # (steps, n)
        x = steps.of_rows(per_row) + per_step
        if self.activation == "dice":
            x = self.first_activation(x, mask=steps.mask, training=training)
        else:
            x = self.first_activation(x)
        x = self.hidden(x, mask=steps.mask, training=training)
        return ops.cast(self.score(x)[..., 0], "float32")  # (steps,)

    def explain(self, target, behaviors, behaviors_mask=None):
        """What each step counts: {"weights": float32 (B, T)}, padding 0."""
        return {"weights": self(target, behaviors, behaviors_mask=behaviors_mask)}

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, target, behaviors, behaviors_mask=None, training=False):
        """One float32 score a step."""
        return keras.KerasTensor(behaviors.shape[:2], dtype="float32")

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": self.activation,
            "normalize": self.normalize,
        }
