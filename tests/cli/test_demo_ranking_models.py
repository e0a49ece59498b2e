"""The ranking demo's baseline, recommendations and attention."""

import keras
import numpy as np
import pytest

from deeprec_tf.cli.demo.movies import ITEM, newest_ratings
from deeprec_tf.cli.demo.ranking.data import BEHAVIORS, prepare
from deeprec_tf.cli.demo.ranking.models import Popularity
from deeprec_tf.cli.demo.ranking.recommend import attention_of, choose_users, recommend
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import load_movielens
from deeprec_tf.models import DIEN, DIN

SETTINGS = RankingSettings(maxlen=6, movie_dim=4, field_dim=2)


@pytest.fixture(scope="module")
def data():
    return prepare(newest_ratings(load_movielens(), 3000), SETTINGS)


@pytest.fixture(scope="module")
def trained(data):
    columns = data.columns(SETTINGS)
    return [
        TrainedModel(builder.__name__, builder(columns, list(BEHAVIORS)), {}, 0.0, 1)
        for builder in (DIEN, DIN)
    ]


def test_popularity_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 200, 2000)
    labels = (rng.random(2000) < 1 / (1 + np.exp(2.0 - 0.8 * np.log1p(counts)))).astype("float32")
    fitted = Popularity().fit(counts, labels)
    np.testing.assert_allclose(fitted.weights, [-2.0, 0.8], atol=0.25)
    residual = labels - fitted.predict(counts)
    assert abs(residual.sum()) < 1e-4
    assert abs((residual * np.log1p(counts)).sum()) < 1e-4


def test_recommendations_are_unrated_movies_in_order(data, trained):
    users = choose_users(data, SETTINGS)
    assert len(users) == SETTINGS.users
    assert set(users) <= set(data.parts["test"]["user_id"])
    for one in recommend(trained[0], data, users, SETTINGS):
        mine = data.ratings[data.ratings["user_id"] == one.user]
        assert one.watched == mine["title"].tolist()[::-1][: SETTINGS.titles]
        assert not set(one.candidates) & set(data.encoder.transform(mine)[ITEM])
        assert set(one.candidates) <= set(data.known_movies)
        assert one.titles == data.movies["title"][one.candidates[: SETTINGS.titles]].tolist()
        assert one.probabilities == sorted(one.probabilities, reverse=True)
        np.testing.assert_array_equal(
            one.history["hist_" + ITEM][0],
            data.encoder.transform(mine.tail(SETTINGS.maxlen))[ITEM],
        )


def test_attention_over_titles(data, trained):
    shown = recommend(trained[0], data, choose_users(data, SETTINGS)[:1], SETTINGS)[0]
    attention = attention_of(trained, data, shown)
    mine = data.ratings[data.ratings["user_id"] == shown.user]
    assert attention.history == mine["title"].tolist()[-SETTINGS.maxlen :]
    assert len(set(attention.target_genres)) == len(attention.targets)
    assert not set(attention.targets) & set(mine["title"])
    for name in ("DIEN", "DIN"):
        assert attention.weights[name].shape == (len(attention.targets), len(attention.history))


def test_a_model_without_attention_is_left_out(data, trained):
    inputs = keras.Input((), name=ITEM, dtype="int32")
    scores = keras.layers.Embedding(2000, 1)(inputs)
    bare = TrainedModel("bare", keras.Model({ITEM: inputs}, scores), {}, 0.0, 1)
    shown = recommend(trained[0], data, choose_users(data, SETTINGS)[:1], SETTINGS)[0]
    assert attention_of([bare], data, shown) is None
    assert list(attention_of([bare, trained[1]], data, shown).weights) == ["DIN"]
