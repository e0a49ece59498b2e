"""Generative models: the user's sequence goes on, and what comes next is the recommendation."""

from deeprec_tf.models.generative.hstu import HSTU

__all__ = ["HSTU"]
