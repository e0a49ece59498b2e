"""Multi-task models: one graph, several labels."""

from deeprec_tf.models.multitask.aitm import AITM
from deeprec_tf.models.multitask.esmm import ESMM
from deeprec_tf.models.multitask.mmoe import MMoE
from deeprec_tf.models.multitask.ple import PLE
from deeprec_tf.models.multitask.shared_bottom import SharedBottom

__all__ = ["AITM", "ESMM", "PLE", "MMoE", "SharedBottom"]
