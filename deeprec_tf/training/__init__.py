"""Training: where it runs, and how it goes on after a kill."""

from deeprec_tf.optimizers import SparseAdagrad, SparseAdam
from deeprec_tf.training.backup_and_restore import BackupAndRestore
from deeprec_tf.training.strategies import strategy

__all__ = ["BackupAndRestore", "SparseAdagrad", "SparseAdam", "strategy"]
