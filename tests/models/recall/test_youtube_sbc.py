import numpy as np
import pytest

from deeprec_tf import SparseFeat
from deeprec_tf.candidates import InBatch, Streaming
from deeprec_tf.export import item_encoder, user_encoder
from deeprec_tf.models import YoutubeSBC

USER, ITEM = SparseFeat("user", 40, embedding_dim=8), SparseFeat("item_id", 7, embedding_dim=8)
X = {"user": np.arange(6), "item_id": np.array([1, 2, 3, 1, 5, 6])}


def build(negatives=None, **options):
    options |= {} if negatives is None else {"negatives": negatives}
    return YoutubeSBC([USER], [ITEM], hidden_units=(8, 4), **options)


def encoded(model, x=X):
    user = user_encoder(model).predict({"user": x["user"]}, verbose=0)["user_vector"]
    return user, item_encoder(model).predict({"item_id": x["item_id"]}, verbose=0)["item_vector"]


def test_the_encoders_give_the_training_scores():
    user, item = encoded(model := build())
    np.testing.assert_allclose(
        model.predict(X, verbose=0)[:, 0], (user * item).sum(axis=1), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.norm(user, axis=1), 1.0, rtol=1e-5)


def test_temperature_comes_before_log_p_and_the_whole_batch_competes():
    model = build(temperature=0.1)
    layer = model.get_layer("log_q_0")
    layer.step.assign(50)
    layer.last_seen.assign([0, 49, 40, 30, 0, 20, 10])
    layer.gap.assign(np.array([0, 2, 4, 8, 0, 16, 32], "float32"))
    layer.count.assign(np.array([0, 3, 1, 1, 0, 1, 2], "float32"))
    user, item = encoded(model)
    expected = np.array([3, 1, 1, 3, 1, 2]) / [2, 4, 8, 2, 16, 32]
    losses = []
    for i in range(6):
        corrected = [
            user[i] @ item[j] / 0.1 - np.log(expected[j])
            for j in range(6) if j == i or X["item_id"][j] != X["item_id"][i]
        ]
        own = user[i] @ item[i] / 0.1 - np.log(expected[i])
        losses.append(np.log(np.exp(corrected).sum()) - own)
    assert model.evaluate(X, verbose=0) == pytest.approx(np.mean(losses), rel=1e-5)
    rewards = np.array([3.0, 0, 1, 0.5, 2, 1])
    assert model.evaluate(X, rewards, verbose=0) == pytest.approx(
        np.mean(rewards * losses), rel=1e-5
    )


def test_fit_counts_the_items_and_evaluate_does_not():
    model = build()
    model.fit(X, epochs=3, batch_size=6, verbose=0)
    layer = model.get_layer("log_q_0")
    assert int(layer.step) == 3
    np.testing.assert_array_equal(layer.last_seen, [0, 3, 3, 3, 0, 3, 3])
    np.testing.assert_allclose(np.asarray(layer.gap)[[1, 4]], [1.0, 0.0])
    np.testing.assert_allclose(layer.count, [0, *np.bincount(X["item_id"], minlength=7)[1:]])
    model.evaluate(X, verbose=0)
    model.predict(X, verbose=0)
    assert int(layer.step) == 3


def test_corrected_scores_are_the_logarithms_of_the_shares():
    """Where all users are alike, softmax of the scores is to be each item's share."""
    share = 1.0 / np.arange(1, 41)
    share /= share.sum()
    drawn = np.random.default_rng(0).choice(40, size=4000, p=share) + 1
    counts = np.bincount(drawn, minlength=41)
    slopes = []
    for negatives in (InBatch(counts=counts), InBatch()):
        model = YoutubeSBC(
            [SparseFeat("user", 2)], [SparseFeat("item_id", 41)], hidden_units=(8,),
            l2_normalize=False, temperature=1.0, negatives=negatives,
        )
        model.optimizer.learning_rate = 0.01
        model.fit({"user": np.zeros(4000, int), "item_id": drawn}, epochs=3, batch_size=16,
                  verbose=0)  # fmt: skip
        x = {"user": np.zeros(40, int), "item_id": np.arange(1, 41)}
        slopes.append(np.polyfit(np.log(share), model.predict(x, verbose=0)[:, 0], 1)[0])
    assert slopes[0] == pytest.approx(1.0, abs=0.3) and abs(slopes[1]) < 0.4, slopes


def test_memory_gives_more_negatives():
    model = build(InBatch(memory=12), optimizer="sgd")
    first = model.evaluate(X, verbose=0)
    model.optimizer.learning_rate = 0.0
    model.fit(X, batch_size=6, verbose=0)
    filled = model.get_layer("memory_0")
    assert np.count_nonzero(filled.ids) == 6
    later = model.evaluate(X, verbose=0)
    # Each negative stands twice now: in the batch and in memory.
    user, item = encoded(model)
    different = X["item_id"][:, None] != X["item_id"]
    powers = np.exp(user @ item.T / 0.05)
    own = np.diag(powers)
    once, twice = (np.log(1 + n * (powers * different).sum(1) / own).mean() for n in (1, 2))
    assert first == pytest.approx(once, rel=1e-4) and later == pytest.approx(twice, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: InBatch(frequency="counts"), "frequency must be None, 'streaming' or a Streaming"),
        (lambda: InBatch(frequency="streaming", counts=[1]), "counts are exact, so drop frequency"),
        (lambda: build(InBatch(frequency=Streaming(alpha=2.0))), "alpha must be above 0"),
        (lambda: YoutubeSBC([USER], []), "YoutubeSBC: the first of item_feature_columns"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
