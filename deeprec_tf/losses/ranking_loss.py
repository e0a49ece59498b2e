"""What the losses of recall models have in common."""

from __future__ import annotations

from typing import Any

from keras import ops

LOWEST = -1e9  # below any score, and finite in float32


class RankingLoss:
    """A loss of one positive score against the scores of negatives.

    Sub-classes say in `call` what a row costs. Scores come in float32, after temperature and
    correction for the sampling.

    Call arguments:
        positive: float32 tensor (N,).
        negatives: float32 tensor (N, K).
        mask: bool tensor (N, K), True where a negative counts; all of them when None.

    Returns:
        float32 tensor (N,), at least 0. A row without negatives costs what `call` makes of none.

    Attributes:
        reads_logits: whether scores are taken for logits one by one, so that a common offset
            matters.
        hidden: what `call` gets as the score of a negative that does not count.
    """

    reads_logits = False
    hidden = 0.0

    def __call__(self, positive: Any, negatives: Any, mask: Any = None) -> Any:
        """The loss of each row."""
        if mask is None:
            mask = ops.ones_like(negatives, dtype="bool")
        # Scores of negatives that do not count may be anything, NaN among it.
        return self.call(positive, ops.where(mask, negatives, self.hidden), mask)

    def call(self, positive: Any, negatives: Any, mask: Any) -> Any:
        """What each row costs; `negatives` are `hidden` where the mask is False."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RankingLoss:
        """Rebuilds the loss."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), *self.get_config().items()))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def weights_of(mask: Any) -> Any:
    """1 for a negative that counts, else 0."""
    return ops.cast(mask, "float32")


def masked_mean(values: Any, mask: Any) -> Any:
    """Mean of each row over what counts; 0 where nothing does."""
    weights = weights_of(mask)
    return ops.sum(values * weights, axis=-1) / ops.maximum(ops.sum(weights, axis=-1), 1.0)


def share_of_negatives(negatives: Any, mask: Any) -> Any:
    """Softmax over the negatives of a row, (N, K): the hardest weigh most; 0 where none counts."""
    scores = ops.where(mask, negatives, LOWEST)
    highest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    weights = ops.exp(scores - highest) * weights_of(mask)
    total = ops.sum(weights, axis=-1, keepdims=True)
    return weights / ops.where(total > 0, total, 1.0)
