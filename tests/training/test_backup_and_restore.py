import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from deeprec_tf.training import BackupAndRestore
from tests.training.runs import (
    BATCHES,
    InterruptAt,
    Interrupted,
    dataset,
    fit_din,
    fit_small_model,
    small_model,
    state,
)

ROOT = Path(__file__).parents[2]


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def run(seed, callbacks=(), make=small_model, **arguments):
    """One process's part: a model from its seed, trained."""
    keras.utils.set_random_seed(seed)
    return fit_small_model(callbacks, make(), **arguments)


def interrupted(folder, at, *, seed=0, make=small_model, save_freq="epoch", **arguments):
    with pytest.raises(Interrupted):
        backup = BackupAndRestore(folder, save_freq)
        run(seed, [backup, InterruptAt(*at)], make, **arguments)


@pytest.fixture(scope="module")
def whole():
    return run(0)


class TestResume:
    @pytest.mark.parametrize("at", [(0, 2), (1, 0), (3, BATCHES - 1)])
    def test_after_whole_epochs(self, tmp_path, whole, at):
        interrupted(tmp_path / "run", at)
        # Another process starts with other weights and seeds, unless there is nothing saved.
        resumed = run(0 if at[0] == 0 else 1, [BackupAndRestore(tmp_path / "run")])
        assert_equal(state(resumed), state(whole))

    @pytest.mark.parametrize(
        ("at", "save_freq"),
        [((0, 3), 2), ((2, 0), 3), ((2, 3), 1), ((3, BATCHES - 1), np.int64(1))],
    )
    def test_within_an_epoch(self, tmp_path, whole, at, save_freq):
        interrupted(tmp_path, at, save_freq=save_freq)
        resumed = run(1, [BackupAndRestore(tmp_path, save_freq)])
        assert_equal(state(resumed), state(whole))
        assert resumed.history.history == whole.history.history

    def test_twice_in_one_epoch(self, tmp_path, whole):
        interrupted(tmp_path, (1, 1), save_freq=1)
        interrupted(tmp_path, (1, 3), save_freq=1, seed=2)
        resumed = run(1, [BackupAndRestore(tmp_path, 1)])
        assert_equal(state(resumed), state(whole))

    def test_continues_and_does_not_begin_anew(self, tmp_path):
        interrupted(tmp_path, (2, 3), save_freq=2)
        seen = []
        watch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: seen.append(epoch)
        )
        first = int(small_model().optimizer.iterations.numpy())
        resumed = run(1, [BackupAndRestore(tmp_path, 2), watch])
        assert (first, seen) == (0, [2, 3])
        assert resumed.optimizer.iterations.numpy() == 4 * BATCHES

    def test_history_is_that_of_the_whole_run(self, tmp_path, whole):
        interrupted(tmp_path, (2, 3))
        resumed = run(1, [BackupAndRestore(tmp_path)])
        assert resumed.history.epoch == [0, 1, 2, 3]
        assert resumed.history.history == whole.history.history

    def test_numbers_of_any_kind_in_the_history(self, tmp_path):
        logs = {"a": np.float32(0.1), "b": np.int64(7), "c": np.array(0.5), "d": np.ones(2)}
        add = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, given: given.update(logs))
        with pytest.raises(Interrupted):
            run(0, [add, BackupAndRestore(tmp_path), InterruptAt(2, 1)])
        history = run(1, [add, BackupAndRestore(tmp_path)]).history.history
        np.testing.assert_array_equal(history["a"], [logs["a"]] * 4)
        np.testing.assert_array_equal(history["d"], np.ones((4, 2)))

    def test_compiled_to_a_graph_with_validation_and_several_steps_a_call(self, tmp_path):
        def make():
            return small_model(run_eagerly=False, steps_per_execution=2)

        arguments = {"validation_data": dataset(), "make": make}
        whole = run(0, **arguments)
        # 5 batches in steps of 2: the last step is a short one.
        interrupted(tmp_path, (1, 5), save_freq=2, **arguments)
        resumed = run(1, [BackupAndRestore(tmp_path, 2)], **arguments)
        assert_equal(state(resumed), state(whole))
        assert resumed.history.history == whole.history.history

    def test_the_random_modules_go_on(self, tmp_path):
        def noisy(callbacks, seed):
            drawn = []

            def draw(epoch, logs):
                drawn.append((np.random.random(), random.random()))

            watch = keras.callbacks.LambdaCallback(on_epoch_begin=draw)
            keras.utils.set_random_seed(seed)
            with contextlib.suppress(Interrupted):
                fit_small_model([*callbacks, watch])
            return drawn

        whole = noisy([], 0)
        noisy([BackupAndRestore(tmp_path), InterruptAt(2, 1)], 0)
        assert noisy([BackupAndRestore(tmp_path)], 9) == whole[2:]

    def test_mixed_precision(self, tmp_path):
        def make():
            keras.config.set_dtype_policy("mixed_bfloat16")
            try:
                return small_model()
            finally:
                keras.config.set_dtype_policy("float32")

        whole = run(0, make=make)
        interrupted(tmp_path, (2, 1), make=make)
        assert_equal(state(run(1, [BackupAndRestore(tmp_path)], make)), state(whole))

    def test_bfloat16_variables(self, tmp_path):
        def make():
            inputs = keras.Input((3,), dtype="int32", name="ids")
            table = keras.layers.Embedding(20, 4, dtype="bfloat16")(inputs)
            outputs = keras.layers.Dense(1, "sigmoid")(keras.layers.Flatten()(table))
            model = keras.Model(inputs, outputs)
            model.compile("sgd", "binary_crossentropy", run_eagerly=True)
            return model

        whole = run(0, make=make)
        interrupted(tmp_path, (2, 1), make=make)
        assert_equal(state(run(1, [BackupAndRestore(tmp_path)], make)), state(whole))

    def test_keras_own_callback_forgets_the_seeds(self, tmp_path, whole):
        # Why this one exists; when this fails, Keras has learnt it.
        with pytest.raises(Interrupted):
            run(0, [keras.callbacks.BackupAndRestore(tmp_path), InterruptAt(2, 3)])
        resumed = run(1, [keras.callbacks.BackupAndRestore(tmp_path)])
        assert any((a != b).any() for a, b in zip(state(resumed), state(whole), strict=True))


class TestCallbacks:
    def callbacks(self):
        return [
            keras.callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=0.01),
        ]

    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_their_states_go_on(self, tmp_path, position):
        def fit(seed, folder, *more):
            callbacks = self.callbacks()
            tracked = list(callbacks)
            if folder:
                callbacks.insert(position, BackupAndRestore(folder, 2, callbacks=tracked))
            make = lambda: small_model(keras.optimizers.SGD(0.5))  # noqa: E731
            return run(seed, [*callbacks, *more], make, epochs=12), tracked

        whole, (stop, plateau) = fit(0, None)
        assert 3 < len(whole.history.epoch) < 12, "choose a run that stops early"
        last = len(whole.history.epoch) - 1
        with pytest.raises(Interrupted):
            fit(0, tmp_path, InterruptAt(last, 3))
        resumed, (stop_again, plateau_again) = fit(1, tmp_path)
        assert_equal(state(resumed), state(whole))
        assert resumed.history.history == whole.history.history
        assert (stop_again.best, stop_again.stopped_epoch, stop_again.wait) == (
            stop.best, stop.stopped_epoch, stop.wait,
        )  # fmt: skip
        assert (plateau_again.best, plateau_again.wait) == (plateau.best, plateau.wait)

    def test_model_checkpoint_keeps_its_best(self, tmp_path):
        def checkpoint():
            return keras.callbacks.ModelCheckpoint(
                tmp_path / "best.keras", monitor="loss", save_best_only=True
            )

        first = checkpoint()
        with pytest.raises(Interrupted):
            backup = BackupAndRestore(tmp_path / "run", callbacks=[first])
            run(0, [first, backup, InterruptAt(2, 1)])
        second = checkpoint()
        seen = []
        watch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: seen.append(second.best)
        )
        run(1, [BackupAndRestore(tmp_path / "run", callbacks=[second]), second, watch])
        assert seen[0] == first.best

    def test_own_callback_by_get_and_set_state(self, tmp_path):
        class Counter(keras.callbacks.Callback):
            epochs, arrays = 0, []

            def on_epoch_end(self, epoch, logs=None):
                self.epochs += 1
                self.arrays = [np.full(2, self.epochs), np.zeros(())]

            def get_state(self):
                return {"epochs": np.int64(self.epochs), "arrays": self.arrays}

            def set_state(self, state):
                self.epochs, self.arrays = state["epochs"], state["arrays"]

        first, second = Counter(), Counter()
        with pytest.raises(Interrupted):
            run(0, [first, BackupAndRestore(tmp_path, callbacks=[first]), InterruptAt(2, 1)])
        run(1, [second, BackupAndRestore(tmp_path, callbacks=[second])])
        assert second.epochs == 4
        assert_equal(second.arrays, [np.full(2, 4), np.zeros(())])

    def test_unknown_callback(self, tmp_path):
        class Mine(keras.callbacks.Callback):
            pass

        with pytest.raises(ValueError, match=r"what Mine must keep is unknown.*get_state\(\)"):
            BackupAndRestore(tmp_path, callbacks=[Mine()])

    def test_other_callbacks_than_saved(self, tmp_path):
        stop = keras.callbacks.EarlyStopping("loss")
        with pytest.raises(Interrupted):
            backup = BackupAndRestore(tmp_path, callbacks=[stop])
            run(0, [stop, backup, InterruptAt(1, 1)])
        with pytest.raises(ValueError, match=r"callbacks=\['EarlyStopping'\], now they are \[\]"):
            run(0, [BackupAndRestore(tmp_path)])


class TestFolder:
    def files(self, folder):
        return sorted(path.name for path in folder.iterdir())

    def test_two_generations_then_none(self, tmp_path):
        folder = tmp_path / "new" / "run"
        interrupted(folder, (3, 3), save_freq=1)
        assert len(self.files(folder)) == 2
        run(1, [BackupAndRestore(folder, 1)])
        assert not folder.exists()

    def test_files_of_others_stay(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        interrupted(tmp_path, (1, 1))
        run(1, [BackupAndRestore(tmp_path)])
        assert self.files(tmp_path) == ["notes.txt"]

    def test_delete_checkpoint_false_keeps_the_last(self, tmp_path, whole):
        run(0, [BackupAndRestore(tmp_path, delete_checkpoint=False)])
        assert self.files(tmp_path) == ["state-00000002.zip", "state-00000003.zip"]
        again = run(1, [BackupAndRestore(tmp_path)])
        assert_equal(state(again), state(whole))

    @pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
    def test_a_damaged_newest_state_is_passed_over(self, tmp_path, whole, damage):
        interrupted(tmp_path, (3, 1))
        newest = tmp_path / self.files(tmp_path)[-1]
        content = bytearray(newest.read_bytes())
        if damage == "flip":
            content[len(content) // 2] ^= 255
        newest.write_bytes({"cut": content[: len(content) // 2], "empty": b""}.get(damage, content))
        seen = []
        watch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: seen.append(epoch)
        )
        resumed = run(1, [BackupAndRestore(tmp_path), watch])
        assert seen == [2, 3]
        assert_equal(state(resumed), state(whole))

    def test_all_damaged(self, tmp_path):
        interrupted(tmp_path, (3, 1))
        for path in tmp_path.iterdir():
            path.write_bytes(b"nothing")
        with pytest.raises(OSError, match="no state in .* is readable .*Delete the folder"):
            run(0, [BackupAndRestore(tmp_path)])

    def test_a_kill_while_writing_leaves_the_states_before(self, tmp_path, whole, monkeypatch):
        replace = os.replace

        def fail_at_third(source, target):
            if "00000003" in str(target):
                raise Interrupted
            replace(source, target)

        monkeypatch.setattr(os, "replace", fail_at_third)
        with pytest.raises(Interrupted):
            run(0, [BackupAndRestore(tmp_path)])
        monkeypatch.undo()
        assert "state.unfinished" in self.files(tmp_path)
        resumed = run(1, [BackupAndRestore(tmp_path)])
        assert_equal(state(resumed), state(whole))
        assert not tmp_path.exists()

    def test_another_model(self, tmp_path):
        interrupted(tmp_path, (1, 1))
        match = (
            r"another model: its variable '.*table/embeddings' \(20, 4\) float32 stands where "
            r"this one has '.*table/embeddings' \(20, 6\) float32.*Name another folder"
        )
        with pytest.raises(ValueError, match=match):
            run(0, [BackupAndRestore(tmp_path)], lambda: small_model(width=6))

    def test_another_optimizer(self, tmp_path):
        interrupted(tmp_path, (1, 1))
        with pytest.raises(ValueError, match="belongs to another optimizer"):
            run(0, [BackupAndRestore(tmp_path)], lambda: small_model("sgd"))

    def test_other_data(self, tmp_path):
        interrupted(tmp_path, (1, 1))
        with pytest.raises(ValueError, match="saved with 5 batches an epoch, now there are 3"):
            fit_small_model([BackupAndRestore(tmp_path)], x=dataset().take(3))

    def test_a_later_fit_begins_at_its_own_first_epoch(self, tmp_path):
        interrupted(tmp_path, (2, 1), save_freq=2)
        model = run(1, [BackupAndRestore(tmp_path, 2)])
        fit_small_model(model=model, epochs=2)
        assert model.history.epoch == [0, 1]
        assert model.optimizer.iterations.numpy() == 6 * BATCHES

    def test_unbuilt_model(self, tmp_path):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="isn't built.*before fit"):
            model.fit(
                np.ones((4, 2)), np.ones(4), callbacks=[BackupAndRestore(tmp_path)], verbose=0
            )

    @pytest.mark.parametrize(
        ("arguments", "error", "match"),
        [
            (("",), ValueError, "backup_dir is empty"),
            (("run", 0), ValueError, "save_freq must be at least 1, got 0"),
            (("run", "batch"), TypeError, "save_freq must be 'epoch' or a number"),
            (("run", True), TypeError, "save_freq must be 'epoch' or a number"),
        ],
    )
    def test_wrong_arguments(self, arguments, error, match):
        with pytest.raises(error, match=match):
            BackupAndRestore(*arguments)


class TestRecModel:
    """Arrays, shuffled anew every epoch by a seed that the first process drew."""

    def fit(self, seed, *callbacks):
        keras.utils.set_random_seed(seed)
        with contextlib.suppress(Interrupted):
            return fit_din(callbacks)

    @pytest.mark.parametrize("save_freq", ["epoch", 2])
    def test_row_order_goes_on(self, tmp_path, save_freq):
        whole = self.fit(0)
        assert self.fit(0, BackupAndRestore(tmp_path, save_freq), InterruptAt(2, 3)) is None
        resumed = self.fit(1, BackupAndRestore(tmp_path, save_freq))
        assert_equal(state(resumed), state(whole))
        assert resumed.history.history == whole.history.history

    def test_another_row_order_ends_elsewhere(self):
        # Else the test above proves nothing.
        one, other = (fit_din([], shuffle_seed=seed) for seed in (0, 1))
        assert any((a != b).any() for a, b in zip(state(one), state(other), strict=True))


def test_kill_minus_nine_in_the_middle_of_an_epoch(tmp_path):
    """DIEN with dropout and negatives: a whole run; one killed; one that goes on from it."""

    def process(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "tests.training.killed_run", *map(str, arguments)],
            cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True,
            text=True, timeout=300,
        )  # fmt: skip

    whole = process(tmp_path / "a", tmp_path / "whole.npz")
    assert whole.returncode == 0, whole.stderr
    killed = process(tmp_path / "b", tmp_path / "b.npz", "--kill", 1, 3)
    assert killed.returncode == -9, killed.stderr
    assert not (tmp_path / "b.npz").exists()
    resumed = process(tmp_path / "b", tmp_path / "b.npz", "--seed", 5)
    assert resumed.returncode == 0, resumed.stderr
    with np.load(tmp_path / "whole.npz") as ours, np.load(tmp_path / "b.npz") as theirs:
        assert_equal([ours[k] for k in ours.files], [theirs[k] for k in theirs.files])
    assert not (tmp_path / "b").exists()
