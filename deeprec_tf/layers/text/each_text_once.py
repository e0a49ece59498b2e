"""The texts of a batch's items through an encoder, each of them once."""

import keras
from keras import ops

from deeprec_tf.layers.text._each_once_kernels import (
    can_encode_once,
    firsts_beside,
    firsts_of,
)


@keras.saving.register_keras_serializable(package="deeprec_tf")
class EachTextOnce(keras.layers.Layer):
    """The vectors of items in any places of a batch, from their tokens.

    In training an item that occurs many times is encoded once; elsewhere every occurrence is,
    as compiled and exported graphs have fixed sizes. The values are the same without dropout.

    Args:
        encoder: layer from token ids (N, L) to vectors (N, D), such as `TextEncoder`.

    Call arguments:
        ids: integer tensor (...) of items.
        token_ids: integer tensor (..., L), their texts.
        known_ids: integer tensor (...) of items that another call has encoded, or None. In training
            they are not encoded again.
        known_vectors: float tensor (..., D), what it gave.

    Returns:
        Float tensor (..., D).
    """

    def __init__(self, encoder, **kwargs):
        super().__init__(**kwargs)
        if isinstance(encoder, dict):
            encoder = keras.saving.deserialize_keras_object(encoder)
        self.encoder = encoder

    def build(self, ids_shape, token_ids_shape):
        """Builds the encoder."""
        if not self.encoder.built:
            self.encoder.build((None, token_ids_shape[-1]))

    def call(self, ids, token_ids, known_ids=None, known_vectors=None, training=False):
        """Applies the layer."""
        shape = ops.shape(ids)
        ids, texts = ops.reshape(ids, (-1,)), ops.reshape(token_ids, (-1, token_ids.shape[-1]))
        if not can_encode_once(training):
            vectors = self.encoder(texts, training=training)
        elif known_ids is None:
            firsts, places = firsts_of(ids)
            once = self.encoder(ops.take(texts, firsts, axis=0), training=training)
            vectors = ops.take(once, places, axis=0)
        else:
            known, new, places = firsts_beside(ops.reshape(known_ids, (-1,)), ids)
            before = ops.reshape(known_vectors, (-1, known_vectors.shape[-1]))
            once = self.encoder(ops.take(texts, new, axis=0), training=training)
            once = ops.concatenate([ops.take(before, known, axis=0), once])
            vectors = ops.take(once, places, axis=0)
        return ops.reshape(vectors, (*shape, vectors.shape[-1]))

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(
        self, ids, token_ids, known_ids=None, known_vectors=None, training=False
    ):
        """The items' places, and the encoder's width."""
        texts = keras.KerasTensor((None, token_ids.shape[-1]), dtype=token_ids.dtype)
        vectors = self.encoder.compute_output_spec(texts)
        return keras.KerasTensor((*ids.shape, vectors.shape[-1]), dtype=vectors.dtype)

    def get_config(self):
        """Returns the argument."""
        return {
            **super().get_config(), "encoder": keras.saving.serialize_keras_object(self.encoder),
        }
