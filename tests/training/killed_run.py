"""Trains a DIEN with dropout and negatives in a process of its own, and may kill it on the way.

python -m tests.training.killed_run FOLDER RESULT [--kill EPOCH BATCH] [--seed N]
"""

import argparse
import os
import signal

import keras
import numpy as np

from deeprec_tf.training import BackupAndRestore
from tests.training.runs import fit_dien, state


class Kill(keras.callbacks.Callback):
    """kill -9 at a batch: nothing can be tidied up."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), None

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
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    callbacks = [BackupAndRestore(arguments.folder, save_freq=2)]
    if arguments.kill:
        callbacks.append(Kill(*arguments.kill))
    np.savez(arguments.result, *state(fit_dien(callbacks)))
