"""What the generative task's models answer to a user, trained and exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deeprec_tf.cli.demo.generative.data import ITEM_ID, GenerativeData
from deeprec_tf.cli.demo.generative.models import answers, spells
from deeprec_tf.cli.demo.recall.recommend import Lists, Requests, search
from deeprec_tf.cli.demo.recall.recommend import export as export_index
from deeprec_tf.cli.demo.recall.recommend import lists_of as recall_lists
from deeprec_tf.cli.demo.settings import GenerativeSettings
from deeprec_tf.cli.demo.training import TrainedModel
from deeprec_tf.export import export_saved_model, load_saved_model
from deeprec_tf.export.artifact import largest_difference
from deeprec_tf.retrieval import Found


def find(
    trained: TrainedModel, data: GenerativeData, asked: Requests, settings: GenerativeSettings
) -> Found:
    """The best movies that each user has not rated: spelled, or out of an index."""
    if not spells(trained.name):
        return search(trained, data.recall, asked, settings.titles)
    return unseen(answers(trained, data, asked.users, asked.history), asked, settings.titles)


def unseen(found: Found, asked: Requests, k: int) -> Found:
    """The first k of each answer that the user has not rated; -1 where there are fewer.

    The search itself leaves out what stands in the history it reads, the newest ratings.
    """
    left = np.stack(
        [~np.isin(ids, seen) for ids, seen in zip(found.ids, asked.seen, strict=True)]
    ) & (found.ids > 0)
    order = np.argsort(~left, axis=1, kind="stable")[:, :k]
    ids, scores, left = (
        np.take_along_axis(array, order, axis=1) for array in (found.ids, found.scores, left)
    )
    return Found(np.where(left, ids, -1), np.where(left, scores, -np.inf))


def export(
    trained: TrainedModel, data: GenerativeData, asked: Requests, found: Found, folder: Path
) -> dict[str, float]:
    """Writes the model as a SavedModel that answers with movies, loads it, and asks it.

    Returns:
        The largest difference of its scores from the trained model's, of ids and of raw keys.
    """
    if not spells(trained.name):
        return export_index(trained, data.recall, asked, found, folder)[0]
    expected = answers(trained, data, asked.users, asked.history)
    export_saved_model(trained.model, folder, data.encoder)
    by_ids = load_saved_model(folder, "ids")(data.asking(asked.users, asked.history))
    by_keys = load_saved_model(folder)(data.raw(asked.users, asked.history))
    keys = data.encoder.decode(ITEM_ID, np.maximum(by_ids["ids"], 0), unknown=-1)
    if not np.array_equal(by_keys["ids"], keys):
        raise AssertionError("the exported model answers otherwise to raw keys than to ids")
    return {
        "SavedModel, ids in": largest_difference(by_ids["scores"], expected.scores),
        "SavedModel, raw keys in": largest_difference(by_keys["scores"], expected.scores),
    }


def lists_of(
    found: dict[str, Found],
    data: GenerativeData,
    asked: Requests,
    settings: GenerativeSettings,
) -> tuple[list[Lists], dict[str, str]]:
    """Titles for some users, and the name in codes of every title that is shown."""
    lists = recall_lists(found, data.recall, asked, settings)
    known = {title: movie for movie, title in enumerate(data.recall.titles) if title}
    shown = {
        title
        for one in lists
        for titles in (one.watched, *one.titles.values())
        for title in titles
        if title
    }
    return lists, {title: data.name(known[title]) for title in sorted(shown)}
