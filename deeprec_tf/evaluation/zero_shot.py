"""How alike two texts are to a language model that was never tuned for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.text.text_encoder import TextEncoder
from deeprec_tf.text import TOKENS, checked_backbone, copy_of, load_backbone, token_offset


def zero_shot_cosine(
    backbone: Any, tokens: Mapping[str, np.ndarray], *, batch_size: int = 64
) -> np.ndarray:
    """The cosine of user and item text, each the mean of its real tokens' last hidden states.

    A baseline, and no more than that: nothing was trained, so an AUC near .5 is no surprise.

    Args:
        backbone: as in `TextRanker`; it is left as it is.
        tokens: `user_token_ids` and `item_token_ids`, (N, T) each, as
            `TextPairs(..., form="bi_encoder")` makes them.
        batch_size: rows that are encoded together.

    Returns:
        float32 array (N,) in -1..1; 0 where a text has no tokens.

    Raises:
        TypeError: the backbone is none.
        ValueError: one of the two inputs is missing.

    Example:
        >>> import keras_hub
        >>> bert = keras_hub.models.BertBackbone(
        ...     vocabulary_size=50, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16)
        >>> same = np.array([[2, 7, 3], [2, 9, 0]])
        >>> zero_shot_cosine(bert, {"user_token_ids": same, "item_token_ids": same}).round(4)
        array([1., 1.], dtype=float32)
    """
    names = [f"user_{TOKENS}", f"item_{TOKENS}"]
    missing = [name for name in names if name not in tokens]
    if missing:
        raise ValueError(
            f"zero_shot_cosine: {missing[0]!r} is missing, given were {list(tokens)}. Make the "
            "tokens with TextPairs(..., form='bi_encoder')."
        )
    if isinstance(backbone, keras.Model):
        backbone = copy_of(checked_backbone("zero_shot_cosine", backbone))
    else:
        backbone = checked_backbone("zero_shot_cosine", load_backbone(backbone))
    ids = keras.Input(shape=(None,), dtype="int32")
    encoder = TextEncoder(
        backbone, pooling="mean", trainable_layers=0, token_offset=token_offset(type(backbone))
    )
    vectors = keras.Model(ids, UnitLength()(encoder(ids)))
    user, item = (
        vectors.predict(np.asarray(tokens[name], "int32"), batch_size=batch_size, verbose=0)
        for name in names
    )
    return np.sum(user * item, axis=1)
