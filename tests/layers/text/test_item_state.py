import numpy as np
import pytest

from deeprec_tf.layers import BackboneDecoder, CausalDecoder, ItemState
from tests.language_models import tiny_gpt2
from tests.layers.contract import check_half_precision, check_layer, randomize
from tests.reference.hllm import causal_decoder, with_item

IDS = np.array([[3, 9, 4, 1], [5, 1, 0, 0], [0, 0, 0, 0]], "int32")


def state(maxlen=9):
    return ItemState(CausalDecoder(2, 2, maxlen), vocabulary_size=11, width=4)


def test_numbers():
    layer = state()
    check_layer(layer, IDS)
    weights = randomize(layer)
    decoder = {path.partition("/")[2]: v for path, v in weights.items() if "decoder" in path}
    words = weights["words/embeddings"]
    for row, length in enumerate((4, 2, 0)):
        text = with_item(words[IDS[row, :length]].reshape(-1, 4), weights["item"])
        wanted = causal_decoder(text, length + 1, decoder, 2, 2)[-1]
        np.testing.assert_allclose(layer(IDS)[row], wanted, atol=5e-5)
    check_half_precision(state(), IDS)


def test_padding_has_no_influence():
    layer = state()
    np.testing.assert_allclose(layer(np.pad(IDS, [(0, 0), (0, 3)])), layer(IDS), atol=1e-6)


def test_item_stands_behind_the_last_real_token_and_not_behind_the_padding():
    layer = state()
    before = np.asarray(layer(IDS))
    randomized = IDS.copy()
    randomized[1, 2] = 7  # a third token in place of padding
    after = np.asarray(layer(randomized))
    assert np.abs(after[1] - before[1]).max() > 1e-4
    np.testing.assert_array_equal(after[0], before[0])


def test_words_of_a_backbone():
    layer = ItemState(BackboneDecoder(tiny_gpt2()), token_offset=1)
    check_layer(layer, IDS)
    vectors = np.concatenate([
        np.asarray(layer.decoder.embed(IDS[1:2, :2] - 1)), np.asarray(layer.item)[None, None],
    ], axis=1)  # fmt: skip
    wanted = np.asarray(layer.decoder(vectors, np.ones((1, 3), bool)))[0, -1]
    np.testing.assert_allclose(layer(IDS)[1], wanted, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="give vocabulary_size and width"):
        ItemState(CausalDecoder(1, 1, 3))
