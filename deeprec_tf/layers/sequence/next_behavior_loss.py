"""The auxiliary loss of DIEN: each state must foretell the next behavior."""

import keras
from keras import ops

from deeprec_tf.layers.core.mlp import MLP, checked_widths
from deeprec_tf.layers.core.valid_steps import steps_of


@keras.saving.register_keras_serializable(package="deeprec_tf")
class NextBehaviorLoss(keras.layers.Layer):
    """Passes the prediction through and adds the auxiliary loss (DIEN, equation 6).

    L = -mean over real t in 1..T-1 of log s(h_t, e_{t+1}) + log(1 - s(h_t, ê_{t+1})), e the next
    behavior, ê a sampled one (the mean over them where a step has several); steps without one do
    not count. s is the sigmoid of the inner product; states of another width than the behaviors are
    projected first. With `aux_type="mlp"`, as in the authors' code, s is an MLP on [h_t, e].

    The mean runs over the real steps of the whole batch, so padding has no influence. An
    identity on the prediction keeps the loss on the path to the output, where a functional
    model does not prune it.

    Args:
        weight: factor of the loss, at least 0.
        aux_type: "inner" (paper) or "mlp" (released code).
        hidden_units: widths of the MLP; without use for "inner".

    Call arguments:
        prediction: float tensor (B, n), returned as it is.
        states: float tensor (B, T, n).
        behaviors: float tensor (B, T, D).
        negatives: float tensor (B, T, D) or (B, T, K, D); entry t stands against behavior t.
        behaviors_mask: bool tensor (B, T), True = real, left-aligned.
        negatives_mask: bool tensor (B, T) or (B, T, K), True = a negative; all when None.

    Returns:
        `prediction`.

    Raises:
        ValueError: an unknown aux_type or a negative weight.

    References:
        Zhou et al., Deep Interest Evolution Network for Click-Through Rate Prediction, AAAI 2019.
    """

    def __init__(self, weight=1.0, *, aux_type="inner", hidden_units=(100, 50), **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if aux_type not in ("inner", "mlp"):
            raise ValueError(f"{self.name}: aux_type must be 'inner' or 'mlp', got {aux_type!r}.")
        if weight < 0:
            raise ValueError(f"{self.name}: weight must be at least 0, got {weight}.")
        self.weight = weight
        self.aux_type = aux_type
        self.hidden_units = checked_widths(self.name, hidden_units)
        self.tracker = keras.metrics.Mean(name=self.name)

    def build(
        self, prediction_shape, states_shape, behaviors_shape, negatives_shape,
        behaviors_mask_shape=None, negatives_mask_shape=None,
    ):
        """Creates the projection or the MLP."""
        n, width = states_shape[-1], behaviors_shape[-1]
        self.projection = None
        if self.aux_type == "mlp":
            self.mlp = MLP(
                self.hidden_units, activation="sigmoid", name="mlp", dtype="float32"
            )
            self.mlp.build((*behaviors_shape[:-1], n + width))
            # The logit: a sigmoid here would bound it to 0..1.
            self.score = keras.layers.Dense(1, name="score", dtype="float32")
            self.score.build((*behaviors_shape[:-1], (self.hidden_units or (n + width,))[-1]))
        elif n != width:
            self.projection = keras.layers.Dense(
                width, use_bias=False, name="projection", dtype="float32"
            )
            self.projection.build(states_shape)

    def call(
        self, prediction, states, behaviors, negatives, behaviors_mask, negatives_mask=None,
        training=False,
    ):
        """Applies the layer."""
        real = behaviors_mask[:, 1:]
        if negatives_mask is not None:
            negatives_mask = negatives_mask[:, : ops.shape(behaviors_mask)[1]]
            if len(negatives.shape) == 3:
                negatives_mask = negatives_mask[..., None]  # (B, T, 1)
            real = ops.logical_and(real, ops.any(negatives_mask[:, 1:], axis=-1))
        steps = steps_of(real, training=training)
        state = steps.take(states)  # (steps, n)
        behavior = steps.take(behaviors, first=1)  # (steps, D)
        negative = steps.take(negatives, first=1)  # (steps, D) or (steps, K, D)
        if len(negatives.shape) == 3:
            negative = ops.expand_dims(negative, -2)
        if self.projection is not None:
            state = self.projection(state)
        candidates = ops.concatenate([ops.expand_dims(behavior, -2), negative], axis=-2)
        logits = self._logits(state, candidates)  # (steps, 1 + K), the behavior's first
        wrong = ops.softplus(logits[..., 1:])
        if negatives_mask is None:
            wrong = ops.mean(wrong, axis=-1)
        else:
            there = steps.take(negatives_mask, first=1)
            number = ops.sum(ops.cast(there, "float32"), axis=-1)
            wrong = ops.sum(ops.where(there, wrong, 0.0), axis=-1) / ops.maximum(number, 1.0)
        loss = ops.softplus(-logits[..., 0]) + wrong
        count = ops.sum(ops.cast(real, "float32"))
        loss = ops.sum(steps.only_real(loss)) / ops.maximum(count, 1.0)
        self.add_loss(self.weight * loss)
        self.tracker.update_state(loss)
        return prediction

    def left_aligned(
        self, prediction, states, behaviors, negatives, behaviors_mask, negatives_mask=None
    ):
        """What of the arguments must be left-aligned: else padding foretells a behavior."""
        return behaviors_mask

    def _logits(self, state, candidates):
        if self.aux_type == "inner":
            # A product and a sum: as a matmul it is one tiny product a step, 2.5 times slower.
            return ops.sum(ops.expand_dims(state, -2) * candidates, axis=-1)
        # [h, e] · W as h · W_h + e · W_e, so that a state is multiplied once for its candidates.
        first = self.mlp.blocks[0][0] if self.hidden_units else self.score
        of_state, of_candidate = ops.split(first.kernel, [state.shape[-1]])
        x = ops.matmul(candidates, of_candidate)
        x = x + ops.expand_dims(ops.matmul(state, of_state) + first.bias, -2)
        x = ops.reshape(x, (-1, x.shape[-1]))
        if self.hidden_units:
            x = self.score(self.mlp.after_first_product(x))
        return ops.reshape(x, ops.shape(candidates)[:-1])

    def compute_output_shape(self, prediction_shape, *args, **kwargs):
        """The prediction's shape."""
        return prediction_shape

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "weight": self.weight,
            "aux_type": self.aux_type,
            "hidden_units": self.hidden_units,
        }
