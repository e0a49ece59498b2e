"""Retrieval evaluation: each user's targets ranked among the whole catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from deeprec_tf.data.tables import take
from deeprec_tf.evaluation.id_lists import IdLists, id_lists
from deeprec_tf.evaluation.retrieval_metrics import (
    OF_LISTS,
    list_sizes,
    metric_names,
    retrieval_metrics,
)
from deeprec_tf.evaluation.target_ranks import (
    TargetRanks,
    rank_by_function,
    rank_columns,
    refuse_ids,
    with_ids,
)
from deeprec_tf.evaluation.towers import Towers
from deeprec_tf.retrieval.exact import all_products

_OWNER = "evaluate_retrieval"
_PREDICT_ROWS = 1024


def evaluate_retrieval(
    model: keras.Model | Callable[[Any], Any],
    x: Any,
    targets: Any,
    *,
    items: Any = None,
    seen: Any = None,
    k: int | Sequence[int] = (5, 10, 20),
    metrics: Sequence[str] | None = None,
    popularity: Any = None,
    item: str | None = None,
    batch_size: int | None = None,
    verbose: int = 0,
) -> dict[str, float]:
    """HR, recall, NDCG, MRR, MAP, precision and coverage at k over the full catalogue.

    Every item but id 0 is scored for every user, <user_vector, item_vector>, a chunk of users at
    a time. Of several interests the best one counts; one of zeros is not in use. Seen items do not
    count, unless they are targets. Ties take the middle place. `rank_targets` says how places are
    counted, `retrieval_metrics` what the metrics are.

    Args:
        model: a model with the joints `user_vector` and `item_vector`; or a function from rows of
            `x` to scores (B, V), column i the score of item i, such as `fit_item_knn` gives.
        x: the users' inputs, one row a user: dict of arrays, DataFrame, or a finite
            `tf.data.Dataset` of batches; columns that the user tower doesn't read are allowed.
            For a function: whatever it takes that can be cut into rows.
        targets: ids that each user is to find: (N,), one a user; (N, M) padded with 0; or N lists,
            also as a `tf.RaggedTensor`.
        items: the catalogue, one row an item: dict of arrays or DataFrame with the inputs of the
            item tower, the id among them; id 0 is left out. When left out, all ids of a
            `RecModel`, whose item tower reads an id alone or that has an `item_table`; with the
            ids of a `FeatureEncoder`, whose 1 stands for what it does not know, give
            `{"item_id": encoder.vocabulary("item_id").ids}`.
        seen: ids that each user has seen, in the forms of `targets`, such as the history's input;
            none when left out. Ids that are not in the catalogue don't matter.
        k: length of the lists, or several of them.
        metrics: some of "hr", "recall", "ndcg", "mrr", "map", "precision", "coverage" and
            "novelty"; all when left out, the novelty only with `popularity`.
        popularity: interactions by item id (V,), of the training part.
        item: name of the ids' column in `items`; the item tower's first column when left out.
        batch_size: users a chunk; some 16 million scores, at most 1024 users, when left out.
        verbose: 1 shows a progress bar.

    Returns:
        Dict of floats: `{"hr@5": ..., "recall@5": ..., ...}`.

    Raises:
        TypeError: ids are no integers.
        ValueError: the model has no joints; a column, `items` or a target is missing; an id is not
            in the catalogue; a score is NaN; numbers of rows differ.

    Example:
        >>> scores = lambda rows: np.array([[0.0, 0.1, 0.3, 0.2]]).repeat(len(rows), axis=0)
        >>> evaluate_retrieval(scores, [[2], [3]], [3, 1], seen=[[2], [3]], k=1, metrics=["hr"])
        {'hr@1': 0.5}
    """
    sizes = list_sizes(_OWNER, k)
    names = metric_names(_OWNER, metrics, has_popularity=popularity is not None)
    settings: dict[str, Any] = {
        "top": max(sizes) if set(names) & set(OF_LISTS) else 0,
        "batch_size": batch_size, "verbose": verbose,
    }  # fmt: skip
    if isinstance(model, keras.Model):
        ranks = rank_by_towers(Towers(_OWNER, model, items, item), x, targets, seen, **settings)
    elif callable(model):
        if items is not None or item is not None:
            raise ValueError(f"{_OWNER}: items and item are for models; a function scores all ids.")
        wanted = id_lists(_OWNER, "targets", targets)
        past = id_lists(_OWNER, "seen", [[]] * wanted.count if seen is None else seen)
        scores = _row_scores(model, x, wanted.count)
        ranks = rank_by_function(_OWNER, scores, wanted, past, any_seen=True, **settings)
    else:
        raise TypeError(
            f"{_OWNER}: model must be a keras.Model or a function, got {type(model).__name__}. "
            "For a matrix of scores call rank_targets and retrieval_metrics."
        )
    return retrieval_metrics(ranks, k=sizes, metrics=names, popularity=popularity)


def rank_by_towers(
    towers: Towers,
    x: Any,
    targets: Any,
    seen: Any,
    *,
    top: int,
    batch_size: int | None,
    verbose: int,
    owner: str = _OWNER,
) -> TargetRanks:
    """`rank_targets` with the scores of a two-tower model."""
    wanted = id_lists(owner, "targets", targets)
    if wanted.count == 0:
        raise ValueError(f"{owner}: no rows to evaluate.")
    past = id_lists(owner, "seen", [[]] * wanted.count if seen is None else seen)
    wanted, is_known = _columns(wanted, towers.ids)
    refuse_ids(
        owner, "targets", wanted._replace(ids=id_lists(owner, "targets", targets).ids), ~is_known,
        f"the catalogue has {len(towers.ids)} items with ids in {towers.ids[0]}..{towers.ids[-1]}",
    )  # fmt: skip
    past, is_known = _columns(past, towers.ids)
    past = IdLists(past.rows[is_known], past.ids[is_known], past.count)

    users, items = towers.user_vectors(x, _PREDICT_ROWS), towers.item_vectors(_PREDICT_ROWS)
    if len(users) != wanted.count:
        raise ValueError(f"{owner}: x has {len(users)} rows, but targets has {wanted.count}.")
    if users.ndim not in (2, 3) or items.ndim != 2 or users.shape[-1] != items.shape[-1]:
        raise ValueError(
            f"{owner}: user_vector must have shape (B, D) or (B, K, D) and item_vector (B, D), got "
            f"{users.shape} and {items.shape}."
        )
    catalogue = tf.constant(items, tf.float32)

    def scores(rows):
        vectors = tf.constant(users[rows[0] : rows[-1] + 1], tf.float32)
        return all_products(vectors, catalogue)

    ranks = rank_columns(
        owner, scores, len(items), wanted, past, top=top, batch_size=batch_size, verbose=verbose
    )
    return with_ids(ranks, towers.ids)


def _columns(lists, ids):
    """The ids as columns of the catalogue, and whether each is in it."""
    columns = np.minimum(np.searchsorted(ids, lists.ids), len(ids) - 1)
    return lists._replace(ids=columns), ids[columns] == lists.ids


def _row_scores(function, x, count):
    """Function of row positions, from one of rows of `x`."""
    is_table = isinstance(x, Mapping | pd.DataFrame)
    lengths = {len(x[name]) for name in x} if is_table else {len(x)}
    if lengths != {count}:
        raise ValueError(
            f"{_OWNER}: x has {sorted(lengths)} rows, but targets has {count}."
        )
    if is_table:
        return lambda rows: function(take(x, rows))
    return lambda rows: function(x[rows[0] : rows[-1] + 1])
