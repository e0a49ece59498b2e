"""The multitask task's examples: one row a rating, with a label for each task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deeprec_tf.cli.demo.movies import FIELDS, ITEM, Rows
from deeprec_tf.cli.demo.settings import MultitaskSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.data import Category, FeatureEncoder, take
from deeprec_tf.features import FeatureColumn

TASK_TYPES = {"liked": "binary", "rating": "regression"}
USER = "user_id"
INPUTS = (USER, ITEM, *FIELDS)
_LEAST_ROWS = 100  # of a part, so that its metrics say something


@dataclass(frozen=True)
class MultitaskData:
    """Examples and what is needed to read them.

    Attributes:
        ratings: the ratings, oldest first.
        encoder: fitted on the training part.
        inputs: by part ("train", "validation", "test") the encoded inputs.
        labels: by part the labels of each task.
        raw: the inputs of the test part as raw values.
    """

    ratings: pd.DataFrame
    encoder: FeatureEncoder
    inputs: dict[str, Rows]
    labels: dict[str, Rows]
    raw: Rows

    def columns(self, settings: MultitaskSettings) -> list[FeatureColumn]:
        """Feature columns of user and movie."""
        return self.encoder.feature_columns(embedding_dim=settings.embedding_dim)


def prepare(ratings: pd.DataFrame, settings: MultitaskSettings) -> MultitaskData:
    """Splits each user's ratings by time, encodes them, makes the labels.

    Args:
        ratings: as `newest_ratings` gives them.
        settings: shares, and what counts as liked.

    Raises:
        CommandError: a part has too few rows to compare models on.
    """
    ratings = ratings.reset_index(drop=True)
    rating = ratings["rating"].to_numpy(np.float32)
    labels = {"liked": (rating >= settings.liked_from).astype(np.float32), "rating": rating}
    parts = _parts_of_users(ratings, settings.fractions)
    for name, rows in parts.items():
        liked = labels["liked"][rows]
        if len(rows) < _LEAST_ROWS or liked.min() == liked.max():
            raise CommandError(
                f"{len(ratings)} ratings leave {len(rows)} for the {name} part, too few to compare "
                "models on. Give --rows 2000 or more."
            )
    encoder = FeatureEncoder([Category(name) for name in INPUTS])
    encoder.fit(ratings.iloc[parts["train"]])
    encoded = encoder.transform(ratings)
    raw = {name: ratings[name].to_numpy() for name in INPUTS}
    return MultitaskData(
        ratings=ratings,
        encoder=encoder,
        inputs={name: take(encoded, rows) for name, rows in parts.items()},
        labels={name: take(labels, rows) for name, rows in parts.items()},
        raw=take(raw, parts["test"]),
    )


def _parts_of_users(
    ratings: pd.DataFrame, fractions: tuple[float, float, float]
) -> dict[str, np.ndarray]:
    """Positions of the ratings by part: of each user the oldest are for training."""
    of_user = ratings.groupby(USER)[USER]
    share_before = (of_user.cumcount() + 0.5) / of_user.transform("size")
    part = np.searchsorted(np.cumsum(fractions)[:2], share_before.to_numpy())
    return {
        name: np.flatnonzero(part == k) for k, name in enumerate(("train", "validation", "test"))
    }
