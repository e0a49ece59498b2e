"""What the trained model recommends, and what its attention looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from deeprec_tf import graph
from deeprec_tf.cli.demo.movies import FIELDS, ITEM, Rows
from deeprec_tf.cli.demo.ranking.data import RankingData
from deeprec_tf.cli.demo.ranking.models import inputs_of
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import latest_sequences
from deeprec_tf.evaluation import look_inside

_LEAST_HISTORY = 10  # events of a user worth showing
_GENRES = 5


@dataclass(frozen=True)
class Recommendation:
    """The best titles for one user.

    Attributes:
        user: the user's key.
        watched: the newest titles the user rated, newest first.
        titles: the best titles among the movies that the user has not rated.
        probabilities: what the model gives them.
        history: the model's history inputs, of one row.
        candidates: movie ids of all that could be recommended, best first.
    """

    user: int
    watched: list[str]
    titles: list[str]
    probabilities: list[float]
    history: Rows
    candidates: np.ndarray


@dataclass(frozen=True)
class Attention:
    """Attention over one user's history, for several target movies.

    Attributes:
        user: the user's key.
        history: titles, oldest first.
        genres: their main genres.
        targets: titles of the targets.
        target_genres: their main genres.
        weights: (targets, steps) by model.
    """

    user: int
    history: list[str]
    genres: list[str]
    targets: list[str]
    target_genres: list[str]
    weights: dict[str, np.ndarray]


def choose_users(data: RankingData, settings: RankingSettings) -> list[int]:
    """Users of the test part with some history, drawn by the seed."""
    users, counts = np.unique(data.ratings["user_id"], return_counts=True)
    active = np.isin(users, data.parts["test"]["user_id"])
    chosen = users[active & (counts >= _LEAST_HISTORY)]
    chosen = chosen if len(chosen) else users[active]
    rng = np.random.default_rng(settings.seed)
    return sorted(rng.permutation(chosen)[: settings.users].tolist())


def recommend(
    trained: TrainedModel, data: RankingData, users: Sequence[int], settings: RankingSettings
) -> list[Recommendation]:
    """Scores, for each user, every movie known from training that the user has not rated."""
    rows = {"user_id": data.ratings["user_id"], "timestamp": data.ratings["timestamp"]}
    histories = latest_sequences(
        {**rows, **data.ids}, users=list(users), item=ITEM, fields=FIELDS, maxlen=settings.maxlen
    )
    result = []
    for place, user in enumerate(users):
        mine = data.ratings["user_id"].to_numpy() == user
        candidates = np.setdiff1d(data.known_movies, data.ids[ITEM][mine])
        history = {
            name: values[place : place + 1] for name, values in histories.items() if "hist" in name
        }
        batch = _batch(trained.model, data, candidates, history)
        p = np.ravel(trained.model.predict_on_batch(batch))
        order = np.argsort(-p, kind="stable")
        best = order[: settings.titles]
        result.append(
            Recommendation(
                user=int(user),
                watched=data.ratings["title"][mine].tolist()[: -settings.titles - 1 : -1],
                titles=data.movies["title"][candidates[best]].tolist(),
                probabilities=[float(value) for value in p[best]],
                history=history,
                candidates=candidates[order],
            )
        )
    return result


def attention_of(
    trained: Sequence[TrainedModel], data: RankingData, shown: Recommendation
) -> Attention | None:
    """Attention for the best title of each of the genres that the user watches most.

    Args:
        trained: models; those without attention over the history are left out.
        data: the examples.
        shown: whose history is looked at.

    Returns:
        None where no model has attention, or the user has no history.
    """
    steps = int(shown.history["hist_length"][0])
    mine = (data.ratings["user_id"] == shown.user).to_numpy()
    names, counts = np.unique(data.ratings["genre"][mine].astype(str), return_counts=True)
    genre_of = data.movies["genre"][shown.candidates]
    targets = [
        shown.candidates[genre_of == genre][0]
        for genre in names[np.argsort(-counts, kind="stable")]
        if (genre_of == genre).any()
    ][:_GENRES]
    weights = {}
    for one in trained:
        if not (steps and targets):
            continue
        batch = _batch(one.model, data, np.asarray(targets), shown.history)
        found = _attention_weights(one.model, batch, shown.history["hist_" + ITEM].shape[1])
        if found is not None:
            weights[one.name] = found[:, :steps]
    if not weights:
        return None
    seen = data.ratings[mine].sort_values("timestamp", kind="stable").tail(steps)
    return Attention(
        user=shown.user,
        history=seen["title"].tolist(),
        genres=seen["genre"].tolist(),
        targets=data.movies["title"][targets].tolist(),
        target_genres=data.movies["genre"][targets].tolist(),
        weights=weights,
    )


def _attention_weights(model: keras.Model, batch: Rows, steps: int) -> np.ndarray | None:
    """The model's weights (B, T) over the history, None if it has none."""
    if not graph.explainable_calls(model):
        return None
    for arrays in look_inside(model, batch).layers.values():
        weights = arrays.get("weights")
        if weights is not None and weights.ndim == 2 and weights.shape[1] == steps:
            return weights
    return None


def _batch(model: keras.Model, data: RankingData, movies: np.ndarray, history: Rows) -> Rows:
    """One user's history beside each of several target movies."""
    rows = {ITEM: movies.astype(np.int32)}
    rows.update({name: table[movies] for name, table in data.fields.items()})
    rows.update({name: np.repeat(values, len(movies), 0) for name, values in history.items()})
    return inputs_of(model, rows)
