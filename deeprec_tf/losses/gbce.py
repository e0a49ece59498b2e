"""Generalized binary cross-entropy."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from deeprec_tf.losses.binary_crossentropy import binary_crossentropy
from deeprec_tf.losses.ranking_loss import RankingLoss


@keras.saving.register_keras_serializable(package="deeprec_tf")
class GBCE(RankingLoss):
    """(β softplus(-s+) + Σ_j softplus(s_j)) / (K + 1): BCE whose positive is raised to β.

    β = α (t (1 - 1/α) + 1/α), α = K / (items - 1) the sampling rate. Few negatives make a model
    over-confident; β undoes it, fully at t = 1, and not at all at t = 0, which is
    `BCE`. Negatives must be drawn uniformly.

    Args:
        items: number of items in the catalogue (without padding).
        calibration: t, from 0 to 1.

    Raises:
        ValueError: fewer than two items, or t outside 0..1.

    References:
        Petrov and Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation Trained
        with Negative Sampling, RecSys 2023.
    """

    reads_logits = True

    def __init__(self, items: int, calibration: float = 0.75) -> None:
        if items < 2:
            raise ValueError(f"GBCE: items must be 2 or more, got {items!r}.")
        if not 0 <= calibration <= 1:
            raise ValueError(f"GBCE: calibration must lie in 0..1, got {calibration!r}.")
        self.items = items
        self.calibration = calibration

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs."""
        alpha = ops.cast(ops.shape(negatives)[-1], "float32") / (self.items - 1.0)
        beta = alpha * (self.calibration * (1.0 - 1.0 / alpha) + 1.0 / alpha)
        return binary_crossentropy(positive, negatives, mask, beta)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"items": self.items, "calibration": self.calibration}
