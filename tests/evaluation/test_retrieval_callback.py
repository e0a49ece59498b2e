import keras
import numpy as np
import pytest

from deeprec_tf.evaluation import RetrievalEvaluation, evaluate_retrieval
from tests.evaluation.two_tower import USERS, catalogue, two_tower, user_data, vectors_given

X, TARGETS = user_data()
SEEN = X["hist_item_id"]


def trained(model, callbacks, epochs=3):
    model.compile("adam", "mse")
    x = {**X, "item_id": TARGETS}
    if any(tensor.name == "category" for tensor in model.inputs):
        x["category"] = TARGETS % 5
    return model.fit(
        x, np.ones(USERS, "float32"), epochs=epochs, verbose=0, callbacks=callbacks
    ).history


def test_logs_are_the_evaluation_of_the_epoch():
    model = two_tower(with_category=True)
    settings = {"items": catalogue(), "seen": SEEN, "k": (2, 5), "metrics": ["ndcg", "coverage"]}
    by_hand = []
    hand = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: by_hand.append(
            evaluate_retrieval(model, X, TARGETS, **settings)
        )
    )
    history = trained(model, [RetrievalEvaluation((X, TARGETS), **settings), hand])
    assert [*history] == ["loss", "val_ndcg@2", "val_coverage@2", "val_ndcg@5", "val_coverage@5"]
    for name in by_hand[0]:
        assert history[f"val_{name}"] == pytest.approx([scores[name] for scores in by_hand])
    assert len(set(history["val_ndcg@5"])) == 3  # the towers follow the training


def test_default_metrics():
    history = trained(two_tower(), [RetrievalEvaluation((X, TARGETS), k=10)], epochs=1)
    assert [*history] == ["loss", "val_hr@10", "val_recall@10", "val_ndcg@10", "val_mrr@10"]


def test_early_stopping_and_checkpoint_watch_it(tmp_path):
    class Frozen(keras.callbacks.Callback):
        """Learns nothing after the first epoch."""

        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate.assign(0.0)

    path = tmp_path / "{epoch}_{val_ndcg@10:.3f}.keras"
    callbacks = [
        RetrievalEvaluation([X, TARGETS], seen=SEEN, k=10),
        keras.callbacks.EarlyStopping(
            "val_ndcg@10", mode="max", patience=2, restore_best_weights=True
        ),
        keras.callbacks.ModelCheckpoint(
            path, monitor="val_ndcg@10", mode="max", save_best_only=True
        ),
        Frozen(),
    ]
    history = trained(two_tower(), callbacks, epochs=20)
    assert len(history["loss"]) == 3
    (saved,) = tmp_path.iterdir()
    assert saved.name == f"1_{history['val_ndcg@10'][0]:.3f}.keras"
    again = evaluate_retrieval(keras.saving.load_model(saved), X, TARGETS, seen=SEEN, k=10)
    assert again["ndcg@10"] == pytest.approx(history["val_ndcg@10"][0])


def test_one_callback_for_several_models():
    callback = RetrievalEvaluation((X, TARGETS), seen=SEEN, k=10)
    for model in (two_tower(), two_tower()):
        history = trained(model, [callback])
        after = evaluate_retrieval(model, X, TARGETS, seen=SEEN, k=10)
        assert history["val_mrr@10"][-1] == pytest.approx(after["mrr@10"])


def test_an_interest_of_zeros_does_not_beat_negative_scores():
    model = vectors_given(2, 2)
    items = {"v": np.array([[1, 0], [2, 0], [3, 0]], "float32"), "key": np.arange(1, 4)}
    users = {"u": np.array([[[-1, 0], [0, 0]]], "float32")}
    callback = RetrievalEvaluation((users, [1]), items=items, item="key", k=1)
    callback.set_model(model)
    callback.on_train_begin()
    logs = {}
    callback.on_epoch_end(0, logs)
    assert logs["val_hr@1"] == 1.0


def test_every():
    history = trained(two_tower(), [RetrievalEvaluation((X, TARGETS), k=3, every=2)], epochs=5)
    assert len(history["val_hr@3"]) == 2
    assert len(history["loss"]) == 5


def test_errors():
    with pytest.raises(ValueError, match="every must be at least 1 epoch, got 0"):
        RetrievalEvaluation((X, TARGETS), every=0)
    with pytest.raises(ValueError, match=r"validation_data must be a pair \(x, targets\)"):
        RetrievalEvaluation(X)
    with pytest.raises(ValueError, match="RetrievalEvaluation: k must be integers"):
        RetrievalEvaluation((X, TARGETS), k=0)
    with pytest.raises(ValueError, match="RetrievalEvaluation: novelty needs popularity"):
        RetrievalEvaluation((X, TARGETS), metrics=["novelty"])
    with pytest.raises(ValueError, match="RetrievalEvaluation: items is missing"):
        trained(two_tower(with_category=True), [RetrievalEvaluation((X, TARGETS))])
    with pytest.raises(ValueError, match="RetrievalEvaluation: x has 29 rows, but targets has 28"):
        trained(two_tower(), [RetrievalEvaluation((X, TARGETS[1:]))])
