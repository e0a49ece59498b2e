"""The vectors that a language model makes of a catalogue's texts, kept in a file."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deeprec_tf.layers.text.each_text_once import EachTextOnce
from deeprec_tf.layers.text.text_encoder import TextEncoder
from deeprec_tf.text import is_decoder, token_offset
from deeprec_tf.text_items import check_readable, checked_tokens, read_backbone


def item_vectors(
    language_model: Any,
    item_tokens: Any,
    *,
    path: str | Path | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """Reads every item's text once, and keeps the vectors in a file.

    They are what `HLLM(item_embeddings=...)` takes. With a file only those items are read again
    whose text is new or another than at the last call; all of them, if the model is another.

    Args:
        language_model: a trained `HLLM` of `item_tokens`, whose item LLM is taken; or a local
            folder in Hugging Face form, a keras-hub preset, or a `keras_hub` backbone. An encoder
            such as BERT gives the mean over the tokens, a decoder its state at the last one.
        item_tokens: integer array (V, L) of token ids, row i those of item i; row 0 is padding.
        path: file of the vectors, `.npz`; nothing is kept when None.
        batch_size: items read at once.

    Returns:
        float32 array (V, D); row 0 is 0.

    Raises:
        ImportError: keras-hub is missing.
        TypeError: the model is none that reads token ids.
        ValueError: the model has no item LLM, or tokens that it does not know.

    Example:
        >>> import keras_hub
        >>> bert = keras_hub.models.BertBackbone(
        ...     vocabulary_size=50, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16)
        >>> item_vectors(bert, [[0, 0, 0], [2, 7, 3], [2, 3, 0]]).shape
        (3, 8)

    References:
        Chen et al., HLLM: Enhancing Sequential Recommendations via Hierarchical Large Language
        Models for Item and User Modeling, 2024.
    """
    if batch_size < 1:
        raise ValueError(f"item_vectors: batch_size must be at least 1, got {batch_size!r}.")
    tokens = checked_tokens(item_tokens, owner="item_vectors")
    if len(tokens) < 2:
        raise ValueError(
            "item_vectors: item_tokens has no item beside row 0, which is padding. Give row i to "
            "item i."
        )
    if path is not None and Path(path).is_dir():
        raise ValueError(f"item_vectors: path must be a file, but {path} is a folder.")
    encoder = _encoder_of(language_model, tokens)
    known: dict[str, np.ndarray] = {}
    if path is not None:
        fingerprint = _fingerprint(encoder)
        known = _read(path, fingerprint)
    wanted = [_key(row) for row in tokens]
    lengths = (tokens != 0).sum(axis=1)
    missing = [i for i in range(1, len(tokens)) if wanted[i] not in known]
    missing.sort(key=lambda i: lengths[i])  # texts of like length are padded least
    for first in range(0, len(missing), batch_size):
        rows = missing[first : first + batch_size]
        texts = tokens[rows][:, : max(int(lengths[rows].max()), 1)]
        vectors = keras.ops.convert_to_numpy(
            keras.ops.cast(encoder(texts, training=False), "float32")
        )
        known |= {wanted[row]: vector for row, vector in zip(rows, vectors, strict=True)}
    out = np.stack([known[key] for key in wanted[1:]])
    if path is not None and (missing or len(known) > len(set(wanted[1:]))):
        _write(path, fingerprint, {key: known[key] for key in wanted[1:]})
    return np.concatenate([np.zeros_like(out[:1]), out])


def _encoder_of(language_model: Any, tokens: np.ndarray) -> Any:
    layers = getattr(language_model, "layers", ())
    own = [layer for layer in layers if isinstance(layer, EachTextOnce)]
    if own:
        _check_own(language_model.name, own[0].encoder, tokens)
        return own[0].encoder
    if hasattr(language_model, "feature_columns"):
        raise ValueError(
            f"item_vectors: {language_model.name} has no language model of items. Give one of "
            "HLLM(item_tokens=…), or a pre-trained model."
        )
    backbone = read_backbone(language_model, owner="item_vectors")
    check_readable(backbone, tokens, owner="item_vectors")
    return TextEncoder(
        backbone, pooling="last" if is_decoder(backbone) else "mean", trainable_layers=0,
        token_offset=token_offset(type(backbone)),
    )


def _check_own(name: str, encoder: Any, tokens: np.ndarray) -> None:
    """Refuses texts that a trained model's own encoder cannot read."""
    decoder = getattr(encoder, "decoder", None)
    backbone = getattr(encoder, "backbone", getattr(decoder, "backbone", None))
    longest, most = int((tokens != 0).sum(axis=1).max()), int(tokens.max())
    if backbone is not None:
        read = tokens[:, : max(longest, 1)]
        check_readable(backbone, read, more=int(decoder is not None), owner="item_vectors")
    elif most >= encoder.vocabulary_size or longest >= encoder.decoder.maxlen:
        raise ValueError(
            f"item_vectors: item_tokens has ids up to {most} and texts of up to {longest} tokens, "
            f"but {name} was built with {encoder.vocabulary_size} ids and texts of "
            f"{encoder.decoder.maxlen - 1}. Build it with item_tokens that cover these."
        )


def _key(row: np.ndarray) -> str:
    """What a text is known by: its tokens, however far it is padded."""
    return hashlib.sha256(row[: int((row != 0).sum())].astype("<i4").tobytes()).hexdigest()


def _fingerprint(encoder: Any) -> str:
    """What a model is known by: its settings and its weights."""
    settings = [encoder.compute_dtype, keras.saving.serialize_keras_object(encoder)]
    digest = hashlib.sha256(json.dumps(_unnamed(settings), sort_keys=True).encode())
    for weight in encoder.weights:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{values.shape}{values.dtype}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _unnamed(config: Any) -> Any:
    """A configuration without what differs between two models of one kind: names, and how built."""
    if isinstance(config, dict):
        own = [key for key in config if key not in ("name", "build_config")]
        return {key: _unnamed(config[key]) for key in own}
    return [_unnamed(value) for value in config] if isinstance(config, list | tuple) else config


def _read(path: str | Path, fingerprint: str) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["model"]) != fingerprint:
                return {}
            return dict(zip(file["texts"].tolist(), file["vectors"], strict=True))
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"item_vectors: {path} is no file that item_vectors has written. Give another path, "
            "or remove it."
        ) from error


def _write(path: str | Path, fingerprint: str, known: dict[str, np.ndarray]) -> None:
    """Writes beside the file and puts it in place: it is never half written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    with open(half, "wb") as file:
        np.savez(
            file, model=np.array(fingerprint), texts=np.array(list(known)),
            vectors=np.stack(list(known.values())),
        )
    os.replace(half, path)
