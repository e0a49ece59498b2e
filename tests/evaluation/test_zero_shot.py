import numpy as np
import pytest

from deeprec_tf.data import TextPairs
from deeprec_tf.evaluation import zero_shot_cosine
from tests.language_models import bert_tokenizer, hidden_states, minilm, tiny_bert, tiny_gpt2
from tests.reference.text import cosine

TEXTS = {"user_text": ["a b c", "", "d e f g h i"], "item_text": ["k l", "m", "n"]}


def tokens(texts=TEXTS):
    return TextPairs(bert_tokenizer(), form="bi_encoder", maxlen=16).transform(texts)


def mean_state(backbone, ids):
    real = ids[ids != 0]
    return hidden_states(backbone, real[None])[0].mean(axis=0)


def test_cosine_of_the_means_over_real_tokens():
    backbone, x = tiny_bert(), tokens()
    got = zero_shot_cosine(backbone, x, batch_size=2)
    for row in range(3):
        wanted = cosine(*(mean_state(backbone, ids[row]) for ids in x.values()))
        assert got[row] == pytest.approx(wanted, abs=1e-5)


def test_padding_and_batches_have_no_influence():
    x = tokens()
    longer = {name: np.pad(ids, [(0, 0), (0, 3)]) for name, ids in x.items()}
    np.testing.assert_allclose(
        zero_shot_cosine(tiny_bert(), longer), zero_shot_cosine(tiny_bert(), x), atol=1e-6
    )


def test_a_text_without_tokens_is_like_nothing():
    x = {"user_token_ids": np.array([[0, 0], [3, 4]]), "item_token_ids": np.array([[3], [3]])}
    got = zero_shot_cosine(tiny_gpt2(), x)
    assert got[0] == 0 and got[1] != 0


def test_the_backbone_stays_as_it_is():
    backbone = tiny_bert()
    before = backbone.get_weights()
    zero_shot_cosine(backbone, tokens())
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.get_weights(), strict=True))
    assert all(weight.trainable for weight in backbone.weights)


def test_missing_input():
    with pytest.raises(ValueError, match="zero_shot_cosine: 'user_token_ids' is missing"):
        zero_shot_cosine(tiny_bert(), {"token_ids": np.ones((1, 2))})


def test_minilm_knows_which_sentences_are_alike():
    folder = minilm()
    texts = {
        "user_text": ["A film about a war in space"] * 2,
        "item_text": ["Rebels fight an empire among the stars", "A recipe for apple cake"],
    }
    alike, other = zero_shot_cosine(
        folder, TextPairs(folder, form="bi_encoder", maxlen=32).transform(texts)
    )
    assert alike > other + 0.2
