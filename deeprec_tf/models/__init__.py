"""Every builder, by the name of its paper, and the other names people type."""

from deeprec_tf.models.ranking import (
    DCN,
    AutoInt,
    DIEN,
    DIN,
    DLRM,
    EDCN,
    GDCN,
    DCNv2,
    DeepFM,
    FinalMLP,
    MaskNet,
    WideDeep,
    xDeepFM,
)

WDL = WideDeep

__all__ = [
    "DCN",
    "AutoInt",
    "DIEN",
    "DIN",
    "DLRM",
    "EDCN",
    "GDCN",
    "WDL",
    "DCNv2",
    "DeepFM",
    "FinalMLP",
    "MaskNet",
    "WideDeep",
    "xDeepFM",
]
