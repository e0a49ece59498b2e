"""`GenerationEvaluation`: what it writes is what the exported model's lists are worth."""

import keras
import numpy as np
import pytest

from deeprec_tf import next_item_columns
from deeprec_tf.data import ColaRecRows
from deeprec_tf.evaluation import GenerationEvaluation, rank_in_lists, retrieval_metrics
from deeprec_tf.export import inference_model
from deeprec_tf.identifiers import random_codes
from deeprec_tf.models import TIGER, ColaRec, SASRec

ITEMS, USERS = 30, 40


def rows(seed=0):
    """Users of one item each, which the next one follows from."""
    rng = np.random.default_rng(seed)
    history = np.zeros((USERS, 4), "int32")
    history[:, 0] = rng.integers(1, ITEMS + 1, USERS)
    return {
        "user_id": np.arange(1, USERS + 1),
        "hist_item_id": history,
        "item_id": history[:, 0] % ITEMS + 1,
    }


def tiger(num_results=5):
    keras.utils.set_random_seed(0)
    return TIGER(
        random_codes(ITEMS, 2, 6), num_users=USERS, maxlen=4, hidden_size=8, num_layers=1,
        num_heads=1, head_size=8, feed_forward_units=16, beam_width=20, num_results=num_results,
    )


def test_logs_are_the_lists_of_the_epoch():
    x, model, by_hand = rows(), tiger(num_results=6), []
    seen = [[1 + (item + 5) % ITEMS] for item in x["item_id"]]

    def measure(epoch, logs):
        asked = {name: x[name] for name in ("user_id", "hist_item_id")}
        found = inference_model(model).predict(asked, verbose=0)["ids"]
        ranks = rank_in_lists(found, x["item_id"], item_count=ITEMS, seen=seen)
        by_hand.append(retrieval_metrics(ranks, k=[2, 5], metrics=["hr", "coverage"]))

    callback = GenerationEvaluation(
        (x, x["item_id"]), item_count=ITEMS, seen=seen, k=(2, 5), metrics=("hr", "coverage"),
        batch_size=16,
    )
    hand = keras.callbacks.LambdaCallback(on_epoch_end=measure)
    model.optimizer.learning_rate = 0.02
    history = model.fit(x, epochs=6, batch_size=8, verbose=0, callbacks=[callback, hand]).history
    assert [*history] == ["loss", "val_hr@2", "val_coverage@2", "val_hr@5", "val_coverage@5"]
    for name in by_hand[0]:
        assert history[f"val_{name}"] == pytest.approx([scores[name] for scores in by_hand])
    assert history["val_hr@5"][-1] > history["val_hr@5"][0]


def test_colarec_is_measured_too():
    keras.utils.set_random_seed(0)
    pairs = np.stack([np.repeat(np.arange(1, 11), 3), np.tile(np.arange(1, ITEMS + 1), 1)], axis=1)
    codes = random_codes(ITEMS, 2, 6)
    draws = ColaRecRows(pairs, codes)
    model = ColaRec(
        codes, None, num_users=10, preset=(10, 15, 128), hidden_size=8, num_layers=1, num_heads=1,
        num_results=5,
    )
    asked = draws.contexts(np.arange(1, 11), 2)
    targets = [list(set(range(3 * u + 1, 3 * u + 4)) - set(asked["hist_item_id"][u].tolist()))
               for u in range(10)]  # fmt: skip
    callback = GenerationEvaluation((asked, targets), item_count=ITEMS, k=5, metrics=("recall",))
    history = model.fit(draws(0), epochs=2, verbose=0, callbacks=[callback]).history
    found = inference_model(model).predict(asked, verbose=0)["ids"]
    by_hand = np.mean([t[0] in row for t, row in zip(targets, found.tolist(), strict=True)])
    assert all(len(t) == 1 for t in targets)
    assert history["val_recall@5"][-1] == pytest.approx(by_hand)


def test_lists_that_seen_items_make_too_short():
    x, model = rows(), tiger()
    asked = {name: x[name] for name in ("user_id", "hist_item_id")}
    found = inference_model(model).predict(asked, verbose=0)["ids"]
    is_other = found != x["item_id"][:, None]
    seen = np.where(is_other, found, 0)[:, :2]
    arguments = {"item_count": ITEMS, "seen": seen, "every": 2}
    frozen = {"x": x, "epochs": 4, "batch_size": USERS, "verbose": 0}
    model.optimizer.learning_rate = 0.0
    one = GenerationEvaluation((x, x["item_id"]), k=(2, 5), **arguments)
    with pytest.warns(UserWarning, match=r"40 of 40 lists hold fewer than 5 .* now 5,") as caught:
        model.fit(**frozen, callbacks=[one])
    assert len(caught) == 1
    model.fit(**frozen, callbacks=[GenerationEvaluation((x, x["item_id"]), k=3, **arguments)])
    # The model leaves out the history itself: it costs no places.
    arguments["seen"] = x["hist_item_id"]
    model.fit(**frozen, callbacks=[GenerationEvaluation((x, x["item_id"]), k=5, **arguments)])


def test_every():
    x, model = rows(), tiger()
    callback = GenerationEvaluation((x, x["item_id"]), item_count=ITEMS, k=3, every=2)
    history = model.fit(x, epochs=3, verbose=0, callbacks=[callback]).history
    assert len(history["val_ndcg@3"]) == 1 and len(history["loss"]) == 3


def test_models_that_do_not_generate_or_not_enough():
    x = rows()
    callback = GenerationEvaluation((x, x["item_id"]), item_count=ITEMS, k=6)
    with pytest.raises(ValueError, match="tiger answers with 5 items, lists of 6 .* num_results"):
        tiger().fit(x, verbose=0, callbacks=[callback])
    model = SASRec(*next_item_columns(ITEMS, maxlen=4, embedding_dim=8))
    with pytest.raises(ValueError, match="sasrec generates no items.*RetrievalEvaluation"):
        model.fit({n: x[n] for n in ("hist_item_id", "item_id")}, verbose=0, callbacks=[callback])


def test_arguments():
    with pytest.raises(ValueError, match="pair"):
        GenerationEvaluation(rows(), item_count=ITEMS)
    with pytest.raises(ValueError, match="every must be at least 1 epoch, got 0"):
        GenerationEvaluation((rows(), [1]), item_count=ITEMS, every=0)
    with pytest.raises(ValueError, match="no metric 'hits'|hits"):
        GenerationEvaluation((rows(), [1]), item_count=ITEMS, metrics=["hits"])
