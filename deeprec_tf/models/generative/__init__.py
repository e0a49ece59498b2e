"""Generative models: what a user's sequence goes on with, whole or code by code, is recommended."""

from deeprec_tf.models.generative.colarec import ColaRec
from deeprec_tf.models.generative.hllm import HLLM
from deeprec_tf.models.generative.hstu import HSTU
from deeprec_tf.models.generative.tiger import TIGER

__all__ = ["HLLM", "HSTU", "TIGER", "ColaRec"]
