"""Resume an interrupted `fit` so that it ends in the weights of an uninterrupted one."""

from __future__ import annotations

import random
import re
from numbers import Integral

import keras
import numpy as np

from deeprec_tf.optimizers.build_optimizer import build_optimizer
from deeprec_tf.training import _callback_state
from deeprec_tf.training._generations import Generations, Saved

_OWNER = "BackupAndRestore"


class BackupAndRestore(keras.callbacks.Callback):
    """Backs up the training state; the same `fit`, run again after a kill, goes on from it.

    Keras's callback of this name leaves out the state of the seed generators, so a resumed run
    draws its dropout masks and negatives anew and ends elsewhere. This one keeps

    - all variables of the model: weights, moving averages, seed generators;
    - all variables of the optimizer: moments, iterations, the learning rate as callbacks set it;
    - the history, the metrics within an epoch, and the states of the callbacks it is given;
    - the states of Python's and NumPy's random modules at the beginning of the epoch, and the
      `shuffle_seed` of a `RecModel`.

    With input whose order depends on seed and epoch alone the final weights are those of an
    uninterrupted run, bit for bit where the device computes deterministically. Such are arrays
    in `RecModel.fit`, unshuffled data, and a `tf.data` set shuffled with `seed=` and
    `reshuffle_each_iteration=False` in a program that sets its global seed. Not such are a
    `tf.data` set that reshuffles, arrays in the `fit` of a plain `keras.Model` with
    `shuffle=True`, and `steps_per_epoch` shorter than the data: there a resumed run is a good
    run, but another one. Negatives drawn anew every epoch go on when `redraw` depends on the
    epoch alone. TensorFlow's own stateful random ops (`tf.random.uniform`) are not kept;
    layers draw through a `keras.random.SeedGenerator`.

    The model is compared by its variables' names, shapes and dtypes, not by numbers such as a
    dropout rate: those, like the data, must be as before.

    It may stand anywhere in `fit`'s list, but before callbacks that draw random numbers at the
    beginning of an epoch, and behind a `SwapEMAWeights(swap_on_epoch=True)`, which begins an
    epoch by giving the model its own weights back.

    A state is written beside the last one and renamed when it is whole, so a kill at any moment
    leaves one to go on from. After a finished `fit` the states are deleted.

    Args:
        backup_dir: folder for this run alone, on a local disk.
        save_freq: "epoch", or also after every so many batches. Resuming within an epoch reads
            the epoch's batches anew and skips those already trained on: their callbacks run,
            with the metrics as they were saved.
        callbacks: those whose state counts, and which are in `fit`'s list too: `EarlyStopping`,
            `ReduceLROnPlateau`, `ModelCheckpoint`, or any with `get_state()` and
            `set_state(state)`. Without it they'd start again from nothing.
        delete_checkpoint: False keeps the last state after a finished `fit`.

    Raises:
        TypeError, ValueError: an argument has a wrong type or range; when `fit` begins: the model
            isn't built, or the folder holds another model's states, another optimizer's, or
            those of data with another number of batches.
        OSError: every state in the folder is damaged.

    Example:
        ```python
        stop = keras.callbacks.EarlyStopping("val_auc", mode="max", patience=2)
        backup = BackupAndRestore("runs/dien", callbacks=[stop])
        model.fit(x, y, epochs=20, callbacks=[CTREvaluation((val_x, val_y)), stop, backup])
        ```
    """

    def __init__(self, backup_dir, save_freq="epoch", *, callbacks=(), delete_checkpoint=True):
        super().__init__()
        if not backup_dir:
            raise ValueError(f"{_OWNER}: backup_dir is empty; name a folder.")
        if save_freq != "epoch":
            if isinstance(save_freq, bool) or not isinstance(save_freq, Integral):
                raise TypeError(
                    f"{_OWNER}: save_freq must be 'epoch' or a number of batches, got "
                    f"{save_freq!r}."
                )
            if save_freq < 1:
                raise ValueError(f"{_OWNER}: save_freq must be at least 1, got {save_freq}.")
        for callback in callbacks:
            _callback_state.check(callback)
        self.backup_dir = backup_dir
        self.save_freq = save_freq
        self.callbacks = tuple(callbacks)
        self.delete_checkpoint = delete_checkpoint
        # Keras may run batch hooks in a thread when each callback allows it; saving must not.
        self.async_safe = save_freq == "epoch"
        self._files = Generations(backup_dir)
        self._restored: Saved | None = None
        self._fresh = True
        self._epoch = 0
        self._batches_saved = 0
        self._random_states = None

    def on_train_begin(self, logs=None):
        """Restores model and optimizer, and has `fit` begin at the saved epoch."""
        if not self.model.built:
            raise ValueError(
                f"{_OWNER}: the model isn't built, so it has no weights to restore. Call it on "
                "one batch before fit."
            )
        build_optimizer(self.model)
        self._fresh = True
        self._restored = self._files.newest()
        if self._restored is not None:
            self._check_owner(self._restored)
            self._restore_variables(self._restored, "model", "optimizer")
            self._restore_row_order(self._restored)
            # Keras's own callback sets this too; it goes before fit's initial_epoch.
            self.model._initial_epoch = self._restored.description["epoch"]

    def on_epoch_begin(self, epoch, logs=None):
        """Saves the state between two epochs; at the first one restores what is left to restore."""
        self._epoch, self._batches_saved = epoch, 0
        saved, self._restored = self._restored, None
        if saved is not None:
            self.model._initial_epoch = None
            self._restore_callbacks(saved)
            self._restore_history(saved)
            _set_random_states(saved.description["random_states"])
        # Negatives or orders drawn from here on belong to this epoch, also when it is resumed
        # in its middle.
        self._random_states = _get_random_states()
        if saved is not None and saved.description["batches"]:
            self._skip(saved)
        elif not self._fresh:
            # Only now have all callbacks and the history taken in the epoch before.
            self._save(batches=0)
        self._fresh = False

    def on_train_batch_end(self, batch, logs=None):
        """Saves the state when `save_freq` batches have gone by."""
        if self.save_freq != "epoch" and batch + 1 - self._batches_saved >= self.save_freq:
            self._save(batches=batch + 1)
            self._batches_saved = batch + 1

    def on_train_end(self, logs=None):
        """Deletes the states: the run is complete."""
        self.model._initial_epoch = None
        if self.delete_checkpoint:
            self._files.delete()

    def _save(self, batches):
        callbacks = [_callback_state.read(callback) for callback in self.callbacks]
        description = {
            "epoch": self._epoch,
            "batches": batches,
            "batches_in_epoch": self.params.get("steps"),
            "signature": _signature(self.model),
            "random_states": self._random_states,
            "shuffle_seed": getattr(self.model, "shuffle_seed", None),
            "history": {
                "epoch": self.model.history.epoch,
                "logs": {
                    name: [_callback_state.plain(value) for value in values]
                    for name, values in self.model.history.history.items()
                },
            },
            "callbacks": [
                {"name": type(callback).__name__, "values": values, "arrays": list(arrays)}
                for callback, (values, arrays) in zip(self.callbacks, callbacks, strict=True)
            ],
        }
        groups = {name: _values(variables) for name, variables in _variables(self.model).items()}
        for index, (_, arrays) in enumerate(callbacks):
            for name, values in arrays.items():
                groups[f"callback-{index}/{name}"] = map(_storable, values)
        self._files.write(description, groups)

    def _check_owner(self, saved):
        """Refuses states of another model, other callbacks or other data."""
        path, description = saved.path, saved.description
        mend = "Name another folder, or delete this one to train from the beginning."
        ours, theirs = _signature(self.model), description["signature"]
        for kind in ("model", "optimizer"):
            difference = _first_difference(theirs[kind], ours[kind])
            if difference:
                raise ValueError(
                    f"{_OWNER}: '{path}' belongs to another {kind}: {difference} {mend}"
                )
        names = [type(callback).__name__ for callback in self.callbacks]
        saved_names = [callback["name"] for callback in description["callbacks"]]
        if names != saved_names:
            raise ValueError(
                f"{_OWNER}: '{path}' was saved with callbacks={saved_names}, now they are {names}. "
                f"Give the same ones. {mend}"
            )
        ours, theirs = self.params.get("steps"), description["batches_in_epoch"]
        if ours is not None and theirs is not None and ours != theirs:
            raise ValueError(
                f"{_OWNER}: '{path}' was saved with {theirs} batches an epoch, now there are "
                f"{ours}: the data or batch_size differ. {mend}"
            )

    def _restore_variables(self, saved, *kinds):
        for kind in kinds:
            variables = _variables(self.model)[kind]
            for variable, array in zip(variables, saved.arrays(kind), strict=True):
                variable.assign(keras.ops.cast(array, variable.dtype))

    def _restore_row_order(self, saved):
        seed = saved.description["shuffle_seed"]
        if seed is not None and hasattr(self.model, "row_order"):
            self.model.row_order.seed = seed

    def _restore_callbacks(self, saved):
        states = saved.description["callbacks"]
        for index, (callback, state) in enumerate(zip(self.callbacks, states, strict=True)):
            arrays = {
                name: list(saved.arrays(f"callback-{index}/{name}")) for name in state["arrays"]
            }
            _callback_state.write(callback, {**state["values"], **arrays})

    def _restore_history(self, saved):
        history = saved.description["history"]
        self.model.history.epoch[:] = history["epoch"]
        self.model.history.history.update(history["logs"])

    def _skip(self, saved):
        """Has the resumed epoch's first batches read but not trained on."""
        model, train = self.model, self.model.train_function
        left = self._batches_saved = saved.description["batches"]
        metrics_exist = False

        def skip(iterator):
            nonlocal left, metrics_exist
            try:
                if metrics_exist:
                    _drop(iterator, model.steps_per_execution)
                else:
                    # The first step makes the metrics' variables, so one is taken, and undone.
                    train(iterator)
                    self._restore_variables(saved, "model", "optimizer", "metrics")
                    metrics_exist = True
            except BaseException:
                model.train_function = train
                raise
            left -= model.steps_per_execution
            if left <= 0:
                model.train_function = train
            return model.get_metrics_result()

        model.train_function = skip


def _drop(iterator, count):
    """Reads `count` batches, or what is left of them."""
    for index in range(count):
        try:
            next(iterator)
        except StopIteration:
            if index == 0:
                raise
            return


def _variables(model):
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _values(variables):
    return (_storable(keras.ops.convert_to_numpy(variable)) for variable in variables)


def _storable(array):
    # NumPy's files know no bfloat16; float32 holds each of its values.
    return array.astype("float32") if array.dtype.kind == "V" else array


def _signature(model):
    return {
        kind: [
            [_without_counters(variable.path), list(variable.shape), str(variable.dtype)]
            for variable in _variables(model)[kind]
        ]
        for kind in ("model", "optimizer")
    }


def _without_counters(path):
    """Keras numbers equal names within a process: the second "dense" is "dense_1"."""
    return re.sub(r"_\d+(?=_|/|$)", "", path)


def _first_difference(saved, ours):
    for theirs, mine in zip(saved, ours, strict=False):
        if theirs != mine:
            return (
                f"its variable '{theirs[0]}' {tuple(theirs[1])} {theirs[2]} stands where this one "
                f"has '{mine[0]}' {tuple(mine[1])} {mine[2]}."
            )
    if len(saved) != len(ours):
        return f"it has {len(saved)} variables, this one has {len(ours)}."
    return None


def _get_random_states():
    version, words, gauss = random.getstate()
    name, key, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(words), gauss],
        "numpy": [str(name), key.tolist(), int(position), int(has_gauss), float(cached)],
    }


def _set_random_states(states):
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    name, key, *rest = states["numpy"]
    np.random.set_state((name, np.array(key, np.uint32), *rest))
