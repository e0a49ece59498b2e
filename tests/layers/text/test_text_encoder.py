import json

import keras
import numpy as np
import pytest

from deeprec_tf.layers import TextEncoder, exact_gelu
from tests.language_models import hidden_states, tiny_bert, tiny_gpt2, tiny_llama
from tests.layers.contract import check_half_precision, check_layer
from tests.reference.text import bert, pooled

IDS = np.array([[2, 7, 9, 3, 11], [0, 0, 0, 0, 0], [4, 6, 3, 0, 0]], "int32")
SEGMENTS = np.array([[0, 0, 0, 1, 1], [0] * 5, [0, 1, 1, 0, 0]], "int32")


def encoder(backbone=None, **options):
    return TextEncoder(backbone or tiny_bert(), **options)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2, tiny_llama])
def test_numbers(make, pooling):
    """Each row against the backbone on that row's real tokens alone, pooled by hand."""
    backbone = make()
    offset = 0 if make is tiny_bert else 1
    wanted = np.zeros((3, 8))
    for row in (0, 2):
        length = int((IDS[row] != 0).sum())
        ids, segments = IDS[row : row + 1, :length] - offset, SEGMENTS[row : row + 1, :length]
        states = hidden_states(backbone, ids, segments)
        wanted[row] = pooled(states, np.ones((1, length), bool), pooling)[0]
    layer = encoder(backbone, pooling=pooling, token_offset=offset)
    arrays = (IDS, SEGMENTS) if make is tiny_bert else (IDS,)
    got = check_layer(layer, *arrays)
    np.testing.assert_allclose(got, wanted, atol=2e-5)
    assert np.abs(got[0] - got[2]).max() > 0.01


def test_exact_gelu_follows_the_equations():
    layer = encoder(pooling="cls", exact_gelu=True)
    states = bert(hugging_face(layer.backbone), IDS[0], SEGMENTS[0], heads=2)
    np.testing.assert_allclose(layer(IDS, SEGMENTS)[0], states[0], atol=1e-5)
    approximate = encoder(pooling="cls")(IDS, SEGMENTS)[0]
    assert np.abs(approximate - states[0]).max() > 1e-5, "keras-hub's BERT approximates"


def hugging_face(backbone):
    """The weights of keras-hub's BERT under the names and in the layout of Hugging Face."""
    named = {w.path.partition("/")[2] if "bert" in w.path.split("/")[0] else w.path: w.numpy()
             for w in backbone.weights}  # fmt: skip
    out = {
        "embeddings.word_embeddings.weight": named["token_embedding/embeddings"],
        "embeddings.position_embeddings.weight": named["position_embedding/embeddings"],
        "embeddings.token_type_embeddings.weight": named["segment_embedding/embeddings"],
        "embeddings.LayerNorm.weight": named["embeddings_layer_norm/gamma"],
        "embeddings.LayerNorm.bias": named["embeddings_layer_norm/beta"],
    }
    for block in range(backbone.num_layers):
        ours, theirs = f"transformer_layer_{block}", f"encoder.layer.{block}"
        attention = f"{ours}/self_attention_layer"
        for part in ("query", "key", "value"):
            out[f"{theirs}.attention.self.{part}.weight"] = named[
                f"{attention}/{part}/kernel"].reshape(8, 8).T
            out[f"{theirs}.attention.self.{part}.bias"] = named[
                f"{attention}/{part}/bias"].reshape(8)
        out[f"{theirs}.attention.output.dense.weight"] = named[
            f"{attention}/attention_output/kernel"].reshape(8, 8).T
        out[f"{theirs}.attention.output.dense.bias"] = named[f"{attention}/attention_output/bias"]
        for our, their in (("intermediate", "intermediate"), ("output", "output")):
            out[f"{theirs}.{their}.dense.weight"] = named[
                f"{ours}/feedforward_{our}_dense/kernel"].T
            out[f"{theirs}.{their}.dense.bias"] = named[f"{ours}/feedforward_{our}_dense/bias"]
        for our, their in (("self_attention", "attention.output"), ("feedforward", "output")):
            out[f"{theirs}.{their}.LayerNorm.weight"] = named[f"{ours}/{our}_layer_norm/gamma"]
            out[f"{theirs}.{their}.LayerNorm.bias"] = named[f"{ours}/{our}_layer_norm/beta"]
    return {name: value.astype("float64") for name, value in out.items()}


def test_exact_gelu_function():
    x = np.linspace(-4, 4, 33).astype("float32")
    np.testing.assert_allclose(
        exact_gelu(x), keras.activations.gelu(x, approximate=False), atol=1e-6
    )


def test_half_precision():
    check_half_precision(encoder(), IDS, SEGMENTS)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
def test_padding_has_no_influence(pooling):
    layer = encoder(pooling=pooling)
    longer = np.pad(IDS, [(0, 0), (0, 6)])
    np.testing.assert_allclose(
        layer(longer, np.pad(SEGMENTS, [(0, 0), (0, 6)])), layer(IDS, SEGMENTS), atol=2e-6
    )
    assert np.all(layer(longer)[1] == 0), "no tokens, no vector"


def test_a_frozen_encoder_has_nothing_to_train():
    assert encoder(trainable_layers=0).trainable_weights == []


def test_the_last_blocks_alone_are_trained():
    paths = [weight.path for weight in encoder(trainable_layers=1).trainable_weights]
    assert all("transformer_layer_1" in path for path in paths)
    assert len(paths) == 15, "of 16 weights: the keys' bias can have no gradient"
    layer = encoder(trainable_layers=np.int64(1))
    assert len(layer.trainable_weights) == 15 and json.dumps(layer.get_config()["trainable_layers"])
    assert json.dumps(encoder(lora_rank=np.int64(3)).get_config()["lora_rank"]) == "3"


def test_the_norm_behind_the_last_blocks_of_a_decoder_is_trained():
    paths = [weight.path for weight in encoder(tiny_llama(), trainable_layers=1).trainable_weights]
    assert any("sequence_output_layernorm" in path for path in paths)
    assert not any("transformer_layer_0" in path or "embedding" in path for path in paths)


def test_whole_leaves_out_what_can_have_no_gradient():
    layer = encoder()
    frozen = {w.path for w in layer.weights} - {w.path for w in layer.trainable_weights}
    assert sorted("/".join(path.split("/")[-2:]) for path in frozen) == [
        "key/bias", "key/bias", "pooled_dense/bias", "pooled_dense/kernel",
    ]  # fmt: skip


@pytest.mark.parametrize("whole", [True, False])
def test_what_another_encoder_froze_is_trained_again(whole):
    backbone = tiny_bert()
    encoder(backbone, trainable_layers=0)
    backbone.trainable = whole
    wanted = [weight.path for weight in encoder().trainable_weights]
    got = [weight.path for weight in encoder(backbone).trainable_weights]
    assert len(got) == len(wanted)
    backbone.trainable = whole
    assert len(encoder(backbone, trainable_layers=1).trainable_weights) == 15


def test_adapters():
    layer = encoder(lora_rank=3)
    before = layer(IDS, SEGMENTS).numpy()
    np.testing.assert_allclose(before, encoder()(IDS, SEGMENTS), atol=1e-6)
    names = {weight.name for weight in layer.trainable_weights}
    assert names == {"lora_kernel_a", "lora_kernel_b", "bias"}
    assert sum("lora" in weight.name for weight in layer.trainable_weights) == 8
    assert all("query" in w.path or "value" in w.path for w in layer.trainable_weights)


def test_tables_by_name():
    tables = encoder().embedding_layers
    assert {name: layer.embeddings.shape[0] for name, layer in tables.items()} == {
        "token_ids": 19, "segment_ids": 2,
    }  # fmt: skip
    assert list(encoder(tiny_gpt2()).embedding_layers) == ["token_ids"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "max"}, "pooling must be one of .*, got 'max'"),
        ({"trainable_layers": -1}, "trainable_layers must be 'all' or a number"),
        ({"trainable_layers": "top"}, "trainable_layers must be 'all' or a number"),
        ({"trainable_layers": 3}, "trainable_layers=3, but .* has 2 transformer blocks"),
        ({"lora_rank": 0}, "lora_rank must be a positive integer, got 0"),
        ({"lora_rank": 2, "trainable_layers": 1}, "exclude each other"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        encoder(**options)
