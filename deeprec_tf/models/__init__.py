"""Every builder, by the name of its paper, and the other names people type."""

from deeprec_tf.models.ranking import (
    BST,
    DCN,
    DIEN,
    DIN,
    DLRM,
    DNN,
    EDCN,
    GDCN,
    LR,
    AutoInt,
    DCNv2,
    DeepFM,
    FinalMLP,
    MaskNet,
    WideDeep,
    xDeepFM,
)

WDL = WideDeep

__all__ = [
    "BST",
    "DCN",
    "DIEN",
    "DIN",
    "DLRM",
    "DNN",
    "EDCN",
    "GDCN",
    "LR",
    "WDL",
    "AutoInt",
    "DCNv2",
    "DeepFM",
    "FinalMLP",
    "MaskNet",
    "WideDeep",
    "xDeepFM",
]
