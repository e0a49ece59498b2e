"""The recall task's rows: each user's last movie is for the test, the one before to validate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deeprec_tf.cli.demo.movies import ITEM, OUT_OF_VOCABULARY, Rows, titles_by_id
from deeprec_tf.cli.demo.settings import RecallSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.data import (
    Category,
    FeatureEncoder,
    build_sequences,
    latest_sequences,
    leave_one_out,
    take,
)
from deeprec_tf.features import FeatureColumn

HISTORY = "hist_" + ITEM
PARTS = ("validation", "test")
_LEAST_USERS = 20  # with a validation and a test movie, so that shares of them say something


@dataclass(frozen=True)
class RecallData:
    """Rows and what is needed to read them.

    Attributes:
        ratings: the ratings of the movies that count, oldest first, with the id as encoded and
            the title.
        left_out: ratings of movies that are rare in the training part, or unknown there.
        fitted_on: what the encoder was fitted on, the training part of all ratings.
        encoder: of movies.
        titles: title by encoded movie id.
        moments: training rows of models that learn once a row: a history, and what came then.
        moment_users: the key of each moment's user.
        sequences: those of models that learn at every position: every movie of the training
            part is the next one in exactly one row.
        parts: one row a user, "validation" and "test": `user_id`, the history, the movie to find.
        seen: by part all that each user had rated before that movie, padded with 0.
    """

    ratings: pd.DataFrame
    left_out: int
    fitted_on: pd.DataFrame
    encoder: FeatureEncoder
    titles: np.ndarray
    moments: Rows
    moment_users: np.ndarray
    sequences: Rows
    parts: dict[str, Rows]
    seen: dict[str, np.ndarray]

    @property
    def catalogue(self) -> Rows:
        """The movies that compete, as inputs of the item tower."""
        return {ITEM: self.encoder.vocabulary(ITEM).ids.astype(np.int32)}

    @property
    def size(self) -> int:
        """The largest movie id."""
        return self.encoder.vocabulary(ITEM).size - 1

    @property
    def training_lists(self) -> np.ndarray:
        """What each user rated in the training part, padded with 0; for the baselines."""
        return self.seen["validation"]

    def columns(self, settings: RecallSettings) -> tuple[list[FeatureColumn], list[FeatureColumn]]:
        """Feature columns of the user and of the movie."""
        width = settings.movie_dim
        users = self.encoder.behavior_columns(
            [ITEM], maxlen=settings.maxlen, embedding_dim=width, length_name=None
        )
        return users, self.encoder.feature_columns([ITEM], embedding_dim=width)


def prepare(ratings: pd.DataFrame, settings: RecallSettings) -> RecallData:
    """Splits, encodes, and builds the rows.

    The encoder sees the training part only. Ratings of one second, of which MovieLens has many,
    stand in an order drawn by the seed: in the table they stand by movie, and a model of
    sequences would learn that order.

    Args:
        ratings: as `newest_ratings` gives them.
        settings: lengths and seed.

    Raises:
        CommandError: too few users are left to compare models on.
    """
    given = len(ratings)
    _check_users(len(leave_one_out(ratings).test), given)
    ratings = ratings.sample(frac=1.0, random_state=settings.seed)
    ratings = ratings.sort_values("timestamp", kind="stable").reset_index(drop=True)
    encoder = FeatureEncoder([Category(ITEM, min_frequency=settings.least_ratings)])
    fitted_on = ratings.iloc[leave_one_out(ratings).train]
    encoder.fit(fitted_on)
    ids = encoder.transform(ratings)[ITEM]
    kept = ids != OUT_OF_VOCABULARY
    events = ratings[kept].assign(**{ITEM: ids[kept]}).reset_index(drop=True)

    split = leave_one_out(events)
    _check_users(len(split.test), given)
    is_training = np.zeros(len(events), bool)
    is_training[split.train] = True
    is_before_test = is_training.copy()
    is_before_test[split.validation] = True
    pasts = {"validation": (split.validation, is_training), "test": (split.test, is_before_test)}
    longest = int(events["user_id"].value_counts().max())
    parts, seen = {}, {}
    for name, (rows, is_past) in pasts.items():
        targets = events.iloc[rows]
        newest, whole = (
            latest_sequences(
                events, users=targets["user_id"], item=ITEM, events=is_past, maxlen=maxlen
            )[HISTORY]
            for maxlen in (settings.maxlen, longest)
        )
        seen[name] = whole
        parts[name] = {
            "user_id": targets["user_id"].to_numpy(),
            HISTORY: newest,
            ITEM: targets[ITEM].to_numpy(np.int32),
        }
    moments, users, sequences = _training_rows(events, split.train, settings.maxlen)
    return RecallData(
        ratings=events,
        left_out=int((~kept).sum()),
        fitted_on=fitted_on,
        encoder=encoder,
        titles=titles_by_id(events["title"], events[ITEM], encoder.vocabulary(ITEM).size),
        moments=moments,
        moment_users=users,
        sequences=sequences,
        parts=parts,
        seen=seen,
    )


def _training_rows(
    events: pd.DataFrame, rows: np.ndarray, maxlen: int
) -> tuple[Rows, np.ndarray, Rows]:
    """All moments with a history, their users, and those that end a window of `maxlen` movies."""
    past = build_sequences(events, item=ITEM, maxlen=maxlen, ties="order", rows=rows)
    later = events.iloc[rows].groupby("user_id").cumcount(ascending=False).to_numpy()
    has_past = past["hist_length"] > 0
    moments = {HISTORY: past[HISTORY], ITEM: events[ITEM].to_numpy(np.int32)[rows]}
    users = events["user_id"].to_numpy()[rows][has_past]
    return take(moments, has_past), users, take(moments, has_past & (later % maxlen == 0))


def _check_users(users: int, ratings: int) -> None:
    if users < _LEAST_USERS:
        raise CommandError(
            f"{ratings} ratings leave {users} users with a movie to find, too few to compare "
            "models on. Give --rows 5000 or more."
        )
