"""Evaluation of generated items during training, as a Keras callback."""

from __future__ import annotations

import warnings

import keras

from deeprec_tf.engine import part_of
from deeprec_tf.evaluation.list_ranks import rank_in_lists
from deeprec_tf.evaluation.retrieval_metrics import (
    check_validation,
    list_sizes,
    metric_names,
    retrieval_metrics,
)
from deeprec_tf.graph import inference_outputs

_OWNER = "GenerationEvaluation"


class GenerationEvaluation(keras.callbacks.Callback):
    """Lets a generative model answer after an epoch, and writes how good the lists are to its logs.

    For TIGER and ColaRec, what `RetrievalEvaluation` is for models with two towers. As that one it
    stands **before** `EarlyStopping` and `ModelCheckpoint`, which then can watch `val_ndcg@10` with
    `mode="max"`. Choose by the validation part; targets of the test part have no place here.

    Args:
        validation_data: (x, targets): the inputs that the exported model reads, one row a user,
            and the ids that each user is to find, in the forms of `rank_in_lists`.
        item_count: items in the catalogue, for the coverage.
        seen: ids that are taken out of the lists; none when left out.
        k: length of the lists, or several of them; the model's `num_results` must hold them, and
            beside them those seen items that the model doesn't leave out itself, as it does by
            default with those of `hist_item_id`. A warning says so once where lists are shorter.
        metrics: names of the metrics, as in `retrieval_metrics`.
        batch_size: users a step.
        every: measure after every so many epochs; in the epochs between the keys are absent.

    Raises:
        ValueError: `every` below 1, `validation_data` no pair, an unknown metric; and when training
            begins, the model generates no items or fewer than the lists are long.

    Example:
        ```python
        model.fit(x, epochs=50, callbacks=[
            GenerationEvaluation((val_x, val_x["item_id"]), item_count=len(codes.codes) - 1),
            keras.callbacks.EarlyStopping("val_ndcg@10", mode="max", patience=5,
                                          restore_best_weights=True),
        ])
        ```
    """

    def __init__(
        self, validation_data, *, item_count, seen=None, k=10, metrics=("hr", "ndcg"),
        batch_size=256, every=1,
    ):
        super().__init__()
        check_validation(_OWNER, validation_data, every)
        self.validation_data = validation_data
        self.item_count = item_count
        self.seen = seen
        self.k = list_sizes(_OWNER, k)
        self.metrics = metric_names(_OWNER, metrics, has_popularity=False)
        self.batch_size = batch_size
        self.every = every
        self._generator = None
        self._has_warned = False

    def on_train_begin(self, logs=None):
        """Cuts the part that answers: once, since it shares the model's weights."""
        outputs = inference_outputs(self.model)
        if "ids" not in outputs:
            raise ValueError(
                f"{_OWNER}: {self.model.name} generates no items, it predicts {sorted(outputs)}. "
                "Use RetrievalEvaluation for models with two towers, CTREvaluation for others."
            )
        results = outputs["ids"].shape[-1]
        if results < max(self.k):
            raise ValueError(
                f"{_OWNER}: {self.model.name} answers with {results} items, lists of {max(self.k)} "
                "were asked for. Build it with a larger num_results."
            )
        self._generator = part_of(self.model, outputs, self.model.name)

    def on_epoch_end(self, epoch, logs=None):
        """Adds the metrics to `logs`: the names of `retrieval_metrics` with "val_" before."""
        if logs is None or (epoch + 1) % self.every:
            return
        x, targets = self.validation_data
        names = [tensor.name for tensor in self._generator.inputs]
        found = self._generator.predict(
            {name: x[name] for name in names}, batch_size=self.batch_size, verbose=0
        )
        ranks = rank_in_lists(found["ids"], targets, item_count=self.item_count, seen=self.seen)
        self._warn_of_short_lists(found["ids"], ranks.lists)
        scores = retrieval_metrics(ranks, k=self.k, metrics=self.metrics)
        logs.update({f"val_{name}": score for name, score in scores.items()})

    def _warn_of_short_lists(self, ids, lists):
        """Lists that were full and hold fewer than k items without the seen ones."""
        longest, results = max(self.k), ids.shape[1]
        is_short = (ids > 0).all(axis=1) & ((lists > 0).sum(axis=1) < longest)
        if is_short.any() and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{_OWNER}: {is_short.sum()} of {len(ids)} lists hold fewer than {longest} items "
                f"without the seen ones, so metrics at {longest} may be too low. Build "
                f"{self.model.name} with a num_results, now {results}, that holds seen items too.",
                stacklevel=2,
            )
