"""Learning rates that fall."""

from __future__ import annotations

import keras


def falling(
    highest: float, epochs: int, steady: int
) -> keras.callbacks.LearningRateScheduler:
    """Keeps the rate for some epochs, and lets it fall in a straight line over the others.

    Args:
        highest: the rate at first.
        epochs: of the training; one more, and the rate would be 0.
        steady: how many of them have the full rate.
    """
    last = epochs - steady + 1

    def rate(epoch: int) -> float:
        return float(highest * min(1.0, (epochs - epoch) / last))

    return keras.callbacks.LearningRateScheduler(rate)
