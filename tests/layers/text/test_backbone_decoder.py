import keras_hub
import numpy as np
import pytest

from deeprec_tf.layers import BackboneDecoder
from deeprec_tf.layers.text.gelu import use_exact_gelu
from deeprec_tf.text import copy_of, without_words
from tests.language_models import hidden_states, lively, tiny_bert, tiny_gpt2, tiny_llama
from tests.layers.contract import check_half_precision, check_layer

IDS = np.array([[3, 9, 4, 1, 2], [5, 1, 7, 0, 0]])
MASK = np.arange(5) < np.array([5, 3])[:, None]


def tiny_mistral():
    return lively(keras_hub.models.MistralBackbone(
        vocabulary_size=15, num_layers=2, num_query_heads=2, num_key_value_heads=2, hidden_dim=8,
        intermediate_dim=12, sliding_window=8,
    ))  # fmt: skip


def tiny_qwen():
    return lively(keras_hub.models.QwenBackbone(
        vocabulary_size=15, num_layers=2, num_query_heads=2, num_key_value_heads=2, hidden_dim=8,
        intermediate_dim=12, tie_word_embeddings=True,
    ))  # fmt: skip


@pytest.mark.parametrize("make", [tiny_gpt2, tiny_llama, tiny_mistral, tiny_qwen])
def test_vectors_of_words_give_the_states_of_the_words(make):
    backbone = make()
    layer = BackboneDecoder(copy_of(backbone))
    vectors = np.asarray(layer.embed(IDS))
    got = np.asarray(layer(vectors, MASK))
    for row, length in ((0, 5), (1, 3)):
        wanted = hidden_states(backbone, IDS[row : row + 1, :length])[0]
        np.testing.assert_allclose(got[row, :length], wanted, atol=2e-5)
    wordless = BackboneDecoder(without_words(backbone), reads_words=False)
    np.testing.assert_allclose(wordless(vectors, MASK), got, atol=1e-6)
    assert not any("token_embedding" in w.path for w in wordless.trainable_weights)


def test_form():
    layer = BackboneDecoder(tiny_gpt2())
    vectors = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    check_layer(layer, vectors, MASK)
    check_half_precision(BackboneDecoder(tiny_gpt2()), vectors, MASK)


def test_a_copy_keeps_the_exact_gelu():
    backbone = tiny_gpt2()
    use_exact_gelu(backbone)
    layer = BackboneDecoder(backbone)
    copy = BackboneDecoder.from_config(layer.get_config())
    copy.backbone.set_weights(backbone.get_weights())
    vectors = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    np.testing.assert_array_equal(copy(vectors, MASK), layer(vectors, MASK))
    approximate = BackboneDecoder(copy_of(tiny_gpt2()))
    assert layer.exact_gelu and not approximate.exact_gelu
    approximate.backbone.set_weights(backbone.get_weights())
    assert np.abs(approximate(vectors, MASK) - layer(vectors, MASK)).max() > 1e-6


def test_a_later_step_moves_no_earlier_one():
    layer = BackboneDecoder(tiny_gpt2())
    vectors = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    before = np.asarray(layer(vectors, MASK))
    vectors[:, 3:] += 1.0
    np.testing.assert_allclose(layer(vectors, MASK)[:, :3], before[:, :3], atol=1e-6)


def test_the_last_block_alone_is_trained():
    layer = BackboneDecoder(tiny_gpt2(), trainable_layers=1)
    assert layer.trainable_weights
    assert not any("transformer_layer_0" in w.path for w in layer.trainable_weights)


def test_errors():
    with pytest.raises(ValueError, match="the backbone must be one of .*, got BertBackbone"):
        BackboneDecoder(tiny_bert())
    with pytest.raises(ValueError, match="vectors are 6 wide, but the backbone reads 8"):
        BackboneDecoder(tiny_gpt2())(np.zeros((1, 2, 6), "float32"), MASK[:1, :2])
