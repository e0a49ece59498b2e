"""What each column is to a behavior model: target item, behavior, negative, or context.

The prefixes of behavior columns are known here alone. Standard library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from deeprec_tf.features import (
    DenseFeat,
    FeatureColumn,
    SparseFeat,
    VarLenDenseFeat,
    VarLenSparseFeat,
    input_specs,
)

HISTORY_PREFIX = "hist_"
NEGATIVE_PREFIX = "neg_"
TIME_WORDS = ("time", "times", "timestamp", "timestamps")


@dataclasses.dataclass(frozen=True)
class Roles:
    """Columns by what they are to a behavior model.

    The fields of target, behaviors and negatives stand in one order.
    """

    target: tuple[FeatureColumn, ...]
    behaviors: tuple[FeatureColumn, ...]
    negative_behaviors: tuple[FeatureColumn, ...]
    context: tuple[FeatureColumn, ...]


def split_by_role(
    feature_columns: Sequence[FeatureColumn],
    behavior_list: Sequence[str],
    *,
    owner: str = "model",
    sessions: bool = False,
) -> Roles:
    """Sorts columns into target item, behaviors, their negatives and the rest.

    The behaviors of item column X are `hist_X`, or the one VarLen column that shares X's table;
    the negatives are those of the two whose name begins with `neg_`.

    Args:
        feature_columns: all columns of the model.
        behavior_list: names of the item columns that have a history.
        owner: the model's name, for messages.
        sessions: whether behaviors come as sessions, ids (B, K, S), one group a session.

    Raises:
        TypeError: behavior_list is no list of names.
        ValueError: a name is unknown, has no history or more than one, widths differ, or some
            histories have negatives and some have none, or a history has a group where it should
            have none, or has none where behaviors are sessions.
    """
    if isinstance(behavior_list, str) or not behavior_list:
        raise TypeError(
            f"{owner}: behavior_list must be a list of item columns such as ['item_id'], got "
            f"{behavior_list!r}."
        )
    by_name = {column.name: column for column in feature_columns}
    target, behaviors, negatives = [], [], []
    for name in behavior_list:
        item = by_name.get(name)
        if not isinstance(item, SparseFeat):
            raise ValueError(
                f"{owner}: behavior_list names {name!r}, but no SparseFeat({name!r}, …) was given; "
                f"columns are {list(by_name)}."
            )
        history = _history_of(owner, item, feature_columns, negative=False)
        if history is None:
            raise ValueError(
                f"{owner}: {name!r} needs its history, but no column {HISTORY_PREFIX + name!r} "
                f"was given. Add VarLenSparseFeat(SparseFeat({HISTORY_PREFIX + name!r}, …, "
                f"embedding_name={item.embedding_name!r}), maxlen=…)."
            )
        if sessions and history.group == 1:
            raise ValueError(
                f"{owner}: {history.name!r} has group=1, but behaviors come as sessions here. Set "
                "maxlen to the most sessions and group to the most items of one."
            )
        if history.group > 1 and not sessions:
            raise ValueError(
                f"{owner}: {history.name!r} has group={history.group}, but a behavior is one item "
                "a step. Set group=1; only negatives may have several."
            )
        negative = _history_of(owner, item, feature_columns, negative=True)
        target.append(item)
        behaviors.append(history)
        negatives.append(negative)
    given: list[Any] = [column for column in negatives if column is not None]
    if given and len(given) < len(negatives):
        bare = behavior_list[negatives.index(None)]
        raise ValueError(
            f"{owner}: {given[0].name!r} was given but the negatives of {bare!r} were not. Add "
            f"{NEGATIVE_PREFIX + HISTORY_PREFIX + bare!r} or give no negatives at all."
        )
    taken = {column.name for column in (*target, *behaviors, *given)}
    return Roles(
        target=tuple(target),
        behaviors=tuple(dataclasses.replace(c, combiner="none") for c in behaviors),
        negative_behaviors=tuple(dataclasses.replace(c, combiner="none") for c in given),
        context=tuple(column for column in feature_columns if column.name not in taken),
    )


def histories_of(
    item_columns: Sequence[FeatureColumn],
    user_columns: Sequence[FeatureColumn],
    *,
    owner: str = "model",
) -> dict[str, VarLenSparseFeat]:
    """The histories of an item's columns among the user's, by the name of the item's column.

    Where columns of the item share one table, a history that is named after none of them is that
    of the first.

    Args:
        item_columns: columns of the item.
        user_columns: columns of the user.
        owner: the model's name, for messages.

    Raises:
        ValueError: a column has more than one history, or one of another width or table.

    Example:
        >>> item = SparseFeat("item_id", 9)
        >>> past = VarLenSparseFeat(SparseFeat("past", 9, embedding_name="item_id"), maxlen=5)
        >>> histories_of([item], [past])["item_id"].name
        'past'
    """
    found: dict[str, VarLenSparseFeat] = {}
    for item in item_columns:
        if not isinstance(item, SparseFeat):
            continue
        history = _history_of(owner, item, [*user_columns, *item_columns], negative=False)
        if history is not None and history not in found.values():
            found[item.name] = history
    return found


def owner_of(
    history: FeatureColumn,
    item_columns: Sequence[FeatureColumn],
    user_columns: Sequence[FeatureColumn] = (),
) -> str | None:
    """The name of the column whose ids a history holds; None where no column has its table.

    That is an item's column that shares its table: the one that the history is named after, else
    the first. Where the item has none, it is such a column of the user.
    """
    for columns in (item_columns, user_columns):
        sharing = [
            column.name
            for column in columns
            if isinstance(column, SparseFeat)
            and column.embedding_name == getattr(history, "embedding_name", None)
        ]
        named = [name for name in sharing if HISTORY_PREFIX + name == history.name]
        if sharing:
            return (named or sharing)[0]
    return None


def _history_of(
    owner: str, item: SparseFeat, feature_columns: Sequence[FeatureColumn], *, negative: bool
) -> VarLenSparseFeat | None:
    prefix = (NEGATIVE_PREFIX if negative else "") + HISTORY_PREFIX
    wanted = prefix + item.name
    of_others = {
        prefix + column.name for column in feature_columns if isinstance(column, SparseFeat)
    } - {wanted}
    found = [
        column
        for column in feature_columns
        if isinstance(column, VarLenSparseFeat)
        and column.name.startswith(NEGATIVE_PREFIX) == negative
        and column.name not in of_others
        and (column.name == wanted or column.embedding_name == item.embedding_name)
    ]
    exact = [column for column in found if column.name == wanted]
    # Two item columns may share one table; then the names decide.
    found = exact if len(found) > 1 and _shares_table(item, feature_columns) else found
    if len(found) > 1:
        raise ValueError(
            f"{owner}: both {found[0].name!r} and {found[1].name!r} could be the "
            f"{'negatives' if negative else 'history'} of {item.name!r} (they share its table "
            f"{item.embedding_name!r}). Keep one of them, or give the other its own embedding_name."
        )
    if found and found[0].embedding_dim != item.embedding_dim:
        raise ValueError(
            f"{owner}: {item.name!r} is {item.embedding_dim} wide, {found[0].name!r} "
            f"{found[0].embedding_dim}. Give both the same embedding_dim, and "
            f"embedding_name={item.embedding_name!r} so that they share one table."
        )
    if found and found[0].embedding_name != item.embedding_name:
        raise ValueError(
            f"{owner}: {found[0].name!r} must share the table of {item.name!r}. Give it "
            f"embedding_name={item.embedding_name!r}."
        )
    return found[0] if found else None


def _shares_table(item: SparseFeat, feature_columns: Sequence[FeatureColumn]) -> bool:
    return any(
        isinstance(column, SparseFeat)
        and column.name != item.name
        and column.embedding_name == item.embedding_name
        for column in feature_columns
    )


def split_off_time(
    context: Sequence[FeatureColumn], time_column: str | None, *, owner: str = "model"
) -> tuple[dict[str, FeatureColumn], list[FeatureColumn]]:
    """Takes the times of target and behaviors out of the other columns.

    Args:
        context: the columns that are neither target nor behaviors.
        time_column: name of the target's time; None where a model goes without.
        owner: the model's name, for messages.

    Returns:
        `{"times": column, "target_time": column}`, or {} without a time column; and the rest.

    Raises:
        ValueError: one of the two columns is missing, has more than one number, or their dtypes
            differ.
    """
    if time_column is None:
        return {}, list(context)
    by_name = {column.name: column for column in context}
    history = HISTORY_PREFIX + time_column
    for name, kind in ((time_column, DenseFeat), (history, VarLenDenseFeat)):
        column = by_name.get(name)
        if not isinstance(column, kind) or column.dimension != 1:
            raise ValueError(
                f"{owner}: time_column={time_column!r} needs {kind.__name__}({name!r}, …) of one "
                f"number, got {column!r}. Add it, or leave time_column out."
            )
    target, past = by_name[time_column], by_name[history]
    if target.dtype != past.dtype:
        raise ValueError(
            f"{owner}: {time_column!r} is {target.dtype}, {history!r} {past.dtype}. Give both one "
            "dtype, int64 for seconds."
        )
    rest = [column for column in context if column not in (target, past)]
    return {"times": past, "target_time": target}, rest


def split_off_steps(
    columns: Sequence[FeatureColumn], *, owner: str = "model"
) -> tuple[dict[str, FeatureColumn], list[FeatureColumn]]:
    """Takes what stands beside the steps of a history out of the user's columns.

    The times of the steps are the `VarLenDenseFeat` of one integer, the time of the request is the
    `DenseFeat` of its name without `hist_`; what the user did at each step is the
    `VarLenDenseFeat` of floats.

    Returns:
        Those of `{"times": column, "request_time": column, "actions": column}` that there are; and
        the rest.

    Raises:
        ValueError: there are two of a kind, the dtypes of the two times differ, or a column that
            is called a time is none.
    """
    found: dict[str, FeatureColumn] = {}
    for column in columns:
        if not isinstance(column, VarLenDenseFeat):
            continue
        word = "times" if column.dtype.startswith("int") and column.dimension == 1 else "actions"
        now = column.name.removeprefix(HISTORY_PREFIX)
        if word == "actions" and any(isinstance(c, DenseFeat) and c.name == now for c in columns):
            raise ValueError(
                f"{owner}: {column.name!r}, with {now!r} beside it, has {column.dtype} and "
                f"{column.dimension} numbers a step. If these are times, give both dtype='int64' "
                "and one number; actions have no number of the request beside them."
            )
        if word == "actions" and now.rsplit("_", 1)[-1] in TIME_WORDS:
            raise ValueError(
                f"{owner}: {column.name!r} would be read as actions, as it has {column.dtype} and "
                f"{column.dimension} numbers a step. Times have dtype='int64' and one number; "
                "actions want another name."
            )
        if word in found:
            raise ValueError(
                f"{owner}: both {found[word].name!r} and {column.name!r} could be the {word} of "
                "the history. Times have dtype int64 and one number a step, actions float32 and a "
                "number a kind of action; keep one of each."
            )
        found[word] = column
    if "times" in found:
        times = found["times"]
        name = times.name.removeprefix(HISTORY_PREFIX)
        request = next((c for c in columns if isinstance(c, DenseFeat) and c.name == name), None)
        if request is not None and request.dtype != getattr(times, "dtype", None):
            raise ValueError(
                f"{owner}: {times.name!r} and {name!r} must have one dtype, got "
                f"{getattr(times, 'dtype', None)} and {request.dtype}. Give both int64."
            )
        if request is not None:
            found["request_time"] = request
    return found, [column for column in columns if column not in found.values()]


def split_given(
    columns: Sequence[FeatureColumn], *, owner: str = "model"
) -> tuple[list[FeatureColumn], dict[str, VarLenSparseFeat]]:
    """The item's own columns, and those of given negatives by the item column they are of.

    Raises:
        ValueError: negatives that do not share the table of their item column.
    """
    by_name = {c.name: c for c in columns if isinstance(c, SparseFeat)}
    own, given = [], {}
    for column in columns:
        item = by_name.get(column.name.removeprefix(NEGATIVE_PREFIX))
        if not isinstance(column, VarLenSparseFeat) or item is None:
            own.append(column)
            continue
        if column.embedding_name != item.embedding_name:
            raise ValueError(
                f"{owner}: {column.name!r} must share the table of {item.name!r}. Give it "
                f"embedding_name={item.embedding_name!r}."
            )
        given[item.name] = column
    return own, given


def leave_out(
    feature_columns: Sequence[FeatureColumn], unused: Sequence[FeatureColumn]
) -> tuple[list[FeatureColumn], list[str]]:
    """Columns without those that a model does not read, and the input names that fall away.

    The names go to `RecModel(ignored_inputs=…)`, so that one batch serves several models.
    """
    names = {column.name for column in unused}
    kept = [column for column in feature_columns if column.name not in names]
    needed = input_specs(kept)
    return kept, [name for name in input_specs(feature_columns) if name not in needed]
