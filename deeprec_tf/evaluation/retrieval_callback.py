"""Retrieval evaluation during training, as a Keras callback."""

from __future__ import annotations

import keras

from deeprec_tf.evaluation.retrieval import rank_by_towers
from deeprec_tf.evaluation.retrieval_metrics import (
    OF_LISTS,
    check_validation,
    list_sizes,
    metric_names,
    retrieval_metrics,
)
from deeprec_tf.evaluation.towers import Towers

_OWNER = "RetrievalEvaluation"


class RetrievalEvaluation(keras.callbacks.Callback):
    """Measures `evaluate_retrieval` after an epoch and writes its metrics into the epoch's logs.

    As `CTREvaluation`, it stands **before** `EarlyStopping` and `ModelCheckpoint` in the list of
    callbacks, which then can watch `val_ndcg@10`. More is better, which Keras can't know: give
    the others `mode="max"`. Choose by the validation part; targets of the test part have no
    place here.

    Args:
        validation_data: (x, targets), each as in `evaluate_retrieval`.
        items: the catalogue, as there.
        seen: ids that each user has seen, as there.
        k: length of the lists, or several of them.
        metrics: names of the metrics, as there. The default does without lists of items and so
            costs the least.
        popularity: interactions by item id, for the novelty.
        item: name of the ids' column in `items`.
        batch_size: users a chunk.
        every: measure after every so many epochs. In the epochs between, the keys are absent:
            `EarlyStopping` warns of that and its patience counts measured epochs only.
        verbose: 1 shows a progress bar.

    Raises:
        ValueError: `every` below 1, `validation_data` no pair, an unknown metric; when training
            begins, the model has no two towers; and at the end of an epoch what
            `evaluate_retrieval` raises.

    Example:
        ```python
        model.fit(x, epochs=50, callbacks=[
            RetrievalEvaluation((val_x, val_x["item_id"]), seen=val_x["hist_item_id"], k=10),
            keras.callbacks.EarlyStopping("val_ndcg@10", mode="max", patience=5,
                                          restore_best_weights=True),
        ])
        ```
    """

    def __init__(
        self,
        validation_data,
        *,
        items=None,
        seen=None,
        k=(5, 10, 20),
        metrics=("hr", "recall", "ndcg", "mrr"),
        popularity=None,
        item=None,
        batch_size=None,
        every=1,
        verbose=0,
    ):
        super().__init__()
        check_validation(_OWNER, validation_data, every)
        self.validation_data = validation_data
        self.items = items
        self.seen = seen
        self.k = list_sizes(_OWNER, k)
        self.metrics = metric_names(_OWNER, metrics, has_popularity=popularity is not None)
        self.popularity = popularity
        self.item = item
        self.batch_size = batch_size
        self.every = every
        self.verbose = verbose
        self._towers = None

    def on_train_begin(self, logs=None):
        """Cuts the towers: once, since they share the model's weights."""
        self._towers = Towers(_OWNER, self.model, self.items, self.item)

    def on_epoch_end(self, epoch, logs=None):
        """Adds the metrics to `logs`: the names of `evaluate_retrieval` with "val_" before."""
        if logs is None or (epoch + 1) % self.every:
            return
        x, targets = self.validation_data
        ranks = rank_by_towers(
            self._towers, x, targets, self.seen, owner=_OWNER, verbose=self.verbose,
            top=max(self.k) if set(self.metrics) & set(OF_LISTS) else 0,
            batch_size=self.batch_size,
        )  # fmt: skip
        scores = retrieval_metrics(
            ranks, k=self.k, metrics=self.metrics, popularity=self.popularity
        )
        logs.update({f"val_{name}": score for name, score in scores.items()})
