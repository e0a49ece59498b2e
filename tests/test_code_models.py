"""What models share that generate items by codes."""

import io

import keras
import keras_hub
import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

from deeprec_tf.code_models import checked_tokens, load_t5_weights, sizes_of_preset
from deeprec_tf.data import item_tokens
from deeprec_tf.identifiers import random_codes
from deeprec_tf.models import TIGER, ColaRec
from deeprec_tf.tables import table_values

HEADS, WIDTH = 2, 8
# keras-hub's own attention is given masks that it does not know of.
pytestmark = pytest.mark.filterwarnings("ignore:.*T5MultiHeadAttention.*:UserWarning")


def t5(**options):
    keras.utils.set_random_seed(0)
    return keras_hub.models.T5Backbone(
        **{
            "vocabulary_size": 30, "num_layers": 2, "num_heads": HEADS, "hidden_dim": WIDTH,
            "intermediate_dim": 4 * WIDTH, "key_value_dim": WIDTH // HEADS, "dropout": 0.0,
            "activation": "relu", "use_gated_activation": False, **options,
        }
    )  # fmt: skip


def colarec(**options):
    tokens = np.random.default_rng(0).integers(1, 20, (11, 3)) * (np.arange(11) > 0)[:, None]
    sizes = {"num_users": 5, "hidden_size": WIDTH, "num_layers": 2, "num_heads": HEADS, **options}
    return ColaRec(random_codes(10), tokens, **sizes)


def test_with_its_weights_ours_is_keras_hubs_t5():
    backbone, model = t5(), colarec()
    generator = np.random.default_rng(1)
    for weight in backbone.weights:
        weight.assign(generator.normal(scale=0.4, size=weight.shape))
    assert load_t5_weights(model, backbone) > 40
    ids, length = generator.integers(1, 30, (2, 9)), np.array([9, 5])
    mask = np.arange(9) < length[:, None]
    codes = generator.integers(1, 30, (2, 4))
    wanted = backbone(
        {
            "encoder_token_ids": ids, "encoder_padding_mask": mask.astype("int32"),
            "decoder_token_ids": codes, "decoder_padding_mask": np.ones((2, 4), "int32"),
        }
    )  # fmt: skip
    words = tf.gather(backbone.token_embedding.embeddings.value, ids)
    encoded = model.get_layer("encoder")(words, mask)
    their = np.asarray(wanted["encoder_sequence_output"])
    np.testing.assert_allclose(encoded.numpy()[mask], their[mask], rtol=1e-3, atol=1e-4)

    decoder = model.get_layer("decoder")
    inputs = tf.gather(backbone.token_embedding.embeddings.value, codes)
    states, _ = decoder.decode(inputs[:, :3], None, decoder.memory_of(encoded), mask)
    their = np.asarray(wanted["decoder_sequence_output"])[:, :3]
    np.testing.assert_allclose(states, their, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(
        table_values(model, "tokens"), backbone.token_embedding.embeddings.numpy()[:20]
    )


def t5_tokenizer(sentences):
    """A keras-hub tokenizer of these words, with T5's special ones: padding 0, end 1."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, model_type="WORD", vocab_size=8,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", eos_piece="</s>",
        unk_piece="<unk>", minloglevel=2,
    )  # fmt: skip
    return keras_hub.models.T5Tokenizer(proto=model.getvalue())


def test_a_words_vector_is_t5s_own():
    backbone = t5()  # first: a new seed takes TensorFlow's part of a tokenizer away
    tokenizer = t5_tokenizer(["red lip stick", "red pen", "blue pen red"])
    tokens = item_tokens(tokenizer, ["", "red pen", "blue"], maxlen=6)
    assert tokenizer.token_to_id("\u2581red") in tokens[1]
    assert tokens[1][np.count_nonzero(tokens[1]) - 1] == tokenizer.end_token_id == 1
    model = ColaRec(
        random_codes(2), tokens, num_users=5, hidden_size=WIDTH, num_layers=2, num_heads=HEADS
    )
    load_t5_weights(model, backbone)
    theirs, ours = np.asarray(backbone.token_embedding.embeddings), table_values(model, "tokens")
    for item, text in ((1, "red pen"), (2, "blue")):
        words = [int(word) for word in tokenizer.tokenize(text)]
        place = tokens[item].tolist().index(words[0])
        assert tokens[item][place : place + len(words)].tolist() == words
        np.testing.assert_array_equal(ours[tokens[item][place : place + len(words)]], theirs[words])


def test_tiger_takes_them_too():
    model = TIGER(
        random_codes(10), num_users=5, hidden_size=WIDTH, num_layers=2, num_heads=HEADS,
        head_size=WIDTH // HEADS, feed_forward_units=4 * WIDTH,
    )  # fmt: skip
    assert load_t5_weights(model, t5()) == 2 * (2 + 2 * 8) + 2 * 5


@pytest.mark.parametrize(
    ("options", "backbone", "message"),
    [
        ({}, {"use_gated_activation": True}, "has a gated network, which colarec has not"),
        ({"num_layers": 1}, {}, "the encoder of colarec 1. Build it with num_layers=2"),
        ({"hidden_size": 6}, {}, "Build the model with hidden_size=8 and num_heads=2"),
    ],
)
def test_weights_that_do_not_fit(options, backbone, message):
    with pytest.raises(ValueError, match=message):
        load_t5_weights(colarec(**options), t5(**backbone))


def test_weights_of_something_else():
    dense = keras.Sequential([keras.layers.Dense(2)], name="dense")
    with pytest.raises(TypeError, match="must be a keras_hub.models.T5Backbone, got Sequential"):
        load_t5_weights(colarec(), dense)
    with pytest.raises(TypeError, match="model must be a TIGER or a ColaRec, got dense"):
        load_t5_weights(dense, t5())


def test_presets_and_tokens():
    assert sizes_of_preset("short", owner="ColaRec") == (20, 29, 256)
    assert sizes_of_preset([5, np.int64(4), 30], owner="ColaRec") == (5, 4, 30)
    assert checked_tokens(None, 3, 2, owner="ColaRec") is None
    cut = checked_tokens([[0, 0, 0], [1, 2, 3]], 2, 2, owner="ColaRec")
    assert cut.tolist() == [[0, 0], [1, 2]]
    with pytest.raises(ValueError, match="item_tokens must be at least 0"):
        checked_tokens([[0], [-1]], 2, 2, owner="ColaRec")
