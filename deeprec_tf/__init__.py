"""Deep recommender models on Keras 3: columns in, a compiled `keras.Model` out."""

import sys

__version__ = "0.1.0"

# `python -m deeprec_tf` imports what a command needs when it needs it: help answers at once, and
# Ctrl-C is handled while TensorFlow loads. All other imports register every class right here.
if sys.argv[:1] != ["-m"] or "deeprec_tf" not in sys.orig_argv:
    from deeprec_tf import models
    from deeprec_tf.batches import check_batch
    from deeprec_tf.data import encoder_layers as _encoder_layers  # noqa: F401  registers layers
    from deeprec_tf.engine import RecModel
    from deeprec_tf.features import (
        DenseFeat,
        SparseFeat,
        VarLenDenseFeat,
        VarLenSparseFeat,
        get_feature_names,
    )
    from deeprec_tf.inputs import build_embedding_layers, build_input_layers, embedding_lookup
    from deeprec_tf.recall import next_item_columns
    from deeprec_tf.registry import ModelCard, get_model, list_models

__all__ = [
    "DenseFeat",
    "ModelCard",
    "RecModel",
    "SparseFeat",
    "VarLenDenseFeat",
    "VarLenSparseFeat",
    "__version__",
    "build_embedding_layers",
    "build_input_layers",
    "check_batch",
    "embedding_lookup",
    "get_feature_names",
    "get_model",
    "list_models",
    "models",
    "next_item_columns",
]
