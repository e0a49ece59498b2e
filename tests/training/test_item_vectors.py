import numpy as np
import pytest

from deeprec_tf import next_item_columns
from deeprec_tf.data import item_tokens
from deeprec_tf.models import HLLM, SASRec
from deeprec_tf.training import item_vectors
from tests.language_models import (
    bert_tokenizer,
    hidden_states,
    tiny_bert,
    tiny_gpt2,
    tiny_llama,
)

TEXTS = ["", "a b c", "d", "e f g h", "a b c"]
TOKENS = item_tokens(bert_tokenizer(), TEXTS, maxlen=8)


def test_vectors_are_means_over_the_tokens():
    got = item_vectors(tiny_bert(), TOKENS, batch_size=3)
    assert got.shape == (5, 8) and got.dtype == np.float32 and not got[0].any()
    for row in range(1, 5):
        length = int((TOKENS[row] != 0).sum())
        states = hidden_states(tiny_bert(), TOKENS[row : row + 1, :length])
        np.testing.assert_allclose(got[row], states[0].mean(axis=0), atol=2e-5)


def test_a_decoder_gives_its_state_at_the_last_token():
    tokens = np.array([[0, 0, 0], [3, 9, 4], [5, 1, 0]])
    got = item_vectors(tiny_gpt2(), tokens)
    np.testing.assert_allclose(
        got[2], hidden_states(tiny_gpt2(), tokens[2:, :2] - 1)[0, -1], atol=2e-5
    )


def test_only_new_texts_are_read_again(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "vectors.npz"
    first = item_vectors(tiny_bert(), TOKENS, path=path)
    from deeprec_tf.layers import TextEncoder

    read, call = [], TextEncoder.call
    monkeypatch.setattr(
        TextEncoder, "call", lambda self, ids, *a, **k: (read.append(len(ids)), call(
            self, ids, *a, **k))[1],
    )  # fmt: skip
    more = np.pad(np.concatenate([TOKENS, TOKENS[3:4]]), [(0, 0), (0, 2)])
    more[-1, 1] = 5
    second = item_vectors(tiny_bert(), more, path=path)
    assert read == [1]
    np.testing.assert_array_equal(second[:5], first)
    assert np.abs(second[5] - second[3]).max() > 1e-3
    item_vectors(tiny_bert(hidden_dim=4), TOKENS, path=path)
    assert sum(read) == 1 + 4, "another model reads all"


def test_models_that_differ_in_their_settings_alone_share_no_file(tmp_path):
    path = tmp_path / "vectors.npz"
    backbone = tiny_llama()
    config = backbone.get_config()
    other = type(backbone).from_config({**config, "rope_max_wavelength": 3.0, "name": "other"})
    other.set_weights(backbone.get_weights())
    tokens = np.array([[0, 0, 0], [3, 9, 4], [5, 1, 0]])
    first = item_vectors(backbone, tokens, path=path)
    wanted = item_vectors(other, tokens)
    assert np.abs(first - wanted).max() > 1e-4
    np.testing.assert_array_equal(item_vectors(other, tokens, path=path), wanted)


def test_a_trained_model_reads_no_texts_that_it_does_not_know(tmp_path):
    columns = next_item_columns(4, maxlen=3, embedding_dim=4)
    model = HLLM(*columns, item_tokens=TOKENS, llm_params={"hidden_size": 8, "num_layers": 1})
    assert item_vectors(model, TOKENS).shape == (5, 8)
    with pytest.raises(ValueError, match=r"ids up to \d+ and .* but hllm was built with \d+ ids"):
        item_vectors(model, TOKENS + 7 * (TOKENS != 0))
    with pytest.raises(ValueError, match="texts of up to 12 tokens, but hllm was built with"):
        item_vectors(model, np.array([[0] * 12, [1] * 12]))


@pytest.mark.parametrize("content", ["junk", "other"])
def test_a_file_of_something_else(content, tmp_path):
    path = tmp_path / "vectors.npz"
    if content == "junk":
        path.write_text("no vectors")
    else:
        np.savez(path, some=np.ones(3))
    with pytest.raises(ValueError, match="is no file that item_vectors has written"):
        item_vectors(tiny_bert(), TOKENS, path=path)
    with pytest.raises(ValueError, match="path must be a file, but .* is a folder"):
        item_vectors(tiny_bert(), TOKENS, path=tmp_path)


def test_errors():
    columns = next_item_columns(4, maxlen=3, embedding_dim=4)
    with pytest.raises(ValueError, match="sasrec has no language model of items"):
        item_vectors(SASRec(*columns), TOKENS)
    frozen = HLLM(*columns, item_embeddings=np.ones((5, 4)))
    with pytest.raises(ValueError, match="hllm has no language model of items"):
        item_vectors(frozen, TOKENS)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        item_vectors(tiny_bert(), TOKENS, batch_size=0)
    with pytest.raises(ValueError, match="item_vectors: item_tokens must be integers"):
        item_vectors(tiny_bert(), [1, 2])
    with pytest.raises(ValueError, match="item_tokens has no item beside row 0"):
        item_vectors(tiny_bert(), TOKENS[:1])
