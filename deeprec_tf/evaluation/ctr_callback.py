"""CTR evaluation during training, as a Keras callback."""

from __future__ import annotations

import keras

from deeprec_tf.evaluation.ctr import evaluate_ctr


class CTREvaluation(keras.callbacks.Callback):
    """Measures exact AUC, log loss and GAUC after an epoch and writes them into its logs.

    Keras runs callbacks in the order of their list and hands the same logs from one to the
    next. So this one stands **before** `EarlyStopping`, `ReduceLROnPlateau` and
    `ModelCheckpoint`, which then can watch `val_auc`, `val_gauc` and `val_log_loss`; the
    history and the progress bar come last and show them too. Keras can't know that more is
    better here: give the others `mode="max"` (`mode="min"` for the log loss). A compiled
    metric named "auc" writes its approximation under `val_auc` when `fit` has validation
    data; the exact number replaces it.

    Args:
        validation_data: (x, y), (x, y, sample_weight), or a finite `tf.data.Dataset` of these;
            each as in `evaluate_ctr`.
        group: name of a column of x, or an array, as in `evaluate_ctr`; needed for GAUC.
        batch_size: rows a step.
        every: measure after every so many epochs. In the epochs between, the keys are absent:
            `EarlyStopping` warns of that and its patience counts measured epochs only.
        verbose: 1 shows a progress bar.

    Raises:
        ValueError: `every` below 1; and at the end of an epoch what `evaluate_ctr` raises.

    Example:
        ```python
        model.fit(x, y, epochs=20, callbacks=[
            CTREvaluation((val_x, val_y), group="user_id"),
            keras.callbacks.EarlyStopping("val_gauc", mode="max", patience=2,
                                          restore_best_weights=True),
        ])
        ```
    """

    def __init__(self, validation_data, group=None, *, batch_size=4096, every=1, verbose=0):
        super().__init__()
        if every < 1:
            raise ValueError(f"CTREvaluation: every must be at least 1 epoch, got {every}.")
        self.validation_data = validation_data
        self.group = group
        self.batch_size = batch_size
        self.every = every
        self.verbose = verbose

    def on_epoch_end(self, epoch, logs=None):
        """Adds the scores to `logs`, under the names of `evaluate_ctr` with "val_" before."""
        if logs is None or (epoch + 1) % self.every:
            return
        x, y, sample_weight = self.validation_data, None, None
        if isinstance(x, list | tuple):
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(x)
        scores = evaluate_ctr(
            self.model,
            x,
            y,
            group=self.group,
            batch_size=self.batch_size,
            sample_weight=sample_weight,
            verbose=self.verbose,
        )
        logs.update({f"val_{name}": score for name, score in scores.items()})
