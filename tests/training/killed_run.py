"""Trains a small model with dropout in a process of its own, and may kill itself on the way.

python -m tests.training.killed_run FOLDER RESULT [--kill EPOCH BATCH] [--save-freq N]
"""

import argparse
import os
import signal

import keras
import numpy as np

from deeprec_tf.training import BackupAndRestore
from tests.training.runs import fit_small_model, small_model


class Kill(keras.callbacks.Callback):
    """kill -9 at a batch: nothing can be tidied up."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at = (epoch, batch)
        self.epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("result")
    parser.add_argument("--kill", nargs=2, type=int)
    parser.add_argument("--save-freq", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    backup = BackupAndRestore(arguments.folder, save_freq=arguments.save_freq or "epoch")
    callbacks = [backup]
    if arguments.kill:
        callbacks.append(Kill(*arguments.kill))
    model = fit_small_model(callbacks, small_model(run_eagerly=False))
    np.savez(arguments.result, *[v.numpy() for v in model.variables])
