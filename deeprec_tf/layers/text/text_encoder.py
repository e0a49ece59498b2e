"""A language model as a layer: token ids in, one vector a text out."""

from numbers import Integral

import keras
from keras import ops

from deeprec_tf.layers.text._tuning import tune
from deeprec_tf.layers.text.gelu import has_exact_gelu, use_exact_gelu

POOLINGS = ("cls", "mean", "last")


@keras.saving.register_keras_serializable(package="deeprec_tf")
class TextEncoder(keras.layers.Layer):
    """Hidden states of a keras-hub backbone, pooled over the real tokens.

    Token id 0 is padding; a text without tokens gives zeros. The backbone is part of the layer:
    its configuration and all its weights, adapters apart from their kernels, are saved with it.

    Args:
        backbone: `keras_hub` backbone with inputs `token_ids` and `padding_mask`, and
            `segment_ids` if it has any. The layer changes which of its weights are trained.
        pooling: "cls" (first token), "mean" (of the real tokens) or "last" (real token).
        trainable_layers: "all", or the number of the last blocks that are trained.
        lora_rank: rank of low-rank adapters on query and value, trained in place of the blocks.
        token_offset: what the ids are above the backbone's own; 1 where its own id 0 is a word.
        exact_gelu: whether GELUs are the exact function; read off the backbone when None.

    Call arguments:
        token_ids: integer tensor (B, T).
        segment_ids: integer tensor (B, T), 0 for the first text and 1 for the second; zeros when
            None.

    Returns:
        Float tensor (B, D).

    Raises:
        ValueError: the pooling is unknown, adapters and blocks are both asked for, or a number
            is out of range.
    """

    side_by_side = True

    def __init__(
        self, backbone, *, pooling="mean", trainable_layers="all", lora_rank=None,
        token_offset=0, exact_gelu=None, **kwargs,
    ):
        super().__init__(**{"dtype": backbone.dtype_policy, **kwargs})
        if pooling not in POOLINGS:
            raise ValueError(f"{self.name}: pooling must be one of {POOLINGS}, got {pooling!r}.")
        trainable_layers, lora_rank = _checked_tuning(self.name, trainable_layers, lora_rank)
        self.backbone = backbone
        self.pooling = pooling
        self.trainable_layers = trainable_layers
        self.lora_rank = lora_rank
        self.token_offset = token_offset
        self.exact_gelu = has_exact_gelu(backbone) if exact_gelu is None else exact_gelu
        if self.exact_gelu:
            use_exact_gelu(backbone)
        self._backbone_config = keras.saving.serialize_keras_object(backbone)
        tune(backbone, trainable_layers, lora_rank)

    @property
    def embedding_layers(self):
        """The tables of tokens and segments, by the name of the table."""
        tables = {"token_ids": self.backbone.token_embedding}
        if "segment_ids" in self.backbone.input:
            tables["segment_ids"] = self.backbone.get_layer("segment_embedding")
        return tables

    def call(self, token_ids, segment_ids=None, training=None):
        """Applies the layer."""
        real = ops.not_equal(token_ids, 0)
        inputs = {
            "token_ids": ops.maximum(token_ids - self.token_offset, 0),
            "padding_mask": ops.cast(real, "int32"),
        }
        if "segment_ids" in self.backbone.input:
            zeros = ops.zeros_like(token_ids)
            inputs["segment_ids"] = zeros if segment_ids is None else segment_ids
        states = self.backbone(inputs, training=training)
        if isinstance(states, dict):
            states = states["sequence_output"]
        weights = ops.cast(self._weights(real), states.dtype)
        return ops.einsum("bt,btd->bd", weights, states)

    def _weights(self, real):
        """What each token counts, float32 (B, T); 0 for padding."""
        counts = ops.cast(real, "float32")
        if self.pooling == "mean":
            return counts / ops.maximum(ops.sum(counts, axis=1, keepdims=True), 1.0)
        number = ops.cumsum(ops.cast(real, "int32"), axis=1)  # 1 for the first real token
        wanted = 1 if self.pooling == "cls" else ops.max(number, axis=1, keepdims=True)
        return counts * ops.cast(ops.equal(number, wanted), "float32")

    def compute_mask(self, *args, **kwargs):
        """No mask: time is gone."""
        return None

    def compute_output_spec(self, token_ids, segment_ids=None, training=None):
        """(B, D) in the compute dtype."""
        states = self.backbone.output
        states = states["sequence_output"] if isinstance(states, dict) else states
        return keras.KerasTensor((token_ids.shape[0], states.shape[-1]), dtype=states.dtype)

    def get_config(self):
        """Returns the arguments; the backbone as its class and configuration."""
        return {
            **super().get_config(),
            "backbone": self._backbone_config,
            "pooling": self.pooling,
            "trainable_layers": self.trainable_layers,
            "lora_rank": self.lora_rank,
            "token_offset": self.token_offset,
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


def _checked_tuning(owner, trainable_layers, lora_rank):
    """Both as they are kept, numbers as int."""
    counts = trainable_layers != "all"
    if counts and (not isinstance(trainable_layers, Integral) or trainable_layers < 0):
        raise ValueError(
            f"{owner}: trainable_layers must be 'all' or a number of blocks from 0, got "
            f"{trainable_layers!r}."
        )
    if counts:
        trainable_layers = int(trainable_layers)
    if lora_rank is None:
        return trainable_layers, None
    if isinstance(lora_rank, bool) or not isinstance(lora_rank, Integral) or lora_rank < 1:
        raise ValueError(f"{owner}: lora_rank must be a positive integer, got {lora_rank!r}.")
    if counts:
        raise ValueError(
            f"{owner}: lora_rank={lora_rank} and trainable_layers={trainable_layers} exclude each "
            "other: adapters are trained while every block is frozen. Leave one out."
        )
    return trainable_layers, int(lora_rank)
