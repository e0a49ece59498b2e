"""The blocks of a pre-trained decoder, over vectors in place of words."""

import keras
from keras import ops

from deeprec_tf.layers.text._tuning import tune
from deeprec_tf.layers.text.gelu import has_exact_gelu, use_exact_gelu

# Their blocks follow on the token table, with a table of positions between them or none.
DECODERS = (
    "GPT2Backbone", "LlamaBackbone", "Llama3Backbone", "MistralBackbone", "QwenBackbone",
    "Qwen3Backbone",
)  # fmt: skip


@keras.saving.register_keras_serializable(package="deeprec_tf")
class BackboneDecoder(keras.layers.Layer):
    """A keras-hub decoder that reads vectors: its blocks and last normalization, causal.

    Positions are the backbone's own, a table or rotations. The vectors of its words, if any are
    wanted, are `embed(ids)`. The backbone is part of the layer and saved with it.

    Args:
        backbone: `keras_hub` decoder backbone, one of `DECODERS`. The layer changes which of its
            weights are trained.
        reads_words: whether `embed` is called; else the token table is not trained.
        trainable_layers: "all", or the number of the last blocks that are trained.
        lora_rank: rank of low-rank adapters on query and value, trained in place of the blocks.
        exact_gelu: whether GELUs are the exact function; read off the backbone when None.

    Call arguments:
        sequence: float tensor (B, T, d), d the backbone's own width.
        mask: bool tensor (B, T), True = real, left-aligned.
        training: whether dropout is on.

    Returns:
        Float tensor (B, T, d); what stands at padded steps means nothing.

    Raises:
        ValueError: a backbone of another kind.
    """

    def __init__(
        self, backbone, *, reads_words=True, trainable_layers="all", lora_rank=None,
        exact_gelu=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**{"dtype": backbone.dtype_policy, **kwargs})
        if type(backbone).__name__ not in DECODERS:
            raise ValueError(
                f"{self.name}: the backbone must be one of {DECODERS}, whose blocks can read "
                f"vectors, got {type(backbone).__name__}."
            )
        self.backbone = backbone
        self.reads_words = reads_words
        self.trainable_layers = trainable_layers
        self.lora_rank = lora_rank
        self.exact_gelu = has_exact_gelu(backbone) if exact_gelu is None else exact_gelu
        if self.exact_gelu:
            use_exact_gelu(backbone)
        self._backbone_config = keras.saving.serialize_keras_object(backbone)
        tune(backbone, trainable_layers, lora_rank)
        if not reads_words:
            backbone.token_embedding.trainable = False

    @property
    def width(self):
        """Width d of the vectors."""
        return self.backbone.hidden_dim

    def embed(self, token_ids):
        """The vectors of the backbone's words: (..., T) to (..., T, d)."""
        return self.backbone.token_embedding(token_ids)

    def build(self, sequence_shape, mask_shape=None):
        """Nothing to make: the backbone is built."""
        if sequence_shape[-1] != self.width:
            raise ValueError(
                f"{self.name}: vectors are {sequence_shape[-1]} wide, but the backbone reads "
                f"{self.width}. Map them to that width."
            )

    def call(self, sequence, mask, training=False):
        """Applies the layer."""
        backbone, real = self.backbone, ops.cast(mask, "int32")
        states = ops.where(mask[..., None], sequence, ops.zeros_like(sequence))
        places = getattr(backbone, "position_embedding", None)
        if places is not None:
            states = states + places(states)
            states = backbone.embeddings_dropout(states, training=training)
        for block in backbone.transformer_layers:
            states = block(states, decoder_padding_mask=real, training=training)
        return backbone.layer_norm(states)

    def compute_mask(self, *args, **kwargs):
        """No implicit mask."""
        return None

    def compute_output_spec(self, sequence, mask, training=False):
        """Shape is kept."""
        return keras.KerasTensor(sequence.shape, dtype=self.compute_dtype)

    def get_config(self):
        """Returns the arguments; the backbone as its class and configuration."""
        return {
            **super().get_config(),
            "backbone": self._backbone_config,
            "reads_words": self.reads_words,
            "trainable_layers": self.trainable_layers,
            "lora_rank": self.lora_rank,
            "exact_gelu": self.exact_gelu,
        }

    @classmethod
    def from_config(cls, config):
        """Builds the backbone anew."""
        config = dict(config)
        backbone = dict(config.pop("backbone"))
        if "dtype" in config:
            backbone["config"] = {**backbone["config"], "dtype": config["dtype"]}
        return cls(keras.saving.deserialize_keras_object(backbone), **config)
