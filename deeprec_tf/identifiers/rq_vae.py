"""RQ-VAE: an autoencoder whose middle is a sum of codebook vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from deeprec_tf.identifiers.item_codes import ItemCodes, checked_vectors, with_collision_digit
from deeprec_tf.identifiers.residual import residual_centers
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.generative.residual_quantizer import ResidualQuantizer
from deeprec_tf.numeric import check_whole_numbers

_MOST_FOR_START = 20_000  # vectors that the first codebooks are clusters of


def rq_vae_codes(
    vectors: Any,
    num_levels: int = 3,
    codebook_size: int = 256,
    *,
    hidden_units: Sequence[int] = (512, 256, 128),
    latent_dim: int = 32,
    commitment: float = 0.25,
    learning_rate: float = 1e-3,
    batch_size: int = 1024,
    epochs: int = 100,
    seed: int = 0,
) -> ItemCodes:
    """Semantic ids by a residual-quantized autoencoder, as TIGER has them.

    z = encoder(x); r_0 = z, c_t = argmin ‖r_{t-1} - e‖, r_t = r_{t-1} - e_{c_t}; x̂ =
    decoder(Σ e_{c_t}), the gradient passed straight through. The loss is ‖x - x̂‖² + Σ_t (‖sg(r) -
    e‖² + β ‖r - sg(e)‖²). Inputs are standardized, codebooks start as clusters of the encoder's
    outputs, AdamW trains, and a code that no item has after an epoch moves to an item's residual.
    In the last tenth of the epochs none moves, so that those that have moved are trained.

    Args:
        vectors: item vectors (V, D), usually of texts; row i that of item i, row 0 is padding and
            not read.
        num_levels: codebooks; the codes have one position more.
        codebook_size: codes of a level.
        hidden_units: layers of the encoder; the decoder has them in turn.
        latent_dim: width of the codes' vectors.
        commitment: β, weight of the term that keeps the encoder near its codes.
        learning_rate: of AdamW.
        batch_size: items a step.
        epochs: passes over the items.
        seed: seed of weights, clusters and order. Sets Keras's global seed.

    Returns:
        `ItemCodes` of `num_levels` + 1 positions, the last one telling equal ones apart (or more
        where they are over 256, see `with_collision_digit`); its `code_use` should be above .8 at
        the levels' positions.

    Raises:
        ValueError: no table of vectors, a size that is no whole number from 1 on, or a negative
            commitment.

    Example:
        >>> vectors = np.random.default_rng(0).normal(size=(30, 4))
        >>> rq_vae_codes(vectors, 2, 4, hidden_units=(8,), latent_dim=3, epochs=2).sizes[:2]
        (4, 4)

    References:
        Rajput et al., Recommender Systems with Generative Retrieval, NeurIPS 2023.
        Zeghidour et al., SoundStream: An End-to-End Neural Audio Codec, 2021.
    """
    items = checked_vectors("rq_vae_codes", vectors)
    check_whole_numbers(
        "rq_vae_codes", num_levels=num_levels, codebook_size=codebook_size, epochs=epochs,
        batch_size=batch_size, latent_dim=latent_dim,
    )  # fmt: skip
    if not commitment >= 0:
        raise ValueError(f"rq_vae_codes: commitment must be at least 0, got {commitment!r}.")
    spread = items.std(axis=0)
    items = ((items - items.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).astype("float32")
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)

    inputs = keras.Input((items.shape[1],))
    encode = [MLP(hidden_units, name="encoder"), keras.layers.Dense(latent_dim, name="latent")]
    quantizer = ResidualQuantizer(
        num_levels, codebook_size, commitment=commitment, name="quantizer"
    )
    decode = [
        MLP(tuple(hidden_units)[::-1], name="decoder"),
        keras.layers.Dense(items.shape[1], name="reconstruction"),
    ]
    latent = inputs
    for layer in encode:
        latent = layer(latent)
    output = quantizer(latent)
    for layer in decode:
        output = layer(output)
    encoder, model = keras.Model(inputs, latent), keras.Model(inputs, output)

    some = generator.permutation(len(items))[:_MOST_FOR_START]
    quantizer.start_from(
        residual_centers(_encoded(encoder, items[some]), num_levels, codebook_size, seed=seed)[0]
    )
    last = epochs - max(1, math.ceil(epochs / 10))  # none is moved that training does not reach

    def revive(epoch: int, logs: Any) -> None:
        if epoch < last:
            quantizer.revive(_encoded(encoder, items), generator)

    model.compile(keras.optimizers.AdamW(learning_rate), loss=_squared_error)
    model.fit(
        items, items, batch_size=batch_size, epochs=epochs, verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=revive)],
    )
    labels = quantizer.codes_of(_encoded(encoder, items))
    codes = np.concatenate([np.zeros((1, num_levels), "int64"), labels + 1])
    return with_collision_digit(codes, [codebook_size] * num_levels)


def _encoded(encoder: keras.Model, items: np.ndarray) -> np.ndarray:
    return encoder.predict(items, batch_size=4096, verbose=0).astype("float64")


def _squared_error(x: Any, reconstructed: Any) -> Any:
    """‖x - x̂‖², summed over the vector."""
    return keras.ops.sum(keras.ops.square(x - reconstructed), axis=-1)
