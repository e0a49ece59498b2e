"""Items that are known by vectors or by texts, and the language models that read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deeprec_tf.features import FeatureColumn, SparseFeat, VarLenSparseFeat
from deeprec_tf.inputs import Tensors, embedding_lookup
from deeprec_tf.item_side import item_id_column
from deeprec_tf.layers.attention.causal_decoder import CausalDecoder
from deeprec_tf.layers.retrieval.all_items import AllIds, ItemFeatures
from deeprec_tf.layers.text.backbone_decoder import BackboneDecoder
from deeprec_tf.layers.text.each_text_once import EachTextOnce
from deeprec_tf.layers.text.item_state import ItemState
from deeprec_tf.layers.text.text_encoder import TextEncoder
from deeprec_tf.sequence_recall import UnitItems
from deeprec_tf.text import (
    checked_backbone,
    copy_of,
    is_decoder,
    load_backbone,
    token_offset,
    without_words,
)

WIDTH = 64  # of decoders that begin from scratch, where no width is given


class TextItems(UnitItems):
    """Items whose vectors a language model makes of their texts.

    What is looked up one after another in a graph, such as a history and items drawn beside it,
    shares its readings in training. The row's own item, `inputs`, is read by itself: its tower
    must not hang on the history. In a loss `positive_in_loss` stands for it.

    Args:
        *args: as of `ItemSide`.
        item_tokens: integer array (V, L), row i the token ids of item i, 0 for padding.
        encoder: layer from token ids (N, L) to vectors (N, D).
        **kwargs: as of `ItemSide`.
    """

    def __init__(self, *args: Any, item_tokens: np.ndarray, encoder: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.texts = ItemFeatures(
            item_tokens.shape, values=item_tokens, feature_dtype="int32", name="item_tokens"
        )
        self.llm = EachTextOnce(encoder, name="item_llm")
        self._read: list[tuple[Any, Any]] = []  # ids (N,) and vectors (N, n) of earlier look-ups

    def positive_in_loss(self) -> Any:
        """The vector of the row's item (B, D), its text not read again if the history has it."""
        return self.unit(self.encode(self.features_of(self.ids, known=self.inputs)))

    def lookup(self, features: Tensors) -> Any:
        """The vectors of the texts, beside the items' other features: (..., n)."""
        ids = features[self.id_column.name]
        shares = features is not self.inputs
        known = map(_joined, zip(*self._read, strict=True)) if shares else ()
        vectors = self.llm(ids, self.texts(ids), *known)
        if shares:
            flat = keras.ops.reshape(ids, (-1,))
            self._read.append((flat, keras.ops.reshape(vectors, (-1, vectors.shape[-1]))))
        rest = self.columns[1:]
        if not rest:
            return vectors
        return keras.layers.Concatenate()([vectors, embedding_lookup(features, self.tables, rest)])

    def all(self, like: Any) -> Any:
        """The vectors of all ids, padding's among them: (V, D)."""
        return self.vectors_of(AllIds(self.size)(like))


def _joined(tensors: Sequence[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else keras.ops.concatenate(tensors)


def known_as(
    user_feature_columns: Sequence[FeatureColumn],
    item_feature_columns: Sequence[FeatureColumn],
    width: int,
    *,
    vectors: np.ndarray | None = None,
    size: int,
    owner: str,
) -> tuple[list[FeatureColumn], list[FeatureColumn]]:
    """The columns with the width of the items' vectors, and these as a table that is not trained.

    Args:
        user_feature_columns: columns of the user.
        item_feature_columns: columns of the item, its id first.
        width: D of the vectors.
        vectors: (V, D) in place of a table, if they are known.
        size: V, how many items are known, padding counted.
        owner: the model's name, for messages.

    Raises:
        ValueError: the id has another number of values.
    """
    item = item_id_column(item_feature_columns, owner=owner)
    if item.vocabulary_size != size:
        raise ValueError(
            f"{owner}: {item.name!r} has {item.vocabulary_size} ids (0 is padding), but "
            f"{size} items are known. Give row i of item_embeddings or item_tokens to item i."
        )
    table = item.embedding_name

    def of_width(column: FeatureColumn) -> Any:
        if isinstance(column, VarLenSparseFeat) and column.embedding_name == table:
            return dataclasses.replace(column, sparsefeat=of_width(column.sparsefeat))
        if not isinstance(column, SparseFeat) or column.embedding_name != table:
            return column
        frozen: dict[str, Any] = {}
        if vectors is not None:
            frozen = {"pretrained": vectors, "trainable": False}
        return dataclasses.replace(column, embedding_dim=width, **frozen)

    return [of_width(c) for c in user_feature_columns], [of_width(c) for c in item_feature_columns]


def checked_vectors(item_embeddings: Any, *, owner: str) -> np.ndarray:
    """float32 (V, D) with zeros for padding.

    Raises:
        ValueError: another rank, or values that are no finite numbers.
    """
    vectors = np.array(item_embeddings, dtype="float32")
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError(
            f"{owner}: item_embeddings must be finite numbers of shape (items + 1, D), row i the "
            f"vector of item i, got an array of shape {vectors.shape}"
            f"{'' if vectors.ndim != 2 else ' with NaN or infinity'}."
        )
    vectors[0] = 0.0
    return vectors


def checked_tokens(item_tokens: Any, *, owner: str) -> np.ndarray:
    """int32 (V, L), left-aligned.

    Raises:
        ValueError: another rank or kind, or padding before a token.
    """
    tokens = np.asarray(item_tokens)
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or not tokens.size or tokens.min() < 0:
        raise ValueError(
            f"{owner}: item_tokens must be integers from 0 of shape (items + 1, L), row i the "
            f"token ids of item i, got {tokens.dtype} of shape {tokens.shape}. "
            "deeprec_tf.data.item_tokens makes them of texts."
        )
    real = tokens != 0
    gaps = np.flatnonzero((real[:, 1:] & ~real[:, :-1]).any(axis=1))
    if len(gaps):
        raise ValueError(
            f"{owner}: row {gaps[0]} of item_tokens has padding (0) before a token. Put tokens "
            "first, padding behind them."
        )
    return tokens.astype("int32")


def item_encoder(
    llm: Mapping[str, Any], item_tokens: np.ndarray, *, owner: str
) -> tuple[Any, int]:
    """The item LLM, a layer from token ids (N, L) to vectors (N, D), and D.

    A decoder is read at [ITEM]; an encoder such as BERT, which sees all tokens at once, as the
    mean over the real ones. Without `model_name` it is a small decoder that begins from scratch.

    Args:
        llm: `model_name`, `hidden_size`, `num_heads`, `num_layers`, `dropout`,
            `trainable_layers`, `lora_rank`.
        item_tokens: (V, L).
        owner: the model's name, for messages.

    Raises:
        ImportError: keras-hub is missing.
        TypeError: `model_name` is no model that reads token ids.
        ValueError: tokens that the model does not have, or a text that is too long for it.
    """
    longest, most = item_tokens.shape[1], int(item_tokens.max())
    if llm["model_name"] is None:
        width = llm["hidden_size"] or WIDTH
        decoder = CausalDecoder(
            llm["num_layers"], llm["num_heads"], longest + 1, dropout=llm["dropout"],
            name="item_decoder",
        )
        return ItemState(decoder, vocabulary_size=most + 1, width=width, name="item_state"), width
    backbone = read_backbone(llm["model_name"], owner=owner)
    decodes, offset = is_decoder(backbone), token_offset(type(backbone))
    check_readable(backbone, item_tokens, more=int(decodes), owner=owner)
    tuning = {"trainable_layers": llm["trainable_layers"], "lora_rank": llm["lora_rank"]}
    if not decodes:
        encoder = TextEncoder(
            backbone, pooling="mean", token_offset=offset, name="item_encoder", **tuning
        )
        return encoder, backbone.hidden_dim
    decoder = BackboneDecoder(backbone, name="item_decoder", **tuning)
    return ItemState(decoder, token_offset=offset, name="item_state"), decoder.width


def check_readable(
    backbone: Any, item_tokens: np.ndarray, *, more: int = 0, owner: str
) -> None:
    """Refuses texts that a backbone cannot read.

    Args:
        backbone: a `keras_hub` backbone.
        item_tokens: (V, L).
        more: how many steps come behind a text.
        owner: the caller's name, for messages.

    Raises:
        ValueError: ids that it has no words for, or more tokens than it has places for.
    """
    known = backbone.vocabulary_size + token_offset(type(backbone))
    most, longest = int(item_tokens.max()), item_tokens.shape[1] + more
    if most >= known:
        raise ValueError(
            f"{owner}: item_tokens has the id {most}, but {backbone.name} knows {known} ids. "
            "Tokenize with the model's own tokenizer."
        )
    room = getattr(backbone, "max_sequence_length", None)
    if room is not None and longest > room:
        behind = " and [ITEM] comes behind them" if more else ""
        raise ValueError(
            f"{owner}: item_tokens has texts of {item_tokens.shape[1]} tokens{behind}, but "
            f"{backbone.name} reads {room}. Cut the texts."
        )


def user_decoder(llm: Mapping[str, Any], maxlen: int, *, owner: str) -> Any:
    """The user LLM: a layer from vectors (B, T, D) and their mask to states (B, T, D).

    Args:
        llm: `user_model_name`, `num_heads`, `num_layers`, `dropout`.
        maxlen: longest sequence.
        owner: the model's name, for messages.

    Raises:
        ValueError: a sequence that is too long for the model.
    """
    if llm["user_model_name"] is None:
        return CausalDecoder(
            llm["num_layers"], llm["num_heads"], maxlen, dropout=llm["dropout"], name="user_llm"
        )
    backbone = without_words(read_backbone(llm["user_model_name"], owner=owner))
    room = getattr(backbone, "max_sequence_length", None)
    if room is not None and maxlen > room:
        raise ValueError(
            f"{owner}: the user's sequences have up to {maxlen} steps, but {backbone.name} reads "
            f"{room}. Lower the maxlen of the history's column."
        )
    return BackboneDecoder(backbone, reads_words=False, name="user_llm")


def read_backbone(source: Any, *, owner: str) -> Any:
    """A backbone of one's own, from a folder, a preset's name or a backbone, which is copied."""
    if isinstance(source, str | Path):
        return load_backbone(source)
    return copy_of(checked_backbone(owner, source))
