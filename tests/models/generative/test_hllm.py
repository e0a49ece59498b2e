import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from deeprec_tf import DenseFeat, SparseFeat, next_item_columns
from deeprec_tf.candidates import InBatch, Sampled
from deeprec_tf.engine import ROW_LOSS
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.layers import ItemState
from deeprec_tf.models import HLLM, HLLMModel
from deeprec_tf.optimizers import FineTuneAdamW
from deeprec_tf.tables import table_values
from deeprec_tf.training import item_vectors
from tests.language_models import minilm, tiny_bert, tiny_gpt2, tiny_llama
from tests.reference.hllm import info_nce

ITEMS = 20
COLUMNS = next_item_columns(ITEMS, maxlen=8, embedding_dim=3)
VECTORS = np.random.default_rng(0).normal(size=(ITEMS + 1, 6)).astype("float32")
LENGTHS = np.random.default_rng(1).integers(1, 6, ITEMS + 1)
TOKENS = np.random.default_rng(2).integers(1, 15, (ITEMS + 1, 5)) * (
    np.arange(5) < LENGTHS[:, None]
)
TOKENS[0] = 0
SMALL = {"hidden_size": 8, "dropout": 0.0, "num_layers": 1}


def walks(rows=64, steps=6, seed=0):
    """Users who go through the catalogue one by one: the next item is the last plus one."""
    start = np.random.default_rng(seed).integers(1, ITEMS + 1, size=(rows, 1))
    path = (start + np.arange(steps + 1) - 1) % ITEMS + 1
    return {"hist_item_id": path[:, :steps], "item_id": path[:, steps]}


def users_of(model, histories):
    return user_encoder(model).predict({"hist_item_id": histories}, verbose=0)["user_vector"]


def items_of(model, ids=None):
    ids = np.arange(ITEMS + 1) if ids is None else ids
    return item_encoder(model).predict({"item_id": ids}, verbose=0)["item_vector"]


# ---- retrieval with known vectors --------------------------------------------------------


def test_it_learns_a_walk_over_vectors_that_stay_as_they_are():
    model = HLLM(*COLUMNS, item_embeddings=VECTORS, llm_params={**SMALL, "hidden_size": 16})
    model.optimizer.learning_rate = 0.02
    losses = model.fit(walks(), epochs=20, batch_size=16, verbose=0).history["loss"]
    assert losses[0] > 2.0 and losses[-1] < 0.5
    scores = users_of(model, np.array([[7, 8, 0, 0]])) @ items_of(model).T
    assert scores[0, 1:].argmax() + 1 == 9
    np.testing.assert_array_equal(table_values(model, "item_id")[1:], VECTORS[1:])
    assert not table_values(model, "item_id")[0].any(), "row 0 is padding"


def test_the_score_is_the_cosine_of_state_and_projected_vector():
    model, x = HLLM(*COLUMNS, item_embeddings=VECTORS, llm_params=SMALL), walks(rows=5)
    kernel = model.get_layer("item_projection").get_weights()[0]
    wanted = VECTORS[x["item_id"]] @ kernel
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    items = items_of(model, x["item_id"])
    np.testing.assert_allclose(items, wanted, atol=1e-5)
    users = users_of(model, x["hist_item_id"])
    np.testing.assert_allclose(np.linalg.norm(users, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(
        model.predict(x, verbose=0)[:, 0], (users * items).sum(axis=1), atol=1e-5
    )
    assert not users_of(model, np.zeros((2, 3), int)).any(), "no history, no vector"


def test_columns_may_be_left_out():
    model = HLLM(item_embeddings=VECTORS, llm_params=SMALL)
    assert {name: t.shape for name, t in model.input.items()} == {
        "hist_item_id": (None, None), "item_id": (None,),
    }  # fmt: skip
    assert HLLMModel is HLLM


@pytest.mark.parametrize("log_scale", [math.log(1 / 0.07), math.log(1000.0)])
def test_the_loss_is_info_nce_with_a_scale_of_100_at_most(log_scale):
    model = HLLM(
        *COLUMNS, item_embeddings=VECTORS, llm_params=SMALL,
        negatives=InBatch(number=64, hide_similar=0.6),
    )  # fmt: skip
    scale = model.get_layer(ROW_LOSS).log_scale
    assert float(scale) == pytest.approx(math.log(1 / 0.07))
    scale.assign(log_scale)
    x = walks(rows=3, steps=1)  # one position a row
    users, items = users_of(model, x["hist_item_id"]), items_of(model, x["item_id"])
    wanted = np.mean([
        info_nce(
            users[row].astype("float64"), items[row].astype("float64"),
            [items[j] for j in range(3) if x["item_id"][j] != x["item_id"][row]],
            min(math.exp(log_scale), 100.0), same=0.6,
        ) for row in range(3)
    ])  # fmt: skip
    assert model.evaluate(x, verbose=0) == pytest.approx(wanted, rel=1e-3, abs=1e-6)


def test_the_same_text_under_another_id_is_no_negative():
    twins = np.repeat(VECTORS[:1], ITEMS + 1, axis=0)
    model = HLLM(
        *COLUMNS, item_embeddings=twins, llm_params=SMALL,
        negatives=Sampled(64, hide_similar=0.99),
    )  # fmt: skip
    assert model.evaluate(walks(rows=8), verbose=0) == pytest.approx(0.0, abs=1e-5)
    counted = HLLM(*COLUMNS, item_embeddings=twins, llm_params=SMALL, negatives=Sampled(64))
    assert counted.evaluate(walks(rows=8), verbose=0) > 3.0


def test_a_later_item_moves_no_earlier_state():
    model = HLLM(*COLUMNS, item_embeddings=VECTORS, llm_params=SMALL)
    states = keras.Model(model.input, model.get_layer("user_llm").output)
    x = {**walks(rows=2)}
    before = np.asarray(states(x))
    changed = {**x, "hist_item_id": x["hist_item_id"].copy()}
    changed["hist_item_id"][:, 4] = 3
    after = np.asarray(states(changed))
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    assert np.abs(after[:, 4:] - before[:, 4:]).max() > 1e-3


# ---- from texts --------------------------------------------------------------------------


@pytest.mark.parametrize("make", [tiny_bert, tiny_gpt2])
def test_frozen_and_trained_items_of_equal_vectors_give_equal_scores(make, tmp_path):
    whole = HLLM(
        *COLUMNS, item_tokens=TOKENS,
        llm_params={"model_name": make(), "dropout": 0.0, "num_layers": 1},
    )  # fmt: skip
    vectors = item_vectors(whole, TOKENS, path=tmp_path / "items.npz", batch_size=7)
    frozen = HLLM(
        *COLUMNS, item_embeddings=vectors, llm_params={"dropout": 0.0, "num_layers": 1}
    )
    frozen.get_layer("user_llm").set_weights(whole.get_layer("user_llm").get_weights())
    x = walks(rows=6)
    np.testing.assert_allclose(
        frozen.predict(x, verbose=0), whole.predict(x, verbose=0), atol=1e-4
    )


@pytest.mark.parametrize("mode", ["retrieval", "ranking"])
def test_a_training_step_reads_each_text_once(mode, monkeypatch):
    """Of history, positive and drawn items; the target of a ranking stands apart."""
    keras.utils.set_random_seed(0)
    call, read = ItemState.call, []

    def watched(layer, token_ids, training=False):
        vectors = call(layer, token_ids, training=training)
        if not training or isinstance(token_ids, keras.KerasTensor):
            return vectors
        # Without a state: what nothing depends on is not computed, and not counted.
        note = tf.numpy_function(
            lambda texts: read.append(texts) or np.int32(0), [token_ids], tf.int32, stateful=False
        )
        return vectors + tf.cast(tf.ensure_shape(note, ()), vectors.dtype)

    monkeypatch.setattr(ItemState, "call", watched)
    more = {} if mode == "retrieval" else {"fusion_params": {"generative_weight": 0.1}}
    model = HLLM(
        *COLUMNS, item_tokens=TOKENS, llm_params=SMALL, negatives=Sampled(16), mode=mode, **more
    )
    x = {"hist_item_id": np.array([[3, 4, 3], [5, 0, 0]]), "item_id": np.array([5, 6])}
    model.fit(x, np.ones(2), verbose=0)
    assert len(read) == 3
    if mode == "ranking":
        read = [texts for texts in read if not np.array_equal(texts, TOKENS[[5, 6]])]
        assert len(read) == 2
    texts = np.concatenate(read)
    assert len(texts) == len(np.unique(texts, axis=0)) > 8


def test_both_language_models_learn():
    model = HLLM(
        *COLUMNS, item_tokens=TOKENS, llm_params={**SMALL, "hidden_size": 16},
        negatives=Sampled(16, hide_similar=0.99),
    )  # fmt: skip
    model.optimizer.learning_rate = 0.02
    before = model.get_layer("item_llm").get_weights()
    losses = model.fit(walks(), epochs=20, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    for old, new in zip(before, model.get_layer("item_llm").get_weights(), strict=True):
        assert np.abs(old - new).max() > 0


def test_item_vectors_do_not_depend_on_padding():
    longer = np.pad(TOKENS, [(0, 0), (0, 3)])
    answers = []
    for tokens in (TOKENS, longer):
        keras.utils.set_random_seed(0)
        model = HLLM(*COLUMNS, item_tokens=tokens, llm_params={"model_name": tiny_gpt2()})
        answers.append(items_of(model))
    np.testing.assert_allclose(*answers, atol=1e-5)


def test_user_llm_of_a_pre_trained_decoder():
    model = HLLM(
        *COLUMNS, item_embeddings=VECTORS, llm_params={"user_model_name": tiny_llama()},
    )
    assert users_of(model, walks(rows=2)["hist_item_id"]).shape == (2, 8)
    names = {w.path for w in model.trainable_weights}
    assert not any("token_embedding" in name for name in names)


@pytest.mark.parametrize("name", ["decoders", "scratch"])
def test_a_saved_model_comes_back_with_its_language_models(name, tmp_path):
    llm = SMALL if name == "scratch" else {
        "model_name": tiny_gpt2(), "user_model_name": tiny_llama(), "lora_rank": 2,
    }  # fmt: skip
    model = HLLM(*COLUMNS, item_tokens=TOKENS, llm_params=llm, negatives=Sampled(8))
    x = walks(rows=6)
    model.fit(x, epochs=1, verbose=0)
    model.save(tmp_path / "hllm.keras")
    again = keras.saving.load_model(tmp_path / "hllm.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    for ours, theirs in zip(model.weights, again.weights, strict=True):
        assert ours.trainable == theirs.trainable
    assert np.isfinite(again.fit(x, epochs=1, verbose=0).history["loss"]).all()


def test_pre_trained_models_are_tuned_at_a_low_rate():
    tuned = HLLM(*COLUMNS, item_tokens=TOKENS, llm_params={"model_name": tiny_bert()})
    assert isinstance(tuned.optimizer, FineTuneAdamW)
    assert float(tuned.optimizer.learning_rate) == pytest.approx(1e-4)
    plain = HLLM(*COLUMNS, item_embeddings=VECTORS, llm_params=SMALL)
    assert not isinstance(plain.optimizer, FineTuneAdamW)


def test_a_local_folder_is_read():
    model = HLLM(
        *COLUMNS, item_tokens=TOKENS + 1000 * (TOKENS > 0),
        llm_params={"model_name": str(minilm()), "trainable_layers": 0, "hidden_size": 8},
    )  # fmt: skip
    assert items_of(model, np.array([1, 2])).shape == (2, 8)
    assert not model.get_layer("item_llm").trainable_weights


# ---- ranking -----------------------------------------------------------------------------


def clicks(rows=64):
    """The target is the next item of the walk, or any other."""
    x, generator = walks(rows), np.random.default_rng(5)
    labels = generator.integers(0, 2, rows)
    shift = np.where(labels, 0, generator.integers(1, ITEMS, rows))
    return {**x, "item_id": (x["item_id"] + shift - 1) % ITEMS + 1}, labels.astype("float32")


@pytest.mark.parametrize("fusion_type", ["late", "early"])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_ranking_learns(fusion_type, weight):
    model = HLLM(
        *COLUMNS, item_embeddings=VECTORS, mode="ranking", llm_params={**SMALL, "hidden_size": 16},
        fusion_params={"fusion_type": fusion_type, "fusion_dims": [16], "dropout": 0.0,
                       "generative_weight": weight},
    )  # fmt: skip
    model.optimizer.learning_rate = 0.02
    x, y = clicks()
    losses = model.fit(x, y, epochs=25, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert model.predict(x, verbose=0).shape == (64, 1)
    assert ("auxiliary_loss" in [layer.name for layer in model.layers]) == (weight > 0)


def test_late_fusion_encodes_the_user_without_the_target():
    late = HLLM(*COLUMNS, item_embeddings=VECTORS, mode="ranking", llm_params=SMALL,
                fusion_params={"fusion_type": "concat"})  # fmt: skip
    assert list(user_encoder(late).input) == ["hist_item_id"]
    assert list(item_encoder(late).input) == ["item_id"]
    early = HLLM(*COLUMNS, item_embeddings=VECTORS, mode="ranking", llm_params=SMALL,
                 fusion_params={"fusion_type": "early"})  # fmt: skip
    with pytest.raises(ValueError, match="no layer 'user_vector'"):
        user_encoder(early)


def test_the_generative_loss_is_added_and_leaves_the_target_out():
    def losses(weight, x):
        keras.utils.set_random_seed(3)
        model = HLLM(
            *COLUMNS, item_embeddings=VECTORS, mode="ranking", llm_params=SMALL,
            fusion_params={"generative_weight": weight, "fusion_dims": (4,)},
        )  # fmt: skip
        model.get_layer("probability").bias.assign([0.0])
        model.get_layer("logit").kernel.assign(np.zeros((4, 1)))
        return model.evaluate(x, np.ones(8), verbose=0, return_dict=True)["loss"]

    x = walks(rows=8)
    other = {**x, "item_id": x["item_id"][::-1].copy()}
    assert losses(0.0, x) == pytest.approx(math.log(2), rel=1e-4)
    assert losses(1.0, x) > losses(0.5, x) > math.log(2)
    assert losses(1.0, x) == pytest.approx(losses(1.0, other), rel=1e-5)


def test_features_of_user_and_target_meet_in_the_fusion():
    users, (item,) = COLUMNS
    columns = [item, SparseFeat("brand", 4, embedding_dim=2), DenseFeat("price")]
    model = HLLM(
        [*users, SparseFeat("gender", 3, embedding_dim=2)], columns, item_embeddings=VECTORS,
        mode="ranking", llm_params=SMALL, fusion_params={"fusion_dims": (5,)},
    )  # fmt: skip
    assert model.get_layer("fused").output.shape == (None, 8 + 8 + 2 + 2 + 1)


# ---- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give item_embeddings, .*, or item_tokens, .*; got neither"),
        ({"item_embeddings": VECTORS, "item_tokens": TOKENS}, "got both"),
        ({"item_embeddings": VECTORS, "mode": "rank"}, "mode must be one of .*, got 'rank'"),
        ({"item_embeddings": VECTORS, "llm_params": {"layers": 2}},
         r"llm_params has 'layers', which is none of its keys \['model_name'"),
        ({"item_embeddings": VECTORS, "mode": "ranking", "fusion_params": {"dims": ()}},
         r"fusion_params has 'dims', which is none of its keys \['fusion_type'"),
        ({"item_embeddings": VECTORS, "mode": "ranking", "fusion_params": {"fusion_type": "mid"}},
         r"fusion_params\['fusion_type'\] must be one of"),
        ({"item_embeddings": VECTORS, "fusion_params": {}}, "fusion_params belong to mode='rank"),
        ({"item_embeddings": VECTORS, "mode": "ranking", "temperature": 0.1},
         "negatives and temperature belong to mode='retrieval'"),
        ({"item_embeddings": VECTORS, "llm_params": {"model_name": "x"}},
         "'model_name', which is of the item LLM, but item_embeddings need none"),
        ({"item_tokens": TOKENS, "llm_params": {"lora_rank": 2}},
         "'lora_rank', which is of a pre-trained item LLM"),
        ({"item_embeddings": VECTORS[:5]}, "'item_id' has 21 ids .*, but 5 items are known"),
        ({"item_embeddings": VECTORS[0]}, "item_embeddings must be finite numbers of shape"),
        ({"item_embeddings": VECTORS * np.nan}, "with NaN or infinity"),
        ({"item_tokens": TOKENS * 1.0}, "item_tokens must be integers from 0"),
        ({"item_tokens": TOKENS[:, ::-1]}, "row .* of item_tokens has padding"),
        ({"item_tokens": TOKENS + 90 * (TOKENS > 0), "llm_params": {"model_name": tiny_bert()}},
         "item_tokens has the id 1.., but .* knows 19 ids"),
        ({"item_tokens": np.ones((21, 16), int), "llm_params": {"model_name": tiny_gpt2()}},
         r"texts of 16 tokens and \[ITEM\] comes behind them, but .* reads 16"),
        ({"item_embeddings": VECTORS, "llm_params": {
            "user_model_name": tiny_gpt2(), "hidden_size": 6}}, "hidden_size 6, but the user LLM"),
        ({"item_embeddings": VECTORS, "llm_params": {"user_model_name": tiny_bert()}},
         "user_llm: the backbone must be one of .*, got BertBackbone"),
    ],
)  # fmt: skip
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        HLLM(*COLUMNS, **options)


@pytest.mark.parametrize("mode", ["retrieval", "ranking"])
def test_padding_in_front_is_refused(mode):
    model = HLLM(*COLUMNS, item_embeddings=VECTORS, mode=mode)
    with pytest.raises(ValueError, match=r"'hist_item_id' has padding \(0\) before a real id in r"):
        model.predict({"hist_item_id": [[0, 3, 4]], "item_id": [5]}, verbose=0)


def test_one_side_of_the_columns_alone():
    with pytest.raises(ValueError, match="give user_feature_columns and item_feature_columns"):
        HLLM(COLUMNS[0], item_embeddings=VECTORS)
