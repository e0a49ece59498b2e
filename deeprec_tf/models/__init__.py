"""Every builder, by the name of its paper, and the other names people type."""

from deeprec_tf.models.ranking import (
    DIEN,
    DIN,
    DLRM,
    DeepFM,
    MaskNet,
    WideDeep,
    xDeepFM,
)

WDL = WideDeep

__all__ = [
    "DIEN",
    "DIN",
    "DLRM",
    "WDL",
    "DeepFM",
    "MaskNet",
    "WideDeep",
    "xDeepFM",
]
