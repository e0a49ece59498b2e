"""Labels of a funnel: click, conversion given a click, and both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def conversion_labels(
    click: Any, conversion: Any, *, names: Sequence[str] = ("ctr", "cvr", "ctcvr")
) -> dict[str, np.ndarray]:
    """The labels that multi-task models take of impressions, clicks and conversions.

    Args:
        click: (N,) 0 or 1, one an impression.
        conversion: (N,) 0 or 1; read where there is a click alone.
        names: names of click, conversion given a click, and both.

    Returns:
        float32 arrays (N,) by name. Conversion is NaN, no label, where there is no click: the rest
        is what the sample space of the conversion rate leaves out. Both is 0 there.

    Raises:
        ValueError: lengths that differ, labels other than 0 and 1, or not three names.

    Example:
        >>> conversion_labels([1, 0], [1, 0])["cvr"].tolist()
        [1.0, nan]
    """
    owner = "conversion_labels"
    clicks, conversions = np.asarray(click, "float32"), np.asarray(conversion, "float32")
    if clicks.ndim != 1 or clicks.shape != conversions.shape:
        raise ValueError(
            f"{owner}: click and conversion must be one array (N,) each, got the shapes "
            f"{clicks.shape} and {conversions.shape}."
        )
    if len(set(names)) != 3:
        raise ValueError(
            f"{owner}: names must be those of click, conversion and both, got {names!r}."
        )
    clicked = clicks == 1
    for name, values in (("click", clicks), ("conversion", conversions[clicked])):
        if not np.isin(values, (0, 1)).all():
            value = values[~np.isin(values, (0, 1))][0]
            raise ValueError(f"{owner}: {name} must be 0 or 1, got {value:g}.")
    given_click = np.where(clicked, conversions, np.float32("nan"))
    both = np.where(clicked, conversions, np.float32(0))
    return dict(zip(names, (clicks, given_click, both), strict=True))
