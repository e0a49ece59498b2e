"""Keras metrics."""

from deeprec_tf.metrics.labelled import Labelled

__all__ = ["Labelled"]
