"""Ids hidden in training, so that a model also learns to do without them."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeprec_tf.data.negatives import Seed, seeded_generator
from deeprec_tf.data.vocabulary import OOV_ID, PADDING_ID

_OWNER = "hide_ids"
_HIDE = 4  # beside the streams of NegativeSampler's own methods and of add_negatives


def hide_ids(ids: Any, share: float, *, seed: Seed, oov_id: int = OOV_ID) -> np.ndarray:
    """Ids, a share of them replaced by the out-of-vocabulary id.

    A model that sees every item by its id leaves the row of the out-of-vocabulary id as it
    started, and leans on ids where features would do. With some ids hidden anew in each epoch
    (`redraw` of `fit`), that row is trained, and so are the features without the id: what is new,
    and out of vocabulary, is then scored by its features. This is the dropout of DropoutNet for
    ids: Volkovs et al., "DropoutNet: Addressing Cold Start in Recommender Systems", NIPS 2017.

    The loss must take the right item by the features of its row. With `negatives="all"`, and in
    models trained at every step, the id alone says which one it is: there hidden ids teach nothing.

    Args:
        ids: integer array of any shape; padding, 0, is not hidden.
        share: probability of each id to be hidden, in [0, 1].
        seed: whole number, or several such as (7, epoch); one seed hides the same places.
        oov_id: what hidden ids become; 1 in the ids of `FeatureEncoder`.

    Returns:
        A new array of the same shape and type.

    Raises:
        TypeError: the ids are no integers.
        ValueError: the share lies outside [0, 1], or the seed is none.

    Example:
        >>> hide_ids([[5, 6, 0, 0]], 1.0, seed=(7, 0)).tolist()
        [[1, 1, 0, 0]]
    """
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{_OWNER}: ids must be integers, got {ids.dtype}.")
    if not 0 <= share <= 1:
        raise ValueError(f"{_OWNER}: share must be in [0, 1], got {share!r}.")
    draws = seeded_generator(seed, _HIDE, owner=_OWNER).random(ids.shape)
    return np.where((draws < share) & (ids != PADDING_ID), oov_id, ids).astype(ids.dtype)
