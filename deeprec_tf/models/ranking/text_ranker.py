"""TextRanker: point-wise ranking with a pre-trained language model (Nogueira and Cho 2019).

Cross-encoder as in monoBERT; bi-encoder as in Sentence-BERT (Reimers and Gurevych, EMNLP 2019).

Departures from the papers: the user's text takes the query's place; the first token's last hidden
state is read without BERT's pooler, which was trained to tell next sentences; decoder-only models
are read at their last real token; the bi-encoder is trained on clicks through g·cos + b.
"""

from numbers import Integral
from pathlib import Path

import keras

from deeprec_tf.engine import RecModel
from deeprec_tf.inputs import build_input_layers
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.text.cosine_logit import CosineLogit
from deeprec_tf.layers.text.text_encoder import TextEncoder
from deeprec_tf.optimizers import FineTuneAdamW
from deeprec_tf.registry import register_model
from deeprec_tf.tasks import compiled
from deeprec_tf.text import (
    SEGMENTS,
    TOKENS,
    checked_backbone,
    copy_of,
    is_decoder,
    load_backbone,
    text_columns,
    token_offset,
)


@register_model(
    family="ranking",
    year=2019,
    url="https://arxiv.org/abs/1901.04085",
    paper="Passage Re-ranking with BERT",
    needs=("text",),
)
def TextRanker(
    backbone,
    *,
    form="cross_encoder",
    pooling=None,
    maxlen=None,
    trainable_layers="all",
    lora_rank=None,
    dropout=0.1,
    num_classes=None,
    task="binary",
    optimizer=None,
    loss=None,
    metrics=None,
    jit_compile="auto",
    name="text_ranker",
):
    """Reads what is known of a user and of an item as texts.

    - Cross-encoder: one encoder reads [CLS] user [SEP] item [SEP]; p = σ(wᵀ h + b). Every token
      of the user sees every token of the item.
    - Bi-encoder: the same encoder reads both texts alone; p = σ(g·cos(u, v) + b) with a learned
      g > 0. The joints `user_vector` and `item_vector` have length 1, so items are encoded once.

    The model starts at token ids; `deeprec_tf.data.TextPairs` makes them from strings, in
    `tf.data` and, as the `encoder` of `export_saved_model`, in the served model.

    Args:
        backbone: a `keras_hub` text backbone, which is copied; or a local folder in Hugging Face
            form, or a keras-hub preset. Needs `pip install 'deeprec-tf[text]'`.
        form: "cross_encoder" or "bi_encoder".
        pooling: "cls", "mean" or "last". When None: "last" for decoders; else "cls" for the
            cross-encoder and "mean", over the real tokens, for the bi-encoder.
        maxlen: most tokens of an input; what the backbone can read when None.
        trainable_layers: "all", or the number of the last transformer blocks that are trained,
            the rest frozen; 0 trains the head alone.
        lora_rank: rank of low-rank adapters, trained in place of the blocks.
        dropout: share of the pooled vector dropped before the cross-encoder's head; the
            backbone has its own.
        num_classes: outputs of the task "multiclass".
        task: "binary", "regression" or "multiclass"; the last needs the cross-encoder.
        optimizer: Keras optimizer or name; AdamW at 3e-5 with weight decay .01 on matrices when
            None.
        loss: the task's own when None.
        metrics: the task's own when None.
        jit_compile: "auto", True or False, as in `keras.Model.compile`.
        name: name of the model.

    Returns:
        A compiled `RecModel` with output (B, 1) named `probability`, or (B, C) named
        `multiclass`.

    Raises:
        ImportError: a folder or preset is named and keras-hub is not installed.
        TypeError: the backbone is none that reads token ids.
        ValueError: an unknown form, pooling or task, several classes of a cosine, adapters
            besides trained blocks, or more tokens or blocks than the backbone has.

    Example:
        >>> import keras_hub
        >>> bert = keras_hub.models.BertBackbone(
        ...     vocabulary_size=50, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16)
        >>> TextRanker(bert, maxlen=64).output_shape
        (None, 1)

    References:
        Nogueira and Cho, Passage Re-ranking with BERT, 2019.
        Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.
    """
    outputs = _number_of_outputs(form, task, num_classes)
    if isinstance(backbone, str | Path):
        backbone = load_backbone(backbone)
    else:
        backbone = copy_of(checked_backbone("TextRanker", backbone))
    offset = token_offset(type(backbone))
    feature_columns = text_columns(
        form,
        backbone.vocabulary_size + offset,
        _checked_maxlen(maxlen, backbone),
        segments=SEGMENTS in backbone.input,
    )
    inputs = build_input_layers(feature_columns)
    if pooling is None:
        pooling = "cls" if form == "cross_encoder" else "mean"
        pooling = "last" if is_decoder(backbone) else pooling
    encoder = TextEncoder(
        backbone, pooling=pooling, trainable_layers=trainable_layers, lora_rank=lora_rank,
        token_offset=offset, name="encoder",
    )  # fmt: skip

    if form == "cross_encoder":
        # User and item are read together.
        pair = encoder(inputs[TOKENS], inputs.get(SEGMENTS))  # (B, D)
        pair = Dropout(dropout, name="pair")(pair)
        logit = keras.layers.Dense(outputs, use_bias=False, dtype="float32", name="logit")(pair)
    else:
        # User and item are read apart, by one encoder.
        user, item = (
            keras.layers.Identity(dtype="float32", name=f"{who}_vector")(
                UnitLength(name=f"{who}_unit_length")(encoder(inputs[f"{who}_{TOKENS}"]))
            )
            for who in ("user", "item")
        )  # (B, D)
        logit = CosineLogit(name="logit")(user, item)  # (B, 1)

    output = PredictionLayer(task, name="probability" if task == "binary" else task)(logit)
    model = RecModel(inputs, output, feature_columns=feature_columns, name=name)
    return compiled(
        model,
        task,
        optimizer=FineTuneAdamW() if optimizer is None else optimizer,
        loss=loss,
        metrics=metrics,
        jit_compile=jit_compile,
    )


def _number_of_outputs(form, task, num_classes):
    if task not in ("binary", "regression", "multiclass"):
        raise ValueError(
            f"TextRanker: task must be 'binary', 'regression' or 'multiclass', got {task!r}."
        )
    if task != "multiclass":
        if num_classes is not None:
            raise ValueError(
                f"TextRanker: num_classes={num_classes} belongs to task='multiclass', got {task!r}."
            )
        return 1
    if form == "bi_encoder":
        raise ValueError(
            "TextRanker: a cosine is one number and tells two classes apart. Use "
            "form='cross_encoder' for task='multiclass'."
        )
    if isinstance(num_classes, bool) or not isinstance(num_classes, Integral) or num_classes < 2:
        raise ValueError(
            f"TextRanker: task='multiclass' needs num_classes of at least 2, got {num_classes!r}."
        )
    return int(num_classes)


def _checked_maxlen(maxlen, backbone):
    longest = getattr(backbone, "max_sequence_length", None)
    if maxlen is None:
        return 512 if longest is None else longest
    if longest is not None and maxlen > longest:
        raise ValueError(
            f"TextRanker: maxlen={maxlen}, but {backbone.name} reads {longest} tokens at most."
        )
    return maxlen
