"""The ranking task's examples: from ratings to training, validation and test parts, by time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deeprec_tf.cli.demo.movies import FIELDS, ITEM, OUT_OF_VOCABULARY, Rows
from deeprec_tf.cli.demo.settings import RankingSettings
from deeprec_tf.cli.errors import CommandError
from deeprec_tf.data import (
    Category,
    FeatureEncoder,
    NegativeSampler,
    Split,
    add_negatives,
    build_sequences,
    item_table,
    take,
    temporal_split,
)
from deeprec_tf.features import FeatureColumn

BEHAVIORS = (ITEM, *FIELDS)
_LEAST_ROWS = 20  # of a part, so that it has an AUC worth the name

@dataclass(frozen=True)
class RankingData:
    """Examples and what is needed to read them.

    Attributes:
        ratings: the ratings with title, genre and period, oldest first.
        ids: `ITEM` and `FIELDS` of the ratings, encoded.
        encoder: fitted on the training part.
        split: positions in `ratings`.
        parts: examples by part ("train", "validation", "test"): the model's inputs, `user_id`,
            and `label`, of which each positive is followed by a sampled negative.
        left_out: targets that no model can rank, for their movie is unknown in training: their
            number by part.
        movies: title, genre and period by movie id, as encoded (`movies["title"][id]`).
        fields: encoded `FIELDS` by encoded movie id.
        train_counts: ratings in the training part, by encoded movie id.
    """

    ratings: pd.DataFrame
    ids: Rows
    encoder: FeatureEncoder
    split: Split
    parts: dict[str, Rows]
    left_out: dict[str, int]
    movies: dict[str, np.ndarray]
    fields: Rows
    train_counts: np.ndarray

    @property
    def known_movies(self) -> np.ndarray:
        """Ids of the movies that occur in the training part."""
        return self.encoder.vocabulary(ITEM).ids

    def columns(self, settings: RankingSettings) -> list[FeatureColumn]:
        """Feature columns of the target, the history and its sampled negatives."""
        widths = {ITEM: settings.movie_dim, **dict.fromkeys(FIELDS, settings.field_dim)}
        columns = self.encoder.feature_columns(BEHAVIORS, embedding_dims=widths)
        for prefix in ("hist_", "neg_hist_"):
            columns += self.encoder.behavior_columns(
                BEHAVIORS, maxlen=settings.maxlen, embedding_dims=widths, prefix=prefix
            )
        return columns

    def raw(self, rows: Rows) -> Rows:
        """Ids as the raw values that stand for them: what a server without the encoder sends."""
        raw = dict(rows)
        for name in BEHAVIORS:
            unknown = -1 if name == ITEM else "?"
            for column in {name, "hist_" + name} & rows.keys():
                padding = 0 if name == ITEM else ""
                values = self.encoder.decode(name, rows[column], unknown=unknown)
                raw[column] = np.where(rows[column] == 0, padding, values)
        return raw


def prepare(ratings: pd.DataFrame, settings: RankingSettings) -> RankingData:
    """Encodes, builds sequences, splits by time and samples negatives.

    Nothing of a later time reaches an earlier one: the encoder and the negatives of training
    see the training part only, and a history ends before its target's own second.

    Args:
        ratings: as `newest_ratings` gives them.
        settings: shares, lengths and seed.

    Raises:
        CommandError: a part has too few rows to compare models on.
    """
    split = temporal_split(ratings, fractions=settings.fractions)
    encoder = FeatureEncoder([Category(name) for name in BEHAVIORS])
    encoder.fit(ratings.iloc[split.train])
    ids = encoder.transform(ratings)
    examples = {"user_id": ratings["user_id"].to_numpy(), **ids}
    examples["timestamp"] = ratings["timestamp"].to_numpy()
    examples.update(
        build_sequences(examples, item=ITEM, fields=FIELDS, maxlen=settings.maxlen)
    )
    known = ids[ITEM] != OUT_OF_VOCABULARY
    fields = item_table(take(ids, known), FIELDS, item=ITEM, size=encoder.vocabulary(ITEM).size)

    parts, left_out = {}, {}
    ends = {"train": split.train, "validation": split.validation, "test": split.test}
    so_far = np.zeros(0, np.int64)
    for use, (name, rows) in enumerate(ends.items()):
        so_far = np.concatenate([so_far, rows])
        targets = rows[known[rows]]
        left_out[name] = len(rows) - len(targets)
        if len(targets) < _LEAST_ROWS:
            raise CommandError(
                f"{len(ratings)} ratings leave {len(targets)} {name} targets whose movie is known "
                "from the training part, too few to compare models on. Give --rows 2000 or more."
            )
        sampler = NegativeSampler(
            take(examples, so_far), item=ITEM, candidates=encoder.vocabulary(ITEM).ids,
            item_fields=fields,
        )
        part = take(examples, targets)
        if name == "train":  # for the auxiliary loss
            part |= sampler.sample_histories(
                part["user_id"], part["hist_" + ITEM], seed=settings.seed
            )
        parts[name] = add_negatives(part, sampler, seed=(settings.seed, use))
    return RankingData(
        ratings=ratings,
        ids=ids,
        encoder=encoder,
        split=split,
        parts=parts,
        left_out=left_out,
        movies=_raw_by_id(ratings, ids[ITEM], encoder.vocabulary(ITEM).size),
        fields=fields,
        train_counts=np.bincount(
            ids[ITEM][split.train], minlength=encoder.vocabulary(ITEM).size
        ),
    )


def _raw_by_id(ratings: pd.DataFrame, ids: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Title, genre and period as arrays by encoded movie id; None for padding and unknown."""
    first = pd.Series(ids).drop_duplicates()
    first = first[first != OUT_OF_VOCABULARY]
    result = {}
    for name in ("title", *FIELDS):
        table = np.full(size, None, object)
        table[first.to_numpy()] = ratings[name].to_numpy()[first.index]
        result[name] = table
    return result
