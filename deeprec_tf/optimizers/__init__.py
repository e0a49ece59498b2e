"""Row-sparse optimizers for embedding tables."""

from deeprec_tf.optimizers.fine_tune_adamw import FineTuneAdamW
from deeprec_tf.optimizers.row_sparse import RowSparse
from deeprec_tf.optimizers.rows import sum_repeated_rows
from deeprec_tf.optimizers.sparse_adagrad import SparseAdagrad
from deeprec_tf.optimizers.sparse_adam import SparseAdam
from deeprec_tf.optimizers.sparse_form import sparse_form

__all__ = [
    "FineTuneAdamW",
    "RowSparse",
    "SparseAdagrad",
    "SparseAdam",
    "sparse_form",
    "sum_repeated_rows",
]
