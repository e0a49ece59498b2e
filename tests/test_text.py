import builtins
import json
import sys

import numpy as np
import pytest

from deeprec_tf.layers.text.gelu import has_exact_gelu
from deeprec_tf.text import (
    copy_of,
    has_segments,
    is_decoder,
    keras_hub,
    load_backbone,
    text_columns,
    token_offset,
)
from tests.language_models import minilm, tiny_bert, tiny_gpt2, tiny_llama


@pytest.mark.parametrize(
    ("make", "decoder", "offset"),
    [(tiny_bert, False, 0), (tiny_gpt2, True, 1), (tiny_llama, True, 1)],
)
def test_what_is_known_of_a_backbone(make, decoder, offset):
    backbone = make()
    assert is_decoder(backbone) is decoder
    assert token_offset(type(backbone)) == offset
    assert has_segments(type(backbone)) is ("segment_ids" in backbone.input)


def test_names_of_classes_are_those_of_keras_hub():
    from deeprec_tf import text

    hub = keras_hub().models
    for name in (*text._PADDED_WITH_ZERO, *text._WITH_SEGMENTS):
        assert hasattr(hub, name), name


def test_columns():
    pair = text_columns("cross_encoder", 30, 9, segments=True)
    assert [(c.name, c.sparsefeat.vocabulary_size, c.maxlen) for c in pair] == [
        ("token_ids", 30, 9), ("segment_ids", 2, 9),
    ]  # fmt: skip
    apart = text_columns("bi_encoder", 30, 9, segments=True)
    assert [c.name for c in apart] == ["user_token_ids", "item_token_ids"]
    assert {c.embedding_name for c in apart} == {"token_ids"}
    with pytest.raises(ValueError, match="form must be one of"):
        text_columns("pair", 30, 9, segments=False)


def test_a_copy_has_the_weights_and_shares_none():
    backbone = tiny_bert()
    copy = copy_of(backbone)
    for ours, theirs in zip(backbone.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours is not theirs


def test_without_keras_hub_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "keras_hub":
            raise ImportError("No module named 'keras_hub'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "keras_hub", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'deeprec-tf\[text\]'"):
        load_backbone("anywhere")


@pytest.mark.parametrize(("said", "exact"), [("gelu", True), ("gelu_new", False)])
def test_gelu_is_the_one_that_the_folder_says(tmp_path, said, exact):
    folder = minilm()
    for file in folder.iterdir():
        if file.is_file() and file.name != "config.json":
            (tmp_path / file.name).symlink_to(file)
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_act": said}))
    assert has_exact_gelu(load_backbone(tmp_path)) is exact
