"""Training: where it runs, how it goes on after a kill, and the benchmark's recipe."""

from deeprec_tf.optimizers import SparseAdagrad, SparseAdam
from deeprec_tf.training.backup_and_restore import BackupAndRestore
from deeprec_tf.training.benchmark_recipe import BenchmarkResult, benchmark_recipe
from deeprec_tf.training.distillation import distill
from deeprec_tf.training.freed_memory import keep_freed_memory
from deeprec_tf.training.item_vectors import item_vectors
from deeprec_tf.training.strategies import strategy
from deeprec_tf.training.warm_start import WarmStart, warm_start

__all__ = [
    "BackupAndRestore",
    "BenchmarkResult",
    "SparseAdagrad",
    "SparseAdam",
    "WarmStart",
    "benchmark_recipe",
    "distill",
    "item_vectors",
    "keep_freed_memory",
    "strategy",
    "warm_start",
]
