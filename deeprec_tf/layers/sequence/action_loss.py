"""The auxiliary loss of a model that foretells what the user did with each item."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ActionLoss(keras.layers.Layer):
    """Gives the prediction on as it is, and adds the loss of the actions of the history.

    The binary cross-entropy of every action, averaged over the real steps of the batch.

    Args:
        weight: factor of the loss, at least 0.
        **kwargs: name; the layer works in float32.

    Call arguments:
        prediction: float tensor, what the layer returns.
        logits: float tensor (B, T, A), of each action at the item it answers.
        actions: float tensor (B, T, A) of 0 and 1.
        mask: bool tensor (B, T), True = real.

    Returns:
        `prediction`.

    References:
        Zhai et al., Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
        Generative Recommendations, ICML 2024.
    """

    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.weight = float(weight)

    def call(self, prediction, logits, actions, mask):
        """Applies the layer."""
        losses = ops.softplus(logits) - actions * logits
        real = ops.cast(mask, "float32")
        total = ops.sum(ops.where(mask, ops.mean(losses, axis=-1), 0.0))
        self.add_loss(self.weight * total / ops.maximum(ops.sum(real), 1.0))
        return prediction

    def shares(self, prediction, logits, actions, mask):
        """What must lie in 0..1, or the loss has no lower bound."""
        return actions

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(
        self, prediction_shape, logits_shape=None, actions_shape=None, mask_shape=None
    ):
        """That of the prediction."""
        return prediction_shape

    def get_config(self):
        """Returns the arguments."""
        return {**super().get_config(), "weight": self.weight}
