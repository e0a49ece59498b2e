"""Many candidates for one user at the cost of about one pass: HSTU's M-FALCON."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deeprec_tf.batches import check_batch
from deeprec_tf.engine import RecModel, part_of
from deeprec_tf.graph import explainable_calls, inference_outputs, joint_output
from deeprec_tf.layers import HSTUBlock
from deeprec_tf.model_input import model_input
from deeprec_tf.numeric import check_whole_numbers

_OWNER = "candidate_scorer"


class EncodedUser(NamedTuple):
    """What candidates see of a user.

    Attributes:
        keys: keys of the history (1, H, S, d), one tensor a block.
        values: values of the history, likewise.
        place: int32 tensor (1,), how many steps the history has.
        times: tensors (1, S) and (1, 1), when those happened and when the candidates are shown;
            None for a model without times.
    """

    keys: list[tf.Tensor]
    values: list[tf.Tensor]
    place: tf.Tensor
    times: tuple[tf.Tensor, tf.Tensor] | None


class CandidateScorer:
    """Scores candidates of one user over keys and values of the history that are computed once.

    Candidates see the history and themselves, not each other, so the scores are those of one row
    each. The weights are the model's own: train on, and it answers with the new ones.

    Args:
        model: an `HSTU(mode="ranking")`, freshly trained or reloaded.
        micro_batch: how many candidates are scored at a time.

    Raises:
        ValueError: another model, or a micro_batch below 1.
    """

    def __init__(self, model: RecModel, micro_batch: int = 1024) -> None:
        names = {layer.name for layer in model.layers}
        calls = [call for call in explainable_calls(model) if isinstance(call.layer, HSTUBlock)]
        if not calls or "target_token" not in names:
            raise ValueError(
                f"{_OWNER}: {model.name} is no HSTU for ranking. Build it with HSTU(…, "
                "mode='ranking'); an ItemIndex searches the candidates of a recall model."
            )
        check_whole_numbers(_OWNER, micro_batch=micro_batch)
        self.micro_batch = int(micro_batch)
        self._model = model
        self._blocks = [call.layer for call in calls]
        words = ("tokens", "mask", "times", "query_times")
        tokens = dict(zip(words, calls[0].arguments, strict=False))
        self._tokens = part_of(model, tokens, f"{model.name}_tokens")
        self._positions = model.get_layer("positions")
        of_target = next(n for n in self._positions._inbound_nodes if len(n.input_tensors) == 3)
        self._target = part_of(
            model, {"target": of_target.input_tensors[0]}, f"{model.name}_candidates"
        )
        (answer,) = inference_outputs(model).values()
        self._head = keras.Model(joint_output(model, "target_state"), answer)
        self._of_items = set(self._target.input)
        # An item's inputs, so that a user can be checked as a row of the model.
        self._some_candidate = {
            tensor.name: np.ones([1 if n is None else n for n in tensor.shape]).astype(
                object if tensor.dtype == "string" else tensor.dtype
            )
            for tensor in model.inputs if tensor.name in self._of_items
        }
        self._encode = tf.function(self._encoded, autograph=False, reduce_retracing=True)
        self._score = tf.function(self._scored, autograph=False, reduce_retracing=True)

    def __call__(self, user: Any, candidates: Any) -> np.ndarray:
        """The probability of every candidate.

        Args:
            user: dict of arrays of one row, the user's inputs.
            candidates: dict of arrays of M rows, the item's inputs.

        Returns:
            float32 array (M,).
        """
        return self.score(self.encode(user), candidates)

    def encode(self, user: Any) -> EncodedUser:
        """What candidates see of a user, for one call of `score` or many.

        Raises:
            ValueError: more or less than one row, a missing or wrong input, or a history that
                `predict` would refuse.
        """
        columns = [c for c in self._tokens.feature_columns if c.name not in self._of_items]
        x = check_batch(columns, {c: user[c] for c in user.keys()}, owner=f"{_OWNER}: user")
        rows = {len(array) for array in x.values()}
        if rows != {1}:
            raise ValueError(
                f"{_OWNER}: user must have one row, got {sorted(rows)}. Score users one by one."
            )
        self._model._check_arrays(_OWNER, {**self._some_candidate, **x})
        return EncodedUser(*self._encode({name: tf.constant(array) for name, array in x.items()}))

    def score(self, encoded: EncodedUser, candidates: Any) -> np.ndarray:
        """The probability (M,) of every candidate, by what `encode` gave."""
        given = {name: candidates[name] for name in candidates.keys() if name in self._of_items}
        x = check_batch(self._target.feature_columns, given, owner=f"{_OWNER}: candidates")
        parts = []
        for start in range(0, len(next(iter(x.values()))), self.micro_batch):
            part = slice(start, start + self.micro_batch)
            batch = {name: tf.constant(array[part]) for name, array in x.items()}
            parts.append(self._score(encoded, batch).numpy())
        return np.concatenate(parts)

    def _encoded(self, user: dict[str, tf.Tensor]) -> tuple:
        # The target stands behind the history, which does not see it: any will do.
        nothing = {
            tensor.name: tf.zeros([1 if n is None else n for n in tensor.shape], tensor.dtype)
            for tensor in self._tokens.inputs if tensor.name in self._of_items
        }
        user = {name: model_input(tensor) for name, tensor in user.items()}
        given = self._tokens({**user, **nothing}, training=False)
        states, mask = given["tokens"], given["mask"]
        last = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True) - 1  # (1, 1)
        mask = tf.range(tf.shape(mask)[1])[None] < last
        times = [given[word] for word in ("times", "query_times") if word in given]
        keys, values = [], []
        for block in self._blocks:
            states, key, value = block.encode(states, mask, *times)
            keys.append(key)
            values.append(value)
        shown = (times[0], tf.gather(times[0], last, axis=1, batch_dims=1)) if times else None
        return keys, values, last[:, 0] - self._blocks[0].prefix, shown

    def _scored(self, encoded: EncodedUser, candidates: dict[str, tf.Tensor]) -> tf.Tensor:
        candidates = {name: model_input(tensor) for name, tensor in candidates.items()}
        target = self._target(candidates, training=False)["target"]  # (M, 1, D)
        count = tf.shape(target)[0]
        first = tf.repeat(encoded.place, count)
        token = self._positions(target, tf.ones((count, 1), "bool"), first)
        states = tf.transpose(token, (1, 0, 2))  # (1, M, D)
        times = encoded.times or ()
        for block, key, value in zip(self._blocks, encoded.keys, encoded.values, strict=True):
            states = block.extend(states, key, value, encoded.place, *times)
        return self._head(states[0])[:, 0]


def candidate_scorer(model: RecModel, *, micro_batch: int = 1024) -> CandidateScorer:
    """A function of one user and many candidates that encodes the history once (M-FALCON).

    Args:
        model: an `HSTU(mode="ranking")`, freshly trained or reloaded.
        micro_batch: how many candidates are scored at a time.

    Returns:
        A `CandidateScorer`: a callable of the user's inputs, one row, and the candidates', M rows,
        that gives their probabilities (M,).

    Raises:
        ValueError: another model, or a micro_batch below 1.

    Example:
        >>> from deeprec_tf import next_item_columns
        >>> from deeprec_tf.models import HSTU
        >>> model = HSTU(*next_item_columns(100, maxlen=20), mode="ranking")
        >>> score = candidate_scorer(model)
        >>> score({"hist_item_id": [[3, 5, 0]]}, {"item_id": [7, 8, 9, 10]}).shape
        (4,)

    References:
        Zhai et al., Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for
        Generative Recommendations, ICML 2024.
    """
    return CandidateScorer(model, micro_batch)
