"""The loss of a positive item against candidates."""

import math
from numbers import Real

import keras
import numpy as np
from keras import ops

from deeprec_tf.layers.retrieval._positions import Positions

LARGEST_SCALE = 100.0


@keras.saving.register_keras_serializable(package="deeprec_tf")
class RetrievalLoss(keras.layers.Layer):
    """A ranking loss of <query, positive> against <query, candidate>.

    Scores are divided by the temperature first; then each candidate's log-probability of being
    drawn is taken off, and the positive's off its own (logQ correction). A candidate that is the
    position's positive itself, has id 0, or stands in the row's `seen` items does not count; so
    the batch's own positives serve as candidates as they are.

    A row's loss is its share of the mean over all positions of the batch that have a positive.

    Args:
        loss: a `deeprec_tf.losses.RankingLoss`.
        temperature: above 0, or "learned": scores times g = exp(w), 10 at the start, 1 at least
            and 100 at most, and for losses of logits ("bce", "gbce") plus a bias, as a cosine
            alone confines the sigmoid to .27 to .73.
        hardest: one number a set of candidates: how many of the highest scores count; None all.
        similar: one number a set of candidates: those whose cosine with the positive is above it
            do not count, as they may be the same item under another id; None all do.
        has_bias: whether the last number of an item's vector is its bias, which says nothing of
            what the item is like: the cosine goes without it.

    Call arguments:
        queries: float tensor (B, D) or (B, T, D).
        positives: float tensor of the same shape.
        labels: integer tensor (B,) or (B, T), ids of the positives, 0 where there is none.
        candidates: list of (ids, vectors) or (ids, vectors, log_q). Ids are (K,) where
            all positions share them, else (B, K) or (B, T, K); vectors have D more, log_q is
            float (K,), (B, K) or (B, T, K).
        positive_log_q: float tensor of the labels' shape, or None.
        seen: integer tensor (B, S) of items that are no negatives for the row, or None.

    Returns:
        float32 tensor (B, 1).

    Raises:
        ValueError: a temperature that is not positive.

    References:
        Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations,
        RecSys 2019 (logQ).
    """

    def __init__(self, loss, temperature=1.0, *, hardest=(), similar=(), has_bias=False, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.loss = keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss
        self.hardest = list(hardest)
        self.similar = list(similar)
        self.has_bias = has_bias
        is_number = isinstance(temperature, Real) and 0 < temperature < math.inf
        if temperature != "learned" and not is_number:
            raise ValueError(
                f"{self.name}: temperature must be above 0 or 'learned', got {temperature!r}."
            )
        self.temperature = float(temperature) if is_number else temperature

    def build(self, queries_shape, *args, **kwargs):
        """Makes the learned scale."""
        self.log_scale = self.bias = None
        if self.temperature == "learned":
            self.log_scale = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(math.log(10.0)), name="log_scale"
            )
            if self.loss.reads_logits:
                self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")

    def call(
        self, queries, positives, labels, candidates, positive_log_q=None, seen=None,
        training=False,
    ):
        """Applies the layer."""
        at = Positions(labels, training)
        queries, positives = self._scaled(at.take(queries)), at.take(positives)
        own = at.take(labels)  # (N,)
        positive = ops.sum(queries * positives, axis=-1)  # (N,)
        if self.bias is not None:
            positive = positive + self.bias
        if positive_log_q is not None:
            positive = positive - at.take(positive_log_q)
        scores, counts = [], []
        hardest = self.hardest or [None] * len(candidates)
        similar = self.similar or [None] * len(candidates)
        for (ids, vectors, *log_q), most, same in zip(candidates, hardest, similar, strict=True):
            is_shared = len(ids.shape) == 1
            vectors = vectors if is_shared else at.take(vectors)
            score = _products(queries, vectors)  # (N, K)
            if self.bias is not None:
                score = score + self.bias
            if log_q:
                score = score - (log_q[0] if is_shared else at.take(log_q[0]))
            valid = self._valid(at, ids, own, seen, is_shared)
            if same is not None:
                cosine = _products(self._likeness(positives), self._likeness(vectors))
                valid = ops.logical_and(valid, cosine <= same)
            if most is not None:
                score, valid = _highest(score, valid, most)
            scores.append(score)
            counts.append(valid)
        losses = self.loss(
            positive, ops.concatenate(scores, axis=-1), ops.concatenate(counts, axis=-1)
        )
        return at.row_losses(losses)

    def _scaled(self, queries):
        """Queries instead of scores, as there are fewer of them."""
        if self.log_scale is None:
            return queries / self.temperature
        # What is out of bounds has a gradient nevertheless, so that it can come back.
        within = ops.clip(self.log_scale, 0.0, math.log(LARGEST_SCALE))
        beyond = ops.stop_gradient(self.log_scale - within)
        return queries * ops.exp(self.log_scale - beyond)

    def _likeness(self, vectors):
        """What of the items' vectors is compared by the cosine, with length 1."""
        return _unit(vectors[..., :-1] if self.has_bias else vectors)

    def _valid(self, at, ids, own, seen, is_shared):
        """Which candidates count, bool (N, K)."""
        ids = ops.cast(ids, own.dtype)
        each = ids[None, :] if is_shared else at.take(ids)
        valid = ops.logical_and(ops.not_equal(each, own[:, None]), ops.not_equal(each, 0))
        if seen is None:
            return valid
        if not is_shared and len(ids.shape) == 3:
            at_seen = at.of_rows(ops.cast(seen, own.dtype))
            is_seen = ops.any(ops.equal(each[..., None], at_seen[:, None]), axis=-1)
        else:
            is_seen = at.of_rows(_among(ids[None] if is_shared else ids, ops.cast(seen, own.dtype)))
        return ops.logical_and(valid, ops.logical_not(is_seen))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_shape(self, queries_shape, *args, **kwargs):
        """One number a row."""
        return (queries_shape[0], 1)

    def compute_output_spec(self, queries, *args, **kwargs):
        """One number a row."""
        return keras.KerasTensor((queries.shape[0], 1), dtype="float32")

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "loss": keras.saving.serialize_keras_object(self.loss),
            "temperature": self.temperature,
            "hardest": self.hardest,
            "similar": self.similar,
            "has_bias": self.has_bias,
        }


def _products(queries, vectors):
    """<query, vector> of queries (N, D) and vectors (K, D) or (N, K, D): (N, K)."""
    if len(vectors.shape) == 2:
        return ops.matmul(queries, ops.transpose(vectors))
    return ops.sum(queries[:, None] * vectors, axis=-1)


def _unit(vectors):
    """The vectors with length 1, for a comparison that no gradient goes through."""
    vectors = ops.stop_gradient(vectors)
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))


def _among(ids, seen):
    """Whether ids (1, K) or (B, K) stand among those of a row (B, S); (B, K), S at a time."""
    found = ops.logical_and(ids < 0, seen[:, :1] < 0)
    return ops.fori_loop(
        0, ops.shape(seen)[1],
        lambda s, found: ops.logical_or(found, ops.equal(ids, ops.take(seen, [s], axis=1))), found,
    )


def _highest(scores, valid, number):
    """The highest scores of those that count, and which of them do: (N, number) both."""
    masked = ops.where(valid, scores, -np.inf)
    # There may be fewer than that in a small batch.
    masked = ops.pad(masked, [(0, 0), (0, number)], constant_values=-np.inf)
    highest, _ = ops.top_k(masked, number)
    found = ops.isfinite(highest)
    return ops.where(found, highest, 0.0), found
