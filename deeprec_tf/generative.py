"""What generative models share: parameters that come as a dict, and windows of their layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from deeprec_tf.roles import histories_of


def parameters(
    given: Mapping[str, Any] | None, defaults: Mapping[str, Any], *, owner: str, argument: str
) -> dict[str, Any]:
    """The defaults with what is given in their place.

    Args:
        given: some of the parameters by name, or None.
        defaults: all of them.
        owner: the model's name, for messages.
        argument: the argument's name, for messages.

    Raises:
        TypeError: `given` is no dict.
        ValueError: it has a key that is no parameter.

    Example:
        >>> parameters({"a": 3}, {"a": 1, "b": 2}, owner="HSTU", argument="sizes")
        {'a': 3, 'b': 2}
    """
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"{owner}: {argument} must be a dict or None, got {given!r}.")
    unknown = [key for key in given or {} if key not in defaults]
    if unknown:
        raise ValueError(
            f"{owner}: {argument} has {unknown[0]!r}, which is none of its keys {list(defaults)}."
        )
    return {**defaults, **(given or {})}


def level_windows(
    hierarchical_params: Mapping[str, Any] | None, num_layers: int, *, owner: str
) -> list[int | None]:
    """The window of every layer, in items; None where a layer sees all before.

    The first half of the layers, rounded up, are level 1, with a window of `level1_window_size`
    items; the others are level 2, with one of `level2_window_size` such windows, or without one
    where that is 0 or None. A single layer is of level 2.

    Raises:
        TypeError: the parameters are no dict.
        ValueError: an unknown key, or a size that is no positive integer.

    Example:
        >>> level_windows({"level1_window_size": 10, "level2_window_size": 5}, 3, owner="HSTU")
        [10, 10, 50]
    """
    if hierarchical_params is None:
        return [None] * num_layers
    names = ("level1_window_size", "level2_window_size")
    sizes = parameters(
        hierarchical_params, dict.fromkeys(names), owner=owner, argument="hierarchical_params"
    )
    first, second = (sizes[name] for name in names)
    for name, value, may_lack in zip(names, (first, second), (False, True), strict=True):
        if may_lack and value in (None, 0):
            continue
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(
                f"{owner}: hierarchical_params[{name!r}] must be an integer of at least 1"
                f"{', or None' if may_lack else ''}, got {value!r}."
            )
    first, second = int(first), int(second or 0)
    wide = first * second if second else None
    narrow = math.ceil(num_layers / 2) if num_layers > 1 else 0
    return [first] * narrow + [wide] * (num_layers - narrow)


def known_of_all(
    columns: Sequence[Any], users: Sequence[Any], item_table: Mapping[str, Any] | None,
    *, owner: str,
) -> tuple[list[Any], list[Any]]:
    """The item's columns that are known of the history too, and those of the target alone.

    Args:
        columns: columns of the item, its id first.
        users: columns of the user, the histories among them.
        item_table: features of all items, or None.
        owner: the model's name, for messages.

    Raises:
        ValueError: a column has two histories.
    """
    names = {*(item_table or ()), *histories_of(columns, users, owner=owner)}
    known = [c for i, c in enumerate(columns) if i == 0 or c.name in names]
    return known, [c for i, c in enumerate(columns) if i > 0 and c.name not in names]
