"""Which experts the gates of a model use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pandas as pd

from deeprec_tf.evaluation.inside_figure import draw_usage
from deeprec_tf.evaluation.look_inside import look_inside
from deeprec_tf.graph import explainable_calls
from deeprec_tf.layers.interaction.mixture_cross import MixtureCross
from deeprec_tf.layers.multitask.expert_gate import ExpertGate

_OWNER = "gate_usage"


def gate_usage(model: keras.Model, x, *, batch_size: int = 1024) -> pd.DataFrame:
    """How much each gate lets through of each expert, on average over rows.

    Args:
        model: a model with gates over experts: `MMoE`, `PLE`, or `DCNv2` with its mixture.
        x: dict of arrays by input name, or a DataFrame.
        batch_size: rows a step.

    Returns:
        A DataFrame: a row a gate, by its layer's name (`ctr_gate`; of PLE also the level's), a
        column an expert in the order in which the gate is given them, own ones before shared ones.
        The mean weight of the expert in [0, 1]; NaN where a gate has fewer experts.

    Raises:
        TypeError: `x` is no dict or DataFrame.
        ValueError: the model has no gates.

    Example:
        >>> import numpy as np
        >>> from deeprec_tf import SparseFeat
        >>> from deeprec_tf.models import MMoE
        >>> model = MMoE([SparseFeat("user", 5)], num_experts=2, expert_units=(4,))
        >>> usage = gate_usage(model, {"user": np.arange(5)})
        >>> usage.shape, sorted(usage.index)
        ((2, 2), ['ctr_gate', 'cvr_gate'])
    """
    names = {
        call.name for call in explainable_calls(model)
        if isinstance(call.layer, ExpertGate | MixtureCross)
    }
    if not names:
        raise ValueError(f"{_OWNER}: {model.name} has no gates over experts.")
    layers = look_inside(model, x, batch_size=batch_size).layers
    gates = {name: words["gates"] for name, words in layers.items() if name in names}
    rows = {name: dict(enumerate(array.mean(axis=0))) for name, array in gates.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("gate")


def plot_gate_usage(usage: pd.DataFrame, path: str | Path | None = None) -> Any:
    """Draws what `gate_usage` gave: a bar a gate, in it a part an expert.

    Args:
        usage: the DataFrame.
        path: where to save the picture (its ending is the format); not saved when None.

    Returns:
        A `matplotlib.figure.Figure`; a notebook shows it.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return draw_usage(usage, path)
