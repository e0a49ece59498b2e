"""Texts before they are vectors: the backbone, its token ids, and the columns that hold them.

keras-hub is needed here and nowhere else; it is imported when a backbone or a tokenizer is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from deeprec_tf.features import SparseFeat, VarLenSparseFeat
from deeprec_tf.layers.text.gelu import has_exact_gelu, use_exact_gelu

FORMS = ("cross_encoder", "bi_encoder")
TOKENS, SEGMENTS = "token_ids", "segment_ids"

# Their tokenizers pad with id 0, as our columns do. All others get their ids moved up by one.
_PADDED_WITH_ZERO = (
    "AlbertBackbone", "BertBackbone", "DebertaV3Backbone", "DistilBertBackbone", "ElectraBackbone",
    "T5Backbone",
)  # fmt: skip
_WITH_SEGMENTS = ("AlbertBackbone", "BertBackbone", "ElectraBackbone", "RoformerV2Backbone")


def keras_hub() -> Any:
    """The package keras_hub.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import keras_hub as package
    except ImportError as error:
        raise ImportError(
            "deeprec_tf: language models need keras-hub. Install it with "
            "pip install 'deeprec-tf[text]'."
        ) from error
    return package


def load_backbone(source: str | Path) -> Any:
    """The language model of a local folder in Hugging Face form, or of a keras-hub preset.

    A Hugging Face configuration that says "gelu" means the exact function, where keras-hub puts
    its tanh approximation; it is put right here.

    Args:
        source: folder with `config.json` and `model.safetensors`, folder of a keras-hub preset,
            or a preset's name.

    Returns:
        A `keras_hub` backbone with the folder's weights, in the global dtype policy.

    Raises:
        ImportError: keras-hub or safetensors is missing.
        ValueError: there is nothing that keras-hub can read.
    """
    hub = keras_hub()
    try:
        backbone = hub.models.Backbone.from_preset(
            str(source), dtype=keras.config.dtype_policy().name
        )
    except ModuleNotFoundError as error:
        raise ImportError(
            f"deeprec_tf: {source} cannot be read without {error.name}. Install it with "
            "pip install 'deeprec-tf[text]'."
        ) from error
    config = Path(source) / "config.json"
    if config.is_file():
        said = json.loads(config.read_text())
        if "gelu" in (said.get("hidden_act"), said.get("activation_function")):
            use_exact_gelu(backbone)
    return backbone


def load_tokenizer(source: str | Path) -> Any:
    """The tokenizer of the same folder or preset.

    Raises:
        ImportError: keras-hub is missing.
        ValueError: there is nothing that keras-hub can read.
    """
    return keras_hub().models.Tokenizer.from_preset(str(source))


def checked_backbone(owner: str, backbone: Any) -> Any:
    """The backbone, refused in words where it is none that reads token ids.

    Raises:
        TypeError: it is no Keras model with the input `token_ids`.
    """
    inputs = getattr(backbone, "input", None)
    if not isinstance(backbone, keras.Model) or not isinstance(inputs, dict) or (
        not {TOKENS, "padding_mask"} <= set(inputs)
    ):
        raise TypeError(
            f"{owner}: backbone must be a keras_hub text backbone, a folder or a preset's name, "
            f"got {type(backbone).__name__}. It needs the inputs 'token_ids' and 'padding_mask'."
        )
    return backbone


def copy_of(backbone: Any) -> Any:
    """A backbone of the same configuration and weights, in the global dtype policy.

    Raises:
        ValueError: the weights do not fit the configuration, as after `enable_lora`.
    """
    config = {**backbone.get_config(), "dtype": keras.config.dtype_policy()}
    copy = type(backbone).from_config(config)
    if len(copy.weights) != len(backbone.weights):
        raise ValueError(
            f"{backbone.name} has {len(backbone.weights)} weights, its configuration makes "
            f"{len(copy.weights)}. Give it without adapters (enable_lora) or quantization."
        )
    copy.set_weights(backbone.get_weights())
    if has_exact_gelu(backbone):
        use_exact_gelu(copy)
    return copy


def without_words(backbone: Any) -> Any:
    """A copy of a decoder whose token table has one row, for one that reads vectors."""
    config = {
        **backbone.get_config(), "dtype": keras.config.dtype_policy(), "vocabulary_size": 1,
    }
    copy = type(backbone).from_config(config)
    words = {id(weight) for weight in backbone.token_embedding.weights}
    for ours, theirs in zip(copy.weights, backbone.weights, strict=True):
        if id(theirs) not in words:
            ours.assign(theirs)
    if has_exact_gelu(backbone):
        use_exact_gelu(copy)
    return copy


def token_offset(backbone_class: type) -> int:
    """What is added to a tokenizer's ids, so that id 0 is padding and nothing else: 0 or 1."""
    return 0 if backbone_class.__name__ in _PADDED_WITH_ZERO else 1


def has_segments(backbone_class: type) -> bool:
    """Whether the backbone tells the first text from the second by segment ids."""
    return backbone_class.__name__ in _WITH_SEGMENTS


def is_decoder(backbone: Any) -> bool:
    """Whether a token sees only those before it, so that the last one has seen all."""
    blocks = getattr(backbone, "transformer_layers", None) or [None]
    return "Decoder" in type(blocks[0]).__name__


def text_columns(
    form: str, vocabulary_size: int, maxlen: int, *, segments: bool, embedding_dim: int = 8
) -> list[VarLenSparseFeat]:
    """The columns of token ids.

    Args:
        form: "cross_encoder" (`token_ids` and, with segments, `segment_ids`) or "bi_encoder"
            (`user_token_ids`, `item_token_ids`).
        vocabulary_size: ids, the padding's and the offset counted.
        maxlen: most tokens a row.
        segments: whether segment ids go with the pair.
        embedding_dim: width of the token table.

    Raises:
        ValueError: the form is unknown.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}.")

    def column(name: str, size: int, table: str) -> VarLenSparseFeat:
        ids = SparseFeat(name, size, embedding_dim=embedding_dim, embedding_name=table)
        return VarLenSparseFeat(ids, maxlen, combiner="none")

    if form == "bi_encoder":
        return [column(f"{who}_{TOKENS}", vocabulary_size, TOKENS) for who in ("user", "item")]
    pair = [column(TOKENS, vocabulary_size, TOKENS)]
    return [*pair, column(SEGMENTS, 2, SEGMENTS)] if segments else pair
