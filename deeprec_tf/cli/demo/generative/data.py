"""The generative task's rows: those of recall, and a name of codes for every movie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deeprec_tf.cli.demo.movies import FIELDS, ITEM, OUT_OF_VOCABULARY, Rows
from deeprec_tf.cli.demo.recall.data import HISTORY, RecallData
from deeprec_tf.cli.demo.recall.data import prepare as prepare_recall
from deeprec_tf.cli.demo.settings import GenerativeSettings
from deeprec_tf.data import Category, FeatureEncoder, leave_one_out
from deeprec_tf.identifiers import ItemCodes, residual_kmeans_codes

USER_ID, ITEM_ID = "user_id", "item_id"
_FIELD_WEIGHT = 0.5  # length of what is said of a movie, beside 1 of who watched it


@dataclass(frozen=True)
class GenerativeData:
    """Rows and what is needed to read them.

    Attributes:
        recall: the rows of models with vectors, the split, and the titles.
        encoder: of users and movies by the names that TIGER's inputs have; its ids of movies are
            those of `recall`.
        vectors: what the names are made of (V, D); row i is movie i's.
        codes: the movies' names.
        moments: TIGER's training rows: who, after which history, what came.
    """

    recall: RecallData
    encoder: FeatureEncoder
    vectors: np.ndarray
    codes: ItemCodes
    moments: Rows

    def name(self, movie: int) -> str:
        """A movie's name in letters, such as 12-3-1."""
        return "-".join(str(code) for code in self.codes.codes[movie])

    def asking(self, users: np.ndarray, history: np.ndarray) -> Rows:
        """TIGER's inputs, of users by their keys and histories of ids."""
        ids = self.encoder.vocabulary(USER_ID).encode(USER_ID, users)
        return {USER_ID: ids, "hist_" + ITEM_ID: history}

    def raw(self, users: np.ndarray, history: np.ndarray) -> Rows:
        """The same with movies by their keys, as the exported model takes them."""
        keys = self.encoder.decode(ITEM_ID, history, unknown=-1)
        return {
            USER_ID: np.asarray(users, np.int64),
            "hist_" + ITEM_ID: np.where(history == 0, 0, keys).astype(np.int64),
        }


def prepare(ratings: pd.DataFrame, settings: GenerativeSettings) -> GenerativeData:
    """Splits and encodes as the recall task does, and names the movies.

    Args:
        ratings: as `newest_ratings` gives them.
        settings: lengths, sizes of the codes, and seed.

    Raises:
        CommandError: too few users are left to compare models on.
    """
    recall = prepare_recall(ratings, settings)
    events = recall.ratings
    train = leave_one_out(events).train
    # Of the same ratings as recall's, so that movies have the same ids.
    encoder = FeatureEncoder(
        [Category(USER_ID), Category(ITEM_ID, min_frequency=settings.least_ratings)]
    ).fit(recall.fitted_on.rename(columns={ITEM: ITEM_ID}))
    vectors = movie_vectors(events.iloc[train], recall.size + 1, settings.vector_dim)
    return GenerativeData(
        recall=recall,
        encoder=encoder,
        vectors=vectors,
        codes=residual_kmeans_codes(
            vectors, settings.levels, settings.codebook_size, seed=settings.seed
        ),
        moments={
            USER_ID: encoder.vocabulary(USER_ID).encode(USER_ID, recall.moment_users),
            "hist_" + ITEM_ID: recall.moments[HISTORY],
            ITEM_ID: recall.moments[ITEM],
        },
    )


def movie_vectors(ratings: pd.DataFrame, size: int, width: int) -> np.ndarray:
    """What is known of each movie: who rated it, its genre and its release period.

    The first part are the movies' singular vectors in the matrix of users and movies, which stand
    near where the same users rated; row `OUT_OF_VOCABULARY` and that of padding are zeros.

    Args:
        ratings: the training part, with the movie's id and its fields.
        size: number of ids.
        width: most numbers of the first part.

    Returns:
        float64 array (size, width + number of values of the fields).
    """
    users, user = np.unique(ratings[USER_ID], return_inverse=True)
    rated = np.zeros((len(users), size))
    rated[user, ratings[ITEM]] = 1.0
    # Each user counts once, and each movie: else the popular ones stand apart from all others.
    rated /= np.sqrt(np.maximum(rated.sum(axis=1, keepdims=True), 1.0))
    rated /= np.sqrt(np.maximum(rated.sum(axis=0), 1e-9))
    _, strength, right = np.linalg.svd(rated, full_matrices=False)
    who = (strength[1 : width + 1, None] * right[1 : width + 1]).T
    parts = [who / np.maximum(np.linalg.norm(who, axis=1, keepdims=True), 1e-9)]
    for field in FIELDS:
        values, value = np.unique(ratings[field], return_inverse=True)
        of_movie = np.zeros((size, len(values)))
        of_movie[ratings[ITEM], value] = _FIELD_WEIGHT
        parts.append(of_movie)
    vectors = np.concatenate(parts, axis=1)
    vectors[: OUT_OF_VOCABULARY + 1] = 0.0
    return vectors
