"""HLLM's item vector: a decoder's state at [ITEM], behind the item's tokens."""

import keras
from keras import ops

from deeprec_tf.layers.core.table_embedding import TableEmbedding


@keras.saving.register_keras_serializable(package="deeprec_tf")
class ItemState(keras.layers.Layer):
    """The state of a causal decoder at a learned vector [ITEM] behind the last real token.

    e = Decoder([w_1, ..., w_n, ITEM])_{n+1}, w the vectors of the tokens. [ITEM] is no word of the
    vocabulary; it stands behind the last *real* token, so padding has no influence.

    Args:
        decoder: layer of (vectors (N, L, d), mask (N, L)), causal, for sequences one step longer
            than the texts: `CausalDecoder` or `BackboneDecoder`.
        vocabulary_size: number of token ids, padding counted; without use where the decoder has
            words of its own.
        width: d, likewise.
        token_offset: what the ids are above the decoder's own; 1 where its own id 0 is a word.

    Call arguments:
        token_ids: integer tensor (N, L), left-aligned, 0 for padding.

    Returns:
        Float tensor (N, d).

    Raises:
        ValueError: a decoder without words, and no vocabulary_size or width.

    References:
        Chen et al., HLLM: Enhancing Sequential Recommendations via Hierarchical Large Language
        Models for Item and User Modeling, 2024.
    """

    def __init__(self, decoder, *, vocabulary_size=None, width=None, token_offset=0, **kwargs):
        super().__init__(**kwargs)
        if isinstance(decoder, dict):
            decoder = keras.saving.deserialize_keras_object(decoder)
        self.decoder = decoder
        self.vocabulary_size = vocabulary_size
        self.width = width
        self.token_offset = token_offset
        self.words = None
        if hasattr(decoder, "embed"):
            return
        if vocabulary_size is None or width is None:
            raise ValueError(
                f"{self.name}: the decoder has no words; give vocabulary_size and width for a "
                "table of them."
            )
        self.words = TableEmbedding(
            vocabulary_size, width, name="words", dtype=self.dtype_policy,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02),
        )

    def build(self, token_ids_shape):
        """Makes [ITEM] and the words."""
        width = self.decoder.width if self.words is None else self.width
        self.item = self.add_weight(
            shape=(width,), name="item", initializer=keras.initializers.RandomNormal(stddev=0.02)
        )
        if self.words is not None:
            self.words.build(token_ids_shape)
        longer = (*token_ids_shape[:-1], None)
        if not self.decoder.built:
            self.decoder.build((*longer, width), longer)

    def call(self, token_ids, training=False):
        """Applies the layer."""
        padded = ops.pad(token_ids, ((0, 0), (0, 1)))
        length = ops.sum(ops.cast(ops.not_equal(token_ids, 0), "int32"), axis=1)  # (N,)
        places = ops.arange(ops.shape(padded)[1], dtype="int32")
        mask = places <= length[:, None]  # (N, L + 1)
        is_item = ops.equal(places, length[:, None])[..., None]
        if self.words is None:
            vectors = self.decoder.embed(ops.maximum(padded - self.token_offset, 0))
        else:
            vectors = self.words(padded)
        vectors = ops.where(is_item, ops.cast(self.item, vectors.dtype), vectors)
        states = self.decoder(vectors, mask, training=training)
        return ops.take_along_axis(states, length[:, None, None], axis=1)[:, 0]

    def compute_mask(self, *args, **kwargs):
        """No mask: time is gone."""
        return None

    def compute_output_spec(self, token_ids, training=False):
        """(N, d) in the compute dtype."""
        width = self.decoder.width if self.words is None else self.width
        return keras.KerasTensor((token_ids.shape[0], width), dtype=self.compute_dtype)

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "vocabulary_size": self.vocabulary_size,
            "width": self.width,
            "token_offset": self.token_offset,
        }
