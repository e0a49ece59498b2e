"""What the recall task's models find for a user, by an index and by the exported model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deeprec_tf.cli.demo.movies import ITEM, Rows
from deeprec_tf.cli.demo.recall.data import HISTORY, RecallData
from deeprec_tf.cli.demo.settings import RecallSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.data import latest_sequences
from deeprec_tf.export import load_saved_model, user_encoder
from deeprec_tf.export.artifact import largest_difference
from deeprec_tf.retrieval import Found, ItemIndex, export_retriever

SEEN = "seen_" + ITEM
_LEAST_HISTORY = 10  # events of a user worth showing


@dataclass(frozen=True)
class Lists:
    """What is found for one user.

    Attributes:
        user: the user's key.
        watched: the newest titles that the user rated, newest first.
        titles: by model the best titles among those that the user has not rated, best first.
        scores: what the models give them.
    """

    user: int
    watched: list[str]
    titles: dict[str, list[str]]
    scores: dict[str, list[float]]


@dataclass(frozen=True)
class Requests:
    """Some users as they are now.

    Attributes:
        users: their keys.
        history: the newest movies that each rated (N, maxlen).
        seen: all of them (N, S), padded with 0.
    """

    users: np.ndarray
    history: np.ndarray
    seen: np.ndarray

    def raw(self, data: RecallData) -> Rows:
        """The inputs of the exported model: movies by their keys, as the data have them."""
        return {HISTORY: _keys(data, self.history), SEEN: _keys(data, self.seen)}

    def ids(self) -> Rows:
        """The same as encoded."""
        return {HISTORY: self.history, SEEN: self.seen}


def requests_of(data: RecallData, settings: RecallSettings) -> Requests:
    """All users of the test part with their whole past, the test movie counted."""
    users = data.parts["test"]["user_id"]
    newest, whole = (
        latest_sequences(data.ratings, users=users, item=ITEM, maxlen=maxlen)[HISTORY]
        for maxlen in (settings.maxlen, data.seen["test"].shape[1])
    )
    return Requests(users, newest, whole)


def search(trained: TrainedModel, data: RecallData, asked: Requests, k: int) -> Found:
    """The best movies that a user has not seen, by an exact index of the movies' vectors."""
    index = ItemIndex.of_model(trained.model, data.catalogue)
    vectors = user_encoder(trained.model).predict({HISTORY: asked.history}, verbose=0)
    return index.search(vectors["user_vector"], k=k, exclude=asked.seen)


def export(
    trained: TrainedModel, data: RecallData, asked: Requests, found: Found, folder: Path
) -> tuple[dict[str, float], Found]:
    """Writes user tower and movies as one SavedModel, loads it, and asks it.

    Args:
        trained: the model.
        data: has the catalogue and the encoder.
        asked: the users.
        found: what an index finds for them.
        folder: of the SavedModel.

    Returns:
        The largest difference of its scores from the index's, of ids and of raw keys; and what
        it answers to raw keys, as ids.
    """
    k = found.ids.shape[1]
    export_retriever(
        trained.model, data.catalogue, folder, k=k, encoder=data.encoder, exclude_input=SEEN
    )
    answers = {
        "SavedModel, ids in": load_saved_model(folder, "ids")(asked.ids()),
        "SavedModel, raw movie keys in": load_saved_model(folder)(asked.raw(data)),
    }
    answer = answers["SavedModel, raw movie keys in"]
    ids = data.encoder.transform({ITEM: answer["ids"].reshape(-1)})[ITEM].reshape(-1, k)
    differences = {
        name: largest_difference(one["scores"], found.scores) for name, one in answers.items()
    }
    is_there = np.isfinite(answer["scores"])
    return differences, Found(np.where(is_there, ids, -1), answer["scores"])


def lists_of(
    found: dict[str, Found], data: RecallData, asked: Requests, settings: RecallSettings
) -> list[Lists]:
    """Titles for some users with a history, drawn by the seed."""
    long = np.flatnonzero((asked.seen != 0).sum(axis=1) >= _LEAST_HISTORY)
    long = long if len(long) else np.arange(len(asked.users))
    rng = np.random.default_rng(settings.seed)
    chosen = np.sort(rng.permutation(long)[: settings.users])
    return [_lists(row, found, data, asked, settings) for row in chosen]


def _lists(
    row: int, found: dict[str, Found], data: RecallData, asked: Requests, settings: RecallSettings
) -> Lists:
    past = asked.history[row][asked.history[row] != 0]
    # A list may be short: there is no movie behind id -1.
    best = {name: (one.ids[row], one.scores[row].astype(float)) for name, one in found.items()}
    best = {name: (ids[ids > 0], scores[ids > 0]) for name, (ids, scores) in best.items()}
    return Lists(
        user=int(asked.users[row]),
        watched=data.titles[past[: -settings.watched - 1 : -1]].tolist(),
        titles={name: data.titles[ids].tolist() for name, (ids, _) in best.items()},
        scores={name: scores.tolist() for name, (_, scores) in best.items()},
    )


def _keys(data: RecallData, ids: np.ndarray) -> np.ndarray:
    return np.where(ids == 0, 0, data.encoder.decode(ITEM, ids, unknown=-1)).astype(np.int64)
