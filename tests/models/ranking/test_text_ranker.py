import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import get_model
from deeprec_tf.data import TextPairs
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import TextRanker
from deeprec_tf.optimizers import FineTuneAdamW
from deeprec_tf.text import load_backbone, load_tokenizer
from tests.contract.data import Subject
from tests.contract.round_trip import load_all, save
from tests.contract.test_round_trip import check_round_trip
from tests.language_models import (
    bert_tokenizer,
    hidden_states,
    lively,
    minilm,
    tiny_bert,
    tiny_gpt2,
    tiny_llama,
)
from tests.reference.text import bert, cosine, pooled, read_safetensors

TEXTS = {"user_text": ["a b c", "d e f g", "h i", "j"], "item_text": ["k l", "m", "n a b", "c d"]}
SWAPPED = {"user_text": TEXTS["item_text"], "item_text": TEXTS["user_text"]}
LABELS = np.array([1, 0, 0, 1], "float32")


def tokens(form="cross_encoder", texts=TEXTS, **options):
    return TextPairs(bert_tokenizer(), form=form, maxlen=16, **options).transform(texts)


def ranker(form="cross_encoder", backbone=None, **options):
    model = TextRanker(backbone or tiny_bert(), form=form, **options)
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if layer.name == "logit":
            for weight in layer.weights:
                weight.assign(generator.normal(size=weight.shape))
    return model


def probabilities(model, x):
    return model.predict(x, verbose=0)[:, 0]


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, "float64")))


# ---- numbers -----------------------------------------------------------------------------


def test_cross_encoder_is_a_sigmoid_over_the_first_state():
    model, x = ranker(), tokens()
    (weights,) = model.get_layer("logit").get_weights()
    for row in range(4):
        length = int((x["token_ids"][row] != 0).sum())
        ids, segments = (x[name][row : row + 1, :length] for name in ("token_ids", "segment_ids"))
        first = hidden_states(tiny_bert(), ids, segments)[0, 0]
        np.testing.assert_allclose(
            probabilities(model, x)[row], sigmoid(first @ weights[:, 0]), atol=1e-5
        )


def test_bi_encoder_is_a_sigmoid_over_the_cosine_of_masked_means():
    model, x = ranker("bi_encoder"), tokens("bi_encoder")
    gain = np.exp(model.get_layer("logit").get_weights()[0])
    model.get_layer("probability").bias.assign([0.3])
    for row in range(4):
        vectors = []
        for name in ("user_token_ids", "item_token_ids"):
            length = int((x[name][row] != 0).sum())
            states = hidden_states(tiny_bert(), x[name][row : row + 1, :length])
            vectors.append(states[0].mean(axis=0))
        wanted = sigmoid(gain * cosine(*vectors) + 0.3)
        np.testing.assert_allclose(probabilities(model, x)[row], wanted, atol=1e-5)


@pytest.mark.parametrize("make", [tiny_gpt2, tiny_llama])
def test_decoders_are_read_at_the_last_real_token(make):
    ids = np.array([[3, 9, 4, 0, 0], [5, 1, 1, 2, 7]])
    model = ranker(backbone=make())
    (weights,) = model.get_layer("logit").get_weights()
    assert list(model.input) == ["token_ids"]
    for row, length in ((0, 3), (1, 5)):
        last = hidden_states(make(), ids[row : row + 1, :length] - 1)[0, -1]  # 1 is the word 0
        np.testing.assert_allclose(
            probabilities(model, {"token_ids": ids})[row], sigmoid(last @ weights[:, 0]), atol=1e-5
        )


def test_multiclass():
    model, x = ranker(task="multiclass", num_classes=3), tokens()
    got = model.predict(x, verbose=0)
    (weights,) = model.get_layer("logit").get_weights()
    length = int((x["token_ids"][0] != 0).sum())
    first = hidden_states(tiny_bert(), *(x[n][:1, :length] for n in x))[0, 0]
    scores = np.exp(first @ weights)
    assert got.shape == (4, 3) and model.output_names == ["multiclass"]
    np.testing.assert_allclose(got[0], scores / scores.sum(), atol=1e-5)
    optimizer = keras.optimizers.Adam(0.01)
    model = ranker(task="multiclass", num_classes=np.int64(3), optimizer=optimizer)
    losses = model.fit(x, [2, 0, 1, 2], epochs=40, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


# ---- the checks and traps of the method --------------------------------------------------


def test_swapping_user_and_item_changes_the_cross_encoder():
    model = ranker()
    difference = probabilities(model, tokens()) - probabilities(model, tokens(texts=SWAPPED))
    assert np.abs(difference).min() > 1e-3


def test_swapping_user_and_item_does_not_change_the_bi_encoder():
    model = ranker("bi_encoder")
    np.testing.assert_allclose(
        probabilities(model, tokens("bi_encoder")),
        probabilities(model, tokens("bi_encoder", texts=SWAPPED)), atol=1e-6,
    )


def test_the_prediction_is_one_number_a_row_and_no_matrix_of_tokens():
    for form in ("cross_encoder", "bi_encoder"):
        x = tokens(form)
        assert ranker(form).predict(x, verbose=0).shape == (4, 1)


@pytest.mark.parametrize("form", ["cross_encoder", "bi_encoder"])
def test_training_a_frozen_encoder_moves_its_head_alone(form):
    model = ranker(form, trainable_layers=0, optimizer=keras.optimizers.SGD(0.5))
    before = {w.path: w.numpy() for w in model.weights}
    model.fit(tokens(form), LABELS, epochs=1, verbose=0)
    moved = {w.path for w in model.weights if not np.array_equal(w.numpy(), before[w.path])}
    assert moved == {"logit/kernel" if form == "cross_encoder" else "logit/log_gain",
                     "probability/bias"}  # fmt: skip


def test_adapters_learn_while_every_block_stays():
    model = ranker(lora_rank=2, optimizer=keras.optimizers.Adam(0.05), dropout=0.0)
    before = {w.path: w.numpy() for w in model.weights}
    losses = model.fit(tokens(), LABELS, epochs=60, verbose=0).history["loss"]
    moved = {w.path for w in model.weights if not np.array_equal(w.numpy(), before[w.path])}
    assert losses[-1] < losses[0] / 2
    names = {path.rsplit("/", 1)[1] for path in moved if path.startswith("encoder")
             or "transformer" in path}  # fmt: skip
    assert names == {"lora_kernel_a", "lora_kernel_b", "bias"}
    assert not any(path.endswith("query/kernel") for path in moved)


def test_adapters_come_back_from_a_file_apart_from_their_kernels(tmp_path):
    options = {"lora_rank": 2, "dropout": 0.0, "optimizer": keras.optimizers.SGD(0.1)}
    subject = Subject("lora", TextRanker, get_columns(), (tiny_bert(),), options)
    saved = save(subject, "lora", tmp_path)
    loaded, errors = load_all(tmp_path)
    check_round_trip("lora", saved, loaded, errors)
    path = tmp_path / "again.keras"
    model = ranker(lora_rank=2, optimizer=keras.optimizers.Adam(0.05))
    model.fit(tokens(), LABELS, epochs=2, verbose=0)
    model.save(path)
    again = keras.saving.load_model(path)
    for ours, theirs in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.trainable == theirs.trainable
    before = probabilities(again, tokens())
    again.fit(tokens(), LABELS, epochs=1, verbose=0)
    adapters = [w for w in again.trainable_weights if "lora" in w.name]
    assert all(np.any(w.numpy() != 0) for w in adapters), "adapters of zeros never learn"
    assert np.abs(probabilities(again, tokens()) - before).max() > 1e-4


def get_columns():
    from tests.contract.data import columns_of

    return [c for c in columns_of(get_model("TextRanker").needs) if c.name.startswith(("t", "s"))]


def test_the_backbone_given_is_copied():
    backbone = tiny_bert()
    before = backbone.get_weights()
    model = ranker(backbone=backbone, optimizer=keras.optimizers.SGD(1.0), trainable_layers=1)
    model.fit(tokens(), LABELS, epochs=1, verbose=0)
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(weight.trainable for weight in backbone.weights)


def test_towers_are_cut_where_the_vectors_are():
    model, x = ranker("bi_encoder"), tokens("bi_encoder")
    user, item = user_encoder(model), item_encoder(model)
    u = user.predict({"user_token_ids": x["user_token_ids"]}, verbose=0)["user_vector"]
    v = item.predict({"item_token_ids": x["item_token_ids"]}, verbose=0)["item_vector"]
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), np.ones(4), atol=1e-5)
    gain = np.exp(model.get_layer("logit").get_weights()[0])
    np.testing.assert_allclose(
        probabilities(model, x), sigmoid(gain * (u * v).sum(axis=1)), atol=1e-5
    )


def test_texts_train_through_a_dataset():
    pairs = TextPairs(bert_tokenizer(), maxlen=16)
    data = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(3).map(pairs)
    model = ranker(optimizer=keras.optimizers.Adam(0.01))
    # One iterator over all: to make one costs more than 40 steps.
    losses = model.fit(data.repeat(), epochs=2, steps_per_epoch=40, verbose=0).history["loss"]
    assert losses[1] < losses[0] / 2


def test_the_default_optimizer_is_for_fine_tuning():
    optimizer = ranker().optimizer
    assert isinstance(optimizer, FineTuneAdamW)
    assert float(optimizer.learning_rate) == pytest.approx(3e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "tri_encoder"}, "form must be one of .*, got 'tri_encoder'"),
        ({"task": "rank"}, "task must be 'binary', 'regression' or 'multiclass', got 'rank'"),
        ({"task": "multiclass"}, "needs num_classes of at least 2, got None"),
        ({"num_classes": 3}, "num_classes=3 belongs to task='multiclass', got 'binary'"),
        ({"form": "bi_encoder", "task": "multiclass", "num_classes": 3}, "a cosine is one number"),
        ({"maxlen": 17}, "maxlen=17, but .* reads 16 tokens at most"),
        ({"pooling": "max"}, "pooling must be one of"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        TextRanker(tiny_bert(), **options)


def test_only_models_of_token_ids_are_backbones():
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(TypeError, match="TextRanker: backbone must be a keras_hub text backbone"):
        TextRanker(dense)


def test_a_backbone_with_adapters_of_its_own_is_refused():
    backbone = tiny_bert()
    backbone.enable_lora(2)
    with pytest.raises(ValueError, match="Give it without adapters"):
        TextRanker(backbone)


# ---- real weights ------------------------------------------------------------------------


def test_minilm_read_from_its_folder_follows_berts_equations():
    folder = minilm()
    weights = read_safetensors(folder / "model.safetensors")
    words = load_tokenizer(folder).tokenize("Heat, an unbelievable film")
    ids = [101, *map(int, np.asarray(words)), 102]
    wanted = bert(weights, ids, [0] * len(ids), heads=12)
    got = hidden_states(load_backbone(folder), [ids])[0]
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    model = TextRanker(folder, form="bi_encoder", trainable_layers=0)
    vector = user_encoder(model).predict({"user_token_ids": np.array([[*ids, 0, 0]])}, verbose=0)
    mean = pooled(wanted[None], np.ones((1, len(ids)), bool), "mean")[0]
    np.testing.assert_allclose(
        vector["user_vector"][0], mean / np.linalg.norm(mean), atol=1e-4
    )


def test_a_backbone_from_a_folder_keeps_its_exact_gelu_when_it_is_copied():
    bert_of_folder = load_backbone(minilm())
    model = TextRanker(bert_of_folder, trainable_layers=0)
    assert model.get_layer("encoder").get_config()["exact_gelu"] is True
    assert TextRanker(lively(tiny_bert())).get_layer("encoder").exact_gelu is False
